"""Figures that are kept: `history.jsonl`, a line each, with the commit and the time of day they were measured at."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

HISTORY = Path(__file__).with_name("history.jsonl")


def commit() -> str:
    """The commit that is measured, marked `-dirty` if files differ from it."""
    command = ["git", "describe", "--always", "--dirty"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def now() -> str:
    """The time of day, UTC."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def record(lines: Sequence[dict[str, Any]], history: Path = HISTORY) -> None:
    """Appends lines to the history."""
    stamp = {"commit": commit(), "at": now()}
    with history.open("a", encoding="utf-8") as file:
        file.writelines(json.dumps({**stamp, **line}) + "\n" for line in lines)
