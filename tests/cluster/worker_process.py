"""Workers as their users start them: `streams worker`, each a process with a log of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from streams.config import settings_info

KNOWN = {info.name for info in settings_info()}

ROOT = Path(__file__).parent.parent.parent
STREAMS = str(Path(sys.executable).with_name("streams"))
SETTINGS = {
    "SESSION_TIMEOUT_MS": "6000",
    "HEARTBEAT_INTERVAL_MS": "500",
    "TRANSACTION_TIMEOUT_MS": "10000",
}
"""A worker that is gone is missed within six seconds, and what it has begun is ended within ten."""


class WorkerProcess:
    """A worker of the app `target` ("module:app") over a data folder; started again, it goes on with that.

    `log` is what it has written in all its lives, and `events` what it has told (`chaos_hooks`).
    """

    def __init__(
        self, name: str, target: str, folder: Path, broker: str, app_id: str, settings: Mapping[str, str]
    ) -> None:
        """`settings` are by the names of their environment variables, without STREAMS_."""
        self.name = name
        self._command = (STREAMS, "worker", target)
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.log = folder / "log"
        self.traps = folder / "traps"
        self.traps.mkdir(exist_ok=True)
        self._events = folder / "events"
        self._environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "CLUSTER_EVENTS": str(self._events),
            "CLUSTER_TRAPS": str(self.traps),
            "CLUSTER_APP": app_id,
            "STREAMS_BROKER": f"kafka://{broker}",
            "STREAMS_DATA_DIR": str(folder / "data"),
            **{f"STREAMS_{name}": value for name, value in {**SETTINGS, **settings}.items() if name.lower() in KNOWN},
        }
        self.process: subprocess.Popen[bytes] | None = None
        self.is_wanted = False
        """Whether it is to run: False from when it is killed or asked to end, until it is started again."""

    def __repr__(self) -> str:
        return self.name

    # -- its life

    def start(self) -> None:
        assert not self.is_alive
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(self._command, env=self._environment, cwd=ROOT, stdout=log, stderr=log)
        self.is_wanted = True
        self._began_s = time.monotonic()

    @property
    def is_alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    @property
    def has_begun(self) -> bool:
        """Whether its present life knows what there is to do."""
        return bool(self.events("started", self._began_s))

    @property
    def code(self) -> int | None:
        """How it has ended."""
        return None if self.process is None else self.process.poll()

    def kill(self) -> None:
        """As a power switch would."""
        assert self.process is not None
        self.is_wanted = False
        self.process.kill()
        self.process.wait()

    def terminate(self) -> None:
        """Asks it to end (SIGTERM)."""
        assert self.process is not None
        self.is_wanted = False
        self.process.terminate()

    def stop(self) -> None:
        """Asks it to end, and waits."""
        self.terminate()
        self.wait()

    def wait(self, within_s: float = 60.0) -> None:
        """Until it has ended. Raises TimeoutError when it does not, AssertionError when it says that it failed."""
        assert self.process is not None
        try:
            code = self.process.wait(within_s)
        except subprocess.TimeoutExpired:
            raise TimeoutError(f"{self.name} has not ended {within_s:.0f} s after SIGTERM\n{self.tail()}") from None
        # Before it listens to signals, one ends it at once.
        fine = (0,) if self.has_begun else (0, -signal.SIGTERM)
        assert code in fine, f"{self.name} has ended with {code}\n{self.tail()}"

    def freeze(self) -> None:
        """It stands still, with everything it holds (SIGSTOP)."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """It goes on (SIGCONT), and does not know that time has passed."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: int) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def end(self) -> None:
        """Whatever it is at, it is gone."""
        if self.is_alive:
            self.kill()

    # -- traps

    def set_trap(self, step: str) -> None:
        """Holds it when it next reaches `step`."""
        self._trap(step).touch()

    def is_held(self, step: str) -> bool:
        return bool(self._holding(step))

    def release(self, step: str) -> None:
        """Takes the trap away, whether it holds or not."""
        for path in (self._trap(step), *self._holding(step)):
            path.unlink(missing_ok=True)

    def _trap(self, step: str) -> Path:
        return self.traps / step.replace(": ", "-").replace(" ", "-")

    def _holding(self, step: str) -> list[Path]:
        return list(self.traps.glob(f"{self._trap(step).name}.*"))

    # -- what it tells

    def events(self, kind: str | None = None, since: float = 0.0) -> list[dict[str, Any]]:
        """What it has told, in order, from a moment of the machine's clock (time.monotonic) on."""
        return [event for event in self._lines() if event["at"] >= since and (kind is None or kind in event)]

    def _lines(self) -> Iterator[dict[str, Any]]:
        if self._events.exists():
            # Whoever is killed may be in the middle of a line, at which the next life goes on.
            for line in self._events.read_text().split("\n")[:-1]:
                try:
                    yield json.loads(line)
                except json.JSONDecodeError:
                    continue

    def steps(self, since: float = 0.0) -> Counter[str]:
        """How often it has reached each step."""
        return Counter(event["step"] for event in self.events("step", since))

    def restored(self, since: float = 0.0) -> dict[str, int]:
        """Records read from changelogs, by store and partition."""
        found: dict[str, int] = {}
        for event in self.events("restoring", since):
            told = event["restoring"]
            if told["done"]:
                found[f"{told['store']}-{told['partition']}"] = told["records"]
        return found

    def processed(self, since: float = 0.0) -> dict[int, int]:
        """Orders seen by its present life up to its last step, by partition."""
        steps = self.events("step", since)
        return {int(partition): count for partition, count in steps[-1]["processed"].items()} if steps else {}

    def tail(self, lines: int = 40) -> str:
        """The end of its log."""
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        return f"--- {self.log}\n" + "\n".join(text.splitlines()[-lines:])


def wait_for(condition: Callable[[], bool], what: Callable[[], object], within_s: float = 60.0) -> None:
    """Returns when `condition` holds. Raises TimeoutError, which says `what` did not come."""
    until = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > until:
            raise TimeoutError(f"not within {within_s:.0f} s: {what()}")
        time.sleep(0.05)
