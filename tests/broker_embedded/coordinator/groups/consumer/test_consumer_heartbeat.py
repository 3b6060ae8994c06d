"""ConsumerGroupHeartbeat, ConsumerGroupDescribe, and what offsets and admins ask of a consumer group."""

from __future__ import annotations

from typing import Any

import pytest

from broker_embedded.coordinator.groups.consumer.admission import check_room
from broker_embedded.coordinator.groups.consumer.member import Member
from broker_embedded.coordinator.groups.consumer.state import State
from broker_embedded.errors import KafkaError, KafkaStorageError, error_class
from broker_embedded.handlers import LOCAL
from broker_embedded.wire.messages.consumer_groups import ConsumerGroupDescribeRequest, ConsumerGroupHeartbeatRequest

FULL = {"topics": "a", "has": set(), "rebalance_timeout_ms": 60_000}

REFUSED = [
    # what is wrong, member id, epoch, fields, error
    ("no group id", "m", 0, FULL | {"group_id": ""}, 42),
    ("no member id", "", 0, FULL, 42),
    ("no member id to leave", "", -1, {"version": 0}, 42),
    ("no member id to stay", "", 1, {"version": 0}, 42),
    ("an empty instance id", "m", 0, FULL | {"instance_id": ""}, 42),
    ("an empty rack", "m", 0, FULL | {"rack_id": " "}, 42),
    ("no rebalance timeout", "m", 0, {"topics": "a", "has": set()}, 42),
    ("no subscription", "m", 0, {"has": set(), "rebalance_timeout_ms": 1}, 42),
    ("no partitions", "m", 0, {"topics": "a", "rebalance_timeout_ms": 1}, 42),
    ("partitions of a newcomer", "m", 0, FULL | {"has": {("a", 0)}}, 42),
    ("away without instance id", "m", -2, {}, 42),
    ("an epoch that is none", "m", -3, {}, 42),
    ("an unknown assignor", "m", 0, FULL | {"server_assignor": "mine"}, 112),
    ("a bad regular expression", "m", 0, FULL | {"subscribed_topic_regex": "a("}, 128),
    ("an unknown group", "m", 1, {}, 69),
    ("an unknown group to leave", "m", -1, {}, 69),
]


@pytest.mark.parametrize(
    ("member_id", "epoch", "fields", "code"), [row[1:] for row in REFUSED], ids=[r[0] for r in REFUSED]
)
def test_requests_that_are_refused(
    coordinator: Any, member_id: str, epoch: int, fields: dict[str, Any], code: int
) -> None:
    assert coordinator.code(member_id, epoch, **fields) == code
    assert "g" not in coordinator.cluster.groups.by_id


async def test_an_error_is_an_answer(client: Any) -> None:
    answer = await client.cluster.handle(ConsumerGroupHeartbeatRequest("g", "m", 1), LOCAL)
    assert (answer.error_code, answer.error_message, answer.member_id) == (69, "Group g not found.", None)


def test_the_broker_makes_an_id_in_version_0(coordinator: Any) -> None:
    assert len(coordinator.join("", version=0).member_id) > 10


def test_two_members_share(coordinator: Any) -> None:
    first = coordinator.join("m1")
    assert (first.member_epoch, first.heartbeat_interval_ms) == (2, 5_000)
    everything = {("a", index) for index in range(4)}
    assert coordinator.assigned(first) == everything
    assert coordinator.send("m1", 2).assignment is None
    coordinator.wait()
    second = coordinator.join("m2")
    assert (second.member_epoch, coordinator.assigned(second)) == (3, set())
    asked = coordinator.send("m1", 2)
    assert (asked.member_epoch, coordinator.assigned(asked)) == (2, {("a", 0), ("a", 1)})
    assert coordinator.group().state == "Reconciling"
    assert coordinator.send("m1", 2).assignment is None
    assert coordinator.send("m2", 3).assignment is None  # they are not free yet
    given_up = coordinator.send("m1", 2, has={("a", 0), ("a", 1)})
    assert (given_up.member_epoch, given_up.assignment) == (3, None)
    assert coordinator.assigned(coordinator.send("m2", 3)) == {("a", 2), ("a", 3)}
    assert coordinator.group().state == "Stable"


def test_members_that_come_at_once_are_assigned_together(coordinator: Any) -> None:
    """Between two assignments lies consumer.assignment.interval.ms (KIP-1263)."""
    coordinator.join("m1")
    assert coordinator.join("m2").member_epoch == 2
    assert coordinator.join("m3").member_epoch == 2
    assert coordinator.group().state == "Assigning"
    coordinator.wait()
    assert coordinator.send("m3", 2).member_epoch == 4
    assert (coordinator.group().data.epoch, coordinator.group().data.assignment_epoch) == (4, 4)


