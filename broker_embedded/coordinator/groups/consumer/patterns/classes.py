"""Sets of characters by their names in RE2's syntax: of each, what may be in the name of a topic."""

from __future__ import annotations

import string
import unicodedata
from collections.abc import Mapping
from typing import Final

from broker_embedded.coordinator.groups.consumer.patterns.tree import NAME_CHARACTERS, WORD_CHARACTERS, PatternError

_DIGITS = frozenset(string.digits)

PERL: Final[Mapping[str, frozenset[str]]] = {
    "d": _DIGITS,
    "D": NAME_CHARACTERS - _DIGITS,
    "s": frozenset(),
    "S": NAME_CHARACTERS,
    "w": WORD_CHARACTERS,
    "W": NAME_CHARACTERS - WORD_CHARACTERS,
}

_POSIX: Final[Mapping[str, frozenset[str]]] = {
    "alnum": frozenset(string.ascii_letters + string.digits),
    "alpha": frozenset(string.ascii_letters),
    "ascii": NAME_CHARACTERS,
    "blank": frozenset(),
    "cntrl": frozenset(),
    "digit": _DIGITS,
    "graph": NAME_CHARACTERS,
    "lower": frozenset(string.ascii_lowercase),
    "print": NAME_CHARACTERS,
    "punct": frozenset("._-"),
    "space": frozenset(),
    "upper": frozenset(string.ascii_uppercase),
    "word": WORD_CHARACTERS,
    "xdigit": frozenset(string.hexdigits),
}

_SCRIPTS: Final[Mapping[str, frozenset[str]]] = {
    "Any": NAME_CHARACTERS,
    "Latin": frozenset(string.ascii_letters),
    "Common": NAME_CHARACTERS - frozenset(string.ascii_letters),
}


def posix(name: str, negated: bool) -> frozenset[str]:
    """[:alpha:] and the like. Raises PatternError for an unknown name."""
    if name not in _POSIX:
        raise PatternError(f"invalid character class [:{name}:]")
    return NAME_CHARACTERS - _POSIX[name] if negated else _POSIX[name]


def category(name: str, negated: bool) -> frozenset[str]:
    """Of Unicode: a general category (L, Lu) or a script. A script other than Latin has none of our characters."""
    if name in _SCRIPTS:
        found = _SCRIPTS[name]
    else:
        found = frozenset(c for c in NAME_CHARACTERS if unicodedata.category(c).startswith(name))
    return NAME_CHARACTERS - found if negated else found


def characters_between(first: str, last: str) -> frozenset[str]:
    return frozenset(character for character in NAME_CHARACTERS if first <= character <= last)
