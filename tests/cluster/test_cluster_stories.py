"""What happens to workers on a cluster, one thing at a time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest

from tests.cluster.proxied_cluster import ProxiedCluster
from tests.cluster.story import LONG_SESSION, Story
from tests.cluster.story_app import PARTITIONS
from tests.cluster.worker_process import WorkerProcess, wait_for
from tests.interop.apache_kafka import Tools

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

NewStory = Callable[..., Story]
_numbers = count(1)


@pytest.fixture
def new_story(three_brokers: ProxiedCluster, tmp_path: Path) -> Iterator[NewStory]:
    stories = []

    def begin(**settings: str) -> Story:
        number = next(_numbers)
        stories.append(Story(three_brokers, tmp_path / str(number), f"story-{number}", settings))
        return stories[-1]

    yield begin
    for story in stories:
        story.end()


@pytest.fixture(scope="module")
def tools(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tools]:
    tools = Tools(tmp_path_factory.mktemp("tools"))
    yield tools
    tools.stop()


def wait_until_committed(worker: WorkerProcess) -> None:
    """All that it has done is in its stores, too."""

    def has_ended_its_last() -> bool:
        steps = [event["step"] for event in worker.events("step") if event["step"].startswith("commit")]
        return steps[-1:] in ([], ["commit: done"])

    wait_for(has_ended_its_last, lambda: f"{worker} is between commits")


def processes(worker: WorkerProcess, since: float) -> set[int]:
    """Partitions of which a worker's present life has seen records since a moment."""
    began = worker.events("started")[-1]["at"]
    before = [event["processed"] for event in worker.events("step", began) if event["at"] < since]
    first = before[-1] if before else {}
    return {p for p, n in worker.processed(since).items() if n > first.get(str(p), 0)}


def partitions_of(story: Story) -> dict[str, set[int]]:
    """Who works on what, by what each does with some more records."""
    began = time.monotonic()
    story.send(240)
    story.wait_for_results()
    for worker in story.fleet.workers:
        wait_until_committed(worker)
    return {worker.name: processes(worker, began) for worker in story.fleet.workers}


def wait_for_shares(story: Story, workers: int) -> dict[str, set[int]]:
    """Until each of so many workers works on its share of the partitions."""
    found: dict[str, set[int]] = {}

    def are_shared() -> bool:
        found.clear()
        found.update(partitions_of(story))
        sizes = sorted(len(of) for of in found.values())
        return sum(sizes) == PARTITIONS and len(sizes) == workers and sizes[0] >= PARTITIONS // workers

    wait_for(are_shared, lambda: f"{workers} workers share {PARTITIONS} partitions: {found}\n{story.logs()}", 120)
    return found


# -- ends and restarts


def test_killed_and_restarted_it_waits_for_no_session_and_reads_nothing_again(new_story: NewStory) -> None:
    """Its session would last for minutes more. It was between commits, so its stores are whole."""
    story = new_story(**LONG_SESSION)
    worker = story.worker()
    story.send(2_000)
    story.wait_for_results()
    wait_until_committed(worker)
    worker.kill()
    killed = time.monotonic()
    worker.start()
    story.send(600)
    story.wait_for_results()
    assert worker.restored(killed) == {}
    story.fleet.stop()
    story.check()


@pytest.mark.parametrize("step", ["commit: end transaction", "commit: write stores"])
def test_killed_within_a_commit_it_reads_that_commit_at_most(step: str, new_story: NewStory) -> None:
    story = new_story(**LONG_SESSION)
    worker, other = story.worker(), story.worker()
    story.send(2_400)
    story.wait_for_results()
    wait_for_shares(story, 2)
    worker.set_trap(step)
    story.send(120)
    wait_for(lambda: worker.is_held(step), lambda: f"{worker} at {step!r}")
    worker.kill()
    worker.release(step)
    killed = time.monotonic()
    worker.start()
    story.send(600)
    story.wait_for_results()
    assert sum(worker.restored(killed).values()) <= 120
    assert other.restored(killed) == {}
    story.fleet.stop()
    story.check()


def test_asked_to_end_it_commits_and_a_restart_counts_nothing_twice(new_story: NewStory) -> None:
    story = new_story()
    worker = story.worker()
    story.keep_sending()
    story.wait_for_more(set(range(PARTITIONS)), 50)
    worker.stop()
    stopped = worker.events("stopped")[-1]["stopped"]
    committed = story.committed()
    assert sum(committed.values()) == stopped["records"] > 0
    assert story.results_at_end() == committed
    again = time.monotonic()
    worker.start()
    story.wait_for_more(set(range(PARTITIONS)), 50)
    story.stop_sending()
    story.wait_for_results()
    assert worker.restored(again) == {}
    story.fleet.stop()
    story.check()


def test_a_rolling_restart_of_all_workers_replays_nothing(new_story: NewStory) -> None:
    """Their seats are kept for them, though their folders are new."""
    story = new_story(**LONG_SESSION, LEAVE_ON_STOP="false")
    for _ in range(3):
        story.worker()
    story.send(2_400)
    before = wait_for_shares(story, 3)
    began = time.monotonic()
    story.keep_sending()
    for worker in story.fleet.workers:
        worker.stop()
        restarted = time.monotonic()
        worker.start()
        wait_for(lambda: processes(worker, restarted) == before[worker.name], lambda: f"{worker} has its tasks")  # noqa: B023
    story.stop_sending()
    story.wait_for_results()
    assert [worker.restored(began) for worker in story.fleet.workers] == [{}, {}, {}]
    assert partitions_of(story) == before
    story.fleet.stop()
    story.check()


