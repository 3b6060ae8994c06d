"""Power cuts: random work, then every file loses an end of what was not synced, then all must agree again.

The oracle is the list of states after each commit: what is found after the cut must be one of them, in all partitions
and groups at once; under sync_on_commit not an earlier one than the last acknowledged.
"""

from __future__ import annotations

import asyncio
import logging
import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from broker_embedded import records
from broker_embedded.faults import SimulatedCrash
from broker_embedded.log import disk
from broker_embedded.log.partition import PartitionLog
from broker_embedded.wire.messages.records import DeleteRecordsPartition, DeleteRecordsRequest, DeleteRecordsTopic
from broker_embedded.wire.messages.topics import DeleteTopicsRequest, DeleteTopicState

OUT = [("out", index) for index in range(3)]
IN = [("in", index) for index in range(2)]
State = tuple[dict[tuple[str, int], list[str]], dict[tuple[str, int], int]]


class Disk:
    """What is durable: bytes of files, and the folders of partitions."""

    def __init__(self) -> None:
        self.sizes: dict[Path, int] = {}
        self.folders: set[Path] = set()

    def observe(self, kind: str, path: str, size_bytes: int) -> None:
        if kind == "file":
            self.sizes[Path(path)] = size_bytes
        else:
            self.folders |= {entry for entry in Path(path).iterdir() if entry.is_dir()}

    def cut_power(self, source: Path, target: Path, random: Random) -> None:
        """Make `target` what is left of `source`."""
        shutil.copytree(source, target)
        for folder in sorted(source.iterdir()):
            for file in sorted(folder.iterdir()) if folder.is_dir() else ():
                self._damage(file, target / file.relative_to(source), random)
            if folder.is_dir() and folder not in self.folders and random.random() < 0.1:
                shutil.rmtree(target / folder.name)

    def _damage(self, file: Path, copy: Path, random: Random) -> None:
        durable, size = self.sizes.get(file), file.stat().st_size
        fate = random.choice(["whole", "whole", "whole", "cut", "durable", "zeros", "gone"])
        if fate == "gone" and durable is None:
            copy.unlink()
        elif fate != "whole":
            with open(copy, "r+b") as data:
                least = min(durable or 0, size)
                data.truncate(random.randint(least, size) if fate == "cut" else least)
                if fate == "zeros":  # file systems write a length before its data
                    data.truncate(size)


@dataclass
class Work:
    """Two producers over three partitions that read two others; a step is a number."""

    client: Any
    reopen: Callable[[], Any]
    segment_bytes: int = 1 << 20
    states: list[State] = field(default_factory=lambda: [({tp: [] for tp in OUT}, {})])
    inputs: dict[tuple[str, int], list[str]] = field(default_factory=lambda: {tp: [] for tp in IN})
    writers: list[Any] = field(default_factory=list)
    rows: list[list[tuple[tuple[str, int], int, str]]] = field(default_factory=lambda: [[], []])
    offsets: list[dict[tuple[str, int], int]] = field(default_factory=lambda: [{}, {}])
    committed: list[tuple[tuple[str, int], int, str]] = field(default_factory=list)
    values: int = 0

    async def start(self) -> None:
        configs = {"retention_ms": "-1", "internal_segment_bytes": str(self.segment_bytes)}
        await self.client.create("out", len(OUT), **configs)
        await self.client.create("in", len(IN), **configs)
        self.writers = [await self.client.init(f"p{who}") for who in range(2)]

    async def step(self, who: int, step: str, index: int) -> None:
        self.values += 1
        value = f"v{self.values}"
        if step in ("kill", "restart"):
            await self._again(step)
        elif step == "in":
            tp = IN[index % len(IN)]
            await self.client.produce(tp[0], value, partition=tp[1])
            self.inputs[tp].append(value)
        elif step == "out":
            tp = OUT[index]
            answer = await self.client.produce(tp[0], value, partition=tp[1], writer=self.writers[who])
            self.rows[who].append((tp, answer.base_offset, value))
        elif step == "read":
            tp = IN[index % len(IN)]
            end = self.client.cluster.log(*tp).log_end_offset
            await self.client.send_offset(self.writers[who], "group", *(tp[0], end, tp[1]))
            self.offsets[who][tp] = end
        elif self.rows[who] or self.offsets[who]:
            assert await self.client.end(self.writers[who], step == "commit") == 0
            if step == "commit":
                self.committed += self.rows[who]
                data = {tp: [v for t, _, v in sorted(self.committed, key=lambda row: row[1]) if t == tp] for tp in OUT}
                self.states.append((data, {**self.states[-1][1], **self.offsets[who]}))
            self.rows[who], self.offsets[who] = [], {}

    async def _again(self, step: str) -> None:
        """Another process goes on, with what the kernel has; a clean stop has it on the disk too."""
        if step == "restart":
            await self.client.cluster.close()
        self.client.cluster.folder.release()
        self.client = self.reopen()


