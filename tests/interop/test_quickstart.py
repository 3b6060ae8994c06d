"""The quickstart of the manual as it stands, its steps with Kafka's own console tools too."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.interop.apache_kafka import Tools
from tests.streams.cli.terminal import Terminal, terminal_in
from tests.streams.cli.transcripts import Step, assert_like

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

PAGE = Path(__file__).parent.parent.parent / "docs" / "tutorial" / "quickstart.md"
TOOLS = {
    "bin/kafka-topics.sh": "org.apache.kafka.tools.TopicCommand",
    "bin/kafka-console-producer.sh": "org.apache.kafka.tools.ConsoleProducer",
    "bin/kafka-console-consumer.sh": "org.apache.kafka.tools.consumer.ConsoleConsumer",
}


@pytest.fixture
def terminal(tmp_path: Path, tools: Tools) -> Iterator[Terminal]:
    def run(step: Step, line: str) -> None:
        tool, *arguments = shlex.split(line)
        typed = "".join(f"{each[1:]}\n" for each in step.out if each.startswith(">"))
        done = tools.run(TOOLS[tool], *arguments, stdin=typed)
        step.out = [each for each in step.out if not each.startswith(">")]
        assert_like(step, step.code, f"{done.out}{done.err}".replace(">", ""), "")

    yield from terminal_in(tmp_path, run)


def test_every_step_prints_what_the_page_says(terminal: Terminal) -> None:
    terminal.show(PAGE)
    assert {line.split()[1] for line in PAGE.read_text().splitlines() if line.startswith("$ bin/")} == set(TOOLS)
