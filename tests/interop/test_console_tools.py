"""Kafka's command line tools print on our broker what they print on Apache Kafka: see console/README.md."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.interop.apache_kafka import Tools
from tests.interop.java_needed import require_java
from tests.interop.targets import NAMES, Broker, running_broker

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

TRANSCRIPTS = sorted((Path(__file__).parent / "console").glob("*.txt"))
TOOLS = {
    "acls": "org.apache.kafka.tools.AclCommand",
    "broker-api-versions": "org.apache.kafka.tools.BrokerApiVersionsCommand",
    "cluster": "org.apache.kafka.tools.ClusterTool",
    "configs": "kafka.admin.ConfigCommand",
    "console-consumer": "org.apache.kafka.tools.consumer.ConsoleConsumer",
    "console-producer": "org.apache.kafka.tools.ConsoleProducer",
    "consumer-groups": "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand",
    "consumer-perf-test": "org.apache.kafka.tools.ConsumerPerformance",
    "delete-records": "org.apache.kafka.tools.DeleteRecordsCommand",
    "e2e-latency": "org.apache.kafka.tools.EndToEndLatency",
    "features": "org.apache.kafka.tools.FeatureCommand",
    "get-offsets": "org.apache.kafka.tools.GetOffsetShell",
    "groups": "org.apache.kafka.tools.GroupsCommand",
    "leader-election": "org.apache.kafka.tools.LeaderElectionCommand",
    "log-dirs": "org.apache.kafka.tools.LogDirsCommand",
    "metadata-quorum": "org.apache.kafka.tools.MetadataQuorumCommand",
    "producer-perf-test": "org.apache.kafka.tools.ProducerPerformance",
    "reassign-partitions": "org.apache.kafka.tools.reassign.ReassignPartitionsCommand",
    "topics": "org.apache.kafka.tools.TopicCommand",
    "transactions": "org.apache.kafka.tools.TransactionsCommand",
    "verifiable-consumer": "org.apache.kafka.tools.VerifiableConsumer",
    "verifiable-producer": "org.apache.kafka.tools.VerifiableProducer",
}
BOOTSTRAP_FIRST = {"features", "metadata-quorum", "transactions"}
"""These take the address before their own sub-command."""
ALONE = {"verifiable-producer"}
"""These print when their JVM ends."""


@dataclass
class Step:
    """A command and what is to come of it."""

    tool: str
    arguments: list[str]
    number: int
    stdin: str = ""
    code: int = 0
    expected: list[str] = field(default_factory=list)
    in_order: bool = True

    def command(self, bootstrap: str, folder: Path) -> list[str]:
        address = ["--bootstrap-server", bootstrap]
        arguments = [argument.replace("{folder}", str(folder)) for argument in self.arguments]
        return [*address, *arguments] if self.tool in BOOTSTRAP_FIRST else [*arguments, *address]

    def check(self, printed: str) -> None:
        lines = [_plain(line) for line in printed.splitlines() if line.strip()]
        if not self.in_order:
            missing = [line for line in self.expected if line != "..." and not _found(line, lines)]
            surplus = [] if "..." in self.expected else lines[len(self.expected) :]
            assert not missing and not surplus, f"missing: {missing}, surplus: {surplus} in\n{printed}"
            return
        pattern = "".join(r"(?:.*\n)*?" if line == "..." else _pattern(line) + r"\n" for line in self.expected)
        text = "".join(line + "\n" for line in lines)
        assert re.fullmatch(pattern, text), f"expected\n{chr(10).join(self.expected)}\nand it printed\n{printed}"


def _plain(line: str) -> str:
    return " ".join(line.split())


def _pattern(line: str) -> str:
    return ".*".join(map(re.escape, _plain(line).split("*")))


def _found(line: str, lines: list[str]) -> bool:
    return any(re.fullmatch(_pattern(line), other) for other in lines)


def read(transcript: Path, folder: Path) -> list[Step]:
    """The steps of a transcript; writes the files that it has into `folder`."""
    steps: list[Step] = []
    for number, line in enumerate(transcript.read_text().splitlines(), start=1):
        mark, _, rest = line.partition(" ")
        if mark == "$":
            tool, *arguments = shlex.split(rest)
            steps.append(Step(tool, arguments, number))
        elif mark == "<":
            steps[-1].stdin += rest + "\n"
        elif mark == "!":
            steps[-1].code = int(rest)
        elif mark == "~":
            steps[-1].in_order = False
        elif mark == "=":
            name, _, content = rest.partition(" ")
            (folder / name).write_text(content)
        elif line and mark != "#":
            steps[-1].expected.append(line)
    return steps


@pytest.fixture(scope="module", params=NAMES)
def fresh(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """A broker of its own: listings show all there is."""
    require_java()
    with running_broker(request.param, tmp_path_factory.mktemp(f"console-{request.param}")) as broker:
        yield broker


@pytest.mark.parametrize("transcript", TRANSCRIPTS, ids=lambda path: path.stem)
def test_prints_the_same(fresh: Broker, tools: Tools, transcript: Path, tmp_path: Path) -> None:
    wrong = []
    for step in read(transcript, tmp_path):
        command = (TOOLS[step.tool], *step.command(fresh.bootstrap, tmp_path))
        done = tools.run_alone(*command) if step.tool in ALONE else tools.run(*command, stdin=step.stdin)
        try:
            assert done.code == step.code, f"it ended with {done.code}:\n{done.out}{done.err}"
            step.check(done.out)
        except AssertionError as error:
            wrong.append(f"{transcript.name}:{step.number} {step.tool} {shlex.join(step.arguments)}\n{error}")
    assert not wrong, "\n\n".join(wrong)
