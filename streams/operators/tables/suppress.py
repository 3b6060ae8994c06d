"""table.suppress: the latest change of each key is held back, and leaves when its time has come.

The rules are Kafka Streams' (`KTableSuppressProcessorSupplier`, `InMemoryTimeOrderedKeyValueChangeBuffer`). A key's
place in the buffer is the time of its first change since it last left (of the record, or with `until="close"` the end
of its window), and it keeps that place when more changes come. Keys leave in the order of time, then of their bytes,
with timestamp and headers of the last change. What is emitted at a window's close is final, so a row that is not there
by then is not mentioned. Time is the largest timestamp that has come in here.

Other than there, what leaves replaces what left before, and not the last change in between: a grouped table behind this
takes back exactly what it was given.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from heapq import heapify, heappop, heappush
from struct import Struct
from typing import Any

import msgspec
import numpy as np

from streams.batch import Batch, Headers, no_offsets
from streams.errors import BufferFullError, EncodeError
from streams.graph.nodes import SuppressNode
from streams.operators.base import NO_TIME, PIECE_ROWS, UNKNOWN_TIME, Found, Operator, TaskContext
from streams.serde import key_serde_for, serde_for
from streams.windows import Windowed

_WINDOW = Struct(">qq")


class _Held(msgspec.Struct, array_like=True):
    """The change of a key that waits: values as bytes, `prior` is what left last."""

    time: int
    timestamp: int
    value: bytes | None
    prior: bytes | None
    headers: list[tuple[str, bytes | None]]

    @property
    def size_bytes(self) -> int:
        headers = sum(len(name) + len(value or b"") for name, value in self.headers)
        return len(self.value or b"") + len(self.prior or b"") + headers


_decode_held = msgspec.msgpack.Decoder(_Held).decode


class SuppressOperator(Operator[SuppressNode]):
    def __init__(self, node: SuppressNode, context: TaskContext) -> None:
        super().__init__(node, context)
        self._store = node.buffer.name
        self._keys = key_serde_for(node.key_type)
        self._values = serde_for(node.value_type, default="msgpack")
        self._held: dict[bytes, _Held] = {}
        self._order: list[tuple[int, bytes]] = []
        self._bytes = 0
        self._observed = NO_TIME
        self._dirty: dict[bytes, None] = {}
        self._leaving: Iterator[Batch] = iter(())

    def open(self) -> None:
        observed = self.context.load_clock(self.node.name)
        self._observed = NO_TIME if observed is None else observed
        with self.context.stores.key_value(self._store).scan(None, None) as rows:
            self._held = {key: _decode_held(payload) for key, payload, _ in rows}
        self._order = [(held.time, key) for key, held in self._held.items()]
        heapify(self._order)
        self._bytes = sum(len(key) + held.size_bytes for key, held in self._held.items())

    # -- changes

    def process(self, batch: Batch) -> Batch | None:
        assert batch.olds is not None, "the table above was asked for old values"
        leaving: list[tuple[bytes, _Held]] = []
        for row, (key, value, timestamp) in enumerate(batch.rows()):
            try:
                encoded, prior = self._encoded(value), self._encoded(batch.olds[row])
            except EncodeError as error:
                self.context.failures.give_up(self.node, batch, row, error)
                continue
            self._observed = max(self._observed, timestamp)
            headers = [] if batch.headers is None else batch.headers[row]
            self._hold(key, timestamp, encoded, prior, headers)
            leaving += self._due()
            leaving += self._too_many()
        return self._leave(leaving)

    def _hold(self, key: Any, timestamp: int, value: bytes | None, prior: bytes | None, headers: Headers) -> None:
        entry = self._entry(key)
        held = self._held.get(entry)
        if held is None:
            time = key.end if self.node.until_close else timestamp
            held = self._held[entry] = _Held(time, timestamp, value, prior, list(headers))
            heappush(self._order, (time, entry))
            self._bytes += len(entry)
        else:
            self._bytes -= held.size_bytes
            held.timestamp, held.value, held.headers = timestamp, value, list(headers)
        self._bytes += held.size_bytes
        self._dirty[entry] = None

    def _encoded(self, value: Any) -> bytes | None:
        if value is None:
            return None
        try:
            return self._values.encode(value)
        except Exception as error:
            raise EncodeError(f"the buffer of {self.node.name} does not take {value!r}: {error}") from error

    # -- what leaves

    def _due(self) -> Iterable[tuple[bytes, _Held]]:
        """What has waited long enough."""
        if self._observed == NO_TIME:
            return
        expired = self.context.stream_time(self._observed) - self.node.wait_ms
        while self._order and self._order[0][0] <= expired:
            yield self._pop()

    def _too_many(self) -> Iterable[tuple[bytes, _Held]]:
        """What the buffer has no room for; or the error that stops the app."""
        while self._full():
            if self.node.when_full == "stop":
                raise self._stopped()
            yield self._pop()

    def _full(self) -> bool:
        records_max, bytes_max = self.node.records_max, self.node.bytes_max
        too_many = records_max is not None and len(self._held) > records_max
        return too_many or (bytes_max is not None and self._bytes > bytes_max)

    def _stopped(self) -> BufferFullError:
        limits = (("records", len(self._held), self.node.records_max), ("bytes", self._bytes, self.node.bytes_max))
        sizes = " and ".join(f"{held:,} {what} of at most {most:,}" for what, held, most in limits if most is not None)
        instead = "let windows close sooner (a shorter grace)" if self.node.until_close else 'say when_full="emit"'
        return BufferFullError(
            f"{self.node.name} ({self.node.where}) holds back {sizes}, and is to stop when that is too much. Give it "
            f"more room (max_records=, max_bytes=), or {instead}. Nothing of this record is committed."
        )

    def _pop(self) -> tuple[bytes, _Held]:
        _, entry = heappop(self._order)
        held = self._held.pop(entry)
        self._bytes -= len(entry) + held.size_bytes
        self._dirty[entry] = None
        return entry, held

    def _leave(self, leaving: list[tuple[bytes, _Held]]) -> Batch | None:
        if self.node.until_close:
            leaving = [(entry, held) for entry, held in leaving if held.value is not None]
        pieces = (leaving[at : at + PIECE_ROWS] for at in range(0, len(leaving), PIECE_ROWS))
        self._leaving = map(self._batch, pieces)
        return self.more()

    def more(self) -> Batch | None:
        return next(self._leaving, None)

    def advance(self) -> Batch | None:
        return self._leave(list(self._due()))

    def _batch(self, leaving: list[tuple[bytes, _Held]]) -> Batch:
        decode = self._values.decode
        made = Batch(
            offsets=no_offsets(len(leaving)),
            timestamps=np.array([held.timestamp for _, held in leaving], np.int64),
            keys=[self._key(entry) for entry, _ in leaving],
            values=[None if held.value is None else decode(held.value) for _, held in leaving],
            headers=[held.headers for _, held in leaving] if any(held.headers for _, held in leaving) else None,
            partition=self.context.partition,
            value_type=self.node.value_type,
        )
        if not self.node.sends_old:
            return made
        return made.with_olds([None if held.prior is None else decode(held.prior) for _, held in leaving])

    # -- keys: those of windows as key, end and start, whose bytes sort as in Kafka Streams (`WindowKeySchema`,
    # `SessionKeySchema`): of two keys that begin alike the shorter first, and sessions by their end

    def _entry(self, key: Any) -> bytes:
        if not self.node.windowed:
            return self._keys.encode(key)
        return self._keys.encode(key.key) + _WINDOW.pack(key.end, key.start)

    def _key(self, entry: bytes) -> Any:
        if not self.node.windowed:
            return self._keys.decode(entry)
        end, start = _WINDOW.unpack_from(entry, len(entry) - _WINDOW.size)
        return Windowed(self._keys.decode(entry[: -_WINDOW.size]), start, end)

    # -- the table

    def lookup(self, keys: Sequence[Any]) -> list[Found]:
        """Of what is held back, the value that left last."""
        above = self.context.operators[self.node.parents[0].name].lookup(keys)
        return [self._seen(key, found) for key, found in zip(keys, above, strict=True)]

    def _seen(self, key: Any, above: Found) -> Found:
        held = None if key is None else self._held.get(self._entry(key))
        if held is None:
            return above
        return None if held.prior is None else (self._values.decode(held.prior), UNKNOWN_TIME)

    def save(self) -> Iterator[None]:
        changed = list(self._dirty)
        self._dirty.clear()
        self.context.save_clock(self.node.name, self._observed)
        for at in range(0, len(changed), PIECE_ROWS):
            entries = changed[at : at + PIECE_ROWS]
            held = [self._held.get(entry) for entry in entries]
            payloads = [None if one is None else msgspec.msgpack.encode(one) for one in held]
            times = [self._observed if one is None else one.timestamp for one in held]
            self.context.stores.put_many(self._store, entries, payloads, times)
            yield