# -- frozen


@pytest.mark.parametrize("step", ["commit: send outputs", "commit: end transaction", "commit: write stores"])
def test_frozen_past_its_session_it_is_fenced_and_comes_back(step: str, new_story: NewStory) -> None:
    """It stands in the middle of a commit, goes on with it when others have its tasks, and nothing of that is seen."""
    story = new_story()
    frozen, other = story.worker(), story.worker()
    story.send(600)
    wait_for_shares(story, 2)
    frozen.set_trap(step)
    story.send(240)
    wait_for(lambda: frozen.is_held(step), lambda: f"{frozen} at {step!r}")
    frozen.freeze()
    frozen.release(step)
    story.wait_for_results()
    thawed = time.monotonic()
    story.send(240)
    story.wait_for_results()
    assert processes(other, thawed) == set(range(PARTITIONS))
    frozen.thaw()
    story.keep_sending()
    wait_for(lambda: processes(frozen, thawed + 1) != set(), lambda: f"{frozen} works again\n{story.logs()}")
    story.stop_sending()
    story.wait_for_results()
    assert is_told_by(frozen, "fenced", "expelled", "lost", "member")
    story.fleet.stop()
    story.check()


def is_told_by(worker: WorkerProcess, *words: str) -> bool:
    """Whether a worker's log has a warning with one of the words."""
    lines = worker.log.read_text().lower().splitlines()
    return any(word in line for line in lines if "warning" in line for word in words)


# -- rebalances


def test_tasks_that_stay_go_on_while_a_rebalance_waits(new_story: NewStory) -> None:
    """A rebalance that cannot end, as one of its members is frozen, costs the others nothing."""
    story = new_story(**LONG_SESSION, REBALANCE_TIMEOUT_MS="180000")
    stays, frozen = story.worker(), story.worker()
    story.send(600)
    of = wait_for_shares(story, 2)
    frozen.freeze()
    story.worker()
    wait_for(lambda: bool(story.fleet.workers[-1].events("started")), lambda: "the new worker has begun")
    for _ in range(3):
        story.send(240)
        story.wait_for_results(of[stays.name])
    frozen.thaw()
    wait_for_shares(story, 3)
    story.fleet.stop()
    story.check()


def test_tasks_that_stay_go_on_while_others_are_made(new_story: NewStory) -> None:
    """The new worker stands where it makes its tasks; what does not go to it is worked on."""
    story = new_story(**LONG_SESSION)
    story.worker()
    story.worker()
    story.send(600)
    wait_for_shares(story, 2)
    new = story.worker(trap="assign: make tasks")
    wait_for(lambda: new.is_held("assign: make tasks"), lambda: f"{new} makes its tasks\n{story.logs()}", 90)
    story.send(240)
    story.wait_for_results_of(4)
    new.release("assign: make tasks")
    wait_for_shares(story, 3)
    story.fleet.stop()
    story.check()


# -- brokers


def test_the_only_broker_is_killed_and_comes_back(one_broker: ProxiedCluster, tmp_path: Path) -> None:
    """No worker ends, and nothing is lost: there was nobody to tell it to."""
    story = Story(one_broker, tmp_path, "one-broker", LONG_SESSION)
    try:
        story.worker()
        story.worker()
        story.send(600)
        wait_for_shares(story, 2)
        story.keep_sending()
        story.wait_for_more(set(range(PARTITIONS)), 20)
        one_broker.kill(1)
        one_broker.mend()
        story.wait_for_more(set(range(PARTITIONS)), 20)
        story.stop_sending()
        story.wait_for_results()
        story.fleet.stop()
        story.check()
    finally:
        story.end()


# -- watched with Kafka's tools


def test_kafkas_own_tools_see_the_group_and_the_changelog(new_story: NewStory, tools: Tools) -> None:
    story = new_story()
    story.worker()
    story.worker()
    story.send(600)
    wait_for_shares(story, 2)
    group = ("--bootstrap-server", story.cluster.bootstrap, "--group", story.app_id)
    command = "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand"
    described = tools.run(command, *group, "--describe")
    rows = [line.split() for line in described.out.splitlines() if line.startswith(story.app_id)]
    of = {int(row[2]): row for row in rows if row[1] == f"{story.app_id}-in"}
    assert {p: int(row[3]) for p, row in of.items()} == dict(story.sent()), described
    assert {row[5] for row in of.values()} == {"0"}, "lag"
    assert len({row[6] for row in of.values()} - {"-"}) == 2, described
    state = tools.run(command, *group, "--describe", "--state").out
    assert "Stable" in state and "streams-engine" in state, state
    changelog = f"{story.app_id}-counts-changelog"
    read = tools.run(
        "org.apache.kafka.tools.consumer.ConsoleConsumer",
        *("--bootstrap-server", story.cluster.bootstrap, "--topic", changelog, "--from-beginning"),
        *("--timeout-ms", "5000", "--formatter-property", "print.key=true", "--isolation-level", "read_committed"),
    )
    keys = {line.partition("\t")[0] for line in read.out.splitlines()}
    assert {record.key for record in story.feeder.sent} <= keys, read
    story.fleet.stop()
    story.check()
