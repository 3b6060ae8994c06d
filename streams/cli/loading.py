"""Finds the app that a command names as `module:attribute`."""

from __future__ import annotations

import importlib
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING

import click

# Ours are loaded before the folder of the app joins the path, so that no file there can stand in for them.
import broker_embedded
import state
import streams
from streams.errors import StreamsError, TopologyError

if TYPE_CHECKING:
    from types import TracebackType

    from streams.app import App
    from streams.graph.plan import Plan

OURS = (streams, state, broker_embedded)
ROOT = Path(__file__).parents[2]
"""The folder that our packages lie in: that of the clone, or site-packages."""


class LoadError(click.UsageError):
    """The named app can't be found, or isn't one; exit code 2."""


class BrokenAppError(click.ClickException):
    """The module of the app raised while it was imported; exit code 1, with the traceback of the user's code."""

    def __init__(self, module: str, error: BaseException) -> None:
        super().__init__(f"{module} could not be imported.")
        self.error = error

    def show(self, file: object = None) -> None:
        click.echo("".join(traceback.format_exception(from_user_code(self.error))), err=True, nl=False)
        super().show()


def from_user_code(error: BaseException) -> BaseException:
    """The error with a traceback that begins in the user's module, not in the import of it; of an error of ours it
    also ends there.
    """
    machinery = (__file__, str(importlib.__file__), "<frozen importlib")
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_filename.startswith(machinery):
        trace = trace.tb_next
    if isinstance(error, StreamsError):
        error.__cause__, error.__suppress_context__ = None, True
        end_in_user_code(trace)
    return error.with_traceback(trace)


def end_in_user_code(trace: TracebackType | None) -> None:
    """Cuts off the frames of this package behind the last one that is not."""
    ours = tuple(f"{ROOT / package.__name__}/" for package in OURS)
    last = None
    while trace is not None:
        if not trace.tb_frame.f_code.co_filename.startswith(ours):
            last = trace
        trace = trace.tb_next
    if last is not None:
        last.tb_next = None


def load(target: str, folder: Path | None = None) -> App:
    """The app that `target` names, imported from `folder` (default: the current one).

    Raises LoadError when there is no such module or attribute, when it isn't an app, or when a file in the folder
    has the name of one of our packages.
    """
    folder = folder or Path.cwd()
    refuse_namesakes(folder)
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
    module_name, _, attribute = target.partition(":")
    app = find(import_user_module(module_name, folder), attribute or "app", target)
    from streams.app import App

    if not isinstance(app, App):
        raise LoadError(f"{target} is {type(app).__name__}, not an App. Name the variable that holds streams.App(...).")
    return app


def planned(target: str) -> Plan:
    """The topology of the app that `target` names. Raises ClickException, with the user's line, for one whose parts do
    not fit together.
    """
    app = load(target)
    try:
        return app.plan()
    except TopologyError as error:
        raise click.ClickException(str(error)) from error


def refuse_namesakes(folder: Path) -> None:
    """A `state.py` or `state/` beside the app and our package could not both be imported: said here by name."""
    for ours in OURS:
        for namesake in (folder / f"{ours.__name__}.py", folder / ours.__name__ / "__init__.py"):
            if namesake.exists() and not namesake.samefile(ROOT / ours.__name__ / "__init__.py"):
                raise LoadError(
                    f"{namesake} has the name of a package of streams-engine, so `import {ours.__name__}` gives either "
                    "that package or yours, and never both. Rename yours, or move it into a package of your own."
                )


def import_user_module(name: str, folder: Path) -> object:
    if name.endswith(".py") or "/" in name:
        hint = name.removesuffix(".py").strip("./").replace("/", ".")
        raise LoadError(f"{name} is a path; name the module: {hint}:app")
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name and (name == error.name or name.startswith(error.name + ".")):
            raise LoadError(f"there is no module {error.name!r} in {folder} or on the path of Python.") from None
        raise BrokenAppError(name, error) from error
    except Exception as error:
        raise BrokenAppError(name, error) from error


def find(module: object, attribute: str, target: str) -> object:
    try:
        for part in attribute.split("."):
            module = getattr(module, part)
    except AttributeError:
        raise LoadError(f"{target}: the module has no {attribute!r}. Which variable holds the App?") from None
    return module
