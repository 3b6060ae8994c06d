"""A worker of `streams worker` as tests see it: what it does, in a file; and traps that hold it at a step.

With CLUSTER_EVENTS in its environment a worker adds a line to that file for what happens: an object with the moment
(`at`, on the clock that all processes of a machine share) and one of

- `step`: a step of a commit or a restore (`streams.runtime.steps`), with what was processed up to then
- `started`, `restoring`, `failed`, `stopped`: what an observer is told
- `seat`: the transactional id of a producer

With CLUSTER_TRAPS, a folder, it stops at a step when there is a file of that step's name, until it is taken away. Who
meets a trap has it alone: it renames the file, with its process id in the new name.
"""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

from streams.cli.watchers import LogLines
from streams.runtime.steps import on_step
from streams.transport.kafka.producer import KafkaProducer

HELD_MAX_S = 30.0

events = os.environ.get("CLUSTER_EVENTS")
traps = os.environ.get("CLUSTER_TRAPS")

processed: Counter[int] = Counter()
"""Orders that this process has seen, by partition; some of them perhaps more than once."""


def watched(stream: Any) -> Any:
    """The stream as it is; its records are counted when events are asked for."""
    if events is None:
        return stream

    def count(value: Any, ctx: Any) -> None:
        processed[ctx.partition] += 1

    return stream.peek(count)


def tell(kind: str, what: Any, **more: Any) -> None:
    os.write(file, json.dumps({"at": time.monotonic(), kind: what, **more}).encode() + b"\n")


def at_step(step: str) -> None:
    if events is not None:
        tell("step", step, processed=processed)
    if traps is not None:
        hold(Path(traps, step.replace(": ", "-").replace(" ", "-")))


def hold(trap: Path) -> None:
    mine = trap.with_name(f"{trap.name}.{os.getpid()}")
    try:
        trap.rename(mine)
    except FileNotFoundError:
        return
    until = time.monotonic() + HELD_MAX_S
    while mine.exists() and time.monotonic() < until:
        time.sleep(0.01)


def telling(kind: str, method: Callable[[Any, Any], None]) -> Callable[[Any, Any], None]:
    @wraps(method)
    def told(self: Any, what: Any) -> None:
        tell(kind, json.loads(json.dumps(what._asdict(), default=repr)))
        method(self, what)

    return told


def seated(init: Callable[..., None]) -> Callable[..., None]:
    @wraps(init)
    def made(self: Any, connection: Any, transactional_id: str | None, *more: Any, **named: Any) -> None:
        init(self, connection, transactional_id, *more, **named)
        if transactional_id is not None:
            tell("seat", transactional_id)

    return made


if events is not None:
    KafkaProducer.__init__ = seated(KafkaProducer.__init__)  # type: ignore[method-assign]
    file = os.open(events, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    for kind in ("started", "restoring", "failed", "stopped"):
        setattr(LogLines, kind, telling(kind, getattr(LogLines, kind)))
if events is not None or traps is not None:
    on_step(at_step)
