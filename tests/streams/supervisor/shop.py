"""An app with an agent, a repartition and a source, its workers, and what must come of it."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

from broker_embedded.lock import held_by
from streams import App

ROOT = Path(__file__).parents[3]
ROWS = 3_000

APP = f"""
import asyncio, os, sys
import streams

name = os.environ["SHOP"]
app = streams.App(name, data_dir="./shop-data", commit_interval_ms=20, batch_records_max=100)
orders = app.topic(f"{{name}}-orders", key_type=str, value_type=int, partitions=4)
bills = app.topic(f"{{name}}-bills", key_type=str, value_type=int, partitions=2)
counts = app.Table("counts", key_type=str, value_type=int, default=int, partitions=4)
by_digit = orders.stream().group_by(lambda n: n % 10, name="by-digit", key_type=int).count(name="digits")


@app.source(orders)
async def feed(position=0):
    for n in range(position, {ROWS}):
        if n % 50 == 0:
            await asyncio.sleep(0.01)
        yield streams.Position(n + 1), f"item-{{n % 23}}", n


@app.agent(orders, sink=[bills])
async def bill(stream):
    async for item, n in stream.items():
        counts[item] += 1
        if n % 100 == 0:
            print("pid", os.getpid(), "at", n, file=sys.stderr, flush=True)
        yield n


@app.report
def sold():
    rows = [{{"item": item, "count": count}} for item, count in sorted(counts.items())]
    return [*rows, *({{"digit": d, "count": count}} for d, count in sorted(app.tables["digits"].items()))]
"""
COUNTS = sorted(Counter(f"item-{n % 23}" for n in range(ROWS)).items())
SOLD = [
    *({"report": "sold", "item": item, "count": count} for item, count in COUNTS),
    *({"report": "sold", "digit": digit, "count": ROWS // 10} for digit in range(10)),
]


class Shop:
    """The app in a folder of its own, and its workers."""

    def __init__(self, folder: Path, stack: ExitStack, broker: str = "embedded", name: str = "shop") -> None:
        self.folder = folder
        self.broker, self.name = broker, name
        self.data = folder / "shop-data"
        self._stack = stack
        (folder / "shop.py").write_text(APP)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "streams", "worker", *arguments],
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": str(ROOT), "STREAMS_BROKER": self.broker, "SHOP": self.name},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._stack.enter_context(process)
        self._stack.callback(process.kill)
        return process

    def run(self, *arguments: str) -> tuple[list[object], str]:
        """The report, and what was said."""
        process = self.start(*arguments, "--until-end", "--json")
        output, said = process.communicate()
        assert process.returncode == 0, said
        return [json.loads(line) for line in output.splitlines()], said

    def bills(self) -> list[int]:
        async def read() -> list[int]:
            app = App("looking", broker=self.broker, data_dir=str(self.data))
            async with app.client() as client:
                return sorted([int(record.value) async for record in client.read(f"{self.name}-bills")])

        return asyncio.run(read())

    def holder(self) -> int:
        pid = held_by(self.data / "log")
        assert pid is not None
        return pid


def until(process: subprocess.Popen[str], *patterns: str) -> re.Match[str]:
    """Reads what is said up to a line with each of these, one after the other; gives the last."""
    found, said = None, ""
    assert process.stderr is not None
    for pattern in patterns:
        for line in process.stderr:
            said += line
            if found := re.search(pattern, line):
                break
        else:
            raise AssertionError(f"nobody said {pattern!r}:\n{said}")
    assert found is not None
    return found
