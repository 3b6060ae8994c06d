"""What a pattern says, as a tree. A set of characters holds only such as may be in the name of a topic."""

from __future__ import annotations

import string
from dataclasses import dataclass
from typing import Literal

NAME_CHARACTERS = frozenset(string.ascii_letters + string.digits + "._-")
WORD_CHARACTERS = frozenset(string.ascii_letters + string.digits + "_")


class PatternError(ValueError):
    """A pattern that RE2 refuses; the message says what is wrong, and where."""


@dataclass(frozen=True, slots=True)
class Characters:
    """Any one of these."""

    of: frozenset[str]


@dataclass(frozen=True, slots=True)
class Place:
    """No character, but a place between two."""

    where: Literal["start", "end", "word edge", "no word edge"]


@dataclass(frozen=True, slots=True)
class Sequence:
    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Choice:
    options: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Repeat:
    """`most` is None for any number."""

    part: Node
    least: int
    most: int | None


Node = Characters | Place | Sequence | Choice | Repeat
