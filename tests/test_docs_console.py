"""The pages that show a terminal show what happens: every command is run, and prints what the page says."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent))

from tests.streams.cli.terminal import Terminal, terminal_in

ROOT = Path(__file__).parent.parent
PAGES = [page for page in sorted((ROOT / "docs").rglob("*.md")) if "\n```console\n" in page.read_text(encoding="utf-8")]


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    yield from terminal_in(tmp_path)


@pytest.mark.slow  # each command is a process
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_console_examples_print_what_the_page_says(page: Path, terminal: Terminal) -> None:
    if "openssl" in page.read_text(encoding="utf-8") and shutil.which("openssl") is None:
        pytest.skip("no openssl on the PATH")
    terminal.show(page)
