"""The bytes of metadata records: as Apache Kafka 4.3.1 wrote them, and whatever they hold."""

from __future__ import annotations

import json
import re
import struct
from base64 import b64encode
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker_embedded.log.checkpoints import uuid_text
from broker_embedded.metadata import control
from broker_embedded.metadata import records as r

ROWS = [json.loads(line) for line in (Path(__file__).parent / "kafka_records.jsonl").read_text().splitlines()]
"""Values of a metadata log, and what Kafka's DumpLogSegments says about them."""


def as_kafka_prints(value: Any) -> Any:
    if isinstance(value, msgspec.Struct):
        fields = ((name, getattr(value, name)) for name in value.__struct_fields__)
        return {re.sub(r"_(\w)", lambda found: found[1].upper(), name): as_kafka_prints(item) for name, item in fields}
    if isinstance(value, list):
        return [as_kafka_prints(item) for item in value]
    if isinstance(value, bytes):
        return b64encode(value).decode()
    return uuid_text(value) if isinstance(value, UUID) else value


@pytest.mark.parametrize("row", ROWS, ids=[f"{row['type']}-{row['version']}" for row in ROWS])
def test_records_of_kafka_are_read(row: dict[str, Any]) -> None:
    record = r.decode(bytes.fromhex(row["hex"]))
    words = [word.capitalize() for word in row["type"].split("_")]
    assert type(record).__name__ == "".join(words)
    printed = as_kafka_prints(record)
    shown = {name: printed[name] for name in row["data"]}  # it leaves out tagged fields that are not there
    assert shown == row["data"]


@pytest.mark.parametrize("row", ROWS, ids=[f"{row['type']}-{row['version']}" for row in ROWS])
def test_they_are_written_the_same(row: dict[str, Any]) -> None:
    """But for the version, which is the lowest that holds what is set."""
    data = bytes.fromhex(row["hex"])
    written = r.encode(r.decode(data))
    assert (written[:2], written[3:]) == (data[:2], data[3:])
    assert written[2] <= data[2]


def values_of(hint: Any) -> st.SearchStrategy[Any]:
    if get_origin(hint) is Annotated:
        layouts = [note for note in hint.__metadata__ if isinstance(note, struct.Struct)]
        return numbers(layouts[0].format) if layouts else values_of(get_args(hint)[0])
    if get_origin(hint) is list:
        return st.lists(values_of(get_args(hint)[0]), max_size=3)
    if get_args(hint):
        return st.one_of(values_of(option) for option in get_args(hint))
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        return structs(hint)
    kinds = {str: st.text(max_size=200), bytes: st.binary(max_size=200), UUID: st.uuids(), type(None): st.none()}
    return kinds[hint]


def numbers(layout: str) -> st.SearchStrategy[Any]:
    if layout == ">?":
        return st.booleans()
    if layout == ">d":
        return st.floats(allow_nan=False)
    bits = 8 * struct.calcsize(layout)
    if layout[1].isupper():
        return st.integers(0, 2**bits - 1)
    return st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)


def structs(kind: type[msgspec.Struct]) -> st.SearchStrategy[Any]:
    fields = {info.encode_name: values_of(info.type) for info in msgspec.structs.fields(kind)}
    return st.fixed_dictionaries(fields).map(lambda values: kind(**values))


@given(st.sampled_from(list(r.RECORDS.values())).flatmap(structs))
def test_what_is_written_is_read(record: r.Record) -> None:
    assert r.decode(r.encode(record)) == record


@given(st.sampled_from(list(r.RECORDS.values())).flatmap(structs), st.data())
def test_damage_is_told(record: r.Record, data: st.DataObject) -> None:
    """Or reads as something else, where nothing can tell; no other error comes out."""
    whole = r.encode(record)
    damaged = bytearray(whole[: data.draw(st.integers(0, len(whole)))])
    for _ in range(data.draw(st.integers(0, 3))):
        if damaged:
            damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    try:
        r.decode(bytes(damaged))
    except r.UnknownMetadataError:
        return


@pytest.mark.parametrize(
    ("data", "match"),
    [
        ("01630000", "kind 99 in version 0.*a newer Kafka wrote it"),
        ("01030900", "kind 3 in version 9"),
        ("02140000", r"\(frame 2\)"),
        ("0114000000", "NoOpRecord is followed by 1 bytes"),
        ("010200", "damaged"),
        ("", "damaged"),
    ],
)
def test_what_is_not_known_is_told(data: str, match: str) -> None:
    with pytest.raises(r.UnknownMetadataError, match=match):
        r.decode(bytes.fromhex(data))


def test_unknown_tagged_fields_are_passed_over() -> None:
    assert r.decode(bytes.fromhex("01140001630100")) == r.NoOpRecord()


def test_control_batches() -> None:
    """Kafka's own: header, footer, quorum."""
    voters = control.Voters(
        voters=[
            control.QuorumVoter(
                voter_id=1,
                voter_directory_id=UUID(int=5),
                endpoints=[control.VoterEndpoint(name="CONTROLLER", host="localhost", port=9093)],
                kraft_version_feature=control.VersionRange(min_supported_version=0, max_supported_version=1),
            )
        ]
    )
    messages = [
        control.SnapshotHeader(last_contained_log_timestamp=7),
        control.KRaftVersion(kraft_version=1),
        voters,
        control.SnapshotFooter(),
    ]
    assert control.decode_control(memoryview(control.encode_control(messages, 5))) == messages


def test_a_change_of_the_leader_is_as_kafka_writes_it() -> None:
    voters = [control.Voter(voter_id=1)]
    batch = control.encode_control([control.LeaderChange(leader_id=1, voters=voters, granting_voters=voters)], 0)
    assert batch[61:].hex() == "3a0000000800000002260000000000010200000001000200000001000000"
    assert control.decode_control(memoryview(batch)) == []
