"""An app looked at from outside, and reset, on Apache Kafka: our figures are those of Kafka's tools."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.cluster.kafka_cluster import KafkaCluster
from tests.interop import apache_kafka

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
CONSUMER_GROUPS = "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand"
APP = """
import streams

app = streams.App("outside", commit_interval_ms=50)
numbers = app.topic("outside-numbers", key_type=str, value_type=int, partitions=3)
parity = numbers.stream().group_by(lambda value: value % 2, name="by-parity", key_type=int).count(name="parity")


@app.source(numbers)
def feed(position=0):
    for n in range(position, 300):
        yield streams.Position(n + 1), f"k{n % 7}", n


@app.report
def counts():
    return [{"parity": key, "count": count} for key, count in sorted(app.tables["parity"].items())]
"""
COUNTS = [{"report": "counts", "parity": parity, "count": 150} for parity in (0, 1)]

Call = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def tools(java: None, tmp_path: Path) -> Iterator[apache_kafka.Tools]:
    tools = apache_kafka.Tools(tmp_path)
    yield tools
    tools.stop()


@pytest.fixture
def environment(one_broker: KafkaCluster) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), "STREAMS_BROKER": f"kafka://{one_broker.bootstrap}"}


@pytest.fixture
def call(tmp_path: Path, environment: dict[str, str]) -> Call:
    (tmp_path / "outside.py").write_text(APP)

    def called(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "streams", *arguments]
        return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=90)

    return called


def report(call: Call) -> list[object]:
    done = call("worker", "outside:app", "--until-end", "--json", "-l", "error")
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def kafkas_offsets(tools: apache_kafka.Tools, bootstrap: str) -> dict[tuple[str, int], list[int]]:
    """Offset, end and lag by partition, as Kafka's tool has them."""
    done = tools.run(CONSUMER_GROUPS, "--bootstrap-server", bootstrap, "--describe", "--group", "outside")
    rows = re.findall(r"^outside +(\S+) +(\d+) +(\d+) +(\d+) +(\d+) ", done.out, re.MULTILINE)
    return {(topic, int(partition)): list(map(int, figures)) for topic, partition, *figures in rows}


def our_offsets(call: Call) -> dict[tuple[str, int], list[int]]:
    found = json.loads(call("groups", "describe", "outside", "--json").stdout)
    return {
        (row["partition"][0], row["partition"][1]): [row["offset"], row["end_offset"], row["lag"]]
        for row in found["offsets"]
    }


def test_lag_is_what_kafkas_tool_says(call: Call, tools: apache_kafka.Tools, one_broker: KafkaCluster) -> None:
    assert report(call) == COUNTS
    found = our_offsets(call)
    assert found and found == kafkas_offsets(tools, one_broker.bootstrap)


def test_a_reset_shows_does_and_leaves_the_topics_of_others(call: Call) -> None:
    assert report(call) == COUNTS
    shown = call("reset", "outside:app", "--dry-run")
    assert (shown.returncode, shown.stderr) == (0, "")
    before = call("topics", "list").stdout
    assert "outside-parity-changelog" in before
    done = call("reset", "outside:app", "--yes")
    assert (done.returncode, done.stdout) == (0, shown.stdout), done.stderr
    after = call("topics", "list").stdout
    gone = {line.removeprefix("topic ") for line in shown.stdout.splitlines() if line.startswith("topic ")}
    assert set(before.split()) - set(after.split()) == gone
    assert call("reset", "outside:app", "--dry-run").stdout.startswith("outside has nothing to remove in kafka://")
    assert report(call) == COUNTS


def kafkas_members(tools: apache_kafka.Tools, bootstrap: str) -> dict[str, int]:
    """How many partitions each member has, as Kafka's tool has it."""
    done = tools.run(CONSUMER_GROUPS, "--bootstrap-server", bootstrap, "--describe", "--group", "outside", "--members")
    return {
        name: int(count) for name, count in re.findall(r"^outside +(outside-\S+).* (\d+) *$", done.out, re.MULTILINE)
    }


def test_a_reset_names_who_is_at_work(
    call: Call, tmp_path: Path, environment: dict[str, str], tools: apache_kafka.Tools, one_broker: KafkaCluster
) -> None:
    command = [sys.executable, "-m", "streams", "worker", "outside:app"]
    with subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True) as worker:
        assert worker.stderr is not None
        while "worker   " not in worker.stderr.readline():
            pass
        here = call("reset", "outside:app", "--yes")
        elsewhere = call("reset", "outside:app", "--yes", "--data-dir", "elsewhere")
        state = call("groups", "describe", "outside", "--members", "--json").stdout
        members = kafkas_members(tools, one_broker.bootstrap)
        worker.terminate()
        worker.stderr.read()
    assert here.returncode == 1 and f"process {worker.pid} (" in here.stderr
    assert elsewhere.returncode == 1 and "its group has the members outside-" in elsewhere.stderr
    group = json.loads(state)["group"]
    assert group["state"] == "Stable"
    assert {member["member_id"]: len(member["partitions"]) for member in group["members"]} == members
    assert call("reset", "outside:app", "--yes").returncode == 0
