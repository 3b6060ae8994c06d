"""What tests of the whole engine share."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

MEMORY_DISK = "/dev/shm" if Path("/dev/shm").is_dir() else None
"""A clean stop syncs some eighty files; many small runs are quicker where a sync is free."""


@pytest.fixture
def folder() -> Iterator[str]:
    """An empty data folder."""
    with tempfile.TemporaryDirectory(dir=MEMORY_DISK) as made:
        yield made


@pytest.fixture(autouse=True)
def logging_as_it_was() -> Iterator[None]:
    """A command that runs in this process sets up logging for a process of its own: later tests are to see warnings."""
    root = logging.getLogger()
    level, handlers = root.level, list(root.handlers)
    yield
    root.setLevel(level)
    for handler in set(root.handlers).difference(handlers):
        root.removeHandler(handler)
