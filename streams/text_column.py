"""Text of many records as it stands in a buffer: strings are made when somebody wants them."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from streams.columns import Column
from streams.kernels import compiled
from streams.spans import Spans


class TextColumn(Column):
    """A column of text as spans of UTF-8, which is valid; a null span is None.

    Whoever can take bytes asks for `spans`. To all others it is a column of objects, made once.

    >>> column = TextColumn(Spans(b"AAUA", np.array([0, -1, 2]), np.array([2, -1, 4])))
    >>> column.to_list(), column[1:].values.tolist(), column.valid.tolist()
    (['AA', None, 'UA'], [None, 'UA'], [True, False, True])
    """

    __slots__ = ("_objects", "spans")

    spans: Spans
    _objects: npt.NDArray[Any] | None

    def __init__(self, spans: Spans) -> None:
        present = spans.present()
        object.__setattr__(self, "spans", spans)
        object.__setattr__(self, "valid", None if present.all() else present)
        object.__setattr__(self, "_objects", None)

    @property
    def values(self) -> npt.NDArray[Any]:
        """The strings, an array of objects."""
        made = self._objects
        if made is None:
            made = np.empty(len(self), object)
            made[:] = [None if data is None else data.decode() for data in self.spans.cut()]
            object.__setattr__(self, "_objects", made)
        return made

    def __len__(self) -> int:
        return len(self.spans.starts)

    def __getitem__(self, rows: slice | npt.NDArray[Any]) -> TextColumn:
        return TextColumn(self.spans.rows(rows))

    def to_list(self) -> list[Any]:
        found: list[Any] = self.values.tolist()
        return found

    def with_texts(self, rows: npt.NDArray[np.int64], texts: list[str | None]) -> TextColumn:
        """Other texts in some of the rows. Raises UnicodeEncodeError for what has no UTF-8.

        >>> column = TextColumn(Spans(b"AAUA", np.array([0, 2]), np.array([2, 4])))
        >>> column.with_texts(np.array([1]), ["B6"]).to_list()
        ['AA', 'B6']
        """
        data = [None if text is None else text.encode() for text in texts]
        spans = self._own_spans()
        starts, stops = spans.starts.copy(), spans.stops.copy()
        ends = len(spans.buffer) + np.cumsum([len(one or b"") for one in data], dtype=np.int64)
        starts[rows] = [-1 if one is None else end - len(one) for one, end in zip(data, ends.tolist(), strict=True)]
        stops[rows] = np.where(starts[rows] < 0, -1, ends)
        return TextColumn(Spans(spans.buffer + b"".join(one or b"" for one in data), starts, stops))

    def _own_spans(self) -> Spans:
        """In a buffer of this column's where that can be made, as all of what was fetched takes longer to copy."""
        if not compiled.ready():
            return self.spans
        from streams.kernels.compiled.texts import gather

        buffer, starts, stops = self.spans.arrays()
        out, bounds = np.empty(int((stops - starts).sum()), np.uint8), np.empty((2, len(starts)), np.int64)
        gather(buffer, starts, stops, len(starts), out, *bounds)
        return Spans(out.tobytes(), *bounds)
