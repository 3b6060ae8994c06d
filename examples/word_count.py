"""Counts the words of a text: the hello-world of stream processing.

streams worker examples.word_count:app --until-end
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import streams

app = streams.App("word-count")
text = app.topic("lines", key_type=int, value_type=str)


@app.source(text)
def licence(position: int = 0) -> Iterator[Any]:
    lines = Path(__file__).parent.parent.joinpath("LICENSE").read_text().splitlines()
    for n, line in enumerate(lines[position:], start=position + 1):
        yield streams.Position(n), n, line


counts = (
    text.stream()
    .flat_map_values(lambda line: re.findall(r"[a-z]+", line.lower()))
    .group_by(lambda word: word, key_type=str, name="by-word")
    .count(name="word-counts")
)


@app.report
def most_frequent() -> list[Any]:
    words = sorted(app.tables["word-counts"].items(), key=lambda item: (-item[1], item[0]))
    return [{"word": word, "count": count} for word, count in words[:10]]
