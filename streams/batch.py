"""The one shape that flows: the records of one topic-partition in offset order.

A `Batch` has two faces. Rows are Python objects: `keys`, `values`, `timestamps`, `headers`. Columns are numpy arrays,
one for each field of a typed value: `batch.columns["delay"]`. Each face is made when first asked for and kept; an
operator that needs one face never pays for the other.

Lifetime and ownership. A batch owns what it holds and never writes to it: arrays and lists may be shared with other
batches (a slice shares its parent's) and must be treated as read-only. Key bytes are copies, not views of a fetch
response, so a batch may outlive the response it came from; `origin` keeps the bytes of its records, of which a dead
letter is made. Keys and values may be spans of those bytes (`key_spans`, `value_spans`), which are cut out and decoded
when somebody asks for rows. The Arrow stream given by `__arrow_c_stream__` keeps the
batch alive until the consumer releases it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import compress
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from streams.columns import Column, column_from_rows

if TYPE_CHECKING:
    from streams.origin import Origin
    from streams.serde import Serde
    from streams.spans import Spans

Int64Array = npt.NDArray[np.int64]
Headers = Sequence[tuple[str, bytes | None]]


def no_offsets(count: int) -> Int64Array:
    """Offsets of rows that came from no single record: results of a commit, of time, of a lookup.

    >>> no_offsets(2).tolist()
    [-1, -1]
    """
    return np.full(count, -1, np.int64)


class Batch:
    """The records of one topic-partition, in offset order.

    `offsets` and `timestamps` are int64 arrays (milliseconds since 1970) of the batch's length. An offset names the
    input record that a row came from, so after `flat_map` several rows may carry one offset. `olds`, in a batch of a
    table's changes, has for each the value that it replaces (None: there was none); it is None where nobody asked.
    `latest` (bool, one a record) says which changes of a versioned table are the latest of their keys; None: all are.
    `no_ops` (bool, one a record) says which of a table's changes change nothing, as they delete what was not there;
    tables behind see them, nobody else does (`ToStreamOperator`); None: none of them.

    >>> batch = Batch.of([("AA", 1.5), ("UA", 2.5)], timestamps=[10, 20])
    >>> len(batch), batch.keys, batch.values, batch.timestamps.tolist()
    (2, ['AA', 'UA'], [1.5, 2.5], [10, 20])
    >>> batch[1:].values
    [2.5]
    """

    __slots__ = (
        "_columns",
        "_decode_keys",
        "_decode_values",
        "_key_bytes",
        "_keys",
        "_owns_headers",
        "_parent",
        "_values",
        "headers",
        "key_spans",
        "latest",
        "no_ops",
        "offsets",
        "olds",
        "origin",
        "partition",
        "timestamps",
        "topic",
        "value_spans",
        "value_type",
    )

    def __init__(
        self,
        *,
        offsets: Int64Array,
        timestamps: Int64Array,
        keys: list[Any] | None = None,
        values: list[Any] | None = None,
        key_bytes: list[bytes | None] | None = None,
        decode_keys: Callable[[list[bytes | None]], list[Any]] | None = None,
        key_spans: Spans | None = None,
        value_spans: Spans | None = None,
        decode_values: Callable[[list[bytes | None]], list[Any]] | None = None,
        columns: dict[str, Column] | None = None,
        headers: list[Headers] | None = None,
        olds: list[Any] | None = None,
        latest: npt.NDArray[np.bool_] | None = None,
        no_ops: npt.NDArray[np.bool_] | None = None,
        topic: str = "",
        partition: int = 0,
        value_type: Any = None,
        origin: Origin | None = None,
    ) -> None:
        self.topic = topic
        self.partition = partition
        self.offsets = offsets
        self.timestamps = timestamps
        self.headers = headers
        self.olds = olds
        self.latest = latest
        self.no_ops = no_ops
        self.value_type = value_type
        self.origin = origin
        self._keys = keys
        self._values = values
        self._key_bytes = key_bytes
        self._decode_keys = decode_keys
        self.key_spans = key_spans
        self.value_spans = value_spans
        self._decode_values = decode_values
        self._columns = {} if columns is None else columns
        self._parent: tuple[Batch, int, int] | None = None
        self._owns_headers = False

    @classmethod
    def of(
        cls,
        records: Sequence[tuple[Any, Any]],
        *,
        timestamps: Sequence[int] | None = None,
        topic: str = "",
        partition: int = 0,
        value_type: Any = None,
    ) -> Batch:
        """A batch of (key, value) pairs, with offsets from 0 and timestamps 0 unless given; for tests and notebooks."""
        n = len(records)
        return cls(
            offsets=np.arange(n, dtype=np.int64),
            timestamps=np.zeros(n, np.int64) if timestamps is None else np.asarray(timestamps, np.int64),
            keys=[key for key, _ in records],
            values=[value for _, value in records],
            topic=topic,
            partition=partition,
            value_type=value_type,
        )

    def __len__(self) -> int:
        return len(self.offsets)

    def __repr__(self) -> str:
        return f"<Batch {self.topic}-{self.partition}: {len(self)} records>"

    # -- rows

    @property
    def keys(self) -> list[Any]:
        """Typed keys, one a record; None where a record has none."""
        if self._keys is None:
            if self._parent is not None:
                parent, start, stop = self._parent
                self._keys = parent.keys[start:stop]
            elif self._decode_keys is not None and (key_bytes := self.key_bytes) is not None:
                self._keys = self._decode_keys(key_bytes)
            else:
                self._keys = [None] * len(self)
        return self._keys

    @property
    def values(self) -> list[Any]:
        """Typed values, one a record; None where a record deletes its key."""
        if self._values is None:
            if self.value_spans is not None and self._decode_values is not None:
                self._values = self._decode_values(self.value_spans.cut())
            elif self._parent is not None:
                parent, start, stop = self._parent
                self._values = parent.values[start:stop]
            else:
                self._values = [None] * len(self)
        return self._values

    @property
    def key_bytes(self) -> list[bytes | None] | None:
        """Keys as they stand in the log, if the keys are unchanged since they were read; else None."""
        if self._key_bytes is None and self.key_spans is not None:
            self._key_bytes = self.key_spans.cut()
        elif self._key_bytes is None and self._parent is not None:
            parent, start, stop = self._parent
            inherited = parent.key_bytes
            self._key_bytes = None if inherited is None else inherited[start:stop]
        return self._key_bytes

    def has_keys_of(self, serde: Serde[Any]) -> bool:
        """Whether there are `key_bytes`, and as this serde writes them."""
        return self._decode_keys == serde.decode_each and (self.key_spans is not None or self.key_bytes is not None)

    def encoded_keys(self, serde: Serde[Any]) -> list[Any]:
        """Keys as this serde writes them: as they stand in the log where that is the same."""
        known = self.key_bytes if self.has_keys_of(serde) else None
        return serde.encode_many(self.keys) if known is None else known

    def rows(self) -> Iterator[tuple[Any, Any, int]]:
        """(key, value, timestamp) of each record."""
        return zip(self.keys, self.values, self.timestamps.tolist(), strict=True)

    # -- columns

    def column(self, field: str) -> Column:
        """One field of the values as a `Column`: an array, and which of its entries are not None."""
        found = self._columns.get(field)
        if found is None:
            if self._parent is not None:
                parent, start, stop = self._parent
                found = parent.column(field)[start:stop]
            else:
                found = column_from_rows(self.values, field, self.value_type)
            self._columns[field] = found
        return found

    @property
    def columns(self) -> Mapping[str, npt.NDArray[Any]]:
        """The fields of the values as numpy arrays, made when looked up; None is NaN in columns of floats."""
        return _ColumnArrays(self)

    # -- new batches out of this one

    def __getitem__(self, index: slice) -> Batch:
        start, stop, step = index.indices(len(self))
        if step != 1:
            raise ValueError(f"a batch is cut in one piece: step 1, not {step}; use take(mask) to choose records")
        if start == 0 and stop == len(self):
            return self
        return self._part(start, stop)

    def with_own_headers(self) -> Batch:
        """The same records in a batch whose headers may be set: `set_headers`."""
        part = self._part(0, len(self))
        part._owns_headers = True
        return part

    @property
    def headers_are_own(self) -> bool:
        """Whether `set_headers` may be called."""
        return self._owns_headers

    def set_headers(self, row: int, headers: Headers | None) -> None:
        """Gives a record other headers; None gives it back those that it had. Only for `with_own_headers`."""
        if not self._owns_headers or self._parent is None:
            raise ValueError("these headers are shared with other batches")
        if headers is None:
            had = self._parent[0].headers
            headers = () if had is None else had[row]
        if self.headers is None:
            if not headers:
                return
            self.headers = [()] * len(self)
        self.headers[row] = headers

    def _part(self, start: int, stop: int) -> Batch:
        part = Batch(
            offsets=self.offsets[start:stop],
            timestamps=self.timestamps[start:stop],
            headers=None if self.headers is None else self.headers[start:stop],
            olds=None if self.olds is None else self.olds[start:stop],
            latest=None if self.latest is None else self.latest[start:stop],
            no_ops=None if self.no_ops is None else self.no_ops[start:stop],
            decode_keys=self._decode_keys,
            key_spans=None if self.key_spans is None else self.key_spans.rows(slice(start, stop)),
            value_spans=None if self.value_spans is None else self.value_spans.rows(slice(start, stop)),
            decode_values=self._decode_values,
            topic=self.topic,
            partition=self.partition,
            value_type=self.value_type,
            origin=self.origin,
        )
        part._parent = (self, start, stop)
        return part

    def take(self, mask: npt.NDArray[np.bool_]) -> Batch:
        """The records for which `mask` (bool, one a record) is true; the batch itself when all of them stay."""
        if mask.all():
            return self
        chosen = mask.tolist()
        key_bytes = self.key_bytes if self.key_spans is None else self._key_bytes
        keys, headers = self._keys, self.headers
        if keys is None and key_bytes is None and self.key_spans is None:
            keys = self.keys
        made = Batch(
            offsets=self.offsets[mask],
            timestamps=self.timestamps[mask],
            keys=None if keys is None else list(compress(keys, chosen)),
            values=list(compress(self.values, chosen))
            if self.value_spans is None or self._values is not None
            else None,
            key_bytes=None if key_bytes is None else list(compress(key_bytes, chosen)),
            decode_keys=self._decode_keys,
            key_spans=None if self.key_spans is None else self.key_spans.rows(mask),
            value_spans=None if self.value_spans is None else self.value_spans.rows(mask),
            decode_values=self._decode_values,
            headers=None if headers is None else list(compress(headers, chosen)),
            olds=None if self.olds is None else list(compress(self.olds, chosen)),
            latest=None if self.latest is None else self.latest[mask],
            no_ops=None if self.no_ops is None else self.no_ops[mask],
            columns={name: column[mask] for name, column in self._columns.items()},
            topic=self.topic,
            partition=self.partition,
            value_type=self.value_type,
            origin=self.origin,
        )
        return made

    def with_values(self, values: list[Any], value_type: Any = None) -> Batch:
        """The same records with other values, one for each."""
        return self._derive(keys=self._keys, key_bytes=self.key_bytes, values=values, value_type=value_type)

    def with_keys(self, keys: list[Any], key_bytes: list[bytes | None] | None = None) -> Batch:
        """The same records with other keys, one for each; columns are kept."""
        made = self._derive(keys=keys, key_bytes=key_bytes, values=self.values, value_type=self.value_type)
        made._columns = self._columns
        return made

    def with_olds(self, olds: list[Any]) -> Batch:
        """The same changes of a table with what each replaces; columns are kept."""
        made = self._derive(keys=self._keys, key_bytes=self.key_bytes, values=self.values, value_type=self.value_type)
        made._columns, made.olds = self._columns, olds
        return made

    def with_latest(self, latest: npt.NDArray[np.bool_] | None) -> Batch:
        """The same changes of a table with which of them are the latest of their keys; columns and olds are kept."""
        made = self._derive(keys=self._keys, key_bytes=self.key_bytes, values=self.values, value_type=self.value_type)
        made._columns, made.olds, made.latest = self._columns, self.olds, latest
        return made

    def with_no_ops(self, no_ops: npt.NDArray[np.bool_] | None) -> Batch:
        """The same changes of a table with which of them change nothing; columns and olds are kept."""
        made = self.with_latest(self.latest)
        made.no_ops = no_ops if no_ops is not None and no_ops.any() else None
        return made

    def _derive(
        self, *, keys: list[Any] | None, key_bytes: list[bytes | None] | None, values: list[Any], value_type: Any
    ) -> Batch:
        return Batch(
            offsets=self.offsets,
            timestamps=self.timestamps,
            keys=self.keys if keys is None and key_bytes is None else keys,
            values=values,
            key_bytes=key_bytes,
            decode_keys=self._decode_keys,
            headers=self.headers,
            latest=self.latest,
            no_ops=self.no_ops,
            topic=self.topic,
            partition=self.partition,
            value_type=value_type,
            origin=self.origin,
        )

    def expand(self, index: Sequence[int], keys: list[Any], values: list[Any], value_type: Any = None) -> Batch:
        """Rows made of this batch's records: row i came from record `index[i]` and has its offset, timestamp and
        headers.
        """
        at = np.asarray(index, dtype=np.int64)
        return Batch(
            offsets=self.offsets[at],
            timestamps=self.timestamps[at],
            keys=keys,
            values=values,
            headers=None if self.headers is None else [self.headers[i] for i in index],
            topic=self.topic,
            partition=self.partition,
            value_type=value_type,
            origin=self.origin,
        )

    # -- Arrow

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """The batch as an Arrow C stream (Arrow PyCapsule interface): pyarrow, polars, pandas and DuckDB take a batch
        as it is.

        Columns: `key`, `timestamp` (ms), `offset`, then the fields of the value, or `value` if it has none.
        """
        from streams.arrow import export_stream

        return export_stream(self, requested_schema)


class _ColumnArrays(Mapping[str, npt.NDArray[Any]]):
    """`batch.columns`: a view that makes an array when it is looked up."""

    def __init__(self, batch: Batch) -> None:
        self._batch = batch

    def __getitem__(self, field: str) -> npt.NDArray[Any]:
        if field not in self._names():
            raise KeyError(
                f"{field!r} is not a field of {self._batch!r}; it has {', '.join(self._names()) or 'no typed values'}"
            )
        return self._batch.column(field).to_numpy()

    def __iter__(self) -> Iterator[str]:
        return iter(self._names())

    def __len__(self) -> int:
        return len(self._names())

    def _names(self) -> tuple[str, ...]:
        fields: tuple[str, ...] = getattr(self._batch.value_type, "__struct_fields__", ())
        return fields or tuple(self._batch._columns)