async def found(client: Any) -> State:
    return {tp: client.read(*tp) for tp in OUT}, await client.offsets("group")


def steps_for(producers: int) -> st.SearchStrategy[list[tuple[int, str, int]]]:
    kinds = st.sampled_from([*["in", "out", "out", "read", "commit", "commit"] * 3, "abort", "kill", "restart"])
    return st.lists(st.tuples(st.integers(0, producers - 1), kinds, st.integers(0, 2)), min_size=5, max_size=60)


seeds = st.randoms(use_true_random=False)
few_or_many = pytest.mark.parametrize("examples", [8, pytest.param(20, marks=pytest.mark.slow)])


def searching(examples: int) -> settings:
    return settings(max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck))


class Trial:
    """Work over a folder up to a power cut, and what opens after it."""

    def __init__(self, folder: Any, monkeypatch: pytest.MonkeyPatch, **config: Any) -> None:
        self.folder, self.config, self.disk = folder, config, Disk()
        monkeypatch.setattr(disk, "observer", self.disk.observe)

    async def work(self, script: list[tuple[int, str, int]], **fields: Any) -> Work:
        work = await self.start(**fields)
        for step in script:
            await work.step(*step)
        return work

    async def start(self, **fields: Any) -> Work:
        def reopen() -> Any:
            return self.folder.open(**self.config)

        work = Work(reopen(), reopen, **fields)
        await work.start()
        return work

    def cut_power(self, random: Random) -> None:
        target = self.folder.path.with_name(f"{self.folder.path.name}-cut")
        self.disk.cut_power(self.folder.path, target, random)
        self.folder.path = target


async def check_usable(client: Any) -> None:
    """Every producer goes on, in every partition."""
    before = {tp: client.read(*tp) for tp in OUT}
    for who in range(2):
        writer = await client.init(f"p{who}")
        for tp in OUT:
            assert (await client.produce(tp[0], "after", partition=tp[1], writer=writer)).error_code == 0
        assert await client.end(writer) == 0
    assert {tp: client.read(*tp) for tp in OUT} == {tp: [*values, "after", "after"] for tp, values in before.items()}


def check_inputs(client: Any, work: Work, offsets: dict[tuple[str, int], int]) -> None:
    for tp, values in work.inputs.items():
        left = client.read(*tp)
        assert left == values[: len(left)]
        assert offsets.get(tp, 0) <= client.cluster.log(*tp).log_end_offset


@pytest.mark.parametrize(("producers", "segment_bytes"), [(1, 1 << 20), (2, 1 << 20), (2, 250)])
@pytest.mark.parametrize("sync_on_commit", [False, True])
@few_or_many
def test_after_a_power_cut_all_agree(
    make_folder: Callable[[], Any],
    monkeypatch: pytest.MonkeyPatch,
    producers: int,
    segment_bytes: int,
    sync_on_commit: bool,
    examples: int,
) -> None:
    @searching(examples)
    @given(steps_for(producers), seeds)
    def check(script: list[tuple[int, str, int]], random: Random) -> None:
        async def main() -> None:
            trial = Trial(make_folder(), monkeypatch, sync_on_commit=sync_on_commit)
            try:
                work = await trial.work(script, segment_bytes=segment_bytes)
                trial.cut_power(random)
                again = trial.folder.open()
                state = await found(again)
                assert state in work.states
                if sync_on_commit:
                    assert state == work.states[-1]
                check_inputs(again, work, state[1])
                trial.folder.kill()
                third = trial.folder.open()
                assert await found(third) == state
                await check_usable(third)
            finally:
                await trial.folder.close()

        asyncio.run(main())

    check()


def whole_end(file: Path) -> int:
    """The end of the log that a cut file leaves."""
    end = 0
    with suppress(FileNotFoundError, records.CorruptBatchError):  # zeros are no batch
        for _, batch in records.batches(file.read_bytes()):
            end = records.verify(batch).next_offset
    return end


