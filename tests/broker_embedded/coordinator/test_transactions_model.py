"""Random producers that commit, abort, time out, are replaced and retry, over a broker that is stopped, killed, and
killed in the middle of commits, against a model that is a few dictionaries.

The model: a value is read if and only if its transaction was decided as committed, in the order of the log; a group has
the offset that was committed last; whoever was replaced or timed out is shut out.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, TypeVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from broker_embedded.errors import KafkaStorageError
from broker_embedded.faults import SimulatedCrash

T = TypeVar("T")

PARTITIONS = range(3)
TIMEOUT_MS = 60_000
INVALID_PRODUCER_EPOCH, PRODUCER_FENCED = 47, 90

ids = st.sampled_from(["p0", "p1"])
partitions = st.sampled_from(PARTITIONS)


@dataclass
class Open:
    """A transaction of the model: what it wrote, the offsets it sent, when it began."""

    since_ms: int
    rows: list[tuple[int, int, str]] = field(default_factory=list)  # partition, offset, value
    offsets: dict[int, int] = field(default_factory=dict)


class Transactions(RuleBasedStateMachine):
    def __init__(self, make_folder: Callable[[], Any], fail_at: Any) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.fail_at = fail_at
        self.folder = make_folder()
        self.writers: dict[str, Any] = {}
        self.zombies: list[Any] = []
        self.open: dict[str, Open] = {}
        self.readable: dict[int, list[tuple[int, str]]] = {partition: [] for partition in PARTITIONS}
        self.offsets: dict[tuple[str, int], int] = {}
        self.values = 0

    def run(self, work: Awaitable[T]) -> T:
        async def main() -> T:
            return await work

        return self.runner.run(main())

    @initialize(sync_on_commit=st.booleans())
    def start(self, sync_on_commit: bool) -> None:
        self.config = {"sync_on_commit": sync_on_commit, "offsets_topic_num_partitions": 2}
        self.reopen()
        self.run(self.client.create("t", len(PARTITIONS), retention_ms="-1"))

    def reopen(self) -> None:
        async def opened() -> Any:
            return self.folder.open(**self.config)

        self.client = self.run(opened())

    def teardown(self) -> None:
        self.run(self.folder.close())
        self.runner.close()

    # The model's side of an outcome

    def decided(self, who: str, committed: bool) -> None:
        txn = self.open.pop(who, None)
        if txn is not None and committed:
            for partition, offset, value in txn.rows:
                self.readable[partition].append((offset, value))
            self.offsets.update({("t", partition): offset for partition, offset in txn.offsets.items()})

    def begun(self, who: str) -> Open:
        return self.open.setdefault(who, Open(self.folder.clock.now))

    # Producers

    @rule(who=ids)
    def instance(self, who: str) -> None:
        """A new instance of a producer takes over."""
        if who in self.writers:
            self.zombies.append(self.writers[who])
        self.decided(who, False)
        self.writers[who] = self.run(self.client.init(who, transaction_timeout_ms=TIMEOUT_MS))

    @rule(who=ids, partition=partitions, count=st.integers(1, 3))
    def produce(self, who: str, partition: int, count: int) -> None:
        if who not in self.writers:
            return
        values = [f"v{self.values + n}" for n in range(count)]
        self.values += count
        answer = self.run(self.client.produce("t", *values, partition=partition, writer=self.writers[who]))
        assert answer.error_code == 0
        self.begun(who).rows += [(partition, answer.base_offset + n, value) for n, value in enumerate(values)]

    @rule(who=ids, partition=partitions)
    def produce_again(self, who: str, partition: int) -> None:
        """The answer to a batch got lost, and the producer sends it again: it is there once."""
        rows = [row for row in self.begun(who).rows if row[0] == partition] if who in self.open else []
        if not rows:
            return
        writer = self.writers[who]
        value = "repeated"
        first = self.run(self.client.produce("t", value, partition=partition, writer=writer))
        sequence = writer.sequences["t", partition] - 1
        again = self.run(self.client.produce("t", value, partition=partition, writer=writer, sequence=sequence))
        assert (first.base_offset, first.error_code) == (again.base_offset, again.error_code)
        self.begun(who).rows.append((partition, first.base_offset, value))

    @rule(partition=partitions)
    def produce_outside(self, partition: int) -> None:
        """A producer without transactions writes in between."""
        answer = self.run(self.client.produce("t", "plain", partition=partition))
        self.readable[partition].append((answer.base_offset, "plain"))

    @rule(who=ids, partition=partitions)
    def send_offset(self, who: str, partition: int) -> None:
        if who not in self.writers:
            return
        offset = self.client.cluster.log("t", partition).log_end_offset
        assert self.run(self.client.send_offset(self.writers[who], "group", "t", offset, partition)) == 0
        self.begun(who).offsets[partition] = offset

    @rule(who=ids, commit=st.booleans())
    def end(self, who: str, commit: bool) -> None:
        if who in self.open:
            assert self.run(self.client.end(self.writers[who], commit)) == 0
            self.decided(who, commit)

    @precondition(lambda self: self.zombies)
    @rule(data=st.data(), partition=partitions)
    def zombie(self, data: st.DataObject, partition: int) -> None:
        """Whoever was replaced or timed out gets nothing done, wherever it tries."""
        writer = data.draw(st.sampled_from(self.zombies))
        assert self.run(self.client.produce("t", "zombie", partition=partition, writer=writer)).error_code == (
            INVALID_PRODUCER_EPOCH
        )
        assert self.run(self.client.send_offset(writer, "group", "t", 0, partition)) == INVALID_PRODUCER_EPOCH
        for commit in (True, False):
            assert self.run(self.client.end(writer, commit)) == PRODUCER_FENCED

    # Time, stops and kills

    @rule(ms=st.sampled_from([1_000, 40_000, 61_000]))
    def time_passes(self, ms: int) -> None:
        self.folder.clock.now += ms
        self.client.cluster.tick()
        for who, txn in list(self.open.items()):
            if self.folder.clock.now - txn.since_ms > TIMEOUT_MS:
                self.decided(who, False)
                self.zombies.append(self.writers.pop(who))

    @rule()
    def restart(self) -> None:
        self.run(self.client.cluster.close())
        self.reopen()

    @rule()
    def kill(self) -> None:
        self.folder.kill()
        self.run(self.client.cluster.close())
        self.reopen()

    @rule(who=ids, commit=st.booleans(), writes=st.integers(0, 6))
    def kill_while_ending(self, who: str, commit: bool, writes: int) -> None:
        """Killed after so many writes of EndTxn: from the first on it is decided."""
        if who not in self.open:
            return
        with self.fail_at(writes, SimulatedCrash()), suppress(SimulatedCrash):
            self.run(self.client.end(self.writers[who], commit))
        self.kill()
        if writes > 0:
            self.decided(who, commit)

    @rule(who=ids, commit=st.booleans(), writes=st.integers(0, 6))
    def full_disk_while_ending(self, who: str, commit: bool, writes: int) -> None:
        """Asked again when there is room, EndTxn goes on where it was."""
        if who not in self.open:
            return
        with self.fail_at(writes, KafkaStorageError("no space left")):
            self.run(self.client.end(self.writers[who], commit))
        assert self.run(self.client.end(self.writers[who], commit)) == 0
        self.decided(who, commit)

    # What must hold after each step

    @invariant()
    def committed_data_in_order(self) -> None:
        for partition, rows in self.readable.items():
            assert self.client.read("t", partition) == [value for _, value in sorted(rows)]

    @invariant()
    def last_committed_offsets(self) -> None:
        assert self.run(self.client.offsets("group")) == self.offsets

    @invariant()
    def readers_stop_at_the_first_undecided(self) -> None:
        for partition in PARTITIONS:
            source = self.client.cluster.log("t", partition)
            undecided = [row[1] for txn in self.open.values() for row in txn.rows if row[0] == partition]
            assert source.last_stable_offset == min([*undecided, source.log_end_offset])


def test_transactions_against_a_model(make_folder: Callable[[], Any], fail_at: Any) -> None:
    run_state_machine_as_test(
        lambda: Transactions(make_folder, fail_at),
        settings=settings(
            max_examples=25,
            stateful_step_count=25,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
        ),
    )
