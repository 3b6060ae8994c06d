"""Record batches against other people's: aiokafka's (compiled and plain Python) and kafka-python's, both ways."""

from __future__ import annotations

import struct
import warnings
from collections.abc import Iterator
from typing import Any, NamedTuple, TypeAlias

import aiokafka.codec
import numpy as np
import pytest
from aiokafka.record import default_records as aiokafka_records
from aiokafka.record.control_record import ABORT_MARKER, COMMIT_MARKER, ControlRecord
from hypothesis import given, settings
from hypothesis import strategies as st

from broker_embedded.records import Records, decode, encode, encode_control, set_offset, verify
from broker_embedded.records.compression import CODECS

with warnings.catch_warnings():
    # It reads its schemas through importlib.resources.read_text when it is imported.
    warnings.simplefilter("ignore", DeprecationWarning)
    import kafka.codec
    import kafka.record.default_records as kafka_python

# Which reader and builder each of them has.
ORACLES: dict[str, tuple[Any, Any]] = {
    "aiokafka": (aiokafka_records.DefaultRecordBatch, aiokafka_records.DefaultRecordBatchBuilder),
    "aiokafka in Python": (aiokafka_records._DefaultRecordBatchPy, aiokafka_records._DefaultRecordBatchBuilderPy),
    "kafka-python": (kafka_python.DefaultRecordBatch, kafka_python.DefaultRecordBatchBuilder),
}

# kafka-python wants a package for each of these, which we do not require; it gets aiokafka's functions in their place,
# so that its record code is tried with every codec. What the functions do is tested in test_compression.py.
BORROWED = {"snappy": "python-snappy", "lz4": "lz4", "zstd": "zstandard"}


@pytest.fixture(autouse=True, scope="module")
def borrowed_codecs() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for codec in BORROWED:
            patch.setattr(kafka.codec, f"has_{codec}", lambda: True)
            for direction in ("encode", "decode"):
                name = f"{codec}_{direction}"
                patch.setattr(kafka_python, name, getattr(aiokafka.codec, name))
        yield


# A number stands for a field of that many bytes: at the edges of a varint's width.
Field: TypeAlias = bytes | int | None
FIELD = st.none() | st.binary(max_size=6) | st.sampled_from([63, 64, 127, 8191, 8192])
HEADERS = st.lists(st.tuples(st.text(max_size=4), FIELD), max_size=2)


class Sample(NamedTuple):
    """Up to 120 records, few of them different."""

    different: list[tuple[Field, Field, list[tuple[str, Field]]]]
    repeat: int
    times: list[int]
    offset_step: int

    def rows(self) -> list[tuple[int, int, bytes | None, bytes | None, list[tuple[str, bytes | None]]]]:
        """Offset, timestamp, key, value, headers."""
        return [
            (
                self.offset_step * index,
                self.times[index % len(self.times)],
                made(key),
                made(value),
                [(name, made(header)) for name, header in headers],
            )
            for index, (key, value, headers) in enumerate(self.different * self.repeat)
        ]


def made(field: Field) -> bytes | None:
    return b"x" * field if isinstance(field, int) else field


SAMPLES = st.builds(
    Sample,
    st.lists(st.tuples(FIELD, FIELD, HEADERS), min_size=1, max_size=4),
    st.sampled_from([1, 3, 30]),
    st.lists(st.integers(0, 2**42), min_size=1, max_size=5),
    st.sampled_from([1, 1, 70, 10_000]),
)


def ours(rows: list[tuple[Any, ...]], **fields: Any) -> bytearray:
    offsets, times, keys, values, headers = (list(column) for column in zip(*rows, strict=True))
    return encode(keys, values, times, headers, offsets=offsets, **fields)


def theirs(builder: Any, rows: list[tuple[Any, ...]], codec: str = "none", **fields: Any) -> bytes:
    settings = {"is_transactional": 0, "producer_id": -1, "producer_epoch": -1, "base_sequence": -1} | fields
    batch = builder(magic=2, compression_type=CODECS.index(codec), batch_size=2**30, **settings)
    for row in rows:
        assert batch.append(*row) is not None
    return bytes(batch.build())


def read_by(reader: Any, batch: bytes | bytearray) -> list[tuple[Any, ...]]:
    found = reader(bytes(batch))
    assert found.validate_crc()
    return [(r.offset, r.timestamp, r.key, r.value, [tuple(header) for header in r.headers]) for r in found]


