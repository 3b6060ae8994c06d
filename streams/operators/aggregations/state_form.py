"""How an aggregation's states are stored, and what the user sees of them; and what is said of stored ones that are of
another aggregation.
"""

from __future__ import annotations

from collections.abc import Callable
from types import NoneType
from typing import Any

import msgspec

from streams.aggregates import Aggregate
from streams.columns import Column, column_from_values
from streams.errors import DecodeError, EncodeError
from streams.graph.nodes import AggregateNode, NamedAggregates
from streams.serde import serde_for

_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder().decode

_SURELY = frozenset({int, float, bool, bytes})
"""Types whose values can be stored, whatever they are (text may hold what UTF-8 cannot)."""


class PlainForm:
    """States that are what the user sees. Those of a type not in `storable` are checked, one by one, to be of the
    table's type: when a commit finds out, no record can be named any more.
    """

    def __init__(self, node: AggregateNode) -> None:
        kind = node.store.value_type
        serde = serde_for(kind, default="msgpack")
        self.encode, self.decode = serde.encode, serde.decode
        surely = _SURELY if kind is None else _SURELY & {kind} if isinstance(kind, type) else frozenset()
        self.storable = surely | {NoneType}
        self._table = node.store.name

    def check(self, state: Any) -> None:
        try:
            self.encode(state)
        except Exception as error:  # noqa: BLE001 - said in its words
            reason = error.reason if isinstance(error, EncodeError) else str(error)
            raise EncodeError(f"table {self._table!r} does not take what the function gave: {reason}") from None

    def encode_all(self, states: list[Any]) -> list[bytes | None]:
        encode = self.encode
        return [None if state is None else encode(state) for state in states]

    def result(self, state: Any) -> Any:
        return state

    def results(self, states: list[Any]) -> list[Any]:
        return states

    def columns(self, states: list[Any]) -> dict[str, Column] | None:
        return None


class GroupForm:
    """A group's states as they are stored, and as the user sees them: a row of results, or the one result of
    `count()`.
    """

    storable = frozenset({tuple})
    """Nothing to check: the states are the aggregates' own."""

    def __init__(self, fold: NamedAggregates, value_type: Any) -> None:
        self.parts: tuple[Aggregate, ...] = tuple(part for _, part in fold.parts)
        self._decoders = [part.decoder() for part in self.parts]
        self._scalar = fold.scalar
        self._row = value_type
        self.fields: tuple[str, ...] = () if fold.scalar else value_type.__struct_fields__
        """The names of the results; none where there is one without a name."""

    def encode(self, states: tuple[Any, ...]) -> bytes:
        return _pack([part.encode(state) for part, state in zip(self.parts, states, strict=True)])

    check = encode

    def decode(self, payload: bytes) -> tuple[Any, ...]:
        stored = _unpack(payload)
        return tuple([decode(state) for decode, state in zip(self._decoders, stored, strict=True)])

    def result(self, states: tuple[Any, ...]) -> Any:
        finals = [part.finalize(state) for part, state in zip(self.parts, states, strict=True)]
        return finals[0] if self._scalar else self._row(*finals)

    def encode_all(self, states: list[tuple[Any, ...] | None]) -> list[bytes | None]:
        """None for None."""
        try:
            return [None if state is None else _pack(state) for state in states]
        except OverflowError:  # an integer of more than 64 bits among them
            return [None if state is None else self.encode(state) for state in states]

    def results(self, states: list[tuple[Any, ...] | None]) -> list[Any]:
        """None for None."""
        return [None if state is None else self.result(state) for state in states]

    def columns(self, states: list[tuple[Any, ...] | None]) -> dict[str, Column] | None:
        """The fields of `results`; None where there are none, or a state is None."""
        if not self.fields or None in states or not states:
            return None
        inputs = zip(*states, strict=True)
        finals = [list(map(part.finalize, column)) for part, column in zip(self.parts, inputs, strict=True)]
        return {field: column_from_values(column) for field, column in zip(self.fields, finals, strict=True)}

    def rows(self, columns: list[list[Any]]) -> list[Any]:
        """Results of many groups, given a list for each aggregate."""
        return columns[0] if self._scalar else [self._row(*finals) for finals in zip(*columns, strict=True)]


def form_of(node: AggregateNode) -> Any:
    """How a state is stored, and what the user sees of it."""
    if isinstance(node.fold, NamedAggregates):
        return GroupForm(node.fold, node.store.value_type)
    return PlainForm(node)


def read_state(node: AggregateNode, read: Callable[[bytes], Any], payload: bytes) -> Any:
    """A stored state, read. Raises DecodeError for one of another aggregation."""
    try:
        return read(payload)
    except Exception as error:
        store = node.store.name
        raise DecodeError(
            f"table {store!r} holds {payload[:100]!r}, which is no state of this aggregation: {error}. If that was "
            f"changed, change it back, or empty the table: `streams reset APP --store {store}`.",
            line=node.where,
        ) from error
