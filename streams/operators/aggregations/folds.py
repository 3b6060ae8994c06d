"""Folding rows into states: what `reduce`, `aggregate(initial, f)` and named aggregates do with the slots of `Groups`.

A fold keeps one state a slot. `update` folds (row, slot) pairs in order; `encode` and `decode` are the state's form in
the store.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from types import NoneType
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from streams.batch import Batch
from streams.durations import format_ms
from streams.errors import DecodeError, EncodeError, TopologyError
from streams.graph.nodes import AggregateNode, NamedAggregates
from streams.operators.aggregations.folding import IMMUTABLE, Folding
from streams.operators.base import Blocked, TaskContext
from streams.operators.calls import FAILED
from streams.operators.failures import TryAgain
from streams.operators.row_context import RowContext
from streams.serde import serde_for

Slots = npt.NDArray[np.intp]
Finish = Callable[[list[Any] | None], Batch | None]


class FoldStates(Protocol):
    """The states of an aggregation's slots."""

    def resize(self, capacity: int) -> None:
        """Make room for slots below `capacity`."""

    def start(self, slots: Slots) -> None:
        """These slots begin with nothing folded."""

    def load(self, slot: int, payload: bytes) -> None:
        """This slot begins with a stored state."""

    def update(self, batch: Batch, rows: Slots, slots: Slots, finish: Finish) -> Batch | None:
        """Fold row `rows[i]` of the batch into `slots[i]`, in order, then answer `finish(results)`.

        `results` has the state's result after each fold, None where the function gave that (the group is deleted, and
        begins anew), FAILED where the error policy left the record out. Named aggregates on columns, which never serve
        `emit("update")`, give no other results, and None for `results` when nothing was deleted or left out.
        """

    def encode(self, slots: Slots) -> list[bytes | None]:
        """The states as they are stored; None: not at all."""

    def results(self, slots: Slots) -> list[Any]:
        """What the user sees of these states."""


class RowStates:
    """States as Python objects, folded by the user's function row by row."""

    def __init__(self, node: AggregateNode, context: TaskContext) -> None:
        self._node = node
        self._context = context
        self._folding = Folding(node.fold, None, lambda: self._ctx)
        self._first = self._folding.first() if isinstance(node.fold, NamedAggregates) else None
        self._ctx: RowContext | None = None
        self._form = form_of(node)
        self._states: list[Any] = []

    def resize(self, capacity: int) -> None:
        self._states.extend([None] * (capacity - len(self._states)))

    def start(self, slots: Slots) -> None:
        for slot in slots.tolist():
            self._states[slot] = self._first

    def load(self, slot: int, payload: bytes) -> None:
        self._states[slot] = self._form.decode(payload)

    def update(self, batch: Batch, rows: Slots, slots: Slots, finish: Finish) -> Batch | None:
        return self._continue(batch, list(zip(rows.tolist(), slots.tolist(), strict=True)), finish, [])

    def _continue(self, batch: Batch, pairs: list[tuple[int, int]], finish: Finish, results: list[Any]) -> Batch | None:
        keys, values, states, step = batch.keys, batch.values, self._states, self._folding.step
        result, storable, check = self._form.result, self._form.storable, self._form.check
        wants_ctx = self._folding.wants_ctx
        while len(results) < len(pairs):
            try:
                for row, slot in pairs[len(results) :]:
                    if wants_ctx:
                        self._ctx = RowContext(batch, row, self._context)
                    old = states[slot]
                    state = step(keys[row], old if type(old) in IMMUTABLE else deepcopy(old), values[row])
                    if type(state) not in storable:
                        check(state)
                    states[slot] = state
                    results.append(result(state))
            except Exception as error:  # noqa: BLE001 - whatever the user's function raises goes to the error policy
                ask_policy(
                    (self._node, self._context, batch),
                    [row for row, _ in pairs],
                    results,
                    error,
                    lambda: self._continue(batch, pairs, finish, results),
                )
        return finish(results)

    def encode(self, slots: Slots) -> list[bytes | None]:
        encode, chosen = self._form.encode, [self._states[slot] for slot in slots.tolist()]
        return [None if state is None else encode(state) for state in chosen]

    def results(self, slots: Slots) -> list[Any]:
        return [self._form.result(self._states[slot]) for slot in slots.tolist()]


class _Plain:
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

    def result(self, state: Any) -> Any:
        return state


def form_of(node: AggregateNode) -> Any:
    """How a state is stored, and what the user sees of it."""
    if not isinstance(node.fold, NamedAggregates):
        return _Plain(node)
    from streams.operators.aggregations.named_aggregates import GroupForm

    return GroupForm(node.fold, node.store.value_type)


_SURELY = frozenset({int, float, bool, bytes})
"""Types whose values can be stored, whatever they are (text may hold what UTF-8 cannot)."""


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


def check_shape(node: AggregateNode, shape: list[Any]) -> None:
    """Windows of another size in the store would be taken for some of this one, and go on with its counts: raises
    TopologyError for a store whose windows have another `shape`.
    """
    assert node.window is not None
    if shape != node.window.shape:
        said = " every ".join(format_ms(part) if isinstance(part, int) else str(part) for part in shape)
        raise TopologyError(
            f"{node.name} ({node.where}): the store holds windows of {said}; now it is {node.window!r}. Go back, give "
            f"the new aggregation another name=, or begin it anew with `streams reset APP --store {node.store.name}`."
        )


def ask_policy(
    where: tuple[AggregateNode, TaskContext, Batch],
    rows: list[int],
    results: list[Any],
    error: Exception,
    go_on: Callable[[], Batch | None],
) -> None:
    """Folding row `rows[len(results)]` failed. It is left out, in what is left of its windows too, so that the policy
    is asked once a record. Raises Blocked while a retry backs off, or what stops the app.
    """
    node, context, batch = where
    failed = rows[len(results)]
    try:
        context.failures.handle(node, batch, failed, error)
    except TryAgain as again:
        raise Blocked(context.sleep(again.delay_s), go_on) from None
    while len(results) < len(rows) and rows[len(results)] == failed:
        results.append(FAILED)
