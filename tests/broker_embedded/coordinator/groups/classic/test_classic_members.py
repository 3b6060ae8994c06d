"""SyncGroup, Heartbeat, LeaveGroup, commits: what members of a generation do."""

from __future__ import annotations

from typing import Any

import pytest

from broker_embedded.errors import KafkaError, KafkaStorageError

NOT_COORDINATOR, ILLEGAL_GENERATION, INCONSISTENT_GROUP_PROTOCOL, UNKNOWN_MEMBER_ID = 16, 22, 23, 25
REBALANCE_IN_PROGRESS, GROUP_ID_NOT_FOUND, FENCED_INSTANCE_ID = 27, 69, 82


async def joined(party: Any, count: int = 2) -> list[str]:
    """Members of generation 1 that have not sent SyncGroup; the leader first."""
    joins = [await party.come() for _ in range(count)]
    for _ in joins:
        await party.pass_ms(3_000)
    assert {task.result().generation_id for _, task in joins} == {1}
    return [member_id for member_id, _ in joins]


async def test_followers_wait_for_the_leader(party: Any, settle: Any) -> None:
    leader, follower = await joined(party)
    waiting = party.sync(follower, 1)
    await settle()
    assert not waiting.done()
    own = await party.sync(leader, 1, {leader: b"0", follower: b"1"})
    assert (own.assignment, (await waiting).assignment) == (b"0", b"1")
    assert (own.protocol_type, own.protocol_name) == ("consumer", "range")
    assert (await party.sync(follower, 1)).assignment == b"1"  # again, as the answer was lost


async def test_whom_the_leader_leaves_out_has_nothing(party: Any) -> None:
    leader, follower = await joined(party)
    waiting = party.sync(follower, 1)
    await party.sync(leader, 1, {leader: b"0", "stranger": b"1"})
    assert ((await waiting).error_code, (await waiting).assignment) == (0, b"")


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"member_id": "stranger"}, UNKNOWN_MEMBER_ID),
        ({"generation": 0}, ILLEGAL_GENERATION),
        ({"generation": 2}, ILLEGAL_GENERATION),
        ({"protocol_type": "connect"}, INCONSISTENT_GROUP_PROTOCOL),
        ({"protocol_name": "other"}, INCONSISTENT_GROUP_PROTOCOL),
        ({"protocol_name": None}, INCONSISTENT_GROUP_PROTOCOL),
        ({"group_instance_id": "i"}, UNKNOWN_MEMBER_ID),
    ],
)
async def test_a_sync_is_checked(party: Any, fields: dict[str, Any], code: int) -> None:
    (member,) = await joined(party, 1)
    assert (await party.sync(**{"member_id": member, "generation": 1} | fields)).error_code == code


async def test_a_sync_comes_too_late_in_the_next_rebalance(party: Any) -> None:
    (member,), generation = await party.stable()
    await party.come()
    assert (await party.sync(member, generation)).error_code == REBALANCE_IN_PROGRESS


async def test_nobody_knows_a_group_that_does_not_exist(party: Any) -> None:
    assert (await party.sync("m", 1)).error_code == UNKNOWN_MEMBER_ID
    assert await party.heartbeat("m", 1) == UNKNOWN_MEMBER_ID
    assert await party.leave(("m", None), ("", "i")) == [UNKNOWN_MEMBER_ID] * 2
    assert party.cluster.groups.all() == []


async def test_members_that_do_not_sync_are_out(party: Any, settle: Any) -> None:
    leader, follower = await joined(party)
    for _ in range(6):
        await party.pass_ms(9_000)
        assert [await party.heartbeat(member, 1) for member in (leader, follower)] == [0, 0]
    waiting = party.sync(follower, 1)
    await settle()
    await party.pass_ms(6_000)
    assert (await waiting).error_code == REBALANCE_IN_PROGRESS
    assert await party.heartbeat(leader, 1) == UNKNOWN_MEMBER_ID
    assert (await party.join(follower)).leader == follower


async def test_also_after_the_group_is_stable(party: Any) -> None:
    leader, follower = await joined(party)
    await party.sync(leader, 1, {leader: b"0", follower: b"1"})
    for _ in range(7):
        await party.pass_ms(9_000)
        codes = [await party.heartbeat(member, 1) for member in (leader, follower)]
    assert codes == [REBALANCE_IN_PROGRESS, UNKNOWN_MEMBER_ID]


async def test_an_assignment_that_cannot_be_written_is_none(party: Any, fail_at: Any) -> None:
    leader, follower = await joined(party)
    waiting = party.sync(follower, 1)
    with fail_at(0, KafkaStorageError("no space left")):
        assert (await party.sync(leader, 1, {leader: b"0"})).error_code == NOT_COORDINATOR
    assert (await waiting).error_code == NOT_COORDINATOR
    assert await party.state() == "PreparingRebalance"
    tasks = [party.join(member) for member in (leader, follower)]
    assert {(await task).generation_id for task in tasks} == {2}


async def test_a_group_that_cannot_be_written_is_none(party: Any, fail_at: Any) -> None:
    with fail_at(0, KafkaStorageError("no space left")):
        assert (await party.join()).error_code == NOT_COORDINATOR
    assert party.cluster.groups.all() == []
    await party.stable()


# Heartbeats


async def test_heartbeats_keep_a_member(party: Any) -> None:
    (member,), generation = await party.stable()
    for _ in range(3):
        await party.pass_ms(9_999)
        assert await party.heartbeat(member, generation) == 0
    await party.pass_ms(10_000)
    assert await party.heartbeat(member, generation) == UNKNOWN_MEMBER_ID
    assert await party.state() == "Empty"


