"""The setting `log_level`, wherever it comes from, and what is said at which level."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from streams.cli import run

APP = """
import streams

app = streams.App("logged", on_error="skip", data_dir="data" {settings})
numbers = app.topic("numbers", value_type=int)

@app.source(numbers)
def feed(position=0):
    for n in range(position, 4):
        yield streams.Position(n + 1), None, n // 2

numbers.stream().map_values(lambda value: 1 // value, name="divide").for_each(lambda value: None)
"""


@pytest.fixture(autouse=True)
def loggers() -> Iterator[None]:
    """As they were."""
    root, noise = logging.getLogger(), logging.getLogger("asyncio")
    before = root.level, root.handlers[:], noise.level
    yield
    root.setLevel(before[0])
    root.handlers[:] = before[1]
    noise.setLevel(before[2])


def said(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], code: str, *flags: str
) -> str:
    (folder / "logged.py").write_text(APP.format(settings=code))
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.delitem(sys.modules, "logged", raising=False)
    assert run(["worker", "logged:app", "--until-end", *flags]) == 0
    return capsys.readouterr().err


PARTS = {
    "debug": ["DEBUG   commit 1: ", "DEBUG   left out (skip): divide, numbers-0 @ 1: ZeroDivisionError"],
    "info": ["INFO    app      logged", "INFO    stopped at the end of the input: 4 records"],
    "warning": [
        "WARNING left out (skip): divide, numbers-0 @ 0: ZeroDivisionError",
        "WARNING left out: 2 at divide (skip)",
    ],
}


@pytest.mark.parametrize(
    ("origin", "level"),
    [("flag", "debug"), ("flag", "info"), ("flag", "error"), ("environment", "warning"), ("code", "error")],
)
def test_lines_below_the_level_are_not_written(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    origin: str,
    level: str,
) -> None:
    flags = ["-l", level] if origin == "flag" else []
    if origin == "environment":
        monkeypatch.setenv("STREAMS_LOG_LEVEL", level)
    code = f", log_level={level!r}" if origin == "code" else ""
    lines = said(tmp_path, monkeypatch, capsys, code, *flags)
    levels = [*PARTS, "error"]
    for at, parts in PARTS.items():
        for part in parts:
            assert (part in lines) == (levels.index(at) >= levels.index(level)), lines
    assert "selector" not in lines
    assert lines or level == "error"


def test_a_record_that_is_left_out_tells_the_users_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = said(tmp_path, monkeypatch, capsys, "")
    assert re.search(r"logged\.py:12 in <lambda>\); further ones are counted, and told at level debug", lines)