def test_a_member_with_everything_to_say_hears_everything(coordinator: Any) -> None:
    has = coordinator.assigned(coordinator.join("m"))
    assert coordinator.assigned(coordinator.send("m", 2, topics="a", has=has, rebalance_timeout_ms=1)) == has


def test_epochs_that_are_not_the_members(coordinator: Any) -> None:
    has = coordinator.assigned(coordinator.join("m"))
    assert coordinator.code("m", 3) == 110
    assert coordinator.code("m", 1) == 110
    assert coordinator.code("x", 2) == 25
    coordinator.wait()
    coordinator.create(c=1)
    assert coordinator.send("m", 2, topics="a c").member_epoch == 3
    # an answer that was lost: the member comes with the epoch before, and with nothing that it should not have
    assert coordinator.code("m", 2) == 110
    assert coordinator.code("m", 2, has=has | {("b", 0)}) == 110
    assert coordinator.send("m", 2, has=has).member_epoch == 3


def test_a_fenced_member_comes_back_with_its_id(coordinator: Any) -> None:
    has = coordinator.assigned(coordinator.join("m"))
    again = coordinator.join("m")
    assert (again.member_epoch, coordinator.assigned(again)) == (2, has)


def test_leaving(coordinator: Any) -> None:
    coordinator.join("m1")
    coordinator.wait()
    coordinator.join("m2")
    left = coordinator.send("m1", -1)
    assert (left.member_epoch, left.assignment) == (-1, None)
    assert coordinator.code("m1", 2) == 25
    assert coordinator.code("m1", -1) == 25
    coordinator.wait()
    assert coordinator.assigned(coordinator.send("m2", 3)) == {("a", index) for index in range(4)}
    coordinator.send("m2", -1)
    assert coordinator.group().state == "Empty"


def test_nothing_to_read(coordinator: Any) -> None:
    assert coordinator.join("m", "").member_epoch == 1  # as Kafka does: such a subscription changes nothing
    assert coordinator.join("n", "nowhere").member_epoch == 1


def test_a_group_that_is_full() -> None:
    state = State(members={"m": Member("m")})
    check_room(state, "m", 1)
    with pytest.raises(error_class(81), match=r"as many as group\.consumer\.max\.size allows"):
        check_room(state, "n", 1)


# Topics come, grow and go


def test_topics_that_change(coordinator: Any) -> None:
    coordinator.join("m", "a c")
    coordinator.wait()
    assert coordinator.send("m", 2).assignment is None
    coordinator.create(c=1)
    found = coordinator.send("m", 2)
    assert (found.member_epoch, coordinator.assigned(found)) == (3, {*((("a", index)) for index in range(4)), ("c", 0)})
    coordinator.wait()
    del coordinator.cluster.topics["c"]
    asked = coordinator.send("m", 3)
    assert (asked.member_epoch, coordinator.assigned(asked)) == (3, {("a", index) for index in range(4)})
    assert coordinator.send("m", 3, has={("a", index) for index in range(4)}).member_epoch == 4


def test_regular_expressions(coordinator: Any) -> None:
    def join(member_id: str, regex: str) -> Any:
        return coordinator.send(member_id, 0, subscribed_topic_regex=regex, has=set(), rebalance_timeout_ms=1)

    assert {topic for topic, _ in coordinator.assigned(join("m", "[ac].*"))} == {"a"}
    coordinator.wait()
    coordinator.create(c=1, d=1)
    assert ("c", 0) in coordinator.assigned(coordinator.send("m", 2))
    coordinator.wait()
    coordinator.send("m", 3, topics="d", subscribed_topic_regex="")
    assert coordinator.group().data.regexes == {}
    assert coordinator.group().is_subscribed_to("d") and not coordinator.group().is_subscribed_to("a")
    coordinator.wait()
    join("n", "d")
    coordinator.send("n", -1)
    assert coordinator.group().data.regexes == {}


def test_the_assignor_that_most_ask_for(coordinator: Any) -> None:
    coordinator.join("m1", "a b", server_assignor="range")
    coordinator.wait()
    coordinator.join("m2", "a b")
    targets = coordinator.group().data.targets
    assert {member_id: sorted(index for _, index in target) for member_id, target in targets.items()} == {
        "m1": [0, 0, 1],
        "m2": [1, 2, 3],
    }