@few_or_many
def test_no_more_is_rolled_back_than_must_be(
    make_folder: Callable[[], Any], monkeypatch: pytest.MonkeyPatch, examples: int
) -> None:
    """With one producer, the commits before the first that lost a byte all stay."""

    @searching(examples)
    @given(steps_for(1), seeds)
    def check(script: list[tuple[int, str, int]], random: Random) -> None:
        async def main() -> None:
            trial = Trial(make_folder(), monkeypatch)
            try:
                work = await trial.start()
                needed: list[dict[tuple[str, int], int]] = [{}]
                for who, step, index in script:
                    ends = {(log.topic, log.partition): log.log_end_offset for log in work.client.cluster.logs()}
                    written = {tp: ends[tp] for tp, _, _ in work.rows[0]} | work.offsets[0]
                    if work.offsets[0]:
                        written["__consumer_offsets", 0] = ends["__consumer_offsets", 0]
                    written["__transaction_state", 0] = ends["__transaction_state", 0] + 1
                    await work.step(who, step, index)
                    if len(work.states) > len(needed):
                        needed.append(written)
                trial.cut_power(random)
                left = {tp: whole_end(trial.folder.path / f"{tp[0]}-{tp[1]}" / f"{0:020d}.log") for tp in ends}
                lost = [n for n, wants in enumerate(needed) if any(left[tp] < end for tp, end in wants.items())]
                expected = work.states[lost[0] - 1 if lost else -1]
                assert await found(trial.folder.open()) == expected
            finally:
                await trial.folder.close()

        asyncio.run(main())

    check()


@few_or_many
def test_a_crash_while_agreeing(make_folder: Callable[[], Any], monkeypatch: pytest.MonkeyPatch, examples: int) -> None:
    """Cutting is done again from wherever it was interrupted, with the same result."""

    @searching(examples)
    @given(steps_for(2), seeds, st.integers(0, 5))
    def check(script: list[tuple[int, str, int]], random: Random, cuts: int) -> None:
        async def main() -> None:
            trial = Trial(make_folder(), monkeypatch)
            try:
                work = await trial.work(script)
                trial.cut_power(random)
                cut = trial.folder.path
                trial.folder.kill()
                expected = await found(trial.folder.open())
                trial.folder.path = cut
                with monkeypatch.context() as patch, suppress(SimulatedCrash):
                    patch.setattr(PartitionLog, "truncate_to", failing_after(cuts, PartitionLog.truncate_to))
                    trial.folder.open()
                trial.folder.kill()
                assert await found(trial.folder.open()) == expected
                assert expected in work.states
            finally:
                await trial.folder.close()

        asyncio.run(main())

    check()


def failing_after(calls: int, method: Any) -> Any:
    left = [calls]

    def truncate_to(log: PartitionLog, offset: int) -> int:
        if left[0] == 0:
            raise SimulatedCrash
        left[0] -= 1
        end: int = method(log, offset)
        return end

    return truncate_to


async def test_what_was_rolled_back_is_said(folder: Any, caplog: pytest.LogCaptureFixture) -> None:
    client = folder.open()
    await client.create("out", 2)
    writer = await client.init("worker-0")
    for value in "ab":
        for partition in (0, 1):
            await client.produce("out", value, partition=partition, writer=writer)
        await client.end(writer)
    folder.kill()
    file = folder.path / "out-1" / f"{0:020d}.log"
    file.write_bytes(file.read_bytes()[: -(78 + 1)])  # the last marker and a byte of the record before it
    with caplog.at_level(logging.WARNING, "broker_embedded"):
        again = folder.open()
    assert "the last 1 commits of ['worker-0']" in caplog.text
    assert "out-0 4 -> 2" in caplog.text
    assert (again.read("out"), again.read("out", 1)) == (["a"], ["a"])


async def test_a_lost_marker_alone_is_written_again(folder: Any) -> None:
    client = folder.open()
    await client.create("out", 2)
    writer = await client.init()
    for partition in (0, 1):
        await client.produce("out", "a", partition=partition, writer=writer)
    await client.end(writer)
    folder.kill()
    file = folder.path / "out-1" / f"{0:020d}.log"
    file.write_bytes(file.read_bytes()[:-78])
    again = folder.open()
    assert (again.read("out"), again.read("out", 1)) == (["a"], ["a"])


async def test_a_topic_made_again_has_lost_nothing(folder: Any) -> None:
    """Old commits speak of another topic of that name, and old positions too."""
    client = folder.open()
    await client.create("in")
    await client.create("out")
    writer = await client.init()
    for _ in range(5):
        await client.produce("in", "x")
    await client.produce("out", "old", writer=writer)
    await client.send_offset(writer, "group", "in", 5)
    await client.end(writer)
    for name in ("in", "out"):
        await client.cluster.handle(DeleteTopicsRequest([DeleteTopicState(name)]))
        await client.create(name)
    writer = await client.init()
    for value in "ab":
        await client.produce("out", value, writer=writer)
        await client.end(writer)
    folder.kill()
    file = folder.path / "out-0" / f"{0:020d}.log"
    file.write_bytes(file.read_bytes()[: -(78 + 1)])
    again = folder.open()
    assert again.read("out") == ["a"]


def cut(folder: Any, topic: str, keep_bytes: int) -> None:
    file = folder.path / f"{topic}-0" / f"{0:020d}.log"
    file.write_bytes(file.read_bytes()[:keep_bytes])


