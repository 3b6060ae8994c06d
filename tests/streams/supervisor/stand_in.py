"""A process that stands in for a worker: it says and does what its arguments say, one after the other.

begin | move:RECORDS | say:TEXT | write:TEXT (without an end of line) | broke:TEXT | exit:CODE | die | block | hold
end: answers when it is asked whether it is at the end, and ends when it is told
report:TEXT: of number 0 all that it does, of the others nothing
lock:FILE (with its number): held until it is gone
wait: until SIGTERM, then as a worker ends
once:FILE: in the first process of a worker that comes here it goes on, in a later one it waits
first:STEP: the step in the first process of worker 1 only
late:RECORDS: as `end`, but worker 2 has these to do between the first question and the second
"""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from threading import Event

from streams.runtime.observer import Progress, Started, Stopped
from streams.runtime.signals import first_signal
from streams.supervisor.link import Link
from streams.supervisor.messages import Began, Broke, Closed, Moved

STARTED = Started("shop", "embedded", "./shop-data", ("orders",), (), (), (), 2, "exactly_once")
LONG_S = 60.0


class Process:
    def __init__(self) -> None:
        link = Link.from_environment()
        assert link is not None
        self.link = link
        self.records = 0
        self.woken = Event()

    def run(self, steps: list[str]) -> int | None:
        for step in steps:
            name, _, rest = step.partition(":")
            code = getattr(self, name)(*([rest] if rest else []))
            if code is not None:
                return int(code)
        return None

    def begin(self) -> None:
        self.link.tell(Began(STARTED))

    def move(self, records: str) -> None:
        self.records += int(records)
        self.link.tell_if_heard(Moved(Progress(self.records, 5.0, 1, 3, None, 1.0)))

    def say(self, text: str) -> None:
        print(text, flush=True)
        print(text, file=sys.stderr, flush=True)

    def report(self, text: str) -> int | None:
        if self.link.number != 0:
            return None
        self.say(text)
        return 0

    def write(self, text: str) -> None:
        os.write(2, text.encode())

    def exit(self, code: str) -> int:
        return int(code)

    def die(self) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def hold(self) -> None:
        """Leaves its pipes to another process, which does not end."""
        held = subprocess.Popen([sys.executable, "-c", f"import time; time.sleep({LONG_S})"])
        Path(f"held-{os.getpid()}").write_text(str(held.pid))

    def lock(self, file: str) -> None:
        descriptor = os.open(f"{file}-{self.link.number}", os.O_RDWR | os.O_CREAT)
        fcntl.flock(descriptor, fcntl.LOCK_EX)

    def block(self) -> None:
        """Does not care for SIGTERM."""
        signal.signal(signal.SIGTERM, lambda *_: self.say("told"))
        self.say("deaf")
        until_s = time.monotonic() + LONG_S
        while (left_s := until_s - time.monotonic()) > 0:
            time.sleep(left_s)

    def wait(self) -> int:
        stopped = Event()
        with first_signal(stopped.set):
            self.link.tell(Began(STARTED))
            stopped.wait(LONG_S)
        self.link.tell(Closed(Stopped("signal", self.records, 1, 1.0)))
        return 0

    def late(self, records: str) -> int:
        return self.end(int(records) if self.link.number == 2 else 0)

    def end(self, late: int = 0) -> int:
        self.link.begin(self.woken.set)
        while not self.link.reached(self.records):
            self.woken.wait(LONG_S)
            self.woken.clear()
            if late and self.link._answered:
                self.records, late = self.records + late, 0
        self.link.tell(Closed(Stopped("end", self.records, 1, 1.0)))
        return 0

    def once(self, file: str) -> int | None:
        return None if self.is_first(file) else self.wait()

    def first(self, step: str) -> int | None:
        return self.run([step]) if self.link.number == 1 and self.is_first("first") else None

    def is_first(self, file: str) -> bool:
        try:
            Path(f"{file}-{self.link.number}").touch(exist_ok=False)
        except FileExistsError:
            return False
        return True

    def broke(self, text: str) -> None:
        self.link.tell(Broke(text))


if __name__ == "__main__":
    sys.exit(Process().run(sys.argv[1:]))
