"""What happens to workers, brokers and connections: drawn from a seed, and done.

A fault is over, and what it took away is back, before the next one begins: with one broker of three away nothing stops
for long, with two everything does.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from random import Random
from typing import Any, NamedTuple

from streams.runtime.steps import COMMIT_STEPS
from tests.cluster.fleet import Fleet
from tests.cluster.worker_process import SETTINGS, WorkerProcess

SESSION_S = int(SETTINGS["SESSION_TIMEOUT_MS"]) / 1000
STEPS = tuple(step for step in COMMIT_STEPS if step != "commit: write a slice")
HELD_MAX_S = 5.0
"""A step is waited for so long: without input it may not come."""


class Fault(NamedTuple):
    """What happens, to which one (a number, taken modulo those that there are), at which step, for how long."""

    kind: str
    which: int
    step: str
    seconds: float

    def __str__(self) -> str:
        return f"{self.kind} which={self.which} step={self.step!r} seconds={self.seconds}"


def schedule(seed: int) -> Iterator[Fault]:
    """Endless: all kinds in an order of the seed's, then all again in another one."""
    draw = Random(seed)
    while True:
        kinds = list(KINDS)
        draw.shuffle(kinds)
        for kind in kinds:
            yield Fault(kind, draw.randrange(12), draw.choice(STEPS), round(draw.uniform(0.2, 3.0), 1))


# -- brokers


def broker_killed(fleet: Fleet, fault: Fault) -> None:
    _away(fleet, fleet.node(fault.which), fault.seconds)


def group_coordinator_killed(fleet: Fleet, fault: Fault) -> None:
    _away(fleet, _known(fleet, fleet.cluster.group_coordinator(fleet.app_id), fault), fault.seconds)


def coordinator_killed_at_a_step(fleet: Fleet, fault: Fault) -> None:
    """The broker that decides on a worker's transaction, while the worker stands at a step of it."""
    worker = fleet.worker(fault.which)
    with fleet.held(worker, fault.step, HELD_MAX_S):
        node = _known(fleet, fleet.cluster.transaction_coordinator(fleet.transactional_id(worker)), fault)
        fleet.cluster.kill(node)
    time.sleep(fault.seconds)
    fleet.cluster.restart(node)


def broker_frozen(fleet: Fleet, fault: Fault) -> None:
    """It keeps its connections and does not answer."""
    node = fleet.node(fault.which)
    fleet.cluster.freeze(node)
    time.sleep(2 * fault.seconds)
    fleet.cluster.thaw(node)


def _known(fleet: Fleet, node: int, fault: Fault) -> int:
    """The node; any one while nobody leads what is asked for."""
    return node if node in fleet.cluster.nodes else fleet.node(fault.which)


def _away(fleet: Fleet, node: int, seconds: float) -> None:
    fleet.cluster.kill(node)
    time.sleep(seconds)
    fleet.cluster.restart(node)


# -- workers


def worker_killed(fleet: Fleet, fault: Fault) -> None:
    worker = fleet.worker(fault.which)
    worker.kill()
    worker.start()


def worker_killed_at_a_step(fleet: Fleet, fault: Fault) -> None:
    worker = fleet.worker(fault.which)
    with fleet.held(worker, fault.step, HELD_MAX_S):
        worker.kill()
    worker.start()


def worker_killed_for_long(fleet: Fleet, fault: Fault) -> None:
    """Its session ends before it comes back."""
    worker = fleet.worker(fault.which)
    worker.kill()
    time.sleep(SESSION_S + fault.seconds)
    worker.start()


def worker_frozen(fleet: Fleet, fault: Fault) -> None:
    _frozen(fleet.worker(fault.which), fault.seconds)


def worker_frozen_past_its_session(fleet: Fleet, fault: Fault) -> None:
    """While it stands at a step, so that it would go on with a commit."""
    worker = fleet.worker(fault.which)
    with fleet.held(worker, fault.step, HELD_MAX_S):
        worker.freeze()
    time.sleep(SESSION_S + fault.seconds)
    worker.thaw()


def _frozen(worker: WorkerProcess, seconds: float) -> None:
    worker.freeze()
    time.sleep(seconds)
    worker.thaw()


def worker_added(fleet: Fleet, fault: Fault) -> None:
    fleet.add()


def worker_removed(fleet: Fleet, fault: Fault) -> None:
    if len(fleet.workers) > 1:
        fleet.remove(fleet.worker(fault.which))


def worker_restarted(fleet: Fleet, fault: Fault) -> None:
    worker = fleet.worker(fault.which)
    worker.stop()
    worker.start()


# -- connections


def connections_cut(fleet: Fleet, fault: Fault) -> None:
    for proxy in fleet.cluster.proxies.values():
        proxy.cut()


def broker_refuses(fleet: Fleet, fault: Fault) -> None:
    proxy = fleet.cluster.proxies[fleet.node(fault.which)]
    proxy.refuse()
    time.sleep(fault.seconds)
    proxy.allow()


def nothing_passes(fleet: Fleet, fault: Fault) -> None:
    """To and from one broker, through connections that stay open."""
    proxy = fleet.cluster.proxies[fleet.node(fault.which)]
    proxy.hold()
    time.sleep(2 * fault.seconds)
    proxy.allow()


KINDS: dict[str, Callable[[Fleet, Fault], Any]] = {
    function.__name__.replace("_", " "): function
    for function in (
        broker_killed,
        group_coordinator_killed,
        coordinator_killed_at_a_step,
        broker_frozen,
        worker_killed,
        worker_killed_at_a_step,
        worker_killed_for_long,
        worker_frozen,
        worker_frozen_past_its_session,
        worker_added,
        worker_removed,
        worker_restarted,
        connections_cut,
        broker_refuses,
        nothing_passes,
    )
}


def do(fleet: Fleet, fault: Fault) -> None:
    """Lets it happen, and waits until all replicas are in sync again."""
    KINDS[fault.kind](fleet, fault)
    fleet.cluster.mend()
    fleet.check()
