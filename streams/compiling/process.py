"""The process that compiles: `python -m streams.compiling.process FOLDER MODULE...` makes what is not in the folder.

It has the machine's idle time only, ends when whoever started it does (its standard input ends then), and waits for
another that is at work on the same folder. Each module is kept as soon as it is made, so that what is cut short was not
for nothing. What it has made it writes as lines: the module, and the seconds that it took.
"""

from __future__ import annotations

import fcntl
import os
import sys
import threading
import time
from pathlib import Path

from streams.compiling import kept

LOCK = "lock"
_NICE = 10


def main(where: Path, modules: list[str]) -> None:
    """Compiles what is missing, once nobody else is at it."""
    where.mkdir(mode=kept.MODE, parents=True, exist_ok=True)
    with (where / LOCK).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for module in kept.missing(where, modules):
            from streams.compiling.building import build  # with numba: 60 MB that who only waits does not need

            start = time.monotonic()
            kept.write(module, where, build(module, kept.called_by(module)))
            print(module, f"{time.monotonic() - start:.1f}", flush=True)  # noqa: T201 - read by who started it


def _end_with_who_started() -> None:
    while os.read(0, 1 << 10):
        pass
    os._exit(1)


if __name__ == "__main__":
    os.nice(_NICE)
    threading.Thread(target=_end_with_who_started, daemon=True).start()
    main(Path(sys.argv[1]), sys.argv[2:])
