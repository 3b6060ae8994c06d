"""Every test here runs on both brokers: on ours always, on Apache Kafka with the slow ones."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent.parent))

with warnings.catch_warnings():  # it reads its message definitions, all of them here, by a call that is deprecated
    warnings.simplefilter("ignore", DeprecationWarning)
    import kafka.protocol  # noqa: F401

from tests.interop import apache_kafka
from tests.interop.java_needed import require_java
from tests.interop.targets import Broker, running_broker


@pytest.fixture(scope="session")
def java() -> None:
    """For tests that need Java and Maven."""
    require_java()


@pytest.fixture(scope="session", params=["ours", pytest.param("kafka", marks=pytest.mark.slow)])
def target_name(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    if name == "kafka":
        require_java()
    return name


@pytest.fixture(scope="session")
def target(target_name: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    with running_broker(target_name, tmp_path_factory.mktemp(target_name)) as broker:
        yield broker


@pytest.fixture(scope="session")
def tools(tmp_path_factory: pytest.TempPathFactory) -> Iterator[apache_kafka.Tools]:
    require_java()
    tools = apache_kafka.Tools(tmp_path_factory.mktemp("tools"))
    yield tools
    tools.stop()


_numbers = count(1)


@pytest.fixture
def new_name() -> Callable[[str], str]:
    """Names of topics, groups and transactions that no other test has."""
    return lambda what: f"{what}-{next(_numbers)}"
