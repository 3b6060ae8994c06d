"""`streams worker --workers N` on Apache Kafka: the answer of one worker, whoever is killed meanwhile."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from uuid import uuid4

import pytest

from tests.cluster.kafka_cluster import KafkaCluster
from tests.streams.supervisor.shop import ROWS, SOLD, Shop, until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture
def shop(tmp_path: Path, one_broker: KafkaCluster) -> Iterator[Shop]:
    with ExitStack() as stack:
        yield Shop(tmp_path, stack, f"kafka://{one_broker.bootstrap}", name=f"shop-{uuid4().hex[:8]}")


def test_a_worker_that_is_killed_is_started_again_and_nothing_counts_twice(shop: Shop) -> None:
    process = shop.start("shop:app", "--workers", "3", "--until-end", "--json")
    for _ in range(3):
        pid = int(until(process, r"at \d+00", r"pid (\d+) at").group(1))
        os.kill(pid, signal.SIGKILL)
        until(process, rf"\(pid {pid}\) has ended: SIGKILL. It is started again")
    output, said = process.communicate()
    assert process.returncode == 0, said
    assert [json.loads(line) for line in output.splitlines()] == SOLD
    assert shop.bills() == list(range(ROWS))


def test_stopped_and_gone_on_with_fewer(shop: Shop) -> None:
    process = shop.start("shop:app", "--workers", "3")
    until(process, r"at \d00")
    process.terminate()
    process.communicate()
    assert process.returncode == 0
    assert shop.run("shop:app", "--workers", "2")[0] == SOLD
    assert shop.bills() == list(range(ROWS))
