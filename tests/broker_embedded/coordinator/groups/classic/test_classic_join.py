"""JoinGroup: newcomers, the first rebalance, members that come again."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

COORDINATOR_NOT_AVAILABLE, INCONSISTENT_GROUP_PROTOCOL, INVALID_GROUP_ID, UNKNOWN_MEMBER_ID = 15, 23, 24, 25
INVALID_SESSION_TIMEOUT, REBALANCE_IN_PROGRESS, MEMBER_ID_REQUIRED, GROUP_MAX_SIZE_REACHED = 26, 27, 79, 81


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({}, MEMBER_ID_REQUIRED),
        ({"version": 4}, MEMBER_ID_REQUIRED),
        ({"session_timeout_ms": 5_999}, INVALID_SESSION_TIMEOUT),
        ({"session_timeout_ms": 1_800_001}, INVALID_SESSION_TIMEOUT),
        ({"member_id": "stranger"}, UNKNOWN_MEMBER_ID),
        ({"protocols": ()}, INCONSISTENT_GROUP_PROTOCOL),
        ({"protocol_type": ""}, INCONSISTENT_GROUP_PROTOCOL),
    ],
)
async def test_the_first_join_is_checked(party: Any, fields: dict[str, Any], code: int) -> None:
    answer = await party.join(**fields)
    assert (answer.error_code, answer.protocol_name) == (code, "" if fields.get("version") else None)


async def test_a_group_needs_a_name(make_party: Any) -> None:
    assert (await make_party("").join()).error_code == INVALID_GROUP_ID


@pytest.mark.parametrize("version", [0, 3])
async def test_older_clients_are_in_at_once(party: Any, settle: Any, version: int) -> None:
    task = party.join(version=version)
    await settle()
    assert not task.done()
    await party.pass_ms(3_000)
    answer = task.result()
    assert (answer.error_code, answer.generation_id, answer.leader) == (0, 1, answer.member_id)
    assert answer.member_id.startswith("c-")


async def test_the_leader_alone_learns_of_the_members(party: Any) -> None:
    joins = [await party.come(metadata=metadata) for metadata in (b"one", b"two")]
    await party.pass_ms(3_000)
    await party.pass_ms(3_000)
    first, second = [task.result() for _, task in joins]
    assert first.leader == second.leader == first.member_id
    assert {row.member_id: row.metadata for row in first.members} == {joins[0][0]: b"one", joins[1][0]: b"two"}
    assert second.members == []
    assert first.protocol_type == "consumer" and first.protocol_name == "range"


async def test_the_first_rebalance_waits_for_newcomers(party: Any) -> None:
    """Each newcomer puts it off by the delay again, up to the rebalance timeout."""
    _, first = await party.come(rebalance_timeout_ms=8_000)
    for due_ms in (3_000, 3_000):  # 8,000 in all
        await party.come(rebalance_timeout_ms=8_000)
        await party.pass_ms(due_ms)
        assert not first.done()
    await party.come(rebalance_timeout_ms=8_000)
    await party.pass_ms(1_999)
    assert not first.done()
    await party.pass_ms(1)
    assert len(first.result().members) == 4


async def test_without_newcomers_it_waits_once(party: Any) -> None:
    _, task = await party.come()
    await party.pass_ms(2_999)
    assert not task.done()
    await party.pass_ms(1)
    assert task.done()


async def test_without_a_delay_it_does_not_wait(make_party: Any) -> None:
    party = make_party(group_initial_rebalance_delay_ms=0)
    _, task = await party.come()
    assert task.result().generation_id == 1


async def test_the_delay_is_for_empty_groups(party: Any) -> None:
    (member,), generation = await party.stable()
    _, task = await party.come()
    assert await party.state() == "PreparingRebalance"
    assert await party.heartbeat(member, generation) == REBALANCE_IN_PROGRESS
    again = await party.join(member)
    assert again.generation_id == (await task).generation_id == generation + 1


async def test_an_id_is_kept_as_long_as_a_session(party: Any) -> None:
    member_id = await party.new_id()
    await party.pass_ms(9_999)
    assert member_id in party.cluster.groups.get("g").members.pending
    await party.pass_ms(1)
    assert (await party.join(member_id)).error_code == UNKNOWN_MEMBER_ID


async def test_a_rebalance_waits_for_pending_members(party: Any, settle: Any) -> None:
    (member,), generation = await party.stable()
    pending = await party.new_id()
    await party.come()
    task = party.join(member)
    await settle()
    assert not task.done()
    newcomer = party.join(pending)
    assert (await task).generation_id == (await newcomer).generation_id == generation + 1


async def test_it_does_not_wait_for_pending_members_that_leave(party: Any, settle: Any) -> None:
    (member,), generation = await party.stable()
    pending = await party.new_id()
    await party.come()
    task = party.join(member)
    await settle()
    assert await party.leave((pending, None)) == [0]
    assert (await task).generation_id == generation + 1


async def test_members_that_do_not_join_again_are_out(party: Any) -> None:
    (stays, misses), generation = await party.stable(2)
    _, newcomer = await party.come()
    task = party.join(stays)
    for _ in range(6):
        await party.pass_ms(9_000)
        assert await party.heartbeat(misses, generation) == REBALANCE_IN_PROGRESS
    assert not task.done()
    await party.pass_ms(6_000)
    assert {row.member_id for row in task.result().members} == {stays, newcomer.result().member_id}
    assert await party.heartbeat(misses, generation) == UNKNOWN_MEMBER_ID


async def test_another_leads_when_the_leader_does_not_join_again(party: Any) -> None:
    (leader, follower), _ = await party.stable(2)
    await party.come()
    task = party.join(follower)
    for _ in range(7):
        await party.pass_ms(9_000)
        await party.heartbeat(leader, 1)
    assert task.result().leader == follower


async def test_a_leader_that_joins_again_begins_a_rebalance(party: Any, settle: Any) -> None:
    (leader, follower), generation = await party.stable(2)
    task = party.join(leader)
    await settle()
    assert await party.state() == "PreparingRebalance"
    assert (await party.join(follower)).generation_id == (await task).generation_id == generation + 1


async def test_a_follower_that_has_nothing_new_does_not(party: Any) -> None:
    (leader, follower), generation = await party.stable(2)
    answer = await party.join(follower)
    assert (answer.generation_id, answer.leader, answer.members) == (generation, leader, [])
    assert await party.state() == "Stable"
    changed = party.join(follower, metadata=b"other")
    await asyncio.sleep(0)
    assert not changed.done()
    assert await party.state() == "PreparingRebalance"


async def test_a_lost_answer_is_given_again(party: Any) -> None:
    joins = [await party.come() for _ in range(2)]
    await party.pass_ms(3_000)
    await party.pass_ms(3_000)
    for member_id, task in joins:
        assert await party.join(member_id) == task.result()
    assert await party.state() == "CompletingRebalance"


async def test_a_changed_member_begins_anew_before_the_sync(party: Any, settle: Any) -> None:
    (leader, _), (follower, _) = [await party.come() for _ in range(2)]
    await party.pass_ms(3_000)
    await party.pass_ms(3_000)
    waiting = party.sync(follower, 1)
    await settle()
    party.join(leader, metadata=b"other")
    assert (await waiting).error_code == REBALANCE_IN_PROGRESS


async def test_an_older_join_of_the_same_member_is_answered(party: Any, settle: Any) -> None:
    member_id, older = await party.come()
    newer = party.join(member_id)
    await settle()
    assert older.result().error_code == REBALANCE_IN_PROGRESS
    await party.pass_ms(3_000)
    assert newer.result().error_code == 0


@pytest.mark.parametrize(
    ("known", "selected"),
    [
        ([("a", "b"), ("b", "a"), ("b",)], "b"),
        ([("a", "b", "c"), ("c", "a", "b"), ("a", "b")], "a"),
        ([("a", "b"), ("a", "b"), ("b", "a")], "a"),
    ],
)
async def test_the_favourite_of_most_is_selected(party: Any, known: list[tuple[str, ...]], selected: str) -> None:
    tasks = [(await party.come(protocols=names))[1] for names in known]
    for _ in tasks:
        await party.pass_ms(3_000)
    assert {task.result().protocol_name for task in tasks} == {selected}


@pytest.mark.parametrize("fields", [{"protocols": ("other",)}, {"protocol_type": "connect"}])
async def test_a_member_must_have_something_in_common(party: Any, fields: dict[str, Any]) -> None:
    (member,), generation = await party.stable()
    assert (await party.join(**fields)).error_code == INCONSISTENT_GROUP_PROTOCOL
    assert (await party.join(member, **fields)).error_code == INCONSISTENT_GROUP_PROTOCOL
    assert await party.heartbeat(member, generation) == 0


async def test_groups_have_a_size(make_party: Any) -> None:
    party = make_party(group_max_size=2)
    ids, generation = await party.stable(2)
    assert (await party.join()).error_code == GROUP_MAX_SIZE_REACHED
    assert [await party.heartbeat(member_id, generation) for member_id in ids] == [0, 0]
    tasks = [party.join(member_id) for member_id in ids]
    assert {(await task).error_code for task in tasks} == {0}


async def test_those_who_come_first_are_in(make_party: Any) -> None:
    party = make_party(group_max_size=1)
    first, second = [await party.new_id() for _ in range(2)]
    task = party.join(first)
    assert (await party.join(second)).error_code == GROUP_MAX_SIZE_REACHED
    await party.pass_ms(3_000)
    assert [row.member_id for row in task.result().members] == [first]


async def test_a_client_that_hangs_up_is_gone_after_its_session(party: Any) -> None:
    (member,), generation = await party.stable()
    newcomer_id, newcomer = await party.come()
    newcomer.cancel()
    answer = await party.join(member)
    assert {row.member_id for row in answer.members} == {member, newcomer_id}
    party.sync(member, generation + 1, {member: b""})
    await party.pass_ms(9_000)
    assert await party.heartbeat(member, generation + 1) == 0
    await party.pass_ms(1_000)
    assert await party.heartbeat(member, generation + 1) == REBALANCE_IN_PROGRESS
    assert len((await party.join(member)).members) == 1


async def test_a_newcomer_that_waits_too_long_is_out(party: Any) -> None:
    """It has no id to send heartbeats with, so it may have gone; it is told to come again if not."""
    (member,), generation = await party.stable(rebalance_timeout_ms=1_000_000)
    _, newcomer = await party.come(rebalance_timeout_ms=1_000_000)
    for _ in range(50):
        await party.pass_ms(6_000)
        await party.heartbeat(member, generation)
    assert newcomer.result().error_code == UNKNOWN_MEMBER_ID


async def test_everybody_is_answered_when_the_broker_closes(party: Any) -> None:
    _, task = await party.come()
    await party.cluster.close()
    assert (await task).error_code == COORDINATOR_NOT_AVAILABLE