# Static members


def test_a_static_member_is_away_for_a_while(coordinator: Any) -> None:
    has = coordinator.assigned(coordinator.join("s1", instance_id="i"))
    assert coordinator.code("s2", 0, **FULL, instance_id="i") == 111
    assert coordinator.code("s2", 2, instance_id="i") == 82
    assert coordinator.code("s1", 2, instance_id="j") == 25
    assert coordinator.code("s2", -2, instance_id="i") == 82
    assert coordinator.send("s1", -2, instance_id="i").member_epoch == -2
    assert coordinator.code("s1", 2, instance_id="i") == 110
    coordinator.wait()
    assert coordinator.assigned(coordinator.join("m")) == set()  # nobody gets what is kept for it
    back = coordinator.join("s2", instance_id="i")
    assert back.member_epoch == 3 and coordinator.assigned(back) < has
    assert list(coordinator.group().data.members) == ["m", "s2"]
    coordinator.send("s2", -1, instance_id="i")
    assert list(coordinator.group().data.members) == ["m"]


def test_a_static_member_that_does_not_come_back(coordinator: Any) -> None:
    coordinator.join("s1", instance_id="i")
    coordinator.send("s1", -2, instance_id="i")
    coordinator.wait(44_999)
    assert not coordinator.group().is_empty
    coordinator.wait(1)
    assert coordinator.group().is_empty


# Time


def test_a_member_that_is_silent(coordinator: Any) -> None:
    coordinator.join("m")
    coordinator.wait(44_999)
    coordinator.send("m", 2)
    coordinator.wait(44_999)
    coordinator.send("m", 2)
    coordinator.wait(45_000)
    assert coordinator.code("m", 2) == 25


def test_a_member_that_does_not_give_up_its_partitions(coordinator: Any) -> None:
    coordinator.join("slow")
    coordinator.wait()
    coordinator.join("m")
    for _ in range(2):
        coordinator.send("slow", 2)
        coordinator.send("m", 3)
        coordinator.wait(29_999)
    assert coordinator.code("slow", 2) == 0
    coordinator.wait(2)
    assert coordinator.code("slow", 2) == 25
    assert coordinator.assigned(coordinator.send("m", 3)) == {("a", index) for index in range(4)}


def test_giving_up_in_time(coordinator: Any) -> None:
    coordinator.join("m1")
    coordinator.wait()
    coordinator.join("m2")
    asked = coordinator.assigned(coordinator.send("m1", 2))
    coordinator.wait(30_000)
    coordinator.send("m1", 2, has=asked)
    coordinator.wait(30_001)
    assert coordinator.code("m1", 3) == 0


