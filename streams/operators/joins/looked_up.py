"""Rows of a table as columns, by codes of their keys: each key is looked up once while the table stays as it is."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from streams.columns import Column, column_from_rows, column_from_values
from streams.kernels.compiled.key_table import KeyTable
from streams.operators.table_view import TableView
from streams.spans import Spans
from streams.text_column import TextColumn

Codes = npt.NDArray[np.int64]

KEYS_MAX = 1 << 16
"""So many keys are remembered; with more of them it begins anew."""


class LookedUp:
    """What a view has for keys that were asked for. `kind` is the class of the rows."""

    def __init__(self, view: TableView, kind: Any) -> None:
        self._view = view
        self._kind = kind
        self._begin()

    def _begin(self) -> None:
        self._keys = KeyTable()
        self._rows: list[Any] = []
        self._there = np.empty(0, np.bool_)
        self._columns: dict[str, list[Column]] = {}
        self._changes = self._view.changes()

    def find(self, keys: Spans) -> tuple[Codes, npt.NDArray[np.bool_]]:
        """The code of each key, of which none is null, and whether the table has a row for it."""
        if self._view.changes() != self._changes or len(self._keys) > KEYS_MAX:
            self._begin()
        codes, known = self._keys.encode(keys), len(self._rows)
        if len(self._keys) > known:
            rows = self._view.get_many(key_bytes=[self._keys.key(code) for code in range(known, len(self._keys))])
            there = np.fromiter((row is not None for row in rows), np.bool_, len(rows))
            self._rows += rows
            self._there = np.concatenate([self._there, there])
        return codes, self._there[codes]

    def column(self, field: str) -> Column:
        """A field of the rows, by code; None where there is no row."""
        parts = self._columns.setdefault(field, [])
        known = sum(map(len, parts))
        if known < len(self._rows):
            parts.append(_of_text(column_from_rows(self._rows[known:], field, self._kind)))
            parts[:] = [_joined(parts)]
        return parts[0]


def _of_text(column: Column) -> Column:
    values = column.to_list() if column.values.dtype == object else ()
    if not values or not {*map(type, values)} <= {str, type(None)}:
        return column
    try:
        return TextColumn(Spans.of([None if text is None else text.encode() for text in values]))
    except UnicodeEncodeError:
        return column


def _joined(parts: list[Column]) -> Column:
    """One behind the other."""
    if len(parts) == 1:
        return parts[0]
    texts = [part.spans for part in parts if isinstance(part, TextColumn)]
    if len(texts) == len(parts):
        return TextColumn(Spans.joined(texts))
    if texts or len({part.values.dtype for part in parts}) > 1:
        return column_from_values([value for part in parts for value in part.to_list()])
    valid = None
    if any(part.valid is not None for part in parts):
        valid = np.concatenate([np.ones(len(part), np.bool_) if part.valid is None else part.valid for part in parts])
    return Column(np.concatenate([part.values for part in parts]), valid)
