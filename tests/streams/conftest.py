"""What tests of the whole engine share."""

from __future__ import annotations

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
