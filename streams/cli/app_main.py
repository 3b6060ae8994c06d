"""The command line of one app: `python shop.py worker` is `streams worker shop:app`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from streams.cli import main

if TYPE_CHECKING:
    from streams.app import App


def app_main(app: App) -> None:
    """Runs the command in `sys.argv` for an app of the program that is running; exits as `streams` does."""
    arguments = sys.argv[1:]
    main([*arguments, own_name(app)] if arguments and not arguments[0].startswith("-") else ["--help"])


def own_name(app: App) -> str:
    """`__main__:attribute` of an app that the running program holds in a variable."""
    names = [name for name, value in vars(sys.modules["__main__"]).items() if value is app]
    if not names:
        sys.exit("app.main() needs the app in a variable of the program that is run, such as `app = streams.App(...)`.")
    return f"__main__:{names[0]}"
