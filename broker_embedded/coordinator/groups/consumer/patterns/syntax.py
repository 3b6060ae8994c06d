"""RE2's syntax, read into a tree (https://github.com/google/re2/wiki/Syntax; Kafka has it from RE2/J).

Groups capture nothing here, lazy repeats match what greedy ones do, and there are no line ends in the name of a topic:
the flags m, s and U are read, and change nothing.
"""

from __future__ import annotations

import re
from typing import Final

from broker_embedded.coordinator.groups.consumer.patterns.classes import PERL, category, characters_between, posix
from broker_embedded.coordinator.groups.consumer.patterns.tree import (
    NAME_CHARACTERS,
    Characters,
    Choice,
    Node,
    PatternError,
    Place,
    Repeat,
    Sequence,
)

_DEEPEST = 200
_MOST_REPEATS = 1000
_COUNTED: Final = re.compile(r"\{(\d+)(?:(,)(\d*))?\}")
_REPEAT: Final = re.compile(r"[*+?]|\{\d+(?:,\d*)?\}")
_GROUP: Final = re.compile(r"\((?:\?(?:P?<[A-Za-z_]\w*>|(?P<on>[imsU]*)(?:-(?P<off>[imsU]+))?(?P<end>[:)])))?")
_POSIX: Final = re.compile(r"\[:(\^?)(\w+):\]")
_OCTAL: Final = re.compile(r"\\(0[0-7]{0,2}|[1-7][0-7]{1,2})")
_HEX: Final = re.compile(r"\\x(?:([0-9A-Fa-f]{2})|\{([0-9A-Fa-f]{1,6})\})")
_CATEGORY: Final = re.compile(r"\\([pP])(?:\{(\^?)([A-Za-z_]+)\}|([A-Z]))")
_CONTROL: Final = {"a": "\a", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
_PLACES: Final = {
    "^": Place("start"),
    "$": Place("end"),
    "\\A": Place("start"),
    "\\z": Place("end"),
    "\\b": Place("word edge"),
    "\\B": Place("no word edge"),
}


def parse(pattern: str) -> Node:
    """The tree of a pattern. Raises PatternError.

    >>> parse("a|$")
    Choice(options=(Characters(of=frozenset({'a'})), Place(where='end')))
    """
    parser = _Parser(pattern)
    tree = parser.choice(0)
    if parser.position < len(pattern):
        raise parser.error("unexpected )")
    return tree


class _Parser:
    def __init__(self, pattern: str) -> None:
        self.pattern, self.position = pattern, 0
        self.ignores_case = False

    def error(self, what: str) -> PatternError:
        return PatternError(f"{what} at {self.position}")

    def _next(self, count: int = 1) -> str:
        return self.pattern[self.position : self.position + count]

    def _take(self, expression: re.Pattern[str]) -> re.Match[str] | None:
        found = expression.match(self.pattern, self.position)
        if found is not None:
            self.position = found.end()
        return found

    def choice(self, depth: int) -> Node:
        """As far as the parenthesis that closes it, or the end."""
        if depth > _DEEPEST:
            raise self.error(f"groups nest more than {_DEEPEST} deep")
        ignored_case = self.ignores_case
        options = [self._sequence(depth)]
        while self._next() == "|":
            self.position += 1
            options.append(self._sequence(depth))
        self.ignores_case = ignored_case  # a flag ends with its group
        return options[0] if len(options) == 1 else Choice(tuple(options))

    def _sequence(self, depth: int) -> Node:
        parts: list[Node] = []
        while self._next() not in ("", "|", ")"):
            if self._next(2) == "\\Q":
                parts += self._quoted()
            elif self._next() == "(":
                parts += self._group(depth)
            else:
                parts.append(self._repeated(self._single()))
        return parts[0] if len(parts) == 1 else Sequence(tuple(parts))

    def _quoted(self) -> list[Node]:
        text, _, _ = self.pattern[self.position + 2 :].partition("\\E")
        self.position = min(self.position + len(text) + 4, len(self.pattern))
        parts: list[Node] = [self._literal(character) for character in text]
        return [*parts[:-1], self._repeated(parts[-1])] if parts else []

    def _group(self, depth: int) -> list[Node]:
        """One node; none for flags that hold for the rest of the group they stand in."""
        found = self._take(_GROUP)
        if found is None or self._next() == "?" or found[0] == "(?)":
            raise self.error("invalid or unsupported group syntax")
        ignored_case = self.ignores_case
        if "i" in (found["on"] or ""):
            self.ignores_case = True
        if "i" in (found["off"] or ""):
            self.ignores_case = False
        if found["end"] == ")":
            return []
        tree = self.choice(depth + 1)
        self.ignores_case = ignored_case
        if self._next() != ")":
            raise self.error("missing )")
        self.position += 1
        return [self._repeated(tree)]

    def _repeated(self, part: Node) -> Node:
        counted = self._take(_COUNTED)
        if counted is not None:
            part = Repeat(part, *self._counts(counted))
        elif self._next() in ("*", "+", "?"):
            least, most = {"*": (0, None), "+": (1, None), "?": (0, 1)}[self._next()]
            self.position += 1
            part = Repeat(part, least, most)
        else:
            return part
        if self._next() == "?":  # lazy
            self.position += 1
        if _REPEAT.match(self.pattern, self.position):
            raise self.error("invalid nested repetition operator")
        return part

    def _counts(self, counted: re.Match[str]) -> tuple[int, int | None]:
        least = self._count(counted[1])
        if not counted[2]:
            return least, least
        most = self._count(counted[3]) if counted[3] else None
        if most is not None and most < least:
            raise self.error("invalid repeat count")
        return least, most

    def _count(self, digits: str) -> int:
        if len(digits) > 8 or int(digits) > _MOST_REPEATS:
            raise self.error(f"invalid repeat count, of more than {_MOST_REPEATS},")
        return int(digits)

    def _single(self) -> Node:
        if _REPEAT.match(self.pattern, self.position):
            raise self.error("missing argument to repetition operator")
        for text, place in _PLACES.items():
            if self._next(len(text)) == text:
                self.position += len(text)
                return place
        if self._next() == "[":
            return self._class()
        if self._next() == ".":
            self.position += 1
            return Characters(NAME_CHARACTERS)
        named = self._named()
        return self._literal(self._character()) if named is None else Characters(named)

    def _literal(self, character: str) -> Characters:
        return Characters(self._folded(frozenset({character})) & NAME_CHARACTERS)

    def _folded(self, characters: frozenset[str]) -> frozenset[str]:
        if not self.ignores_case:
            return characters
        return characters | {c.lower() for c in characters} | {c.upper() for c in characters}

    def _named(self) -> frozenset[str] | None:
        r"""\d, \pL and the like, if there is one."""
        text = self._next(2)
        if text[:1] == "\\" and text[1:] in PERL and text[1:]:
            self.position += 2
            return PERL[text[1]]
        found = self._take(_CATEGORY)
        if found is None:
            return None
        return category(found[3] or found[4], (found[1] == "P") != (found[2] == "^"))

    def _character(self) -> str:
        """A single one, perhaps escaped."""
        if self._next() != "\\":
            self.position += 1
            return self.pattern[self.position - 1]
        octal = self._take(_OCTAL)
        if octal is not None:
            return chr(int(octal[1], 8))
        hexadecimal = self._take(_HEX)
        if hexadecimal is not None:
            return self._code_point(int(hexadecimal[1] or hexadecimal[2], 16))
        escaped = self._next(2)[1:]
        if not escaped or not (escaped in _CONTROL or (escaped.isascii() and not escaped.isalnum())):
            raise self.error("invalid escape sequence")
        self.position += 2
        return _CONTROL.get(escaped, escaped)

    def _code_point(self, number: int) -> str:
        if number > 0x10FFFF:
            raise self.error("invalid escape sequence")
        return chr(number)

    def _class(self) -> Characters:
        self.position += 1
        negated = self._next() == "^"
        self.position += negated
        found: frozenset[str] = frozenset()
        is_first = True
        while is_first or self._next() != "]":
            is_first = False
            if not self._next():
                raise self.error("missing ]")
            found |= self._class_item()
        self.position += 1
        found = self._folded(found)
        return Characters(NAME_CHARACTERS - found if negated else found & NAME_CHARACTERS)

    def _class_item(self) -> frozenset[str]:
        found = self._take(_POSIX)
        if found is not None:
            return posix(found[2], found[1] == "^")
        named = self._named()
        if named is not None:
            return named
        first = last = self._character()
        if self._next() == "-" and self._next(2) not in ("-", "-]"):
            self.position += 1
            last = self._character()
        if last < first:
            raise self.error("invalid character class range")
        return characters_between(first, last)
