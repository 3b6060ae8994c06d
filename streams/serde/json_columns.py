"""JSON records into columns by the compiled parser, where a record's class is one that it knows.

The reference is msgspec: what a row gives here is what decoding it to the class and reading the fields would give, and
rows that the parser leaves are decoded so.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from types import NoneType
from typing import Any, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from streams.columns import Column, column_from_rows
from streams.kernels.compiled.json_kinds import DONE, LEFT, MISSING, NULL, OTHER, PRESENT
from streams.serde.json_fields import kind_of, scalar, why_not
from streams.spans import Spans
from streams.text_column import TextColumn
from streams.timestamps import arms

_Array = npt.NDArray[Any]


class Parsed(NamedTuple):
    """Columns by field, and what is wrong with the rows that do not decode: columns mean nothing there."""

    columns: dict[str, Column]
    bad: list[tuple[int, Exception]]


class JsonColumns:
    """Parses values of a Record class into the columns of some of its fields: bool, int, float or text.

    Fields that are declared as something else (records, lists, dates) are not wanted, but have to be what they are
    declared as: msgspec looks at each alone. Made by `for_record`.
    """

    def __init__(self, record: type, fields: list[msgspec.structs.FieldInfo], wanted: list[str]) -> None:
        self._decode: Any = msgspec.json.Decoder(record).decode
        self._record = record
        self._wanted = wanted
        self._defaults = {field.name: field.default for field in fields}
        self._places = [[field.name for field in fields].index(name) for name in wanted]
        self._dtypes = [np.dtype(scalar(fields[place].type)) for place in self._places]
        names = [field.encode_name.encode() for field in fields]
        others = [place for place, field in enumerate(fields) if kind_of(field.type) == OTHER]
        self._others = [(place, msgspec.json.Decoder(fields[place].type).decode) for place in others]
        columns = {place: number for number, place in enumerate([*self._places, *others])}
        self._layout = (
            np.frombuffer(b"".join(names), np.uint8),
            np.cumsum([len(name) for name in names], dtype=np.int64),
            np.array([int.from_bytes(name, "little") if len(name) <= 8 else 0 for name in names], np.uint64),
            np.array([kind_of(field.type) for field in fields], np.uint8),
            np.array([NoneType in arms(field.type) for field in fields], np.uint8),
            np.array([not field.required for field in fields], np.uint8),
            np.array([columns.get(place, -1) for place in range(len(fields))], np.int64),
            len(fields),
        )

    @classmethod
    def for_record(cls, record: Any, wanted: Collection[str]) -> JsonColumns | None:
        """For the fields `wanted` of a class; None if the class, or one of these fields, is not for the parser."""
        if why_not(record, wanted) is not None:
            return None
        return cls(record, list(msgspec.structs.fields(record)), list(wanted))

    def parse(self, values: Spans) -> Parsed:
        """The columns of values; null ones have None in all."""
        from streams.kernels.compiled.json_parser import parse

        rows, columns = len(values.starts), len(self._wanted) + len(self._others)
        states = np.zeros((self._layout[-1], rows), np.uint8)
        integers, floats = np.empty((columns, rows), np.int64), np.empty((columns, rows))
        texts = np.empty((2, columns, rows), np.int64)
        left = np.empty(rows, np.uint8)
        buffer, starts, stops = values.arrays()
        count = parse(buffer, len(buffer), starts, stops, rows, *self._layout, states, integers, floats, *texts, left)
        found: dict[str, Column] = {}
        for at, (name, place, dtype) in enumerate(zip(self._wanted, self._places, self._dtypes, strict=True)):
            if dtype.kind == "U":
                spans = Spans(values.buffer, texts[0, at], texts[1, at])
                found[name] = self._text(name, states[place], spans, values.present())
            else:
                numbers = integers[at] if dtype.kind in "ib" else floats[at]
                found[name] = self._column(name, states[place], numbers, dtype, starts)
        for at, (place, decode) in enumerate(self._others, start=len(self._wanted)):
            there = np.flatnonzero((states[place] == PRESENT) & (left == DONE))
            others = Spans(values.buffer, texts[0, at, there], texts[1, at, there])
            wrong = [row for row, data in zip(there.tolist(), others.cut(), strict=True) if not _decodes(decode, data)]
            left[wrong] = LEFT
            count += len(wrong)
        return Parsed(found, []) if not count else self._with_left(found, np.flatnonzero(left), values)

    def _text(self, name: str, states: _Array, texts: Spans, rows: _Array) -> TextColumn:
        absent = states != PRESENT
        if absent.any():
            texts = Spans(texts.buffer, np.where(absent, -1, texts.starts), np.where(absent, -1, texts.stops))
        default, column = self._defaults[name], TextColumn(texts)
        missing = np.flatnonzero((states == MISSING) & rows)
        if isinstance(default, str) and len(missing):
            return column.with_texts(missing, [default] * len(missing))
        return column

    def _column(self, name: str, states: _Array, values: _Array, dtype: np.dtype[Any], starts: _Array) -> Column:
        values, default = values.astype(dtype, copy=False), self._defaults[name]
        missing = (states == MISSING) & (starts >= 0)
        if default is not None and default is not msgspec.NODEFAULT and missing.any():
            values, states = values.astype(dtype if _fits(default, dtype) else object), states.copy()
            values[missing], states[missing] = default, PRESENT
        valid = (states != MISSING) & (states != NULL)
        return Column(values, None if valid.all() else valid)

    def _with_left(self, columns: dict[str, Column], left: _Array, values: Spans) -> Parsed:
        """The columns with what msgspec makes of the rows that are left."""
        rows, decoded, bad = [], [], []
        for row in left.tolist():
            data = values.buffer[values.starts[row] : values.stops[row]]
            try:
                decoded.append(self._decode(data))
                rows.append(row)
            except Exception as error:  # noqa: BLE001 - handed back with its row, as serdes do
                bad.append((row, error.with_traceback(None)))
        for name, column in columns.items():
            columns[name] = _with_rows(column, rows, column_from_rows(decoded, name, self._record))
        return Parsed(columns, bad)


def _decodes(decode: Callable[[Any], object], data: bytes | None) -> bool:
    """Whether a field is what it is declared as; what is wrong is said of the whole record, when that is decoded."""
    try:
        decode(data)
    except Exception:  # noqa: BLE001 - as above
        return False
    return True


def _fits(default: Any, dtype: np.dtype[Any]) -> bool:
    """Whether an array holds a default exactly. It is not converted: the 0 of `fee: float = 0` stays an int."""
    return type(default) is type(dtype.type().item()) and (dtype.kind != "i" or -(2**63) <= default < 2**63)


def _with_rows(column: Column, rows: list[int], other: Column) -> Column:
    """`column` with `other` in some of its rows."""
    if isinstance(column, TextColumn):
        return column.with_texts(np.array(rows, np.int64), other.to_list())
    valid = np.ones(len(column), np.bool_) if column.valid is None else column.valid.copy()
    valid[rows] = True if other.valid is None else other.valid
    values = column.values if other.values.dtype == column.values.dtype else column.values.astype(object)
    values = values.copy() if values is column.values else values
    values[rows] = other.values
    return Column(values, None if valid.all() else valid)
