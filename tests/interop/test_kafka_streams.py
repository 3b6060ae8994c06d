"""A Kafka Streams application, exactly once: its counts are right, also after it has lost its state."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition

from tests.interop.apache_kafka import Tools
from tests.interop.targets import Broker

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

WORDS = ["log", "batch", "offset", "topic", "segment", "leader", "epoch", "group", "member", "table"]


def write_lines(target: Broker, topic: str, lines: list[str]) -> None:
    with closing(KafkaProducer(bootstrap_servers=target.bootstrap)) as producer:
        for index, line in enumerate(lines):
            producer.send(topic, line.encode(), partition=index % 2)


def read_counts(target: Broker, topic: str) -> dict[str, list[int]]:
    """All counts that were committed, by word."""
    found: dict[str, list[int]] = {}
    partitions = [TopicPartition(topic, partition) for partition in range(2)]
    consumer = KafkaConsumer(bootstrap_servers=target.bootstrap, isolation_level="read_committed")
    with closing(consumer) as opened:
        opened.assign(partitions)
        opened.seek_to_beginning()
        ends = opened.end_offsets(partitions)
        while any(opened.position(partition) < end for partition, end in ends.items()):
            for records in opened.poll(timeout_ms=200).values():
                for record in records:
                    found.setdefault(record.key.decode(), []).append(int.from_bytes(record.value))
    return found


def test_word_count(target: Broker, tools: Tools, new_name: Callable[[str], str], tmp_path: Path) -> None:
    count_words(target, tools, new_name, tmp_path, "classic")


@pytest.mark.parametrize("target_name", ["kafka"], scope="session", indirect=True)
def test_word_count_in_a_streams_group(
    target: Broker, tools: Tools, new_name: Callable[[str], str], tmp_path: Path
) -> None:
    """Ours does not have such groups (KIP-1071)."""
    count_words(target, tools, new_name, tmp_path, "streams")


def count_words(target: Broker, tools: Tools, new_name: Callable[[str], str], folder: Path, protocol: str) -> None:
    application, source, sink = new_name("word-count"), new_name("lines"), new_name("counts")
    with closing(KafkaAdminClient(bootstrap_servers=target.bootstrap)) as admin:
        admin.create_topics({name: {"num_partitions": 2, "replication_factor": 1} for name in (source, sink)})
    rng = random.Random(4)
    expected: Counter[str] = Counter()
    for life in range(2):
        lines = [" ".join(rng.choices(WORDS, k=5)) for _ in range(100)]
        expected.update(word for line in lines for word in line.split())
        write_lines(target, source, lines)
        done = tools.run(
            "WordCount",
            *(target.bootstrap, application, source, sink, "500", str(folder / f"state-{life}")),
            f"group.protocol={protocol}",
            timeout_s=120,
        )
        assert (done.code, done.out.split()) == (0, ["counted"]), done.err[-4000:]
    counts = read_counts(target, sink)
    assert counts == {word: list(range(1, count + 1)) for word, count in expected.items()}
