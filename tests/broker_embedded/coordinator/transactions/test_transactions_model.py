"""Random producers that commit, abort, time out, are replaced and retry, over a broker that is stopped, killed, and
killed in the middle of commits, against a model that is a few dictionaries.

Producers are of three kinds: in the process, clients that add partitions first, and clients of KIP-890, which get an
epoch with each end; some begin where epochs run out.

The model: a value is read if and only if its transaction was decided as committed, in the order of the log; a group has
the offset that was committed last; whoever was replaced or timed out is shut out.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, TypeVar

import pytest
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
from broker_embedded.handlers import LOCAL, RequestContext

T = TypeVar("T")


class Speech(NamedTuple):
    """The versions of Produce, TxnOffsetCommit and EndTxn that a kind of producer speaks."""

    produce: RequestContext
    offsets: RequestContext
    end: RequestContext
    adds: bool = False  # partitions, before it writes
    bumps: bool = False  # its epoch, with each end


SPEECH = {
    "local": Speech(LOCAL, LOCAL, LOCAL),
    "old": Speech(RequestContext(9), RequestContext(3), RequestContext(3), adds=True),
    "new": Speech(RequestContext(13), RequestContext(5), RequestContext(5), bumps=True),
}
NEARLY_THE_LAST = 32_763
PARTITIONS = range(3)
TIMEOUT_MS = 60_000
INVALID_PRODUCER_EPOCH, INVALID_TXN_STATE, INVALID_PRODUCER_ID_MAPPING, PRODUCER_FENCED = 47, 48, 49, 90

ids = st.sampled_from(["p0", "p1"])
kinds = st.sampled_from(sorted(SPEECH))
numbers = st.integers(0, 1)
partitions = st.sampled_from(PARTITIONS)


def pick(names: Iterable[str], number: int) -> str:
    found = sorted(names)
    return found[number % len(found)]


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
        self.kinds: dict[str, str] = {}
        self.ended: dict[str, tuple[Any, bool]] = {}  # as it was before its last end, and the outcome
        self.zombies: list[Any] = []
        self.open: dict[str, Open] = {}
        self.readable: dict[int, list[tuple[int, str]]] = {partition: [] for partition in PARTITIONS}
        self.offsets: dict[tuple[str, int], int] = {}
        self.values = 0

    def run(self, work: Awaitable[T]) -> T:
        async def main() -> T:
            return await work

        return self.runner.run(main())

    @initialize(sync_on_commit=st.booleans(), first=kinds, second=kinds)
    def start(self, sync_on_commit: bool, first: str, second: str) -> None:
        self.config = {"sync_on_commit": sync_on_commit, "offsets_topic_num_partitions": 2}
        self.reopen()
        self.run(self.client.create("t", len(PARTITIONS), retention_ms="-1"))
        self.instance("p0", first, False)
        self.instance("p1", second, False)

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

    def speech(self, who: str) -> Speech:
        return SPEECH[self.kinds[who]]

    def of_kind(self, kind: str) -> set[str]:
        return {who for who in self.writers if self.kinds[who] == kind}

    def send_end(self, who: str, commit: bool) -> int:
        writer = self.writers[who]
        before = replace(writer, sequences={})
        code: int = self.run(self.client.end(writer, commit, self.speech(who).end))
        if code == 0:
            self.ended[who] = before, commit
        return code

    # Producers

    @rule(who=ids, kind=kinds, nearly_the_last=st.booleans())
    def instance(self, who: str, kind: str, nearly_the_last: bool) -> None:
        """A new instance of a producer takes over."""
        if who in self.writers:
            self.zombies.append(self.writers[who])
        if nearly_the_last and who in self.writers and who not in self.open:
            txn = self.client.cluster.transactions.by_id[who]
            txn.producer_epoch = max(txn.producer_epoch, NEARLY_THE_LAST)
        self.decided(who, False)
        self.kinds[who] = kind
        self.ended.pop(who, None)
        self.writers[who] = self.run(self.client.init(who, transaction_timeout_ms=TIMEOUT_MS))

    @precondition(lambda self: self.writers)
    @rule(number=numbers)
    def same_instance_again(self, number: int) -> None:
        """After an error it asks for an epoch with what it had, and again when the answer gets lost (KIP-360)."""
        who = pick(self.writers, number)
        writer = self.writers[who]
        had = {"producer_id": writer.producer_id, "producer_epoch": writer.epoch}
        found = [self.run(self.client.init(who, transaction_timeout_ms=TIMEOUT_MS, **had)) for _ in range(2)]
        assert found[0] == found[1]
        self.zombies.append(writer)
        self.decided(who, False)
        self.ended.pop(who, None)
        self.writers[who] = found[0]

    @precondition(lambda self: self.writers)
    @rule(number=numbers, partition=partitions, count=st.integers(1, 3))
    def produce(self, number: int, partition: int, count: int) -> None:
        who = pick(self.writers, number)
        self.write_rows(who, partition, count)

    def opened(self, number: int) -> str:
        """A producer with a transaction."""
        who = pick(self.writers, number)
        if who not in self.open:
            self.write_rows(who, number, 1)
        return who

    def write_rows(self, who: str, partition: int, count: int) -> None:
        values = [f"v{self.values + n}" for n in range(count)]
        self.values += count
        answer = self.write(who, partition, *values)
        self.begun(who).rows += [(partition, answer.base_offset + n, value) for n, value in enumerate(values)]

    def write(self, who: str, partition: int, *values: str, **fields: Any) -> Any:
        writer, speech = self.writers[who], self.speech(who)
        if speech.adds:
            assert self.run(self.client.add(writer, "t", partition)) == [0]
        answer = self.run(
            self.client.produce("t", *values, partition=partition, writer=writer, context=speech.produce, **fields)
        )
        assert answer.error_code == 0
        return answer

    @precondition(lambda self: self.of_kind("old"))
    @rule(number=numbers, partition=partitions)
    def produce_without_adding(self, number: int, partition: int) -> None:
        """An old client that forgets to add its partition gets nothing written."""
        who = pick(self.of_kind("old"), number)
        if any(row[0] == partition for row in self.open[who].rows) if who in self.open else False:
            return
        writer = replace(self.writers[who], sequences={})
        context = self.speech(who).produce
        answer = self.run(self.client.produce("t", "lost", partition=partition, writer=writer, context=context))
        assert answer.error_code == INVALID_TXN_STATE

    @precondition(lambda self: self.writers)
    @rule(number=numbers, partition=partitions)
    def produce_again(self, number: int, partition: int) -> None:
        """The answer to a batch got lost, and the producer sends it again: it is there once."""
        who = self.opened(number)
        writer = self.writers[who]
        value = "repeated"
        first = self.write(who, partition, value)
        sequence = writer.sequences["t", partition] - 1
        again = self.write(who, partition, value, sequence=sequence)
        assert (first.base_offset, first.error_code) == (again.base_offset, again.error_code)
        self.begun(who).rows.append((partition, first.base_offset, value))

    @rule(partition=partitions)
    def produce_outside(self, partition: int) -> None:
        """A producer without transactions writes in between."""
        answer = self.run(self.client.produce("t", "plain", partition=partition))
        self.readable[partition].append((answer.base_offset, "plain"))

    @precondition(lambda self: self.writers)
    @rule(number=numbers, partition=partitions)
    def send_offset(self, number: int, partition: int) -> None:
        who = pick(self.writers, number)
        writer, speech = self.writers[who], self.speech(who)
        offset = self.client.cluster.log("t", partition).log_end_offset
        if speech.adds:
            assert self.run(self.client.add_offsets(writer, "group")) == 0
        assert self.run(self.client.send_offset(writer, "group", "t", offset, partition, speech.offsets)) == 0
        self.begun(who).offsets[partition] = offset

    @precondition(lambda self: self.writers)
    @rule(number=numbers, commit=st.booleans())
    def end(self, number: int, commit: bool) -> None:
        who = self.opened(number)
        assert self.send_end(who, commit) == 0
        self.decided(who, commit)

    @precondition(lambda self: self.ended)
    @rule(number=numbers, commit=st.booleans())
    def end_again(self, number: int, commit: bool) -> None:
        """The answer to EndTxn got lost: the same outcome is agreed to, and the other one is not."""
        who = pick(self.ended, number)
        before, committed = self.ended[who]
        retry = replace(before, sequences={})
        code = self.run(self.client.end(retry, commit, self.speech(who).end))
        if who in self.open:
            expected = PRODUCER_FENCED if retry.producer_id == self.writers[who].producer_id else 49
        else:
            expected = 0 if commit == committed else INVALID_TXN_STATE
        if not (who in self.open and not self.speech(who).bumps):  # an old one ends the next transaction
            assert code == expected
        else:
            self.decided(who, commit)
            self.ended[who] = before, commit
        if code == 0:
            now = self.writers[who]
            assert (retry.producer_id, retry.epoch) == (now.producer_id, now.epoch)

    @precondition(lambda self: self.of_kind("new") - set(self.open))
    @rule(number=numbers)
    def abort_nothing(self, number: int) -> None:
        """A client that failed before it wrote gets a new epoch by an abort."""
        who = pick(self.of_kind("new") - set(self.open), number)
        writer = self.writers[who]
        had = (writer.producer_id, writer.epoch)
        assert self.send_end(who, False) == 0
        assert (writer.producer_id, writer.epoch) != had

    @precondition(lambda self: self.zombies)
    @rule(data=st.data(), partition=partitions)
    def zombie(self, data: st.DataObject, partition: int) -> None:
        """Whoever was replaced or timed out gets nothing done, wherever it tries."""
        writer = data.draw(st.sampled_from(self.zombies))
        owner = self.client.cluster.transactions.by_id[writer.transactional_id]
        is_known = owner.producer_id == writer.producer_id
        stale = INVALID_PRODUCER_EPOCH if is_known else INVALID_PRODUCER_ID_MAPPING
        produced = self.run(self.client.produce("t", "zombie", partition=partition, writer=writer))
        assert produced.error_code == stale
        assert self.run(self.client.send_offset(writer, "group", "t", 0, partition)) == stale
        for commit in (True, False):
            fenced = PRODUCER_FENCED if is_known else INVALID_PRODUCER_ID_MAPPING
            assert self.run(self.client.end(writer, commit, SPEECH["old"].end)) == fenced
        if owner.producer_epoch != writer.epoch + 1:  # else it may be taken for a retry by the owner, as in Kafka
            assert self.run(self.client.end(writer, True, SPEECH["new"].end)) in (fenced, INVALID_TXN_STATE)

    # Time, stops and kills

    @rule(ms=st.sampled_from([1_000, 40_000, 61_000]))
    def time_passes(self, ms: int) -> None:
        self.folder.clock.now += ms
        self.client.cluster.tick()
        for who, txn in list(self.open.items()):
            if self.folder.clock.now - txn.since_ms > TIMEOUT_MS:
                self.decided(who, False)
                self.ended.pop(who, None)
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

    @precondition(lambda self: self.writers)
    @rule(number=numbers, commit=st.booleans(), writes=st.integers(0, 6))
    def kill_while_ending(self, number: int, commit: bool, writes: int) -> None:
        """Killed after so many writes of EndTxn: from the first on it is decided, and asking again tells so."""
        who = self.opened(number)
        asking = replace(self.writers[who], sequences={})
        with self.fail_at(writes, SimulatedCrash()), suppress(SimulatedCrash):
            self.run(self.client.end(asking, commit, self.speech(who).end))
        self.kill()
        if writes > 0:
            assert self.send_end(who, commit) == 0
            self.decided(who, commit)

    @precondition(lambda self: self.writers)
    @rule(number=numbers, commit=st.booleans(), writes=st.integers(0, 6))
    def full_disk_while_ending(self, number: int, commit: bool, writes: int) -> None:
        """Asked again when there is room, EndTxn goes on where it was."""
        who = self.opened(number)
        asking = replace(self.writers[who], sequences={})
        with self.fail_at(writes, KafkaStorageError("no space left")):
            self.run(self.client.end(asking, commit, self.speech(who).end))
        assert self.send_end(who, commit) == 0
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


@pytest.mark.parametrize("examples", [6, pytest.param(60, marks=pytest.mark.slow)])
def test_transactions_against_a_model(make_folder: Callable[[], Any], fail_at: Any, examples: int) -> None:
    run_state_machine_as_test(
        lambda: Transactions(make_folder, fail_at),
        settings=settings(
            max_examples=examples,
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
        ),
    )
