"""A golden case: its file taken apart, run, and put together again with what came out."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

import streams
from streams.errors import StreamsError
from streams.testing import Driver, TopicRecord
from streams.windows import Windowed

_WORD = re.compile(r"[A-Za-z_][\w-]*")
_RECORD = re.compile(r"(?P<topic>[\w.-]+)\s+(?P<key>.+?): (?P<value>.+?) @(?P<time>-?\d+)(?P<headers>( [\w-]+=\S*)*)")


COMMANDS = ("clock", "commit", "crash", "restart", "table")
OURS = "dropped "
"""Lines of which Kafka says nothing."""


@dataclass
class Event:
    """Lines at the margin that belong together, what was expected below them, and what stands between it and the next:
    empty lines and remarks.
    """

    lines: list[str]
    expected: list[str] = field(default_factory=list)
    after: list[str] = field(default_factory=list)

    @property
    def command(self) -> str | None:
        """The word that is no topic, if the event is not records."""
        word = self.lines[0].split()[0]
        return word if word in COMMANDS else None


@dataclass
class Case:
    """`head` is everything above the topology, `kafka` the steps for the oracle."""

    path: Path
    head: str
    topology: str
    lead: list[str]
    events: list[Event]
    kafka: str

    @classmethod
    def read(cls, path: Path) -> Case:
        head, rest = path.read_text(encoding="utf-8").split("--- topology\n")
        topology, run = rest.split("--- run\n")
        run, _, kafka = run.partition("--- kafka\n")
        lead, events = _events(run)
        return cls(path, head, topology, lead, events, kafka)

    @property
    def title(self) -> str:
        return self.head.splitlines()[0]

    def said(self, name: str) -> str:
        """What the head says after `name:`, "" if nothing."""
        found = re.search(rf"^{name}: (.*)$", self.head, re.MULTILINE)
        return found[1] if found else ""

    def text(self, outcomes: list[list[str]]) -> str:
        """The file with other lines below the events."""
        run = [*self.lead]
        for event, outcome in zip(self.events, outcomes, strict=True):
            run += [*event.lines, *(f"  {line}" for line in outcome), *event.after]
        kafka = f"--- kafka\n{self.kafka}" if self.kafka else ""
        return f"{self.head}--- topology\n{self.topology}--- run\n" + "".join(f"{line}\n" for line in run) + kafka

    def with_what_is_ours(self, outcomes: list[list[str]]) -> list[list[str]]:
        """What the file says of records that come out, and what `outcomes` say of tables and of records left out."""
        found = []
        for event, ours in zip(self.events, outcomes, strict=True):
            records = [line for line in event.expected if not line.startswith(OURS)]
            found.append(ours if event.command else records + [line for line in ours if line.startswith(OURS)])
        return found

    def app(self) -> streams.App:
        app = streams.App("golden", **self._options("app"))
        names = {name: getattr(streams, name) for name in streams.__all__}
        names |= {"app": app, "topic": partial(_topic, app), "streams": streams}
        above = "\n" * (self.head.count("\n") + 1)  # so that errors name the line of the file
        exec(compile(above + self.topology, self.path.name, "exec", dont_inherit=True), names)
        return app

    def run(self) -> list[list[str]]:
        """What comes of each event."""
        app = self.app()
        with Driver(app, **self._options("options")) as driver:
            run = Run(driver)
            return [run.event(event) for event in self.events]

    def _options(self, name: str) -> dict[str, Any]:
        options: dict[str, Any] = eval(f"dict({self.said(name)})")
        return options


def _events(text: str) -> tuple[list[str], list[Event]]:
    lead: list[str] = []
    events: list[Event] = []
    for line in text.splitlines():
        if line.startswith("  "):
            events[-1].expected.append(line.strip())
        elif not line or line.startswith("#"):
            (events[-1].after if events else lead).append(line)
        elif line.startswith("+ "):
            events[-1].lines.append(line)
        else:
            events.append(Event([line]))
    return lead, events


def _topic(app: streams.App, name: str, value_type: Any = int, **more: Any) -> Any:
    return app.topic(name, **{"key_type": str, "value_type": value_type, **more})


class Run:
    """A driver, and the lines of a case that it is told."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver
        self._graph = driver.app.builder.graph
        self._dropped: dict[tuple[str, str], int] = {}
        self._inputs: set[str] = set()

    def event(self, event: Event) -> list[str]:
        """What comes of an event, line by line."""
        lines = [line.split("  #")[0].rstrip() for line in event.lines]
        try:
            told = self._told(lines)
        except StreamsError as error:
            told = [f"fails: {str(error).splitlines()[0]}"]
        return [*told, *self._came(), *self._left_out()]

    def _told(self, lines: list[str]) -> list[str]:
        word, _, rest = lines[0].partition(" ")
        commands: dict[str, Callable[[str], list[str] | None]] = {
            "clock": lambda by: self._driver.advance(by.strip().removeprefix("+")),
            "commit": lambda _: self._driver.commit(),
            "crash": lambda at: self._driver.crash(at.strip().removeprefix("at ") or None),
            "restart": self._restart,
            "table": self._table,
        }
        if word in commands:
            return commands[word](rest) or []
        self._pipe([record_of(line.removeprefix("+ ")) for line in lines])
        return []

    def _restart(self, _: str) -> None:
        self._driver.restart()
        self._dropped = {}

    def _table(self, name: str) -> list[str]:
        return [f"{self._shown_key(key)}: {shown(value)}" for key, value in self._driver.table(name.strip()).items()]

    def _pipe(self, records: list[tuple[str, TopicRecord]]) -> None:
        by_topic: dict[str, list[TopicRecord]] = {}
        for topic, record in records:
            kind = self._graph.topics[topic].value_type
            value = None if record.value is None else msgspec.convert(record.value, kind or Any)
            by_topic.setdefault(topic, []).append(record._replace(value=value))
        self._inputs.update(by_topic)
        self._driver.pipe_many(by_topic)

    def _came(self) -> Iterator[str]:
        for name in sorted(name for name, topic in self._graph.topics.items() if not topic.internal):
            records = self._driver.read(name)
            if name not in self._inputs:
                yield from (self._shown(name, record) for record in records)

    def _left_out(self) -> Iterator[str]:
        if not self._driver.is_down:
            for (step, reason), count in sorted(self._driver.dropped.items()):
                if new := count - self._dropped.get((step, reason), 0):
                    yield f"dropped {step}: {new} {reason}"
            self._dropped = self._driver.dropped

    def _shown(self, topic: str, record: TopicRecord) -> str:
        headers = "".join(f" {name}={(value or b'').decode()}" for name, value in record.headers)
        return f"{topic}  {self._shown_key(record.key)}: {shown(record.value)} @{record.timestamp}{headers}"

    def _shown_key(self, key: Any) -> str:
        if not isinstance(key, Windowed):
            return shown(key)
        return f"{shown(key.key)}[{key.start},{key.end}{self.bracket}"

    @property
    def bracket(self) -> str:
        """Behind the end of a window of the case."""
        kinds = {type(getattr(node, "window", None)).__name__ for node in self._graph.nodes}
        return "]" if kinds & {"SlidingWindow", "SessionWindow"} else ")"


def record_of(line: str) -> tuple[str, TopicRecord]:
    """Topic and record of a line."""
    found = _RECORD.fullmatch(line)
    assert found, f"not a record, and not a command: {line!r}"
    pairs = (pair.split("=", 1) for pair in found["headers"].split())
    headers = tuple((name, value.encode()) for name, value in pairs)
    return found["topic"], TopicRecord(read(found["key"]), read(found["value"]), int(found["time"]), headers)


def read(text: str) -> Any:
    """A key or value as it stands in a case."""
    return text if _WORD.fullmatch(text) and text not in ("null", "true", "false") else json.loads(text)


def shown(value: Any) -> str:
    """A key or value as it stands in a case.

    >>> shown("ann"), shown("7"), shown({"n": 7}), shown(None)
    ('ann', '"7"', '{"n": 7}', 'null')
    """
    if isinstance(value, str) and _WORD.fullmatch(value) and value not in ("null", "true", "false"):
        return value
    return json.dumps(msgspec.to_builtins(value), ensure_ascii=False)
