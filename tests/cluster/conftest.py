"""Clusters of Apache Kafka, one for all tests of a run; all that is here is slow."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent.parent))

from tests.cluster.kafka_cluster import KafkaCluster, running_cluster
from tests.interop import apache_kafka


@pytest.fixture(scope="session")
def java() -> None:
    """Skips, or in CI fails, without Java and Maven."""
    try:
        apache_kafka.requirements()
    except apache_kafka.Missing as missing:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(missing))


@pytest.fixture(scope="session")
def one_broker(java: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaCluster]:
    """Apache Kafka of one broker."""
    with running_cluster(tmp_path_factory.mktemp("one-broker"), brokers=1) as cluster:
        yield cluster


@pytest.fixture(scope="session")
def _three_brokers(java: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaCluster]:
    with running_cluster(tmp_path_factory.mktemp("three-brokers")) as cluster:
        yield cluster


@pytest.fixture
def three_brokers(_three_brokers: KafkaCluster) -> Iterator[KafkaCluster]:
    """Apache Kafka of three brokers; what a test has killed comes back behind it."""
    yield _three_brokers
    for node in sorted(_three_brokers.away):
        _three_brokers.restart(node)
    _three_brokers.wait_until_in_sync()