async def test_commits_do_as_well(party: Any) -> None:
    (member,), generation = await party.stable()
    for _ in range(3):
        await party.pass_ms(9_999)
        assert await party.commit(member, generation) == 0


@pytest.mark.parametrize(
    ("generation", "instance", "code"),
    [(0, None, ILLEGAL_GENERATION), (2, None, ILLEGAL_GENERATION), (1, "i", UNKNOWN_MEMBER_ID), (1, None, 0)],
)
async def test_a_heartbeat_is_checked(party: Any, generation: int, instance: str | None, code: int) -> None:
    (member,), _ = await party.stable()
    assert await party.heartbeat(member, generation, instance) == code


async def test_a_silent_member_is_missed_at_once(party: Any) -> None:
    (member, silent), generation = await party.stable(2)
    await party.pass_ms(6_000)
    await party.heartbeat(member, generation)
    await party.pass_ms(4_000)
    assert await party.heartbeat(member, generation) == REBALANCE_IN_PROGRESS
    answer = await party.join(member)
    assert [row.member_id for row in answer.members] == [member]
    assert silent != member


# Leaving


async def test_who_leaves_is_gone_at_once(party: Any) -> None:
    (leader, follower), generation = await party.stable(2)
    assert await party.leave((leader, None)) == [0]
    assert await party.heartbeat(follower, generation) == REBALANCE_IN_PROGRESS
    assert (await party.join(follower)).leader == follower
    assert await party.leave((leader, None)) == [UNKNOWN_MEMBER_ID]


async def test_several_leave_with_one_rebalance(party: Any) -> None:
    ids, generation = await party.stable(3)
    assert await party.leave((ids[0], None), ("stranger", None), (ids[1], None)) == [0, UNKNOWN_MEMBER_ID, 0]
    answer = await party.join(ids[2])
    assert (answer.generation_id, len(answer.members)) == (generation + 1, 1)


async def test_the_last_one_leaves_an_empty_group(party: Any) -> None:
    (member,), generation = await party.stable()
    await party.leave((member, None))
    row = await party.describe()
    assert (row.group_state, row.protocol_type, row.members) == ("Empty", "consumer", [])
    assert party.cluster.groups.get("g").generation == generation + 1


async def test_who_waits_to_join_is_answered_when_sent_away(party: Any) -> None:
    (member,), _ = await party.stable()
    newcomer_id, newcomer = await party.come()
    assert await party.leave((newcomer_id, None)) == [0]
    assert (await newcomer).error_code == UNKNOWN_MEMBER_ID
    assert (await party.join(member)).error_code == 0


async def test_all_may_leave_in_the_first_rebalance(party: Any) -> None:
    member, task = await party.come()
    await party.leave((member, None))
    assert (await task).error_code == UNKNOWN_MEMBER_ID
    await party.pass_ms(3_000)
    assert await party.state() == "Empty"
    await party.stable()


# Commits


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({}, UNKNOWN_MEMBER_ID),  # a simple client beside members
        ({"member_id": "stranger", "generation": 1}, UNKNOWN_MEMBER_ID),
        ({"member_id": "m", "generation": 0}, ILLEGAL_GENERATION),
        ({"member_id": "m", "generation": -1}, ILLEGAL_GENERATION),
        ({"member_id": "m", "generation": 1, "group_instance_id": "i"}, UNKNOWN_MEMBER_ID),
        ({"member_id": "m", "generation": 1}, 0),
    ],
)
async def test_members_commit_and_nobody_else(party: Any, fields: dict[str, Any], code: int) -> None:
    (member,), _ = await party.stable()
    if fields.get("member_id") == "m":
        fields = fields | {"member_id": member}
    assert await party.commit(**fields) == code


@pytest.mark.parametrize(("version", "code"), [(8, ILLEGAL_GENERATION), (9, GROUP_ID_NOT_FOUND)])
async def test_a_member_of_no_group(party: Any, version: int, code: int) -> None:
    assert await party.commit("m", 1, version=version) == code
    assert await party.commit() == 0
    assert await party.commit("m", 1, version=version) == UNKNOWN_MEMBER_ID  # now there is one


async def test_commits_during_a_rebalance(party: Any) -> None:
    """With the old generation until the new one begins: what was read is read. Then not until the assignment."""
    (member,), generation = await party.stable()
    await party.come()
    assert await party.commit(member, generation) == 0
    await party.join(member)
    assert await party.commit(member, generation) == ILLEGAL_GENERATION
    assert await party.commit(member, generation + 1) == REBALANCE_IN_PROGRESS


async def test_a_simple_client_commits_to_an_empty_group(party: Any) -> None:
    (member,), _ = await party.stable()
    await party.leave((member, None))
    assert await party.commit() == 0


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("", -1, None), 0),  # older transactional clients name no member
        (("m", 1, None), 0),
        (("m", 0, None), ILLEGAL_GENERATION),
        (("stranger", 1, None), UNKNOWN_MEMBER_ID),
        (("m", 1, "i"), UNKNOWN_MEMBER_ID),
    ],
)
async def test_commits_in_transactions(party: Any, arguments: tuple[str, int, str | None], code: int) -> None:
    (member,), _ = await party.stable()
    member_id = member if arguments[0] == "m" else arguments[0]
    if code == 0:
        party.cluster.groups.check_commit("g", member_id, *arguments[1:], transactional=True, api_version=3)
        return
    with pytest.raises(KafkaError) as raised:
        party.cluster.groups.check_commit("g", member_id, *arguments[1:], transactional=True, api_version=3)
    assert raised.value.code == code
