"""The keys and the values of a batch, in the forms that they have: each is made of another when first asked for, and
kept. Batches of the same keys, or of the same values, share them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import compress
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from streams.arrays import BoolArray, Int64Array
from streams.columns import Column, column_from_rows

if TYPE_CHECKING:
    from streams.spans import Spans

DecodeEach = Callable[[list[bytes | None]], list[Any]]


class Choice:
    """Some rows of many: their numbers, ascending."""

    __slots__ = ("_flags", "_mask", "rows")

    def __init__(self, mask: BoolArray) -> None:
        self.rows = np.flatnonzero(mask)
        self._mask = mask
        self._flags: list[bool] | None = None

    def of(self, items: list[Any]) -> list[Any]:
        """These of a list."""
        if self._flags is None:
            self._flags = self._mask.tolist()
        return list(compress(items, self._flags))


class WindowedSpans(NamedTuple):
    """Keys in windows: the bytes of each key, and where its window starts and ends (ms, int64[n])."""

    keys: Spans
    starts: Int64Array
    ends: Int64Array

    def rows(self, chosen: slice | npt.NDArray[Any]) -> WindowedSpans:
        """Some of the rows, as `Spans.rows`."""
        return WindowedSpans(self.keys.rows(chosen), self.starts[chosen], self.ends[chosen])


class Keys:
    """Keys as typed objects, as bytes of the log, as spans of a buffer, or as spans in windows.

    `decode` makes objects of bytes; of `windowed` keys it decodes the key within.
    """

    __slots__ = ("_bytes", "_objects", "_parent", "count", "decode", "spans", "windowed")

    def __init__(
        self,
        count: int,
        objects: list[Any] | None = None,
        data: list[bytes | None] | None = None,
        decode: DecodeEach | None = None,
        spans: Spans | None = None,
        windowed: WindowedSpans | None = None,
    ) -> None:
        self.count = count
        self.decode = decode
        self.spans = spans
        self.windowed = windowed
        self._objects = objects
        self._bytes = data
        self._parent: tuple[Keys, int, int] | None = None

    @property
    def are_made(self) -> bool:
        """Whether there are objects."""
        return self._objects is not None

    def objects(self) -> list[Any]:
        """Typed keys; None where a record has none."""
        if self._objects is None:
            if self._parent is not None:
                parent, start, stop = self._parent
                self._objects = parent.objects()[start:stop]
            elif self.decode is None:
                self._objects = [None] * self.count
            elif self.windowed is not None:
                self._objects = _windowed(self.windowed, self.decode)
            elif (data := self.bytes()) is not None:
                self._objects = self.decode(data)
            else:
                self._objects = [None] * self.count
        return self._objects

    def bytes(self) -> list[bytes | None] | None:
        """Keys as they stand in the log; None where nobody knows."""
        if self._bytes is None:
            if self.spans is not None:
                self._bytes = self.spans.cut()
            elif self._parent is not None:
                parent, start, stop = self._parent
                inherited = parent.bytes()
                self._bytes = None if inherited is None else inherited[start:stop]
        return self._bytes

    def part(self, start: int, stop: int) -> Keys:
        """Neighbouring rows; nothing is copied before it is asked for."""
        rows = slice(start, stop)
        made = Keys(
            stop - start,
            decode=self.decode,
            spans=None if self.spans is None else self.spans.rows(rows),
            windowed=None if self.windowed is None else self.windowed.rows(rows),
        )
        made._parent = (self, start, stop)
        return made

    def take(self, chosen: Choice) -> Keys:
        """Some of the rows."""
        spans, windowed = self.spans, self.windowed
        data = self._bytes if spans is not None else self.bytes()
        objects = self._objects
        if objects is None and data is None and spans is None and windowed is None:
            objects = self.objects()
        return Keys(
            len(chosen.rows),
            None if objects is None else chosen.of(objects),
            None if data is None else chosen.of(data),
            self.decode,
            None if spans is None else spans.rows(chosen.rows),
            None if windowed is None else windowed.rows(chosen.rows),
        )


def _windowed(keys: WindowedSpans, decode: DecodeEach) -> list[Any]:
    from streams.windows import Windowed

    inner = decode(keys.keys.cut())
    return [Windowed(*parts) for parts in zip(inner, keys.starts.tolist(), keys.ends.tolist(), strict=True)]


class Values:
    """Values as typed objects, as spans of a buffer with what decodes them, or as columns of all fields of a `kind`.

    `present` says which rows have a value, where columns stand for rows; None: all.
    """

    __slots__ = ("_objects", "_parent", "columns", "count", "decode", "kind", "present", "spans")

    def __init__(
        self,
        count: int,
        objects: list[Any] | None = None,
        kind: Any = None,
        decode: DecodeEach | None = None,
        spans: Spans | None = None,
        columns: dict[str, Column] | None = None,
        present: BoolArray | None = None,
    ) -> None:
        self.count = count
        self.kind = kind
        self.decode = decode
        self.spans = spans
        self.columns: dict[str, Column] = {} if columns is None else columns
        self.present = present
        self._objects = objects
        self._parent: tuple[Values, int, int] | None = None

    @property
    def are_made(self) -> bool:
        """Whether there are objects."""
        return self._objects is not None

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields of `kind`; none for what is no record."""
        found: tuple[str, ...] = getattr(self.kind, "__struct_fields__", ())
        return found

    @property
    def rowless(self) -> bool:
        """Whether there are columns of all fields, and no objects."""
        if self._objects is not None:
            return False
        return bool(self.fields) and self.has_columns(self.fields)

    def has_columns(self, fields: Iterable[str]) -> bool:
        """Whether there are columns of these fields."""
        values: Values | None = self
        while values is not None:
            if all(field in values.columns for field in fields):
                return True
            values = values._parent and values._parent[0]
        return False

    def which_present(self) -> BoolArray | None:
        """Which rows have a value; None: all of them."""
        found = self.present
        if found is None and self.spans is not None:
            found = self.spans.present()
        elif found is None and not self.rowless:
            found = np.fromiter((one is not None for one in self.objects()), np.bool_, self.count)
        return None if found is None or found.all() else found

    def objects(self) -> list[Any]:
        """Typed values; None where a record deletes its key."""
        if self._objects is None:
            if self.spans is not None and self.decode is not None:
                self._objects = self.decode(self.spans.cut())
            elif self._parent is not None:
                parent, start, stop = self._parent
                self._objects = parent.objects()[start:stop]
            else:
                self._objects = self._of_columns() if self.rowless else [None] * self.count
        return self._objects

    def _of_columns(self) -> list[Any]:
        fields = self.fields
        columns = [self.columns[field].to_list() for field in fields]
        if self.kind.__match_args__ == fields:
            made = list(map(self.kind, *columns))
        else:  # some are keyword-only
            made = [self.kind(**dict(zip(fields, row, strict=True))) for row in zip(*columns, strict=True)]
        if self.present is None:
            return made
        return [one if present else None for one, present in zip(made, self.present.tolist(), strict=True)]

    def column(self, field: str) -> Column:
        """One field as a `Column`."""
        found = self.columns.get(field)
        if found is None:
            if self._parent is not None:
                parent, start, stop = self._parent
                found = parent.column(field)[start:stop]
            else:
                found = column_from_rows(self.objects(), field, self.kind)
            self.columns[field] = found
        return found

    def part(self, start: int, stop: int) -> Values:
        """Neighbouring rows; nothing is copied before it is asked for."""
        made = Values(
            stop - start,
            kind=self.kind,
            decode=self.decode,
            spans=None if self.spans is None else self.spans.rows(slice(start, stop)),
            present=None if self.present is None else self.present[start:stop],
        )
        made._parent = (self, start, stop)
        return made

    def take(self, chosen: Choice) -> Values:
        """Some of the rows."""
        if self.rowless:
            return self._take_columns(chosen)
        objects, spans = self._objects, self.spans
        if objects is None and spans is None:
            objects = self.objects()
        return Values(
            len(chosen.rows),
            None if objects is None else chosen.of(objects),
            self.kind,
            self.decode,
            None if spans is None else spans.rows(chosen.rows),
            {name: column[chosen.rows] for name, column in self.columns.items()},
        )

    def _take_columns(self, chosen: Choice) -> Values:
        """All that there is to know of them is in the columns."""
        present = self.which_present()
        return Values(
            len(chosen.rows),
            kind=self.kind,
            columns={field: self.column(field)[chosen.rows] for field in self.fields},
            present=None if present is None else present[chosen.rows],
        )


class ColumnArrays(Mapping[str, npt.NDArray[Any]]):
    """`batch.columns`: a view that makes an array when it is looked up."""

    def __init__(self, values: Values, name: str) -> None:
        self._values = values
        self._name = name

    def __getitem__(self, field: str) -> npt.NDArray[Any]:
        if field not in self._names():
            raise KeyError(
                f"{field!r} is not a field of {self._name}; it has {', '.join(self._names()) or 'no typed values'}"
            )
        return self._values.column(field).to_numpy()

    def __iter__(self) -> Iterator[str]:
        return iter(self._names())

    def __len__(self) -> int:
        return len(self._names())

    def _names(self) -> Sequence[str]:
        return self._values.fields or tuple(self._values.columns)
