"""Files of results, a JSON line each run: `results/<date>.jsonl`, and what was measured on."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.history import commit, now

FOLDER = Path(__file__).with_name("results")


def today() -> Path:
    """The file of this day (UTC)."""
    return FOLDER / f"{datetime.now(UTC):%Y-%m-%d}.jsonl"


def newest() -> Path | None:
    """The newest file that there is."""
    return max(FOLDER.glob("*.jsonl"), default=None)


def machine() -> dict[str, Any]:
    """What figures of this machine are told with."""
    return {"processor": processor(), "cpus": os.cpu_count(), "memory_gb": memory_gb(), "system": platform.system()}


def processor() -> str:
    """As the processor names itself."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.machine())


def memory_gb() -> int:
    """All of it."""
    return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / (1 << 30))


def load() -> float:
    """How many processes wanted a processor in the last minute, ours among them."""
    return round(os.getloadavg()[0], 1)


class Results:
    """Appends the lines of one comparison, stamped with when it began and what it was measured on."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._stamp = {"comparison": now(), "commit": commit(), "machine": machine()}

    def add(self, line: Mapping[str, Any]) -> dict[str, Any]:
        """The line as it is in the file."""
        stamped = {**line, **self._stamp, "measured_at": now(), "load": load()}
        self.path.parent.mkdir(exist_ok=True)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(stamped) + "\n")
        return stamped
