"""Clusters of Apache Kafka, one for all tests of a run; all that is here is slow."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent.parent))

from tests.cluster.proxied_cluster import ProxiedCluster, running_proxied_cluster
from tests.interop.java_needed import require_java


@pytest.fixture(scope="session")
def java() -> None:
    """For tests that need Java and Maven."""
    require_java()


@pytest.fixture(scope="session")
def one_broker(java: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProxiedCluster]:
    """Apache Kafka of one broker."""
    with running_proxied_cluster(tmp_path_factory.mktemp("one-broker"), brokers=1) as cluster:
        yield cluster


@pytest.fixture(scope="session")
def _three_brokers(java: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProxiedCluster]:
    with running_proxied_cluster(tmp_path_factory.mktemp("three-brokers")) as cluster:
        yield cluster


@pytest.fixture
def three_brokers(_three_brokers: ProxiedCluster) -> Iterator[ProxiedCluster]:
    """Apache Kafka of three brokers; what a test has killed or cut is back behind it."""
    yield _three_brokers
    _three_brokers.mend()