def test_settings_of_one_group(coordinator: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    configs = {"g": {"consumer.session.timeout.ms": "50000", "consumer.heartbeat.interval.ms": "7000"}}
    monkeypatch.setattr(coordinator.cluster.metadata, "group_configs", lambda group: configs.get(group, {}))
    assert coordinator.join("m").heartbeat_interval_ms == 7_000
    assert coordinator.join("m", group_id="h").heartbeat_interval_ms == 5_000
    coordinator.wait(49_999)
    assert not coordinator.group().is_empty and coordinator.group("h").is_empty


# A restart


async def test_a_restart(coordinator: Any, folder: Any, coordinator_of: Any) -> None:
    coordinator.join("m1", server_assignor="range")
    coordinator.wait()
    coordinator.join("m2", "b", instance_id="i", subscribed_topic_regex="a.*")
    coordinator.send("m1", 2)
    before = coordinator.group().data
    folder.kill()
    opened = folder.open()
    again = coordinator_of(opened.cluster, opened.clock)
    assert again.group().data == before
    again.wait(44_999)
    again.send("m2", 3)
    again.wait(1)
    assert list(again.group().data.members) == ["m2"]  # the other one has not been heard of since


async def test_a_group_that_was_removed_stays_so(coordinator: Any, folder: Any) -> None:
    coordinator.join("m")
    coordinator.send("m", -1)
    coordinator.cluster.groups.remove(coordinator.group())
    folder.kill()
    assert folder.open().cluster.groups.by_id == {}


async def test_what_cannot_be_written_has_not_happened(coordinator: Any, fail_at: Any) -> None:
    with fail_at(0, KafkaStorageError("the disk is full")):
        assert coordinator.code("m", 0, **FULL) == 56
    assert coordinator.cluster.groups.by_id == {}
    coordinator.join("m")
    before = coordinator.group().data
    with fail_at(0, KafkaStorageError("the disk is full")):
        request = ConsumerGroupHeartbeatRequest("g", "m", -1)
        assert (await coordinator.cluster.handle(request)).error_code == 16
    assert coordinator.group().data == before
    assert coordinator.send("m", 2).member_epoch == 2


# Descriptions


async def describe(coordinator: Any, *group_ids: str, **fields: Any) -> Any:
    return (await coordinator.cluster.handle(ConsumerGroupDescribeRequest(list(group_ids), **fields))).groups


async def test_describe(coordinator: Any) -> None:
    coordinator.join("m1", instance_id="i", rack_id="r")
    coordinator.wait()
    coordinator.join("m2")
    coordinator.send("m1", 2)
    found = (await describe(coordinator, "g"))[0]
    assert (found.group_state, found.group_epoch, found.assignment_epoch) == ("Reconciling", 3, 3)
    assert found.assignor_name == "uniform"
    first, second = found.members
    assert (first.member_id, first.instance_id, first.rack_id, first.member_epoch, first.member_type) == (
        *("m1", "i", "r", 2, 1),
    )
    topics = [(row.topic_name, row.partitions) for row in first.assignment.topic_partitions]
    assert topics == [("a", [0, 1, 2, 3])]  # what it has not given up yet is still its own
    assert first.target_assignment.topic_partitions[0].partitions == [0, 1]
    assert (second.client_id, second.subscribed_topic_names, second.subscribed_topic_regex) == ("client", ["a"], "")
    assert second.assignment.topic_partitions == []


async def test_describe_what_is_not_there(coordinator: Any, client: Any) -> None:
    await client.commit_offset("simple", "a", 1)
    found = await describe(coordinator, "nowhere", "simple", "", include_authorized_operations=True)
    assert [(row.error_code, row.error_message) for row in found] == [
        (69, "Group nowhere not found."),
        (69, "Group simple is not a consumer group."),
        (24, None),
    ]


# Offsets and administration

COMMITS = [
    # member id, epoch, transactional, version, partitions; error
    ("m1", 3, False, 9, "a0", 0),
    ("m1", 2, False, 9, "a0", 0),  # its own since then
    ("m1", 3, False, 9, "b0", 0),  # not given up yet
    ("m1", 2, False, 9, "b0", 113),
    ("m1", 1, False, 9, "a0", 113),
    ("m2", 2, False, 9, "a0", 113),
    ("m1", 2, False, 9, "", 113),
    ("m1", 2, False, 9, "a0 b0", 113),
    ("m1", 4, False, 9, "a0", 113),
    ("x", 3, False, 9, "a0", 25),
    ("", -1, False, 9, "a0", 25),
    ("", -1, True, 3, "a0", 0),
    ("m1", 3, True, 3, "a0", 0),
    ("m1", 3, False, 8, "a0", 35),
]


@pytest.mark.parametrize(("member_id", "epoch", "transactional", "version", "partitions", "code"), COMMITS)
def test_commits(
    coordinator: Any, member_id: str, epoch: int, transactional: bool, version: int, partitions: str, code: int
) -> None:
    coordinator.join("m1", "a")
    coordinator.wait()
    coordinator.send("m1", 2, topics="a b")
    coordinator.wait()
    coordinator.join("m2", "b")
    coordinator.send("m1", 3)
    named = [(name[0], int(name[1])) for name in partitions.split()]
    try:
        coordinator.cluster.groups.check_commit(
            *("g", member_id, epoch), transactional=transactional, api_version=version, partitions=named
        )
        found = 0
    except KafkaError as error:
        found = error.code
    assert found == code


@pytest.mark.parametrize(
    ("member_id", "epoch", "code"), [("m", 2, 0), (None, -1, 0), ("m", 1, 113), ("x", 2, 25), ("", -1, 25)]
)
def test_asking_for_offsets(coordinator: Any, member_id: str | None, epoch: int, code: int) -> None:
    coordinator.join("m")
    try:
        coordinator.cluster.groups.check_offset_fetch("g", member_id, epoch)
        found = 0
    except KafkaError as error:
        found = error.code
    assert found == code


def test_administration(coordinator: Any) -> None:
    coordinator.join("m")
    group = coordinator.group()
    with pytest.raises(error_class(68)):
        group.check_delete()
    assert coordinator.cluster.groups.all("consumer") == [group]
    assert (group.kind, group.protocol_type) == ("consumer", "consumer")
    assert group.unused_since(7) == 7
    group.check_offset_delete()
    coordinator.send("m", -1)
    group.check_delete()
