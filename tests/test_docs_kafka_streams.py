"""The page for those who come from Kafka Streams names nothing that is not there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

import streams
from streams.client import Client
from streams.dsl.grouped import GroupedStream
from streams.dsl.grouped_table import GroupedTable
from streams.dsl.stream import Stream
from streams.dsl.table import Table
from streams.testing import Driver
from streams.topic import Topic

PAGE = Path(__file__).parent.parent / "docs" / "how-to" / "coming-from-kafka-streams.md"
OWNERS: dict[str, Any] = {
    "app": streams.App,
    "client": Client,
    "driver": Driver,
    "grouped": GroupedStream,
    "grouped_table": GroupedTable,
    "stream": Stream,
    "table": Table,
    "topic": Topic,
}
OURS = [cell for row in PAGE.read_text().split("\n") if row.startswith("| ") for cell in row.split(" | ")[1:]]
METHODS = sorted(
    {found for cell in OURS for found in re.findall(r"`(\w+\.\w+)", cell) if found.split(".")[0] in OWNERS}
)
CLASSES = sorted({found for cell in OURS for found in re.findall(r"\b([A-Z][a-z]+Window(?:ed)?)\b", cell)})


@pytest.mark.parametrize("name", METHODS)
def test_the_method_is_there(name: str) -> None:
    owner, method = name.split(".")
    assert callable(getattr(OWNERS[owner], method)) or name == "app.tables"


@pytest.mark.parametrize("name", CLASSES)
def test_the_class_is_there(name: str) -> None:
    assert hasattr(streams, name)


def test_the_page_has_both() -> None:
    assert len(METHODS) > 50 and len(CLASSES) >= 6
