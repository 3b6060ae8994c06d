"""The one shape that flows: the records of one topic-partition in offset order.

A `Batch` has two faces. Rows are Python objects: `keys`, `values`, `timestamps`, `headers`. Columns are numpy arrays,
one for each field of a typed value: `batch.columns["delay"]`. Each face is made when first asked for and kept; an
operator that needs one face never pays for the other.

Lifetime and ownership. A batch owns what it holds and never writes to it: arrays and lists may be shared with other
batches (a slice shares its parent's) and must be treated as read-only. Key bytes are copies, not views of a fetch
response, so a batch may outlive the response it came from; `origin` keeps the bytes of its records, of which a dead
letter is made. Keys and values may be spans of bytes (`key_spans`, `value_spans`), which are cut out and decoded when
somebody asks for rows; values may be columns of all their fields (`rowless`), of which rows are made then. `faces.py`
has these forms. The Arrow stream given by `__arrow_c_stream__` keeps the batch alive until the consumer releases it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from streams.arrays import BoolArray, Int64Array
from streams.faces import Choice, ColumnArrays, Keys, Values, WindowedSpans

if TYPE_CHECKING:
    from streams.columns import Column
    from streams.origin import Origin
    from streams.serde import Serde
    from streams.spans import Spans

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
        "_headers_before",
        "_keys",
        "_owns_headers",
        "_values",
        "headers",
        "latest",
        "no_ops",
        "offsets",
        "olds",
        "origin",
        "partition",
        "timestamps",
        "topic",
    )

    def __init__(
        self,
        *,
        offsets: Int64Array,
        timestamps: Int64Array,
        keys: list[Any] | Keys | None = None,
        values: list[Any] | Values | None = None,
        headers: list[Headers] | None = None,
        olds: list[Any] | None = None,
        latest: BoolArray | None = None,
        no_ops: BoolArray | None = None,
        topic: str = "",
        partition: int = 0,
        value_type: Any = None,
        origin: Origin | None = None,
    ) -> None:
        count = len(offsets)
        self.topic = topic
        self.partition = partition
        self.offsets = offsets
        self.timestamps = timestamps
        self.headers = headers
        self.olds = olds
        self.latest = latest
        self.no_ops = no_ops
        self.origin = origin
        self._keys = keys if isinstance(keys, Keys) else Keys(count, keys)
        self._values = values if isinstance(values, Values) else Values(count, values, value_type)
        self._headers_before: list[Headers] | None = None
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
        return self._keys.objects()

    @property
    def values(self) -> list[Any]:
        """Typed values, one a record; None where a record deletes its key."""
        return self._values.objects()

    @property
    def value_type(self) -> Any:
        """The declared type of the values; None where nobody said."""
        return self._values.kind

    def rows(self) -> Iterator[tuple[Any, Any, int]]:
        """(key, value, timestamp) of each record."""
        return zip(self.keys, self.values, self.timestamps.tolist(), strict=True)

    # -- bytes

    @property
    def key_bytes(self) -> list[bytes | None] | None:
        """Keys as they stand in the log, if the keys are unchanged since they were read; else None."""
        return self._keys.bytes()

    @property
    def key_spans(self) -> Spans | None:
        """`key_bytes` as spans, where they are that."""
        return self._keys.spans

    @property
    def windowed(self) -> WindowedSpans | None:
        """Keys in windows before they are `Windowed` objects; None where they never were that."""
        return self._keys.windowed

    @property
    def value_spans(self) -> Spans | None:
        """Values as they stand in the log, if they are unchanged since they were read and not decoded then."""
        return self._values.spans

    def has_keys_of(self, serde: Serde[Any]) -> bool:
        """Whether there are `key_bytes`, and as this serde writes them."""
        keys = self._keys
        return keys.decode == serde.decode_each and (keys.spans is not None or keys.bytes() is not None)

    def has_windowed_keys_of(self, serde: Serde[Any]) -> bool:
        """Whether there are `windowed` keys, and this serde writes the keys within."""
        return self._keys.windowed is not None and self._keys.decode == serde.decode_each

    def encoded_keys(self, serde: Serde[Any]) -> list[Any]:
        """Keys as this serde writes them: as they stand in the log where that is the same."""
        known = self.key_bytes if self.has_keys_of(serde) else None
        return serde.encode_many(self.keys) if known is None else known

    # -- columns

    @property
    def rowless(self) -> bool:
        """Whether there are columns of all fields, and no row was made: whoever can should take the columns."""
        return self._values.rowless

    def has_columns(self, fields: Iterable[str]) -> bool:
        """Whether there are columns of these fields of the values, and no row was made."""
        return not self._values.are_made and self._values.has_columns(fields)

    @property
    def present(self) -> BoolArray | None:
        """Which records have a value; None: all of them."""
        return self._values.which_present()

    def column(self, field: str) -> Column:
        """One field of the values as a `Column`: an array, and which of its entries are not None."""
        return self._values.column(field)

    @property
    def columns(self) -> Mapping[str, npt.NDArray[Any]]:
        """The fields of the values as numpy arrays, made when looked up; None is NaN in columns of floats."""
        return ColumnArrays(self._values, repr(self))

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
        made = self.with_faces(self._keys, self._values)
        made.olds, made._headers_before, made._owns_headers = self.olds, self.headers, True
        made.headers = None if self.headers is None else list(self.headers)
        return made

    @property
    def headers_are_own(self) -> bool:
        """Whether `set_headers` may be called."""
        return self._owns_headers

    def set_headers(self, row: int, headers: Headers | None) -> None:
        """Gives a record other headers; None gives it back those that it had. Only for `with_own_headers`."""
        if not self._owns_headers:
            raise ValueError("these headers are shared with other batches")
        if headers is None:
            headers = () if self._headers_before is None else self._headers_before[row]
        if self.headers is None:
            if not headers:
                return
            self.headers = [()] * len(self)
        self.headers[row] = headers

    def _part(self, start: int, stop: int) -> Batch:
        return Batch(
            offsets=self.offsets[start:stop],
            timestamps=self.timestamps[start:stop],
            keys=self._keys.part(start, stop),
            values=self._values.part(start, stop),
            headers=None if self.headers is None else self.headers[start:stop],
            olds=None if self.olds is None else self.olds[start:stop],
            latest=None if self.latest is None else self.latest[start:stop],
            no_ops=None if self.no_ops is None else self.no_ops[start:stop],
            topic=self.topic,
            partition=self.partition,
            origin=self.origin,
        )

    def take(self, mask: BoolArray) -> Batch:
        """The records for which `mask` (bool, one a record) is true; the batch itself when all of them stay."""
        if mask.all():
            return self
        chosen = Choice(mask)
        rows = chosen.rows
        return Batch(
            offsets=self.offsets[rows],
            timestamps=self.timestamps[rows],
            keys=self._keys.take(chosen),
            values=self._values.take(chosen),
            headers=None if self.headers is None else chosen.of(self.headers),
            olds=None if self.olds is None else chosen.of(self.olds),
            latest=None if self.latest is None else self.latest[rows],
            no_ops=None if self.no_ops is None else self.no_ops[rows],
            topic=self.topic,
            partition=self.partition,
            origin=self.origin,
        )

    def with_values(self, values: list[Any], value_type: Any = None) -> Batch:
        """The same records with other values, one for each."""
        return self.with_faces(self._keys, Values(len(self), values, value_type))

    def with_columns(self, columns: dict[str, Column], value_type: Any, present: BoolArray | None = None) -> Batch:
        """The same records with other values: columns of all fields of `value_type`, and which records have a value
        (None: all). Rows are made of them when somebody asks, as the class would be called: what its `__post_init__`
        does is done to them already, or nothing.
        """
        return self.with_faces(self._keys, Values(len(self), None, value_type, columns=columns, present=present))

    def with_keys(self, keys: list[Any], key_bytes: list[bytes | None] | None = None) -> Batch:
        """The same records with other keys, one for each; values are kept."""
        return self.with_faces(Keys(len(self), keys, key_bytes, self._keys.decode), self._values)

    def with_olds(self, olds: list[Any] | None) -> Batch:
        """The same changes of a table with what each replaces."""
        made = self.with_faces(self._keys, self._values)
        made.olds = olds
        return made

    def with_latest(self, latest: BoolArray | None) -> Batch:
        """The same changes of a table with which of them are the latest of their keys; olds are kept."""
        made = self.with_olds(self.olds)
        made.latest = latest
        return made

    def with_no_ops(self, no_ops: BoolArray | None) -> Batch:
        """The same changes of a table with which of them change nothing; olds are kept."""
        made = self.with_latest(self.latest)
        made.no_ops = no_ops if no_ops is not None and no_ops.any() else None
        return made

    def with_faces(self, keys: Keys, values: Values) -> Batch:
        """The same records with these keys and values; what each replaces (`olds`) is not kept."""
        return Batch(
            offsets=self.offsets,
            timestamps=self.timestamps,
            keys=keys,
            values=values,
            headers=self.headers,
            latest=self.latest,
            no_ops=self.no_ops,
            topic=self.topic,
            partition=self.partition,
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
