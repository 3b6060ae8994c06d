"""The states of one aggregate for many groups, by slot: in arrays while arrays hold them exactly, else as objects."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import NoneType
from typing import Any

import numpy as np
import numpy.typing as npt

from streams.aggregates import Aggregate
from streams.arrays import Slots
from streams.columns import Column, column_from_values
from streams.errors import NeedsRows
from streams.kernels import compiled
from streams.kernels.aggregate import KERNELS, Arrays, Kernel, put_states
from streams.kernels.msgpack import Layout
from streams.text_column import TextColumn

_KINDS: dict[type, str] = {int: "i", float: "f", NoneType: ""}


class SlotStates:
    """One state a slot. The first input decides which kernel runs; inputs that don't fit it move all states to objects.

    >>> from streams.aggregates import sum
    >>> states = SlotStates(sum("x"))
    >>> states.resize(2)
    >>> states.update(np.array([0, 1, 0]), Column(np.array([1.5, 2.0, 3.0])))
    >>> states.results(np.array([0, 1]))
    [4.5, 2.0]
    """

    def __init__(self, aggregate: Aggregate) -> None:
        self._aggregate = aggregate
        self._kernels = KERNELS.get(aggregate.name, {})
        self._kernel: Kernel | None = None
        self._arrays: Arrays = ()
        self._objects: list[Any] | None = None if self._kernels else []
        self._capacity = 0

    def resize(self, capacity: int) -> None:
        """Make room for slots below `capacity`, each with nothing folded in."""
        more = max(0, capacity - self._capacity)
        if self._objects is not None:
            self._objects.extend([self._aggregate.initialize()] * more)
        elif self._kernel is not None and more:
            added = self._kernel.allocate(more)
            self._arrays = tuple(np.concatenate(pair) for pair in zip(self._arrays, added, strict=True))
        self._capacity += more

    def start(self, slots: Slots) -> None:
        """These slots begin with nothing folded in."""
        if self._objects is not None:
            for slot in slots.tolist():
                self._objects[slot] = self._aggregate.initialize()
        elif self._kernel is not None:
            self._kernel.reset(self._arrays, slots)

    def load(self, slot: int, state: Any) -> None:
        """This slot, just started, begins with `state`, as `states` gave it."""
        if self._objects is None and self._kernel is None:
            self._choose(_KINDS.get(type(state[0] if isinstance(state, tuple) else state)))
        if self._objects is None and self._kernel is not None:
            try:
                return self._kernel.load(self._arrays, slot, state)
            except NeedsRows:
                self._as_objects()
        if self._objects is not None:
            self._objects[slot] = state

    def load_all(self, slots: Slots, stored: Sequence[Any]) -> bool:
        """`load` of many states, as MessagePack has them; False if each is to be loaded by itself."""
        some = next((state for state in stored if state is not None), None)
        if self._objects is None and self._kernel is None:
            self._choose(_KINDS.get(type(some[0] if isinstance(some, list) else some)))
        if self._objects is not None:
            return False
        try:
            return self._kernel is None or put_states(self._arrays, slots, stored)
        except OverflowError:  # an integer of more than 64 bits
            return False

    def update(self, slots: Slots, inputs: Column, rows: Slots | None = None) -> None:
        """Fold row `rows[i]` of `inputs` (row i, if `rows` is None) into `slots[i]`, in order; None is left out.
        Nothing is changed if a fold raises.
        """
        self.prepare(slots, inputs, rows)()

    def prepare(self, slots: Slots, inputs: Column, rows: Slots | None = None) -> Callable[[], None]:
        """`update` in two steps, for several aggregates that change all or none: raises what a fold raises, and changes
        nothing before the answer is called.
        """
        if compiled.ready() and self._objects is None and _has_some(inputs, rows) and self._fits(_kind(inputs)):
            return lambda: self._fold_compiled(slots, inputs, rows)
        there, values = _present(slots, inputs, rows)
        if not len(there):
            return lambda: None
        if self._objects is None and self._fits(values.dtype.kind):
            return lambda: self._fold_arrays(there, values)
        changed = self._folded_objects(there, values)
        return lambda: self._put_objects(changed)

    def states(self, slots: Slots) -> list[Any]:
        """The states as plain values."""
        if self._objects is not None:
            objects = self._objects
            return [objects[slot] for slot in slots.tolist()]
        if self._kernel is None:
            return [self._aggregate.initialize()] * len(slots)
        return self._kernel.states(self._arrays, slots)

    def results(self, slots: Slots) -> list[Any]:
        """What the user sees of the states."""
        return list(map(self._aggregate.finalize, self.states(slots)))

    def finals(self, slots: Slots) -> Column:
        """The same as a column."""
        if self._objects is None and self._kernel is not None:
            return self._kernel.finals(self._arrays, slots)
        return column_from_values(self.results(slots))

    def layout(self, slots: Slots) -> Layout | None:
        """The states as they are stored, for `msgpack.pack`; None if they are no numbers."""
        if self._objects is None and self._kernel is not None:
            return self._kernel.layout(self._arrays, slots)
        return None

    def _choose(self, kind: str | None) -> None:
        """The kernel for inputs of a kind; none yet for "", which tells nothing; objects where there is no kernel."""
        if kind == "":
            return
        self._kernel = self._kernels.get(kind or "")
        if self._kernel is None:
            self._as_objects()
        else:
            self._arrays = self._kernel.allocate(self._capacity)

    def _fits(self, kind: str) -> bool:
        if self._kernel is None:
            self._choose(kind)
        return self._kernel is not None and self._kernels.get(kind) is self._kernel

    def _fold_arrays(self, slots: Slots, values: npt.NDArray[Any]) -> None:
        assert self._kernel is not None
        try:
            self._kernel.update(self._arrays, slots, values)
        except NeedsRows:  # numbers: as objects they fold without an error
            self._put_objects(self._folded_objects(slots, values))

    def _fold_compiled(self, slots: Slots, inputs: Column, rows: Slots | None) -> None:
        from streams.kernels.compiled.folds import fold

        assert self._kernel is not None
        if not fold(self._kernel, self._arrays, slots, rows, inputs):
            self._put_objects(self._folded_objects(*_present(slots, inputs, rows)))

    def _folded_objects(self, slots: Slots, values: npt.NDArray[Any]) -> dict[int, Any]:
        states, fold = self._as_objects(), self._aggregate.fold
        changed: dict[int, Any] = {}
        for slot, value in zip(slots.tolist(), values.tolist(), strict=True):
            changed[slot] = fold(changed[slot] if slot in changed else states[slot], value)
        return changed

    def _put_objects(self, changed: dict[int, Any]) -> None:
        states = self._as_objects()
        for slot, state in changed.items():
            states[slot] = state

    def _as_objects(self) -> list[Any]:
        if self._objects is None:
            self._objects = self.states(np.arange(self._capacity))
            self._arrays = ()
        return self._objects


def _kind(inputs: Column) -> str:
    """That of the column's dtype; no text is made for it."""
    return "O" if isinstance(inputs, TextColumn) else inputs.values.dtype.kind


def _present(slots: Slots, inputs: Column, rows: Slots | None) -> tuple[Slots, npt.NDArray[Any]]:
    """Slots and values of the pairs that have a value."""
    if rows is not None:
        inputs = inputs[rows]
    if inputs.valid is None:
        return slots, inputs.values
    return slots[inputs.valid], inputs.values[inputs.valid]


def _has_some(inputs: Column, rows: Slots | None) -> bool:
    """Whether a row is not None."""
    if inputs.valid is None:
        return bool(len(inputs) if rows is None else len(rows))
    return bool(inputs.valid.any() if rows is None else inputs.valid[rows].any())
