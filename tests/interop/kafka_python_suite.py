"""kafka-python's own integration tests, from its source distribution, against one of the brokers.

`python -m tests.interop.kafka_python_suite ours|kafka [PYTEST OPTION ...]` runs them and prints what pytest prints.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import tempfile
import xml.etree.ElementTree as ElementTree
from importlib.metadata import version
from pathlib import Path

from tests.interop.apache_kafka import VERSION
from tests.interop.targets import NAMES, ROOT


def unpack(folder: Path) -> Path:
    """The source distribution of the kafka-python that is installed, fetched by pip and unpacked."""
    wanted = f"kafka-python=={version('kafka-python')}"
    pip = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "-q",
        "--no-deps",
        "--no-binary",
        ":all:",
        "-d",
        str(folder),
        wanted,
    ]
    subprocess.run(pip, check=True, timeout=300)
    (archive,) = folder.glob("*.tar.gz")
    with tarfile.open(archive) as packed:
        packed.extractall(folder, filter="data")
    (source,) = (path for path in folder.iterdir() if path.is_dir())
    (source / "test" / "__init__.py").touch()  # left out of it, and the standard library has a `test` of its own
    return source


def run(source: Path, broker: str, *options: str) -> dict[str, str]:
    """How each test ended on `broker`: passed, skipped or the first line of the failure.

    Those that failed run a second time: on a busy machine the suite's own time limits are short.
    """
    found = _run(source, broker, *options)
    if any(outcome not in ("passed", "skipped") for outcome in found.values()):
        found |= _run(source, broker, "--last-failed", *options)
    return found


def _run(source: Path, broker: str, *options: str) -> dict[str, str]:
    report = source / f"{broker}.xml"
    command = [
        sys.executable,
        "-m",
        "pytest",
        "test/integration",
        "-p",
        "tests.interop.kafka_python_plugin",
        "-p",
        "no:asyncio",
    ]
    quiet = [
        "-q",
        "-o",
        f"cache_dir=.{broker}",
        "-o",
        "log_level=WARNING",
        "--timeout",
        "60",
        "--timeout-method",
        "signal",
        "--junitxml",
        str(report),
        *options,
    ]
    environment = {"BROKER": broker, "KAFKA_VERSION": VERSION, "KAFKA_ROOT": str(source), "PYTHONPATH": str(ROOT)}
    subprocess.run([*command, *quiet], cwd=source, env=os.environ | environment, timeout=600)
    return outcomes(report)


def outcomes(report: Path) -> dict[str, str]:
    """By test, from pytest's XML report."""
    found = {}
    for case in ElementTree.parse(report).iter("testcase"):
        name = f"{case.get('classname', '').rpartition('.')[2]}::{case.get('name')}"
        found[name] = "passed"
        for kind in ("skipped", "failure", "error"):
            if (bad := case.find(kind)) is not None:
                found[name] = kind if kind == "skipped" else f"{kind}: {bad.get('message', '').splitlines()[0]}"
    return found


def main() -> None:
    broker, *options = sys.argv[1:]
    assert broker in NAMES, f"one of {NAMES}"
    with tempfile.TemporaryDirectory() as folder:
        for name, outcome in run(unpack(Path(folder)), broker, *options).items():
            print(f"{name}: {outcome}")


if __name__ == "__main__":
    main()
