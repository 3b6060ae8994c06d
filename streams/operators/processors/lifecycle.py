"""A processor or transformer of the user's begins and ends: `init(ctx)` and `close()`, if it has them."""

from __future__ import annotations

from typing import Any

from streams.errors import StreamsError, UserCodeError


def begin(made: Any, ctx: Any, step: str) -> None:
    """Calls `init`. What it raises stops the app: there is no record that the error policy could be asked about."""
    init = getattr(made, "init", None)
    if init is None:
        return
    try:
        init(ctx)
    except StreamsError:
        raise
    except Exception as error:
        raise UserCodeError(error, step=step) from error


def end(made: Any) -> None:
    """Calls `close`."""
    close = getattr(made, "close", None)
    if close is not None:
        close()
