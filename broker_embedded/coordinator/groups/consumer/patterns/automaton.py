"""Matching in steps: the set of places in the pattern that a name, read so far, may have reached (Thompson, 1968)."""

from __future__ import annotations

from collections.abc import Iterable

from broker_embedded.coordinator.groups.consumer.patterns.tree import (
    WORD_CHARACTERS,
    Characters,
    Choice,
    Node,
    PatternError,
    Place,
    Repeat,
    Sequence,
)

_LARGEST = 10_000  # nodes, with each repeat counted as often as it says: repeats of repeats grow fast
_MEMORY = 10_000  # of sets that followed from others, per pattern

Step = Characters | Place | tuple[int, ...]
"""Of a program: go on if a character or a place fits, or without condition at each of these steps."""


class Automaton:
    """
    >>> from broker_embedded.coordinator.groups.consumer.patterns.syntax import parse
    >>> Automaton(parse("a|b+")).matches("bbb")
    True
    """

    def __init__(self, tree: Node) -> None:
        """Raises PatternError for a pattern that is too large."""
        self._program: list[Step] = []
        self._nodes = 0
        self._emit(tree)
        self._end = len(self._program)
        self._memory: dict[tuple[frozenset[int], str, str], frozenset[int]] = {}

    def matches(self, name: str) -> bool:
        """Whether the whole of `name` fits."""
        reached = frozenset({0})
        before = ""
        for character in name:
            reached = self._remember(reached, before, character)
            if not reached:
                return False
            before = "a" if character in WORD_CHARACTERS else "-"
        return self._end in self._follow(reached, before, "")

    def _emit(self, node: Node) -> None:
        self._nodes += 1
        if self._nodes > _LARGEST:
            raise PatternError(f"the expression is too large: it has more than {_LARGEST} parts")
        if isinstance(node, Sequence):
            for part in node.parts:
                self._emit(part)
        elif isinstance(node, Choice):
            self._emit_choice(node)
        elif isinstance(node, Repeat):
            self._emit_repeat(node)
        else:
            self._program.append(node)

    def _emit_choice(self, node: Choice) -> None:
        start = len(self._program)
        self._program.append(())
        starts, ends = [], []
        for option in node.options:
            starts.append(len(self._program))
            self._emit(option)
            ends.append(len(self._program))
            self._program.append(())
        self._program[start] = tuple(starts)
        for end in ends:
            self._program[end] = (len(self._program),)

    def _emit_repeat(self, node: Repeat) -> None:
        for _ in range(node.least):
            self._emit(node.part)
        if node.most is None:
            start = len(self._program)
            self._program.append(())
            self._emit(node.part)
            self._program.append((start,))
            self._program[start] = (start + 1, len(self._program))
            return
        skips = []
        for _ in range(node.most - node.least):
            skips.append(len(self._program))
            self._program.append(())
            self._emit(node.part)
        for skip in skips:
            self._program[skip] = (skip + 1, len(self._program))

    def _remember(self, reached: frozenset[int], before: str, character: str) -> frozenset[int]:
        key = (reached, before, character)
        found = self._memory.get(key)
        if found is None:
            if len(self._memory) >= _MEMORY:
                self._memory.clear()
            found = self._memory[key] = frozenset(self._read(reached, before, character))
        return found

    def _read(self, reached: frozenset[int], before: str, character: str) -> Iterable[int]:
        for index in self._follow(reached, before, character):
            step = self._program[index] if index < self._end else None
            if isinstance(step, Characters) and character in step.of:
                yield index + 1

    def _follow(self, reached: frozenset[int], before: str, after: str) -> set[int]:
        """Every step that can be reached without reading on."""
        seen: set[int] = set()
        waiting = list(reached)
        while waiting:
            index = waiting.pop()
            if index in seen:
                continue
            seen.add(index)
            step = self._program[index] if index < self._end else None
            if isinstance(step, tuple):
                waiting.extend(step)
            elif isinstance(step, Place) and _fits(step, before, after):
                waiting.append(index + 1)
        return seen


def _fits(place: Place, before: str, after: str) -> bool:
    if place.where == "start":
        return not before
    if place.where == "end":
        return not after
    is_edge = (before in WORD_CHARACTERS) != (after in WORD_CHARACTERS)
    return is_edge if place.where == "word edge" else not is_edge
