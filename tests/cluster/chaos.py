"""Chaos: the app on three brokers, under input, while all that can happen does; its outputs are as if nothing had.

By hand, from the root of the repository, for ten minutes:

    python -m tests.cluster.chaos --seed 7 --minutes 10

It prints what it does, and at the end what differs, with the seed; the exit code is 0 if nothing does. Logs stay in the
folder that it names. The faults are a function of the seed, what becomes of them is not.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.cluster import chaos_faults
from tests.cluster.chaos_app import PARTITIONS
from tests.cluster.chaos_expected import OUTPUTS, differences, expected, found, is_through
from tests.cluster.chaos_input import INPUTS, closing, records
from tests.cluster.feeder import Feeder, make_topics
from tests.cluster.fleet import Fleet
from tests.cluster.judge import Judge, read_all, undecided
from tests.cluster.proxied_cluster import ProxiedCluster, running_proxied_cluster
from tests.cluster.worker_process import wait_for

RECORDS_PER_S = 200
PART_S = 20.0
"""A part of the input; then the app is waited for, while faults go on."""
THROUGH_MAX_S = 120.0
PAUSE_S = 2.0
"""Between one fault and the next."""
CLOSING_ROUND_S = 2.0
"""More of the last part comes after so long, until all has closed."""

OUTPUT_PARTITIONS = dict.fromkeys(OUTPUTS, PARTITIONS)

Tell = Callable[[str], None]


@dataclass
class Chaos:
    """One run. `minutes` is how long faults happen; before and after there is what it takes."""

    cluster: ProxiedCluster
    folder: Path
    seed: int
    minutes: float
    standbys: int = 1
    tell: Tell = print
    faults: list[str] = field(default_factory=list)
    """What has happened."""
    failure: str | None = None
    """What went wrong while it did."""

    def run(self) -> list[str]:
        """What differs from an undisturbed run, in words."""
        make_topics(self.cluster.bootstrap, INPUTS | OUTPUT_PARTITIONS)
        self._began_s = time.monotonic()
        settings = {"NUM_STANDBY_REPLICAS": str(self.standbys)}
        self._fleet = Fleet(self.cluster, self.folder, "tests.cluster.chaos_app:app", "chaos", settings)
        self._feeder = Feeder(self.cluster.bootstrap, RECORDS_PER_S, INPUTS)
        try:
            for _ in range(2):
                self._fleet.add()
            wait_for(lambda: all(w.has_begun for w in self._fleet.workers), lambda: "two workers")
            return self._run()
        except Exception:  # noqa: BLE001 - told with all the rest
            return [traceback.format_exc()]
        finally:
            self._fleet.end()

    def _run(self) -> list[str]:
        judge = Judge(self.cluster.bootstrap, OUTPUT_PARTITIONS)
        stopping = threading.Event()
        faults = threading.Thread(target=self._do_faults, args=(stopping,), daemon=True)
        try:
            faults.start()
            parts = self._feed(judge, time.monotonic() + 60 * self.minutes)
        finally:
            judge.close()
            stopping.set()
            faults.join()
        if self.failure:
            return [self.failure]
        return self._end(parts)

    def _feed(self, judge: Judge, until_s: float) -> int:
        """The parts of the input, one when the app is through with the other; how many there were."""
        for part in itertools.count():
            self._say(f"part {part}")
            self._feeder.start(records(self.seed, part))
            self._follow(judge, PART_S)
            self._feeder.stop()
            if not self._is_through(judge, part) or time.monotonic() >= until_s:
                return part + 1
        raise AssertionError("parts do not end")

    def _follow(self, judge: Judge, seconds: float) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until and not self.failure:
            judge.read(0.5)
            self._fleet.check()

    def _is_through(self, judge: Judge, part: int) -> bool:
        wanted = expected(self._feeder.sent, closed_before=part)
        until = time.monotonic() + THROUGH_MAX_S
        while not is_through(found(judge.rows), wanted):
            if self.failure:
                return False
            if time.monotonic() > until:
                told = differences(found(judge.rows), wanted)
                self.failure = f"part {part} was not through after {THROUGH_MAX_S:.0f} s: " + "\n".join(told)
                return False
            judge.read(0.5)
            self._fleet.check()
        return True

    def _do_faults(self, stopping: threading.Event) -> None:
        for fault in chaos_faults.schedule(self.seed):
            if stopping.wait(PAUSE_S):
                return
            self._say(str(fault))
            try:
                chaos_faults.do(self._fleet, fault)
            except Exception:  # noqa: BLE001 - what a run ends with
                self.failure = f"while {fault}: {traceback.format_exc()}"
                return

    def _end(self, parts: int) -> list[str]:
        """Closes all parts, ends the workers, and compares what there is then, read anew."""
        self._say("closing")
        self.cluster.mend()
        self._close_all(parts)
        self._fleet.check()
        self._fleet.stop()
        told = differences(
            found(read_all(self.cluster.bootstrap, OUTPUT_PARTITIONS)),
            expected(self._feeder.sent, closed_before=parts),
        )
        return told + undecided(self.cluster.bootstrap, OUTPUT_PARTITIONS)

    def _close_all(self, parts: int) -> None:
        judge = Judge(self.cluster.bootstrap, OUTPUT_PARTITIONS)
        until = time.monotonic() + THROUGH_MAX_S
        try:
            for round in itertools.count():
                self._feeder.send(closing(parts, round))
                wanted = expected(self._feeder.sent, closed_before=parts)
                judge.read(CLOSING_ROUND_S)
                self._fleet.check()
                if time.monotonic() > until or not differences(found(judge.rows), wanted):
                    return
        finally:
            judge.close()

    def _say(self, what: str) -> None:
        line = f"{time.monotonic() - self._began_s:6.1f} s  {what}"
        self.faults.append(line)
        self.tell(line)


def report(chaos: Chaos, told: list[str]) -> str:
    """What one needs to look into a failure."""
    lines = [f"seed {chaos.seed}, {chaos.minutes} minutes; logs in {chaos.folder}", *chaos.faults, "", *told]
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.cluster.chaos", description=__doc__)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--standbys", type=int, default=1, help="num_standby_replicas")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="chaos-"))
    print(f"seed {options.seed}; logs in {folder}", flush=True)
    with running_proxied_cluster(folder / "brokers") as cluster:
        chaos = Chaos(cluster, folder, options.seed, options.minutes, options.standbys, tell=_tell)
        told = chaos.run()
    print(report(chaos, told) if told else "nothing differs", flush=True)
    return 1 if told else 0


def _tell(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
