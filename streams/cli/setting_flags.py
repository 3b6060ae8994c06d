"""Settings as flags of a command, made from the one struct that lists them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, TypeVar, get_args, get_origin

import click

from streams.config import SettingInfo, settings_info

F = TypeVar("F", bound=Callable[..., Any])


def setting_flags(command: F) -> F:
    """Decorates a command with a flag per setting; a flag that is not given is None."""
    for info in reversed(list(settings_info())):
        if info.name != "id":  # the app is named in code: its topics carry the name
            command = click.option(*names(info), default=None, help=info.description, **kind(info))(command)
    return command


def names(info: SettingInfo) -> tuple[str, ...]:
    """
    >>> [names(info) for info in settings_info() if info.name in ("data_dir", "log_level")]
    [('--data-dir',), ('-l', '--log-level', '--loglevel')]
    """
    if info.name == "log_level":
        return ("-l", info.flag, "--loglevel")  # as in Faust and Celery
    if bare(info) is bool:
        return (f"{info.flag}/--no-{info.flag.removeprefix('--')}",)
    return (info.flag,)


def kind(info: SettingInfo) -> dict[str, Any]:
    """How click takes the value: text, checked with all others by `streams.config`."""
    if bare(info) is bool:
        return {"is_flag": True}
    if get_origin(bare(info)) is Literal:
        return {"metavar": "|".join(get_args(bare(info)))}
    return {"metavar": "NUMBER" if bare(info) is int else "TEXT"}


def bare(info: SettingInfo) -> Any:
    """The type of a setting without its description."""
    return get_args(info.type)[0]
