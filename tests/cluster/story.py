"""The app of `story_app` on a cluster, with its input and its judge: what the single stories are told with."""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path

from confluent_kafka import Consumer, TopicPartition

from streams.partitioner import partition_for
from tests.cluster.chaos_input import FIRST_MS, Record
from tests.cluster.feeder import Feeder, make_topics
from tests.cluster.fleet import Fleet
from tests.cluster.judge import Judge, read_all, undecided
from tests.cluster.proxied_cluster import ProxiedCluster
from tests.cluster.story_app import PARTITIONS
from tests.cluster.worker_process import WorkerProcess, wait_for

USERS = 120
RECORDS_PER_S = 200
LONG_SESSION = {"SESSION_TIMEOUT_MS": "180000"}
"""Longer than any of the tests: nothing in them comes of its end."""


class Story:
    """`fleet` has the workers, and `feeder` sends; `app_id` is the story's own."""

    def __init__(self, cluster: ProxiedCluster, folder: Path, app_id: str, settings: Mapping[str, str]) -> None:
        self.cluster = cluster
        self.app_id = app_id
        self._in, self._out = f"{app_id}-in", f"{app_id}-counts"
        self._outputs = {self._out: PARTITIONS}
        make_topics(cluster.bootstrap, {self._in: PARTITIONS, self._out: PARTITIONS})
        self.fleet = Fleet(cluster, folder, "tests.cluster.story_app:app", app_id, settings)
        self.feeder = Feeder(cluster.bootstrap, RECORDS_PER_S, {self._in: PARTITIONS})
        self.judge = Judge(cluster.bootstrap, self._outputs)
        self._records = self._endless()

    def _endless(self) -> Iterator[Record]:
        for n in itertools.count():
            yield Record(self._in, f"user-{n % USERS}", n, FIRST_MS + n)

    def worker(self, *, trap: str | None = None) -> WorkerProcess:
        """One more, which is to be held at a step."""
        worker = self.fleet.add(trap=trap)
        assert worker is not None
        return worker

    # -- input

    def send(self, count: int) -> None:
        """So many records more; they are there then."""
        self.feeder.send(list(itertools.islice(self._records, count)))

    def keep_sending(self) -> None:
        """More and more, until `stop_sending`."""
        self.feeder.start(self._records)

    def stop_sending(self) -> None:
        self.feeder.stop()

    # -- output

    def results(self) -> Counter[int]:
        """How many results there are in each partition."""
        self.judge.read(0.2)
        return Counter(row.partition for row in self.judge.rows[self._out])

    def sent(self) -> Counter[int]:
        """How many records there are in each partition."""
        return Counter(partition_for(record.key.encode(), PARTITIONS) for record in self.feeder.sent)

    def wait_for_results(self, partitions: set[int] | None = None) -> None:
        """Of all that was sent, or of some partitions."""
        wanted = {p: n for p, n in self.sent().items() if partitions is None or p in partitions}

        def are_there() -> bool:
            self.fleet.check()
            found = self.results()
            return all(found[p] >= n for p, n in wanted.items())

        wait_for(are_there, lambda: f"results {wanted}, there are {dict(self.results())}\n{self.logs()}", 90)

    def wait_for_more(self, partitions: set[int], count: int) -> None:
        """So many results more in each of some partitions, whatever was sent."""
        before = self.results()
        wait_for(
            lambda: all(self.results()[p] >= before[p] + count for p in partitions),
            lambda: f"{count} results more in {partitions}",
            90,
        )

    def wait_for_results_of(self, count: int) -> None:
        """Of all that was sent to so many of the partitions, whichever they are."""
        wanted = self.sent()

        def are_there() -> bool:
            found = self.results()
            return sum(found[p] >= n for p, n in wanted.items()) >= count

        wait_for(are_there, lambda: f"results of {count} partitions {wanted}, there are {dict(self.results())}", 90)

    def results_at_end(self) -> Counter[int]:
        """How many results there are in each partition, read anew."""
        return Counter(row.partition for row in read_all(self.cluster.bootstrap, self._outputs)[self._out])

    def committed(self) -> Counter[int]:
        """The group's position in each partition of the input."""
        consumer = Consumer({"bootstrap.servers": self.cluster.bootstrap, "group.id": self.app_id, "log_level": 0})
        with closing(consumer):
            found = consumer.committed([TopicPartition(self._in, p) for p in range(PARTITIONS)], timeout=30)
        return Counter({row.partition: row.offset for row in found if row.offset >= 0})

    def check(self) -> None:
        """Each key was counted 1, 2, 3 ... to its last record, and nothing is undecided; read anew."""
        counts = Counter(record.key for record in self.feeder.sent)
        found: dict[str, list[int]] = defaultdict(list)
        for row in read_all(self.cluster.bootstrap, self._outputs)[self._out]:
            found[row.key].append(row.value)
        wrong = {key: found[key] for key, count in counts.items() if found[key] != list(range(1, count + 1))}
        shown = next((f"{key} was sent {counts[key]} times: {numbers}" for key, numbers in wrong.items()), "")
        assert not wrong, f"{len(wrong)} of {len(counts)} keys; {shown}\n{self.logs()}"
        assert not found.keys() - counts.keys()
        assert undecided(self.cluster.bootstrap, self._outputs) == []

    def logs(self) -> str:
        return "\n".join(worker.tail(15) for worker in self.fleet.workers)

    def end(self) -> None:
        self.feeder.stop()
        self.fleet.end()
        self.judge.close()
