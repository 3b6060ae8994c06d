"""Regular expressions for names of topics, in the syntax of RE2, as members of groups send them (KIP-848).

Not Python's `re`: its syntax differs, and a pattern like `(a+)+$` would hold up the broker for hours. Here a name takes
time in proportion to its length, whatever the pattern.
"""

from __future__ import annotations

from broker_embedded.coordinator.groups.consumer.patterns.automaton import Automaton
from broker_embedded.coordinator.groups.consumer.patterns.syntax import parse
from broker_embedded.coordinator.groups.consumer.patterns.tree import PatternError

__all__ = ["PatternError", "compile_pattern"]


def compile_pattern(pattern: str) -> Automaton:
    """An automaton whose `matches` is true for the names that the whole pattern fits. Raises PatternError.

    >>> compile_pattern("^orders-[0-9]+").matches("orders-12")
    True
    >>> compile_pattern("orders").matches("orders-12")
    False
    >>> compile_pattern("a(?=b)")
    Traceback (most recent call last):
    ...
    broker_embedded.coordinator.groups.consumer.patterns.tree.PatternError: invalid or unsupported group syntax at 2
    """
    return Automaton(parse(pattern))
