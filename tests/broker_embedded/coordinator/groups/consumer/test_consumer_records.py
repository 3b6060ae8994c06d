"""Records of consumer groups: the bytes are those of Kafka 4.3.1's own classes, and reading gives what was written."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker_embedded.coordinator.fields import UnknownRecordError
from broker_embedded.coordinator.groups.consumer import records
from broker_embedded.coordinator.groups.consumer.changes import changes, tombstones
from broker_embedded.coordinator.groups.consumer.member import ClassicMember, Member, MemberState
from broker_embedded.coordinator.groups.consumer.records import Key, Kind, decode_key, encode_key, replay
from broker_embedded.coordinator.groups.consumer.state import Resolved, State

TOPIC = UUID(int=(0x1234 << 64) + 0x5678)

KEYS = [
    (Key(Kind.GROUP, "g"), "0003000167"),
    (Key(Kind.PARTITION_METADATA, "g"), "0004000167"),
    (Key(Kind.MEMBER, "g", "m"), "000500016700016d"),
    (Key(Kind.TARGET_EPOCH, "g"), "0006000167"),
    (Key(Kind.TARGET, "g", "m"), "000700016700016d"),
    (Key(Kind.CURRENT, "g", "m"), "000800016700016d"),
    (Key(Kind.REGEX, "g", "a.*"), "00100001670003612e2a"),
]


@pytest.mark.parametrize(("key", "expected"), KEYS, ids=[key.kind.name for key, _ in KEYS])
def test_keys_are_those_of_kafka(key: Key, expected: str) -> None:
    assert encode_key(key).hex() == expected
    assert decode_key(bytes.fromhex(expected)) == key


MEMBER = Member(
    "m",
    instance_id="i",
    client_id="c",
    client_host="/127.0.0.1",
    topics=frozenset({"b", "a"}),
    regex="x.*",
    rebalance_timeout_ms=300_000,
    assignor="range",
)
CLASSIC = Member(
    "m",
    rack_id="r",
    client_id="c",
    client_host="/127.0.0.1",
    rebalance_timeout_ms=1,
    classic=ClassicMember(45_000, (("range", b"\1\2\3"), ("p", b""))),
)
CURRENT = Member(
    "m",
    epoch=4,
    previous_epoch=3,
    state=MemberState.UNREVOKED_PARTITIONS,
    assigned={(TOPIC, 0): 3, (TOPIC, 2): 4},
    revoking={(TOPIC, 1): 2},
)

VALUES: dict[str, tuple[Kind, Callable[[State], bytes], State, str]] = {
    "group": (
        Kind.GROUP,
        records.encode_group,
        State(epoch=7, metadata_hash=-5),
        "000000000007010008fffffffffffffffb",
    ),
    "group without hash": (Kind.GROUP, records.encode_group, State(epoch=7), "00000000000700"),
    "target epoch": (
        Kind.TARGET_EPOCH,
        records.encode_target_epoch,
        State(assignment_epoch=7, assigned_ms=1_700_000_000_000),
        "0000000000070100080000018bcfe56800",
    ),
    "target epoch without time": (
        Kind.TARGET_EPOCH,
        records.encode_target_epoch,
        State(assignment_epoch=7),
        "00000000000700",
    ),
    "member": (
        Kind.MEMBER,
        lambda state: records.encode_member(state.members["m"]),
        State(members={"m": MEMBER}),
        "000002690002630b2f3132372e302e302e31030261026204782e2a000493e00672616e676501000100",
    ),
    "classic member": (
        Kind.MEMBER,
        lambda state: records.encode_member(state.members["m"]),
        State(members={"m": CLASSIC}),
        "000000027202630b2f3132372e302e302e3101010000000100010016010000afc8030672616e676504010203000270010000",
    ),
    "target": (
        Kind.TARGET,
        lambda state: records.encode_target(state.targets["m"]),
        State(targets={"m": frozenset({(TOPIC, 2), (TOPIC, 0)})}),
        "000002000000000000123400000000000056780300000000000000020000",
    ),
    "current": (
        Kind.CURRENT,
        lambda state: records.encode_current(state.members["m"]),
        State(members={"m": CURRENT}),
        "0000000000040000000301020000000000001234000000000000567803000000000000000201000903000000030000000402000000"
        "000000123400000000000056780200000001010005020000000200",
    ),
    "regex": (
        Kind.REGEX,
        lambda state: records.encode_regex(state.regexes["m"]),
        State(regexes={"m": Resolved(frozenset({"ab", "a"}), 12, 1_700_000_000_000)}),
        "0000030261036162000000000000000c0000018bcfe5680000",
    ),
}


@pytest.mark.parametrize("name", VALUES)
def test_values_are_those_of_kafka(name: str) -> None:
    kind, encode, state, expected = VALUES[name]
    assert encode(state).hex() == expected
    found = State()
    replay(found, Key(kind, "g", "m"), bytes.fromhex(expected))
    assert found == state


def test_partitions_without_epochs_get_that_of_the_member() -> None:
    """As Kafka wrote them up to 4.2."""
    value = "00000000000400000003000200000000000012340000000000005678030000000000000002000100"
    state = State()
    replay(state, Key(Kind.CURRENT, "g", "m"), bytes.fromhex(value))
    assert state.members["m"].assigned == {(TOPIC, 0): 4, (TOPIC, 2): 4}


def test_members_as_they_were_written_before_there_was_migration() -> None:
    value = "000002690002630b2f3132372e302e302e31030261026204782e2a000493e00672616e676500"
    state = State()
    replay(state, Key(Kind.MEMBER, "g", "m"), bytes.fromhex(value))
    assert state.members["m"] == MEMBER


def test_a_version_that_is_not_known_is_told() -> None:
    with pytest.raises(UnknownRecordError, match="GROUP record of group 'g' in version 1"):
        replay(State(), Key(Kind.GROUP, "g"), b"\0\1\0\0\0\0")


names = st.sampled_from("abcd")
partitions = st.tuples(st.sampled_from([TOPIC, UUID(int=1)]), st.integers(0, 5))
epochs = st.integers(0, 9)
members = st.builds(
    Member,
    st.just("replaced below"),
    instance_id=st.none() | st.text(min_size=1),
    rack_id=st.none() | st.text(),
    client_id=st.text(),
    client_host=st.text(),
    topics=st.frozensets(st.text()),
    regex=st.text(),
    rebalance_timeout_ms=st.integers(-1, 2**31 - 1),
    assignor=st.none() | st.sampled_from(["uniform", "range"]),
    classic=st.none() | st.builds(ClassicMember, epochs, st.tuples(st.tuples(st.text(), st.binary()))),
    epoch=st.integers(-2, 9),
    previous_epoch=st.integers(-1, 9),
    state=st.sampled_from(MemberState),
    assigned=st.dictionaries(partitions, epochs),
    revoking=st.dictionaries(partitions, epochs),
)
resolved = st.builds(Resolved, st.frozensets(st.text()), epochs, st.integers(0, 2**62))
states = st.builds(
    State,
    epoch=epochs,
    metadata_hash=st.integers(-(2**63), 2**63 - 1),
    assignment_epoch=epochs,
    assigned_ms=st.integers(0, 2**62),
    members=st.dictionaries(names, members).map(
        lambda found: {name: replace(member, member_id=name) for name, member in found.items()}
    ),
    targets=st.dictionaries(names, st.frozensets(partitions)),
    regexes=st.dictionaries(st.text(min_size=1), resolved),
)


def compacted(*batches: list[tuple[bytes, bytes | None]]) -> State:
    """What a log with these rows tells, once compacted."""
    newest = {key: value for batch in batches for key, value in batch}
    state = State()
    for key, value in sorted(newest.items()):
        if value is not None:
            replay(state, decode_key(key), value)
    return state


@settings(max_examples=40)
@given(states, states)
def test_changes_lead_from_one_state_to_the_next(old: State, new: State) -> None:
    written = changes("g", State(), old)
    assert compacted(written) == old
    assert compacted(written, changes("g", old, new)) == new
    assert changes("g", new, new.copy()) == []


@settings(max_examples=20)
@given(states)
def test_nothing_is_left_of_a_group_that_is_removed(state: State) -> None:
    assert compacted(changes("g", State(), state), tombstones("g", state)) == State()


def test_metadata_of_partitions_goes_with_the_next_change() -> None:
    old = State(epoch=1, has_partition_metadata=True)
    assert [decode_key(key).kind for key, _ in changes("g", old, State(epoch=2))] == [
        Kind.PARTITION_METADATA,
        Kind.GROUP,
    ]
