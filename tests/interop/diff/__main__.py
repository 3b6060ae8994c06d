"""`python -m tests.interop.diff [SCENARIO ...]`: the same requests to Apache Kafka and to our broker, and what differs.

`--ours ADDRESS` and `--kafka ADDRESS` take brokers that run already.
"""

from __future__ import annotations

import argparse
import tempfile
from contextlib import ExitStack
from pathlib import Path

from tests.interop.diff.run import run_all
from tests.interop.targets import running_broker


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.interop.diff", description=__doc__)
    parser.add_argument("scenarios", nargs="*", help="parts of names; all when there are none")
    for name in ("ours", "kafka"):
        parser.add_argument(f"--{name}", metavar="ADDRESS")
    options = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        addresses = [
            getattr(options, name) or stack.enter_context(running_broker(name, folder / name)).bootstrap
            for name in ("kafka", "ours")
        ]
        found = run_all(*addresses, options.scenarios)
        for difference in found:
            print(difference)
    print(f"{len(found)} differences")


if __name__ == "__main__":
    main()
