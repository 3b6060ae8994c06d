"""What runs behind `streams.testing.crash`: a process that forks itself for every order it reads, a worker in each.

It stays single-threaded and opens nothing, so that a fork of it is as good as a new process. What a worker has to tell
goes to a file, a line at a time and unbuffered: it outlives the worker, however that ends.
"""

from __future__ import annotations

import asyncio
import json
import os
import select
import signal
import sys
import traceback
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import Any, NoReturn

from streams import operators
from streams.cli.loading import load
from streams.runtime.observer import Restoring, Silent, Started, Stopped
from streams.runtime.steps import on_step
from streams.runtime.worker import Worker
from streams.testing.crash import DIED
from streams.testing.power_cut import Ledger

IMPORTED_ONCE = (
    "state.budget",
    "streams.transport.opening",
    "streams.transport.joined",
    "aiokafka.client",
    *(f"streams.operators.{module.name}" for module in iter_modules(operators.__path__)),
)
"""What a worker imports when it comes to it."""

LOOK_MS = 5
"""How often to look how far a worker is."""


class Story(Silent):
    """Writes events down, each as an object of one name: what the observer is told under the names of its methods,
    "step", and "checkpoints" before each commit, and before its transaction ends as they will be then (by
    "store-partition", the offset that a store has reached).
    """

    def __init__(self, path: str) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)

    def tell(self, kind: str, what: Any) -> None:
        os.write(self._file, json.dumps({kind: what}).encode() + b"\n")

    def started(self, info: Started) -> None:
        self.tell("started", info.tasks)

    def restoring(self, event: Restoring) -> None:
        self.tell("restoring", event._asdict())

    def stopped(self, summary: Stopped) -> None:
        self.tell("stopped", summary._asdict())


def serve() -> None:
    """Carries out orders until there are no more, one at a time; answers with exit codes."""
    for module in IMPORTED_ONCE:
        import_module(module)
    for line in sys.stdin:
        order = json.loads(line)
        pid = os.fork()
        if pid == 0:
            work(order)
        print(wait(pid, order), flush=True)  # noqa: T201 - the answer


def wait(pid: int, order: dict[str, Any]) -> int:
    """The exit code of a child, killed if it takes longer than it may, or comes as far as it may."""
    watched = os.pidfd_open(pid)
    poll = select.poll()
    poll.register(watched, select.POLLIN)
    if order["kill_after_s"] is not None and not poll.poll(order["kill_after_s"] * 1000):
        os.kill(pid, signal.SIGKILL)
    for commits, after_s, other in order["kills"]:
        while commits_begun(order["events"]) < commits and not poll.poll(LOOK_MS):
            pass
        if not poll.poll(after_s * 1000):
            os.kill(pid if other is None else other, signal.SIGKILL)
    os.close(watched)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def commits_begun(events: str) -> int:
    """How many a worker has told of."""
    return Path(events).read_bytes().count(b'"commit: emit and save"')


def work(order: dict[str, Any]) -> NoReturn:
    """In the fork: the app, to the end of its input or to the step where it dies."""
    code = 1
    try:
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
        os.environ.update(order["environment"])
        if order["ledger"] is not None:
            Ledger(Path(order["ledger"])).watch()
        asyncio.run(run(order))
        code = 0
    except BaseException:  # noqa: BLE001 - written down, and told by the exit code
        traceback.print_exc()
    sys.stderr.flush()
    os._exit(code)


async def run(order: dict[str, Any]) -> None:
    story = Story(order["events"])
    app = load(order["target"], Path(order["folder"]))
    worker = Worker(app, story, until_end=True)
    left = order["die_at"][1] if order["die_at"] is not None else 0

    def reached(step: str) -> None:
        nonlocal left
        story.tell("step", step)
        if step in ("commit: emit and save", "commit: end transaction"):
            story.tell("checkpoints", checkpoints(worker, to_be=step == "commit: end transaction"))
        if order["die_at"] is not None and step == order["die_at"][0]:
            left -= 1
            if left == 0:
                os._exit(DIED)

    on_step(reached)
    await worker.run()


def checkpoints(worker: Worker, *, to_be: bool) -> dict[str, int]:
    """How far each store is, or is to be once the commit at hand is written."""
    assert worker.assembly is not None
    commit, found = worker.assembly.commit, {}
    for task in worker.assembly.tasks:
        reached = task.stores.checkpoints() | (commit.checkpoints(task) if to_be else {})
        found.update({f"{store}-{task.partition}": checkpoint.offset for store, checkpoint in reached.items()})
    return found


if __name__ == "__main__":
    serve()
