"""Members that do as clients do, in any order, with answers lost, crashes and restarts of the broker.

At no time do two members read the same partition; once all of them heartbeat, all of it is read; and what is on disk is
what the broker knows.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)

from broker_embedded.errors import KafkaError
from broker_embedded.topics import Topic

TOPICS = "abc"
REJOIN = (25, 69, 110, 111)  # unknown member or group, fenced epoch, instance id not free yet


@dataclass
class Consumer:
    """`reads` is what it really reads now, `assigned` what it was told last, `reported` what it has said it has."""

    topics: str
    instance_id: str | None = None
    assignor: str = "uniform"
    member_id: str = ""
    epoch: int = 0
    assigned: set[tuple[str, int]] = field(default_factory=set)
    reads: set[tuple[str, int]] = field(default_factory=set)
    reported: set[tuple[str, int]] | None = None
    has_news: bool = False

    def stop(self) -> None:
        self.epoch, self.reported = 0, None
        self.assigned, self.reads = set(), set()

    def fields(self) -> dict[str, Any]:
        """What its next heartbeat says; everything, unless the last one was answered."""
        said: dict[str, Any] = {"instance_id": self.instance_id}
        if self.reported is None or self.has_news:
            said |= {"topics": " ".join(self.topics), "server_assignor": self.assignor}
        if self.reported is None:
            said["rebalance_timeout_ms"] = 60_000
        if self.reported != self.reads:
            said["has"] = self.reads
        return said


class Groups(RuleBasedStateMachine):
    consumers = Bundle("consumers")

    def __init__(self, make_folder: Callable[[], Any], coordinator_of: Callable[..., Any]) -> None:
        super().__init__()
        self.folder = make_folder()
        self.coordinator_of = coordinator_of
        self.alive: list[Consumer] = []

    @initialize()
    def start(self) -> None:
        self._open()
        self.at.create(a=4)

    def _open(self) -> None:
        opened = self.folder.open()
        self.at = self.coordinator_of(opened.cluster, opened.clock)

    def teardown(self) -> None:
        if hasattr(self, "at"):
            self._settle()
            self._restart()
            asyncio.run(self.at.cluster.close())

    # Members

    @rule(
        target=consumers,
        topics=st.sampled_from(["a", "ab", "bc", "abc"]),
        instance_id=st.none() | st.sampled_from(["i", "j"]),
        assignor=st.sampled_from(["uniform", "range"]),
    )
    def join(self, topics: str, instance_id: str | None, assignor: str) -> Any:
        if len(self.alive) == 6 or instance_id in {other.instance_id for other in self.alive} - {None}:
            return multiple()
        consumer = Consumer(topics, instance_id, assignor, str(uuid4()))
        self.alive.append(consumer)
        self._beat(consumer)
        return consumer

    @rule(consumer=consumers, is_lost=st.sampled_from([False, False, False, True]))
    def beat(self, consumer: Consumer, is_lost: bool) -> None:
        self._beat(consumer, is_lost)

    def _beat(self, consumer: Consumer, is_lost: bool = False) -> None:
        if consumer not in self.alive:
            return
        said = consumer.fields()
        try:
            response = self.at.send(consumer.member_id, consumer.epoch, **said)
        except KafkaError as error:
            assert error.code in REJOIN
            consumer.stop()
            return
        if is_lost:
            consumer.reported = None  # say everything again
            return
        consumer.reported, consumer.has_news = set(consumer.reads), False
        consumer.epoch = response.member_epoch
        told = self.at.assigned(response)
        consumer.assigned = consumer.assigned if told is None else told

    @rule(consumer=consumers)
    def carry_out(self, consumer: Consumer) -> None:
        """Stop reading what is to be given up, and begin to read what is new."""
        consumer.reads = set(consumer.assigned)

    @rule(consumer=consumers, topics=st.sampled_from(["a", "b", "abc"]))
    def subscribe(self, consumer: Consumer, topics: str) -> None:
        consumer.topics, consumer.has_news = topics, True

    @rule(consumer=consumers, says_so=st.booleans())
    def end(self, consumer: Consumer, says_so: bool) -> None:
        """It leaves, a static one for a while; or it dies."""
        if consumer in self.alive:
            self.alive.remove(consumer)
            if says_so and consumer.epoch > 0:
                epoch = -1 if consumer.instance_id is None else -2
                self.at.code(consumer.member_id, epoch, instance_id=consumer.instance_id)
            consumer.stop()

    # The world

    @rule(ms=st.sampled_from([100, 1_000, 30_000]))
    def wait(self, ms: int) -> None:
        self.at.wait(ms)

    @rule(topic=st.sampled_from(TOPICS), count=st.integers(1, 5))
    def create_or_grow(self, topic: str, count: int) -> None:
        cluster = self.at.cluster
        known = cluster.topics.get(topic)
        if known is None:
            cluster.add_topics([Topic(topic, uuid4(), count)])
        elif count > known.partition_count:
            cluster.folder.grow(known, count, cluster.config, cluster.now_ms)

    @rule(topic=st.sampled_from(TOPICS))
    def delete(self, topic: str) -> None:
        found = self.at.cluster.topics.get(topic)
        if found is not None:
            asyncio.run(self.at.cluster.remove_topic(found))
            for consumer in self.alive:
                consumer.reads = {row for row in consumer.reads if row[0] != topic}
                consumer.assigned = {row for row in consumer.assigned if row[0] != topic}

    @rule()
    def restart(self) -> None:
        self._restart()

    def _restart(self) -> None:
        groups = self.at.cluster.groups.by_id
        before = {name: group.data for name, group in groups.items() if group.kind == "consumer"}
        asyncio.run(self.at.cluster.close())
        self._open()
        assert {name: group.data for name, group in self.at.cluster.groups.by_id.items()} == before

    # What has to hold

    @invariant()
    def nobody_reads_what_another_one_reads(self) -> None:
        read = [partition for consumer in self.alive for partition in consumer.reads]
        assert len(read) == len(set(read))

    def _settle(self) -> None:
        self.at.wait(30_000)  # in two steps, as those who are alive are heard of in between
        for _ in range(24):
            for consumer in self.alive:
                self._beat(consumer)
                self.carry_out(consumer)
                self.nobody_reads_what_another_one_reads()
            self.at.wait(5_000)
        topics = self.at.cluster.topics
        wanted = {topic for consumer in self.alive for topic in consumer.topics if topic in topics}
        read = sorted(partition for consumer in self.alive for partition in consumer.reads)
        assert read == sorted((name, index) for name in wanted for index in range(topics[name].partition_count))
        assert all(topic in consumer.topics for consumer in self.alive for topic, _ in consumer.reads)
        assert not self.alive or self.at.group().state == "Stable"


@pytest.mark.parametrize("examples", [10, pytest.param(50, marks=pytest.mark.slow)])
def test_any_order_of_events(make_folder: Callable[[], Any], coordinator_of: Callable[..., Any], examples: int) -> None:
    run_state_machine_as_test(
        lambda: Groups(make_folder, coordinator_of),
        settings=settings(max_examples=examples, stateful_step_count=40, deadline=None),
    )
