"""Static members (KIP-345, KIP-814): restarts without a rebalance, fencing, sending away."""

from __future__ import annotations

from typing import Any

import pytest

from broker_embedded.errors import KafkaStorageError

NOT_COORDINATOR, UNKNOWN_MEMBER_ID, REBALANCE_IN_PROGRESS, FENCED_INSTANCE_ID = 16, 25, 27, 82


async def stable(party: Any, *instances: str) -> dict[str, str]:
    """Member ids by instance id, in a stable group of generation 1; the first one leads."""
    tasks = {instance: party.join(instance=instance) for instance in instances}
    await party.pass_ms(0)
    for _ in instances:
        await party.pass_ms(3_000)
    answers = {instance: task.result() for instance, task in tasks.items()}
    ids = {instance: answer.member_id for instance, answer in answers.items()}
    await party.assign(list(ids.values()), ids[instances[0]], 1)
    return ids


async def test_a_static_member_needs_no_id_first(party: Any) -> None:
    ids = await stable(party, "a")
    assert ids["a"].startswith("a-")
    (row,) = (await party.describe()).members
    assert (row.group_instance_id, row.client_host, row.member_assignment) == ("a", "/127.0.0.1", ids["a"].encode())


@pytest.mark.parametrize(("who", "skips"), [("a", True), ("b", False)])
async def test_a_restart_keeps_the_generation(party: Any, who: str, skips: bool) -> None:
    ids = await stable(party, "a", "b")
    answer = await party.join(instance=who)
    assert (answer.error_code, answer.generation_id, answer.skip_assignment) == (0, 1, skips)
    assert answer.member_id != ids[who]
    assert answer.leader == (answer.member_id if who == "a" else ids["a"])
    assert len(answer.members) == (2 if skips else 0)
    assert await party.state() == "Stable"
    assert (await party.sync(answer.member_id, 1, group_instance_id=who)).assignment == ids[who].encode()


async def test_older_leaders_are_told_that_another_leads(party: Any) -> None:
    ids = await stable(party, "a", "b")
    answer = await party.join(instance="a", version=8)
    assert (answer.leader, answer.members, answer.skip_assignment) == (ids["a"], [], False)


async def test_the_one_before_is_fenced(party: Any) -> None:
    ids = await stable(party, "a")
    await party.join(instance="a")
    assert await party.heartbeat(ids["a"], 1, "a") == FENCED_INSTANCE_ID
    assert await party.commit(ids["a"], 1, group_instance_id="a") == FENCED_INSTANCE_ID
    assert (await party.sync(ids["a"], 1, group_instance_id="a")).error_code == FENCED_INSTANCE_ID
    assert (await party.join(ids["a"], instance="a")).error_code == FENCED_INSTANCE_ID
    assert await party.leave((ids["a"], "a")) == [FENCED_INSTANCE_ID]
    assert await party.heartbeat(ids["a"], 1) == UNKNOWN_MEMBER_ID


async def test_whoever_waits_is_fenced_at_once(party: Any, settle: Any) -> None:
    first = party.join(instance="a")
    await settle()
    second = party.join(instance="a")
    await settle()
    assert first.result().error_code == FENCED_INSTANCE_ID
    await party.pass_ms(3_000)
    assert second.result().error_code == 0


async def test_a_restart_between_join_and_sync_begins_anew(party: Any, settle: Any) -> None:
    tasks = [party.join(instance=instance) for instance in "ab"]
    await settle()
    await party.pass_ms(3_000)
    await party.pass_ms(3_000)
    leader, follower = [task.result() for task in tasks]
    waiting = party.sync(follower.member_id, 1)
    await settle()
    again = party.join(instance="a")
    await settle()
    assert waiting.result().error_code == REBALANCE_IN_PROGRESS
    assert (await party.join(follower.member_id, instance="b")).generation_id == (await again).generation_id == 2
    assert leader.member_id not in {row.member_id for row in (await again).members}


async def test_another_protocol_begins_a_rebalance(party: Any, settle: Any) -> None:
    await stable(party, "a")
    task = party.join(instance="a", protocols=("sticky", "range"))
    await settle()
    assert task.result().generation_id == 2
    assert task.result().protocol_name == "sticky"


async def test_a_static_member_stays_through_a_rebalance_it_misses(party: Any, settle: Any) -> None:
    ids = await stable(party, "a", "b")
    party.join(instance="c", session_timeout_ms=200_000)
    task = party.join(ids["a"], instance="a")
    await settle()
    for _ in range(7):
        await party.pass_ms(9_000)
        await party.heartbeat(ids["b"], 1, "b")
    assert len(task.result().members) == 3
    assert await party.heartbeat(ids["b"], 2, "b") == 0


async def test_a_group_without_anyone_who_joins_waits(party: Any) -> None:
    ids = await stable(party, "a", "b")
    assert await party.leave((ids["b"], "b")) == [0]
    for _ in range(10):
        await party.pass_ms(9_000)
        assert await party.heartbeat(ids["a"], 1, "a") == REBALANCE_IN_PROGRESS
    assert (await party.join(ids["a"], instance="a")).generation_id == 2


async def test_somebody_sends_static_members_away(party: Any) -> None:
    ids = await stable(party, "a", "b")
    assert await party.leave(("", "a"), ("", "x"), ("", None)) == [0, UNKNOWN_MEMBER_ID, UNKNOWN_MEMBER_ID]
    assert (await party.join(ids["b"], instance="b")).leader == ids["b"]


async def test_a_restart_that_cannot_be_written_down_has_not_happened(party: Any, fail_at: Any) -> None:
    ids = await stable(party, "a")
    with fail_at(0, KafkaStorageError("no space left")):
        assert (await party.join(instance="a")).error_code == NOT_COORDINATOR
    assert await party.heartbeat(ids["a"], 1, "a") == 0


async def test_a_static_member_is_out_after_its_session(party: Any) -> None:
    ids = await stable(party, "a")
    await party.pass_ms(10_000)
    assert await party.heartbeat(ids["a"], 1, "a") == UNKNOWN_MEMBER_ID
