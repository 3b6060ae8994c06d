"""Functions that give (key, value) pairs, checked so that a wrong answer is told at the user's line."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from streams.graph.functions import UserFunction


def checked(function: UserFunction, step: str, *, many: bool = False, or_none: bool = False) -> UserFunction:
    """The same function, raising TypeError where it gives something else than a pair (or None; or, `many`, a list of
    pairs).
    """
    return function.calling(_list_of_pairs(function.call, step) if many else _pair(function.call, step, or_none))


def _pair(call: Callable[..., Any], step: str, or_none: bool) -> Callable[..., Any]:
    def give_pair(*arguments: Any, **named: Any) -> tuple[Any, Any] | None:
        result = call(*arguments, **named)
        if or_none and result is None:
            return None
        if not isinstance(result, tuple) or len(result) != 2:
            raise TypeError(f"{step} wants (key, value){' or None' * or_none} from its function, not {result!r}")
        return result

    return give_pair


def _list_of_pairs(call: Callable[..., Any], step: str) -> Callable[..., Any]:
    def give_pairs(*arguments: Any, **named: Any) -> list[tuple[Any, Any]]:
        pairs = list(call(*arguments, **named))
        for pair in pairs:
            if not isinstance(pair, tuple) or len(pair) != 2:
                raise TypeError(f"{step} wants a list of (key, value) from its function; it holds {pair!r}")
        return pairs

    return give_pairs
