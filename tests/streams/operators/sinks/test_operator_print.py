"""print: a line for each record."""

from __future__ import annotations

from io import StringIO
from pathlib import Path
from typing import Any

import pytest

import streams
from streams.testing.driver import Driver


def run(records: list[tuple[Any, ...]], function: Any = None, **told: Any) -> None:
    app = streams.App("shop")
    stream = app.topic("in", key_type=str, value_type=int).stream()
    stream.print(function, on_error=streams.skip(), **told)
    with Driver(app) as driver:
        driver.pipe("in", records)


def test_to_standard_output_with_the_streams_name(capsys: pytest.CaptureFixture[str]) -> None:
    run([("a", 1, 1), (None, None, 2)])
    assert capsys.readouterr().out == "[in]: a, 1\n[in]: None, None\n"


def test_to_something_with_write_and_a_function_of_the_users() -> None:
    out = StringIO()
    run([("a", 1, 1), ("b", 0, 2)], lambda key, value: f"{key}={1 / value}", label="orders", to=out)
    assert out.getvalue() == "[orders]: a=1.0\n"


def test_to_a_file_which_is_added_to(tmp_path: Path) -> None:
    path = tmp_path / "printed.txt"
    run([("a", 1, 1)], to=path)
    run([("ä", 2, 1)], to=str(path))
    assert path.read_text(encoding="utf-8") == "[in]: a, 1\n[in]: ä, 2\n"
