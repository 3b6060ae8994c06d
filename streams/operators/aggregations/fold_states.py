"""Folding rows into states: what `reduce`, `aggregate(initial, f)` and named aggregates do with the slots of `Groups`.

A fold keeps one state a slot. `update` folds (row, slot) pairs in order; `encode` and `decode` are the state's form in
the store.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from streams.arrays import Slots
from streams.batch import Batch
from streams.columns import Column
from streams.graph.nodes import AggregateNode, NamedAggregates
from streams.operators.aggregations.folding import IMMUTABLE, Folding, own
from streams.operators.aggregations.state_form import form_of
from streams.operators.base import Blocked, TaskContext
from streams.operators.calls import FAILED
from streams.operators.failures import TryAgain
from streams.operators.row_context import RowContext
from streams.spans import Spans

Finish = Callable[[list[Any] | None], Batch | None]


class FoldStates(Protocol):
    """The states of an aggregation's slots."""

    def resize(self, capacity: int) -> None:
        """Make room for slots below `capacity`."""

    def start(self, slots: Slots) -> None:
        """These slots begin with nothing folded."""

    def load(self, slot: int, payload: bytes) -> None:
        """This slot begins with a stored state."""

    def load_all(self, slots: Slots, payloads: list[bytes]) -> bool:
        """`load` of many slots; False if each is to be loaded by itself, whatever was done."""

    def update(self, batch: Batch, rows: Slots, slots: Slots, finish: Finish) -> Batch | None:
        """Fold row `rows[i]` of the batch into `slots[i]`, in order, then answer `finish(results)`.

        `results` has the state's result after each fold, None where the function gave that (the group is deleted, and
        begins anew), FAILED where the error policy left the record out. Named aggregates on columns, which never serve
        `emit("update")`, give no other results, and None for `results` when nothing was deleted or left out.
        """

    def encode(self, slots: Slots) -> list[bytes | None]:
        """The states as they are stored; None: not at all."""

    def pack(self, slots: Slots) -> Spans | None:
        """What `encode` gives as spans of one buffer; None where the states are not such."""

    def results(self, slots: Slots) -> list[Any]:
        """What the user sees of these states."""

    def columns(self, slots: Slots) -> dict[str, Column] | None:
        """The fields of `results` as columns; None where results are no rows."""


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

    def load_all(self, slots: Slots, payloads: list[bytes]) -> bool:
        return False

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
                    state = step(keys[row], old if type(old) in IMMUTABLE else own(old), values[row])
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

    def pack(self, slots: Slots) -> Spans | None:
        return None

    def results(self, slots: Slots) -> list[Any]:
        return [self._form.result(self._states[slot]) for slot in slots.tolist()]

    def columns(self, slots: Slots) -> dict[str, Column] | None:
        return None


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
