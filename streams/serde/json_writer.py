"""Columns into JSON by the compiled writer: the bytes that msgspec gives for the rows."""

from __future__ import annotations

from collections.abc import Sequence
from types import NoneType
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from streams.columns import Column
from streams.kernels.compiled.json_kinds import BOOL, FLOAT, INT, JSON, TEXT
from streams.serde.json_fields import why_not_written
from streams.spans import Spans
from streams.text_column import TextColumn

_Array = npt.NDArray[Any]
_KINDS = {np.dtype(np.int64): INT, np.dtype(np.float64): FLOAT, np.dtype(np.bool_): BOOL}
_NUMBER_BYTES = 12
"""What a number may take; where it takes more the writer asks for more room."""


class JsonWriter:
    """Writes JSON of rows that have one shape: `heads` are the bytes before each value, and those at the end."""

    def __init__(self, heads: Sequence[bytes]) -> None:
        self._heads = np.frombuffer(b"".join(heads), np.uint8)
        self._head_stops = np.cumsum([len(head) for head in heads], dtype=np.int64)

    @classmethod
    def for_record(cls, record: Any) -> JsonWriter | None:
        """For columns of all fields of a class, in their order; None if its JSON is more than its fields.

        >>> from streams import Record
        >>> class Flight(Record):
        ...     carrier: str
        ...     delay: float | None
        >>> writer = JsonWriter.for_record(Flight)
        >>> columns = [Column(np.array(["AA", "UA"], object)), Column(np.array([1.5, 0]), np.array([True, False]))]
        >>> writer.write(columns, 2).cut()
        [b'{"carrier":"AA","delay":1.5}', b'{"carrier":"UA","delay":null}']
        """
        if why_not_written(record) is not None:
            return None
        names = [msgspec.json.encode(name) + b":" for name in record.__struct_encode_fields__]
        return cls([b"{" + names[0], *(b"," + name for name in names[1:]), b"}"])

    def write(self, columns: Sequence[Column], rows: int, present: npt.NDArray[np.bool_] | None = None) -> Spans:
        """The JSON of each row, null where it is not `present`. Raises as msgspec for what has no JSON."""
        from streams.kernels.compiled.json_writer import write

        parts = _Parts(columns, rows)
        starts, stops = np.zeros(rows, np.int64), np.empty(rows, np.int64)
        if present is not None:
            starts[~present] = -1
        room = (int(self._head_stops[-1]) + len(columns) * _NUMBER_BYTES + 64) * rows + parts.text_bytes
        out, done, at = np.empty(room, np.uint8), 0, 0
        while True:
            table = (*parts.arrays, done, rows, out, at, len(out), starts, stops)
            done = write(self._heads, self._head_stops, len(columns), *table)
            if done == rows:
                break
            at = int(stops[:done].max(initial=0))
            out = np.concatenate([out[:at], np.empty(2 * len(out), np.uint8)])
        return Spans(out[: int(stops.max(initial=0))].tobytes(), starts, stops)


class _Parts:
    """Columns as the writer takes them: those of a kind one below the other."""

    def __init__(self, columns: Sequence[Column], rows: int) -> None:
        self._buffers: dict[int, tuple[int, bytes]] = {}
        kinds, places, masks = [], [], []
        integers: list[_Array] = []
        floats: list[_Array] = []
        texts: list[Spans] = []
        valid: list[_Array] = []
        for column in columns:
            kind, values = _form(column)
            own: list[Any] = {INT: integers, BOOL: integers, FLOAT: floats}.get(kind, texts)
            kinds.append(kind)
            places.append(len(own))
            own.append(values)
            masks.append(-1 if column.valid is None else len(valid))
            valid += [] if column.valid is None else [column.valid]
        at = self._joined(texts)
        self.text_bytes = sum(spans.size_bytes() for spans in texts)
        self.arrays = (
            np.array(kinds, np.uint8),
            np.array(places, np.int64),
            np.array(masks, np.int64),
            _stacked(integers, rows, np.int64),
            _stacked(floats, rows, np.float64).view(np.uint64),
            np.frombuffer(b"".join(data for _, data in self._buffers.values()), np.uint8),
            _stacked([spans.starts + by if by else spans.starts for spans, by in zip(texts, at, strict=True)], rows),
            _stacked([spans.stops + by if by else spans.stops for spans, by in zip(texts, at, strict=True)], rows),
            _stacked(valid, rows, np.bool_),
        )

    def _joined(self, texts: list[Spans]) -> list[int]:
        """Where the buffer of each begins when all are one; those that are the same stand there once."""
        end = 0
        for spans in texts:
            if id(spans.buffer) not in self._buffers:
                self._buffers[id(spans.buffer)] = end, spans.buffer
                end += len(spans.buffer)
        return [self._buffers[id(spans.buffer)][0] for spans in texts]


def _stacked(columns: list[_Array], rows: int, dtype: Any = np.int64) -> _Array:
    if len(columns) == 1 and columns[0].flags.c_contiguous:
        return columns[0].astype(dtype, copy=False)
    made = np.empty((len(columns), rows), dtype)
    for number, column in enumerate(columns):
        made[number] = column
    return made


def _form(column: Column) -> tuple[int, Any]:
    """What a column is written as: its kind, and an array or spans."""
    if isinstance(column, TextColumn):
        return TEXT, column.spans
    kind = _KINDS.get(column.values.dtype)
    if kind is not None:
        return kind, column.values
    values = column.to_list()
    if {*map(type, values)} <= {str, NoneType}:
        return TEXT, Spans.of([(value or "").encode() for value in values])
    return JSON, Spans.of(list(map(msgspec.json.encode, values)))
