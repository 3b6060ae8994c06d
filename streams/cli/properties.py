"""Settings as Kafka's tools take them: `.properties` files, and NAME=VALUE on the command line."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import click


def read_properties(path: Path) -> dict[str, str]:
    """A file of `name=value` lines; `#` and `!` begin comments, a backslash at the end goes on in the next line."""
    found: dict[str, str] = {}
    text = path.read_text().replace("\\\r\n", "").replace("\\\n", "")
    for line in (line.strip() for line in text.splitlines()):
        if line and line[0] not in "#!":
            name, _, value = line.partition("=") if "=" in line else line.partition(":")
            found[name.strip()] = value.strip()
    return found


def pairs(texts: Iterable[str], option: str) -> dict[str, str]:
    """What was given as NAME=VALUE; several to an option with commas, as Kafka has it. Raises click.UsageError.

    >>> pairs(["retention.ms=1000,cleanup.policy=[compact,delete]"], "--config")
    {'retention.ms': '1000', 'cleanup.policy': 'compact,delete'}
    """
    found: dict[str, str] = {}
    for text in texts:
        for part in _parts(text):
            name, equals, value = part.partition("=")
            if not equals or not name.strip():
                raise click.UsageError(f"{option} {part!r}: give it as NAME=VALUE")
            found[name.strip()] = value.strip().removeprefix("[").removesuffix("]")
    return found


def _parts(text: str) -> list[str]:
    """Split at commas that are not in brackets and have a name behind them."""
    parts: list[str] = []
    depth, start = 0, 0
    for at, letter in enumerate(text):
        depth += (letter == "[") - (letter == "]")
        if letter == "," and depth == 0 and "=" in text[at + 1 :]:
            parts.append(text[start:at])
            start = at + 1
    return [*parts, text[start:]]
