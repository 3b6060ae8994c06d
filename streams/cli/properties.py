"""Settings as Kafka's tools take them: `.properties` files, and NAME=VALUE on the command line."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import click

_LINE = re.compile(r"(?P<name>(?:\\.|[^\\=:\s])+)\s*[=:\s]?\s*(?P<value>.*)")
_GOES_ON = re.compile(r"(?<!\\)((?:\\\\)*)\\\r?\n[ \t\f]*")
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|(.))")
_CONTROL = {"t": "\t", "n": "\n", "r": "\r", "f": "\f"}


def read_properties(path: Path) -> dict[str, str]:
    """A file as Java's Properties reads it: `name=value` lines, comments, escapes, lines that go on in the next."""
    return parse_properties(path.read_text(encoding="utf-8"))


def parse_properties(text: str) -> dict[str, str]:
    r"""
    >>> parse_properties("# one node\nlisteners=IN://:9092,\\\n  OUT://:9093\nsuper.users : User\\:ada\n")
    {'listeners': 'IN://:9092,OUT://:9093', 'super.users': 'User:ada'}
    """
    found = {}
    for line in map(str.strip, _GOES_ON.sub(r"\1", text).splitlines()):
        setting = None if line.startswith(("#", "!")) else _LINE.fullmatch(line)
        if setting is not None:
            found[_unescaped(setting["name"])] = _unescaped(setting["value"])
    return found


def _unescaped(text: str) -> str:
    return _ESCAPE.sub(lambda found: chr(int(found[1], 16)) if found[1] else _CONTROL.get(found[2], found[2]), text)


def assignments(texts: Iterable[str], option: str) -> dict[str, str]:
    """What was given as NAME=VALUE, one to an option. Raises click.UsageError.

    >>> assignments(["key.separator=, ", "parse.key=true"], "--property")
    {'key.separator': ', ', 'parse.key': 'true'}
    """
    found = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name.strip():
            raise click.UsageError(f"{option} {text!r}: give it as NAME=VALUE.")
        found[name.strip()] = value
    return found


def as_fields(properties: Mapping[str, str], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """Fields that Kafka's tools have as properties, with dots: true or not where the default is that, else bytes.

    Raises click.UsageError for a property that is none of them.

    >>> as_fields({"print.key": "true", "key.separator": ":"}, {"print_key": False, "key_separator": b" "})
    {'print_key': True, 'key_separator': b':'}
    """
    known = {name.replace("_", "."): name for name in defaults}
    values: dict[str, Any] = {}
    for name, text in properties.items():
        if name not in known:
            raise click.UsageError(f"--property {name}: these are known: {', '.join(known)}")
        field = known[name]
        values[field] = text == "true" if isinstance(defaults[field], bool) else text.encode()
    return values


def config_changes(texts: Iterable[str], option: str) -> dict[str, str]:
    """As `assignments`, but several to an option with commas; a value with commas is in brackets, as Kafka has it.

    >>> config_changes(["retention.ms=1000,cleanup.policy=[compact,delete]"], "--add-config")
    {'retention.ms': '1000', 'cleanup.policy': 'compact,delete'}
    """
    parts = [part for text in texts for part in _parts(text)]
    return {name: _bare(value) for name, value in assignments(parts, option).items()}


def _bare(value: str) -> str:
    value = value.strip()
    return value[1:-1] if value.startswith("[") and value.endswith("]") else value


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
