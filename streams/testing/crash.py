"""Runs an app in processes that die: at a named step of a commit or a restore, or by `kill -9` at any moment.

Start it again as often as wanted, at last without a fault, and compare what is in the data folder then
(`streams.testing.contents`) with what a run that nobody disturbed leaves there.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import IO, Any, NamedTuple

DIED = 77
"""Exit code of a process that died at its step."""

KILLED = -9
"""Exit code of a process that was killed."""


class StepAt(NamedTuple):
    """A step of `streams.runtime.steps`, and which time it is reached by the process: 1 is the first."""

    step: str
    occurrence: int = 1


class Kill(NamedTuple):
    """Who is killed when the process has begun so many commits, and so many seconds later: it, or another one by id."""

    commits: int
    after_s: float = 0.0
    pid: int | None = None


class Run(NamedTuple):
    """How a process ended, and what it told before.

    `code` is 0 at the end of the input, DIED, KILLED, or 1 when the worker failed; `events` are what it told, in order
    (`streams.testing.crash_process`); `errors` is what it wrote to standard error.
    """

    code: int
    events: list[dict[str, Any]]
    errors: str

    @property
    def steps(self) -> Counter[str]:
        """How often each step was reached."""
        return Counter(event["step"] for event in self.events if "step" in event)

    def told(self, kind: str) -> list[Any]:
        """The events of one kind, such as "restoring" or "checkpoints"."""
        return [event[kind] for event in self.events if kind in event]


class Crashes:
    """Runs the app `target` ("module:app", found from `folder`), each time in a new process.

    The processes are forked from one that has everything imported, so a start costs milliseconds.

    >>> import tempfile
    >>> code = "import streams; app = streams.App('idle'); app.topic('in').stream().to(app.topic('out'))"
    >>> folder = Path(tempfile.mkdtemp())
    >>> _ = (folder / "idle_app.py").write_text(code)
    >>> with Crashes("idle_app:app", folder) as crashes:
    ...     crashes.run(folder / "data", die_at=StepAt("restore: look at checkpoints")).code == DIED
    ...     crashes.run(folder / "data").code
    True
    0
    """

    def __init__(self, target: str, folder: Path | str) -> None:
        self._target = target
        self._folder = str(folder)

    def __enter__(self) -> Crashes:
        self._own = TemporaryDirectory()
        self._errors: IO[bytes] = open(Path(self._own.name, "errors"), "a+b")
        self._server = subprocess.Popen(
            [sys.executable, "-m", "streams.testing.crash_process"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.communicate()
        self._errors.close()
        self._own.cleanup()

    def run(
        self,
        data_dir: Path | str,
        *,
        die_at: StepAt | None = None,
        kill_after_s: float | None = None,
        kills: Sequence[Kill] = (),
        ledger: Path | str | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> Run:
        """One process over `data_dir`, until it ends by itself or as told; None for both lets it run to the end.

        `kills` go by how far it is, and not by the clock, so that a busy machine kills nobody who has not begun; they
        are in the order of their commits.
        `environment` is added to its own: settings as STREAMS_<NAME>. `ledger` is a file outside of `data_dir` to which
        the process adds what the log has synced (`streams.testing.power_cut`).
        """
        events = Path(self._own.name, "events")
        events.write_bytes(b"")
        self._errors.truncate(0)
        order = {
            "target": self._target,
            "folder": self._folder,
            "environment": {**(environment or {}), "STREAMS_DATA_DIR": str(data_dir)},
            "events": str(events),
            "die_at": die_at,
            "kill_after_s": kill_after_s,
            "kills": kills,
            "ledger": None if ledger is None else str(ledger),
        }
        code = self._ask(order)
        self._errors.seek(0)
        # Whoever is killed may be in the middle of a line.
        lines = events.read_text().split("\n")[:-1]
        return Run(code, [json.loads(line) for line in lines], self._errors.read().decode())

    def _ask(self, order: dict[str, Any]) -> int:
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        self._server.stdin.write(json.dumps(order) + "\n")
        self._server.stdin.flush()
        answer = self._server.stdout.readline()
        if not answer:
            self._errors.seek(0)
            raise RuntimeError(f"the process that starts the others has ended: {self._errors.read().decode()}")
        return int(answer)
