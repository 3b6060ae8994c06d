"""A column: one field of many records as an array."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from types import NoneType
from typing import Any

import numpy as np
import numpy.typing as npt

from streams.models import column_kind

_DTYPES: dict[type, type] = {bool: np.bool_, int: np.int64, float: np.float64}


@dataclass(frozen=True, slots=True, eq=False)
class Column:
    """`values`: bool, int64, float64, or Python objects (text and the rest). `valid`: False where the value is None.

    `valid` is None when nothing is missing. What stands in `values` where `valid` is False means nothing. The arrays
    belong to whoever made the column; readers don't write to them.
    """

    values: npt.NDArray[Any]
    valid: npt.NDArray[np.bool_] | None = None

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, rows: slice | npt.NDArray[Any]) -> Column:
        """The column for some rows: a slice is a view; a mask, or an array of row numbers, makes a copy.

        >>> Column(np.array([1, 2, 3]))[1:].to_list()
        [2, 3]
        """
        return Column(self.values[rows], None if self.valid is None else self.valid[rows])

    def to_list(self) -> list[Any]:
        """The rows' Python values, None where missing.

        >>> Column(np.array([1, 2]), np.array([True, False])).to_list()
        [1, None]
        """
        values: list[Any] = self.values.tolist()
        if self.valid is None:
            return values
        return [value if valid else None for value, valid in zip(values, self.valid.tolist(), strict=True)]

    def to_numpy(self) -> npt.NDArray[Any]:
        """One plain array: what is missing is NaN among floats and ints (which become floats), None among the rest.

        >>> Column(np.array([1, 0]), np.array([True, False])).to_numpy().tolist()
        [1.0, nan]
        """
        if self.valid is None or self.valid.all():
            return self.values
        if self.values.dtype.kind in "if":
            return np.where(self.valid, self.values, np.nan)
        return np.fromiter(self.to_list(), object, len(self))

    def truth(self) -> npt.NDArray[np.bool_]:
        """What a filter keeps: True where the value is there and true in Python's sense.

        >>> Column(np.array([True, False, True]), np.array([True, True, False])).truth().tolist()
        [True, False, False]
        """
        if self.values.dtype == object:
            return np.fromiter(map(bool, self.to_list()), np.bool_, len(self))
        true = self.values if self.values.dtype == np.bool_ else self.values != 0
        return true if self.valid is None else true & self.valid


def column_from_values(values: Sequence[Any], kind: type | None = None) -> Column:
    """`values` as the tightest column that holds exactly them; ints, floats and bools are never mixed into one dtype.

    `kind` (bool, int, float) decides where no value does: all missing, or no rows. See `streams.models.column_kind`.

    >>> column = column_from_values([1, None])
    >>> column.values.dtype.name, column.to_list()
    ('int64', [1, None])
    >>> column_from_values([1, 2.5, "x"]).values.dtype.name
    'object'
    """
    kinds = set(map(type, values))
    valid = None
    if NoneType in kinds:
        kinds.discard(NoneType)
        valid = np.fromiter((value is not None for value in values), np.bool_, len(values))
    dtype = None if len(kinds) > 1 else _DTYPES.get(kinds.pop() if kinds else kind or object)
    if dtype is None:
        return Column(np.fromiter(values, object, len(values)), valid)
    filled: Iterable[Any] = values if valid is None else (0 if value is None else value for value in values)
    try:
        return Column(np.fromiter(filled, dtype, len(values)), valid)
    except OverflowError:  # an integer of more than 64 bits
        return Column(np.fromiter(values, object, len(values)), valid)


def column_from_rows(rows: Sequence[Any], field: str, record: Any = None) -> Column:
    """Field `field` (dots for nested records) of every row; None where the row, or what holds the field, is None.

    Rows are Records, or untyped dicts, where a missing key is None. `record`, their declared class, gives the dtype of
    a column without any value.

    >>> from streams.models import Record
    >>> class Flight(Record):
    ...     delay: float | None
    >>> column_from_rows([Flight(20.0), Flight(None)], "delay").to_list()
    [20.0, None]
    """
    try:
        if hasattr(dict, field):  # of a dict, attrgetter("items") would be the method
            raise AttributeError
        values = list(map(attrgetter(field), rows))
    except AttributeError:  # a dict, or a None on the way
        values = [read(row, field) for row in rows]
    return column_from_values(values, column_kind(record, field))


def read(row: Any, path: str) -> Any:
    """One field of one row, as `column_from_rows` reads it.

    >>> read({"plane": None}, "plane.seats") is None
    True
    """
    for name in path.split("."):
        if row is None:
            return None
        row = row.get(name) if isinstance(row, Mapping) else getattr(row, name)
    return row