async def test_a_commit_ahead_of_what_it_read_goes(folder: Any) -> None:
    """Nothing of its own is lost, but records it read are."""
    client = folder.open()
    await client.create("in")
    await client.create("out")
    writer = await client.init()
    for value in "ab":
        await client.produce("in", value)
        await client.produce("out", value.upper(), writer=writer)
        await client.send_offset(writer, "group", "in", client.cluster.log("in", 0).log_end_offset)
        await client.end(writer)
    folder.kill()
    cut(folder, "in", -1)
    again = folder.open()
    assert (again.read("in"), again.read("out")) == (["a"], ["A"])
    assert await again.offsets("group") == {("in", 0): 1}


async def test_a_position_that_was_never_reached_is_no_loss(folder: Any) -> None:
    client = folder.open()
    await client.create("in")
    await client.create("out")
    writer = await client.init()
    for value in "ab":
        await client.produce("out", value, writer=writer)
        await client.send_offset(writer, "group", "in", 1000)
        await client.end(writer)
    folder.kill()
    assert folder.open().read("out") == ["a", "b"]


async def test_a_lost_epoch_is_found_in_the_partitions(folder: Any) -> None:
    client = folder.open()
    await client.create("out")
    writer = await client.init()
    await client.produce("out", "a", writer=writer)
    await client.end(writer)
    size_bytes = (folder.path / "__transaction_state-0" / f"{0:020d}.log").stat().st_size
    for _ in range(3):
        await client.produce("out", "lost", writer=await client.init())
    folder.kill()
    cut(folder, "__transaction_state", size_bytes)
    again = folder.open()
    writer = await again.init()
    assert (await again.produce("out", "b", writer=writer)).error_code == 0
    await again.end(writer)
    assert again.read("out") == ["a", "b"]


@pytest.mark.parametrize("topic", ["out", "in", "__consumer_offsets", "__transaction_state"])
async def test_a_lost_beginning_is_a_loss(folder: Any, topic: str, caplog: pytest.LogCaptureFixture) -> None:
    """Of files never synced the first may be gone and a later one there."""
    client = folder.open()
    await client.create("in", internal_segment_bytes="100")
    await client.create("out", internal_segment_bytes="100")
    for name in ("__consumer_offsets", "__transaction_state"):
        source = client.cluster.log(name, 0)
        source.configure(replace(source.config, segment_bytes=400))
    writer = await client.init()
    for value in "abc":
        await client.produce("in", value)
        await client.produce("out", value, writer=writer)
        await client.send_offset(writer, "group", "in", client.cluster.log("in", 0).log_end_offset)
        await client.end(writer)
    folder.kill()
    (folder.path / f"{topic}-0" / f"{0:020d}.log").unlink()
    again = folder.open()
    assert f"the beginnings of these partitions are gone (a power cut?): [('{topic}', 0)]" in caplog.text
    assert again.read("out") == []
    assert await again.offsets("group") == {}
    folder.kill()
    third = folder.open()
    assert not third.cluster.folder.lost_beginnings
    assert third.read("out") == []
    writer = await third.init()
    await third.produce("out", "d", writer=writer)
    await third.end(writer)
    assert third.read("out") == ["d"]


async def test_what_retention_removed_is_no_loss(folder: Any) -> None:
    client = folder.open()
    await client.create("out", internal_segment_bytes="100", retention_ms="1000")
    writer = await client.init()
    for value in "ab":
        await client.produce("out", value, writer=writer)
        await client.end(writer)
    client.clock.now += 60_000
    await client.produce("out", "c", writer=writer)
    await client.end(writer)
    client.cluster.tick()
    assert client.read("out") == ["c"]
    folder.kill()  # before it is written down
    assert folder.open().read("out") == ["c"]
    folder.kill()
    assert folder.open().read("out") == ["c"]


async def test_commits_speak_of_records_long_removed(folder: Any) -> None:
    """Other producers' data and positions lie before the start of the log by now."""
    client = folder.open()
    await client.create("out", internal_segment_bytes="100")
    first, second = await client.init("p0"), await client.init("p1")
    for writer in (first, second, second):
        await client.produce("out", "x", writer=writer)
        await client.send_offset(writer, "group", "out", 1)
        await client.end(writer)
    rows = [DeleteRecordsTopic("out", [DeleteRecordsPartition(0, 4)])]
    await client.cluster.handle(DeleteRecordsRequest(rows))
    await client.cluster.flush_due()
    client.cluster.tick()
    await client.produce("out", "lost", writer=first)
    await client.end(first)
    folder.kill()
    for file in (folder.path / "__transaction_state-0").glob("*.log"):
        data = file.read_bytes()
        headers = [header for header, _ in records.batches(data)]
        file.write_bytes(data[: -sum(header.length_bytes for header in headers[-3:])])  # from Ongoing on
    again = folder.open()
    assert again.read("out") == ["x"]
