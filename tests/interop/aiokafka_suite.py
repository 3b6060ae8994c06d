"""aiokafka's own tests against one of the brokers, by hand: it publishes them only with its source.

    git clone --depth 1 --branch v0.14.0 https://github.com/aio-libs/aiokafka /tmp/aiokafka
    pip install pytest-mock
    python -m tests.interop.aiokafka_suite kafka /tmp/aiokafka --save kafka.json
    python -m tests.interop.aiokafka_suite ours /tmp/aiokafka --against kafka.json

The version should be that of the aiokafka that is installed. Needs openssl and keytool for the certificates.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.interop.apache_kafka import VERSION
from tests.interop.kafka_python_suite import outcomes
from tests.interop.targets import NAMES, ROOT

HERE = Path(__file__).parent


def prepare(source: Path, folder: Path) -> None:
    """Their tests and the settings of them, apart from their source, with certificates."""
    shutil.copytree(source / "tests", folder / "tests")
    with (folder / "tests" / "__init__.py").open("a") as package:  # theirs is called as ours, and both are needed
        package.write(f"\n__path__.append({str(HERE.parent)!r})\n")
    settings = (source / "pyproject.toml").read_text()
    newer = '"error",\n    "ignore::pytest.PytestRemovedIn10Warning",'  # this pytest may be newer than theirs
    (folder / "pyproject.toml").write_text(settings.replace('"error",', newer))
    certificates = folder / "tests" / "ssl_cert"
    certificates.mkdir()
    script = str((source / "gen-ssl-certs.sh").resolve())
    subprocess.run(["bash", script], cwd=certificates, check=True, capture_output=True, timeout=300)


def run(folder: Path, broker: str, options: list[str]) -> dict[str, str]:
    """How each of their tests ended."""
    report = folder / f"{broker}.xml"
    command = [
        sys.executable,
        "-m",
        "pytest",
        "tests",
        "-p",
        "tests.interop.aiokafka_plugin",
        "-q",
        "--no-pull",
        "-o",
        "asyncio_default_fixture_loop_scope=function",
    ]
    image = ["--docker-image", f"kafka:2.13_{VERSION}", "--timeout", "150", "--junitxml", str(report)]
    environment = os.environ | {"BROKER": broker, "PYTHONPATH": str(ROOT)}
    subprocess.run([*command, *image, *options], cwd=folder, env=environment, timeout=3000)
    return outcomes(report)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.interop.aiokafka_suite", description=__doc__)
    parser.add_argument("broker", choices=NAMES)
    parser.add_argument("source", type=Path, help="a checkout of aiokafka")
    parser.add_argument("--save", type=Path, help="write how each test ended")
    parser.add_argument("--against", type=Path, help="such a file of the other broker, to compare with")
    arguments, options = parser.parse_known_args()
    with tempfile.TemporaryDirectory() as folder:
        prepare(arguments.source, Path(folder))
        found = run(Path(folder), arguments.broker, options)
    if arguments.save:
        arguments.save.write_text(json.dumps(found, indent=1))
    if arguments.against:
        other = json.loads(arguments.against.read_text())
        for name in sorted(found.keys() & other.keys()):  # some have random numbers in their names
            mine, theirs = found[name], other[name]
            if mine.partition(":")[0] != theirs.partition(":")[0]:
                print(f"{name}\n    {arguments.broker}: {mine}\n    other: {theirs}")


if __name__ == "__main__":
    main()
