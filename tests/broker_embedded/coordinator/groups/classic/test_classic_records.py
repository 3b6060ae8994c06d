"""Classic groups in `__consumer_offsets`: bytes, restarts, removal."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker_embedded.coordinator.fields import UnknownRecordError
from broker_embedded.coordinator.groups.classic.records import (
    GroupValue,
    MemberValue,
    decode_group_key,
    decode_group_value,
    encode_group_key,
    encode_group_value,
)
from broker_embedded.coordinator.groups.classic.subscription import subscribed_topics

UNKNOWN_MEMBER_ID, REBALANCE_IN_PROGRESS = 25, 27

names, blobs = st.text(max_size=20), st.binary(max_size=20)
int32, int64 = st.integers(0, 2**31 - 1), st.integers(-1, 2**63 - 1)
maybe_names = st.none() | names
members = st.builds(MemberValue, names, maybe_names, names, names, int32, int32, blobs, blobs)


@given(names)
def test_keys_round_trip(group_id: str) -> None:
    assert decode_group_key(encode_group_key(group_id)) == group_id


@given(st.builds(GroupValue, names, int32, maybe_names, maybe_names, int64, st.lists(members, max_size=3).map(tuple)))
def test_values_round_trip(value: GroupValue) -> None:
    assert decode_group_value(encode_group_value(value)) == value


MEMBER = MemberValue("m", None, "c", "/h", 9, 8, b"s", b"a")
VALUE = GroupValue("consumer", 7, "range", "m", 6, (MEMBER,))


def test_bytes_of_a_group() -> None:
    assert encode_group_key("g").hex() == "0002000167"
    assert encode_group_value(VALUE).hex() == (
        "0003" "0008636f6e73756d6572" "00000007" "000572616e6765" "00016d" "0000000000000006" "00000001"
        "00016d" "ffff" "000163" "00022f68" "00000009" "00000008" "0000000173" "0000000161"
    )  # fmt: skip


@pytest.mark.parametrize("version", range(5))
def test_other_versions(version: int) -> None:
    compact = version == 4
    tags = b"\0" if compact else b""

    def text(data: bytes, layout: str = ">h") -> bytes:
        return bytes([len(data) + 1]) + data if compact else struct.pack(layout, len(data)) + data

    data = struct.pack(">h", version) + text(b"consumer") + struct.pack(">i", 7) + text(b"range") + text(b"m")
    data += struct.pack(">q", 6) if version >= 2 else b""
    data += (b"\2" if compact else struct.pack(">i", 1)) + text(b"m")
    data += {3: b"\xff\xff", 4: b"\0"}.get(version, b"")
    data += text(b"c") + text(b"/h") + (struct.pack(">i", 9) if version >= 1 else b"") + struct.pack(">i", 8)
    data += text(b"s", ">i") + text(b"a", ">i") + tags + tags
    member = MEMBER if version >= 1 else MEMBER._replace(rebalance_timeout_ms=8)
    expected = VALUE._replace(members=(member,), state_since_ms=6 if version >= 2 else -1)
    assert decode_group_value(data) == expected


def test_unknown_versions_are_named() -> None:
    with pytest.raises(UnknownRecordError, match="version 5"):
        decode_group_value(struct.pack(">h", 5))


@pytest.mark.parametrize(
    ("metadata", "topics"),
    [
        ([], set()),
        ([bytes.fromhex("0001 00000002 0001 61 0001 62 ffffffff 00000000")], {"a", "b"}),
        ([b"", b"\0"], None),
        ([bytes.fromhex("0000 00000001 0009 61")], None),
        ([bytes.fromhex("0000 00000001 0001 ff")], None),
        ([bytes.fromhex("0000 7fffffff 0001 61")], None),
    ],
)
def test_topics_in_metadata(metadata: list[bytes], topics: set[str] | None) -> None:
    found = subscribed_topics(metadata)
    assert (None if found is None else set(found)) == topics


# Restarts


@pytest.mark.parametrize("kill", [False, True])
async def test_a_stable_group_goes_on_after_a_restart(
    make_party: Any, party: Any, folder: Any, settle: Any, kill: bool
) -> None:
    ids, generation = await party.stable(2)
    before = await party.describe()
    if kill:
        folder.kill()
    else:
        await party.cluster.close()
    again = make_party()
    assert await again.describe() == before
    await again.pass_ms(9_999)
    assert [await again.heartbeat(member_id, generation) for member_id in ids] == [0, 0]
    assert (await again.sync(ids[1], generation)).assignment == ids[1].encode()
    assert await again.commit(ids[0], generation) == 0
    again.join(ids[0])
    await settle()
    assert await again.heartbeat(ids[1], generation) == REBALANCE_IN_PROGRESS


async def test_sessions_begin_anew_with_a_restart(make_party: Any, party: Any, folder: Any) -> None:
    (member,), generation = await party.stable()
    folder.kill()
    folder.clock.now += 1_000_000
    again = make_party()
    assert await again.heartbeat(member, generation) == 0
    await again.pass_ms(10_000)
    assert await again.heartbeat(member, generation) == UNKNOWN_MEMBER_ID


async def test_a_rebalance_cut_short_leaves_the_generation_before(make_party: Any, party: Any, folder: Any) -> None:
    (member,), generation = await party.stable()
    await party.come()
    await party.join(member)
    folder.kill()
    again = make_party()
    assert (await again.describe()).group_state == "Stable"
    assert await again.heartbeat(member, generation) == 0


async def test_a_static_member_s_new_id_outlives_a_restart(make_party: Any, party: Any, folder: Any) -> None:
    task = party.join(instance="a")
    await party.pass_ms(3_000)
    await party.pass_ms(3_000)
    await party.assign([task.result().member_id], task.result().member_id, 1)
    answer = await party.join(instance="a")
    folder.kill()
    again = make_party()
    assert await again.heartbeat(answer.member_id, 1, "a") == 0


async def test_an_empty_group_outlives_a_restart(make_party: Any, party: Any, folder: Any) -> None:
    (member,), _ = await party.stable()
    await party.leave((member, None))
    before = await party.describe()
    folder.kill()
    again = make_party()
    assert await again.describe() == before
    assert again.cluster.groups.get("g").generation == 2
    assert not again.cluster.groups.get("g").is_subscribed_to("t")


async def test_a_smaller_limit_is_heard_of(make_party: Any, party: Any, folder: Any) -> None:
    ids, generation = await party.stable(2)
    folder.kill()
    again = make_party(group_max_size=1)
    assert await again.heartbeat(ids[0], generation) == REBALANCE_IN_PROGRESS


async def test_records_of_unknown_kinds_are_left_alone(make_party: Any, party: Any, folder: Any) -> None:
    share_group = struct.pack(">hh1s", 11, 1, b"s")
    party.cluster.groups.write("s", [(share_group, b"\0\0\0\0\0\1\0")])
    folder.kill()
    assert make_party().cluster.groups.all() == []