def read_by_us(batch: bytes | bytearray) -> list[tuple[Any, ...]]:
    verify(batch)
    found: Records = decode(batch)
    columns = (found.offsets.tolist(), found.timestamps.tolist(), found.keys(), found.values(), found.headers())
    return list(zip(*columns, strict=True))


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("oracle", ORACLES)
@settings(max_examples=30, deadline=None)
@given(sample=SAMPLES)
def test_they_read_ours_and_we_read_theirs(oracle: str, codec: str, sample: Sample) -> None:
    reader, builder = ORACLES[oracle]
    rows = sample.rows()
    assert read_by(reader, ours(rows, codec=codec)) == rows
    assert read_by_us(theirs(builder, rows, codec)) == rows


@pytest.mark.parametrize("oracle", ORACLES)
@settings(max_examples=30, deadline=None)
@given(sample=SAMPLES)
def test_uncompressed_every_byte_is_the_same(oracle: str, sample: Sample) -> None:
    """Except for the leader epoch, where they leave 0 or -1; the broker sets it."""
    rows = sample.rows()
    batch = bytearray(theirs(ORACLES[oracle][1], rows))
    set_offset(batch, 0, -1)
    assert batch == ours(rows)


@pytest.mark.parametrize("oracle", ORACLES)
def test_a_large_batch(oracle: str) -> None:
    reader, builder = ORACLES[oracle]
    rows = [(i, 1_700_000_000_000 + 3 * i, b"user-%05d" % (i % 977), b'{"n": %d}' % i, []) for i in range(20_000)]
    assert read_by(reader, ours(rows)) == rows
    assert read_by_us(theirs(builder, rows, "zstd")) == rows


@pytest.mark.parametrize("oracle", ORACLES)
def test_values_of_megabytes(oracle: str) -> None:
    reader, builder = ORACLES[oracle]
    rows = [(0, 5, None, bytes(2_500_000), []), (1, 4, np.arange(200_000).tobytes(), None, [("h", bytes(300_000))])]
    assert read_by(reader, ours(rows, codec="snappy")) == rows
    assert read_by_us(theirs(builder, rows, "lz4")) == rows


@pytest.mark.parametrize("oracle", ORACLES)
def test_fields_of_transactional_producers(oracle: str) -> None:
    reader, builder = ORACLES[oracle]
    fields = {"producer_id": 2**40, "producer_epoch": 7, "base_sequence": 2**31 - 1}
    rows = [(0, 5, b"k", b"v", []), (1, 3, b"k", b"v", [])]
    found = reader(bytes(ours(rows, is_transactional=True, **fields)))
    assert {name: getattr(found, name) for name in fields} == fields
    assert found.is_transactional
    assert not found.is_control_batch
    assert (found.first_timestamp, found.max_timestamp, found.last_offset_delta, found.next_offset) == (5, 5, 1, 2)
    header = verify(theirs(builder, rows, is_transactional=1, **fields))
    assert {name: getattr(header, name) for name in fields} == fields
    assert header.is_transactional
    assert (header.base_timestamp, header.max_timestamp, header.last_offset_delta, header.next_offset) == (5, 5, 1, 2)


@pytest.mark.parametrize("oracle", ORACLES)
def test_log_append_time(oracle: str) -> None:
    batch = ours([(0, 5, None, b"v", []), (1, 9, None, b"v", [])])
    struct.pack_into(">h", batch, 21, 0x08)
    struct.pack_into(">I", batch, 17, aiokafka_records.calc_crc32c(bytes(batch[21:])))
    assert [timestamp for _, timestamp, *_ in read_by(ORACLES[oracle][0], batch)] == [9, 9]
    assert decode(batch).timestamps.tolist() == [9, 9]


@pytest.mark.parametrize("commit", [True, False])
def test_control_batches(commit: bool) -> None:
    batch = bytes(
        encode_control(
            commit=commit, producer_id=5, producer_epoch=2, coordinator_epoch=7, timestamp=1_000, base_offset=40
        )
    )
    for reader, _ in ORACLES.values():
        found = reader(batch)
        assert found.validate_crc()
        assert found.is_control_batch
        assert found.is_transactional
        assert (found.producer_id, found.producer_epoch, found.base_offset) == (5, 2, 40)
        (record,) = found
        assert ControlRecord.parse(record.key) == (COMMIT_MARKER if commit else ABORT_MARKER)
    (record,) = kafka_python.DefaultRecordBatch(batch)
    assert (record.version, record.commit, record.abort) == (0, commit, not commit)
