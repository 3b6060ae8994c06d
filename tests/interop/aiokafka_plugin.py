"""A pytest plugin that makes aiokafka's own tests start the brokers that we compare.

They run a container with Kafka in it, and Kafka's scripts inside of that; here is a `docker` that starts the broker
named by BROKER and runs the two tools that they ask for. Without Kerberos: the tests for it are left out.
"""

from __future__ import annotations

import os
import re
import shlex
import sys
import tempfile
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

from tests.interop.apache_kafka import Tools
from tests.interop.targets import Broker, new_broker

_PASSWORDS = " ".join(f'user_{name}="{name}"' for name in ("admin", "test", "test2"))
_PLAIN = f"org.apache.kafka.common.security.plain.PlainLoginModule required {_PASSWORDS};"
_SCRAM = "org.apache.kafka.common.security.scram.ScramLoginModule required;"
_MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")
_TOOLS = {"kafka-acls.sh": "org.apache.kafka.tools.AclCommand", "kafka-configs.sh": "kafka.admin.ConfigCommand"}


class Container:
    """The broker, and a way to run a tool beside it."""

    def __init__(self, broker: Broker, folder: Path) -> None:
        self._broker, self._tools = broker, Tools(folder)

    def exec_run(self, command: str) -> tuple[int, bytes]:
        script, *arguments = shlex.split(command)
        for option in ("--authorizer-properties", "--zookeeper"):  # how Kafka was reached once
            if option in arguments:
                at = arguments.index(option)
                arguments[at : at + 2] = ["--bootstrap-server", self._broker.bootstrap]
        for command_line in _one_mechanism_each(arguments):
            done = self._tools.run(_TOOLS[Path(script).name], *command_line)
            if done.code:
                break
        return done.code, (done.out + done.err).encode()

    def stop(self) -> None:
        self._tools.stop()
        self._broker.stop()


def _one_mechanism_each(arguments: list[str]) -> list[list[str]]:
    """ZooKeeper took a user's password for two mechanisms at once; brokers do not."""
    at = next((at for at, argument in enumerate(arguments) if argument.startswith("SCRAM-")), None)
    if at is None:
        return [arguments]
    return [[*arguments[:at], mechanism, *arguments[at + 1 :]] for mechanism in re.split(r"(?<=\]),", arguments[at])]


def _run(environment: dict[str, Any], volumes: dict[str, Any], **_: Any) -> Container:
    folder = Path(tempfile.mkdtemp(prefix="aiokafka-"))
    (certificates,) = volumes
    ports = {
        "PLAINTEXT": environment["ADVERTISED_PORT"],
        "SSL": environment["ADVERTISED_SSL_PORT"],
        "SASL_PLAINTEXT": environment["ADVERTISED_SASL_PLAINTEXT_PORT"],
        "SASL_SSL": environment["ADVERTISED_SASL_SSL_PORT"],
    }
    config = {
        "listeners": ",".join(f"{name}://127.0.0.1:{port}" for name, port in ports.items()),
        "num.partitions": str(environment["NUM_PARTITIONS"]),
        "sasl.enabled.mechanisms": ",".join(_MECHANISMS),
        "super.users": "User:admin;User:ANONYMOUS",
        "ssl.client.auth": "required",
        "ssl.keystore.location": f"{certificates}/br_server.keystore.jks",
        "ssl.keystore.password": "abcdefgh",
        "ssl.key.password": "abcdefgh",
        "ssl.truststore.location": f"{certificates}/br_server.truststore.jks",
        "ssl.truststore.password": "abcdefgh",
    }
    for listener in ("sasl_plaintext", "sasl_ssl"):
        for mechanism in _MECHANISMS:
            login = _PLAIN if mechanism == "PLAIN" else _SCRAM
            config[f"listener.name.{listener}.{mechanism.lower()}.sasl.jaas.config"] = login
    broker = new_broker(os.environ["BROKER"], folder, config)
    broker.start()
    return Container(broker, folder)


def pytest_collection_modifyitems(config: Any, items: list[Any]) -> None:
    """Leaves out what needs Kerberos."""
    kerberos = [item for item in items if "gssapi" in item.name.lower() or "kerberos" in item.name.lower()]
    config.hook.pytest_deselected(items=kerberos)
    items[:] = [item for item in items if item not in kerberos]


def pytest_sessionstart() -> None:
    from tests._testutil import KerberosUtils  # type: ignore[import-not-found]

    KerberosUtils.create_keytab = lambda utils: None


docker = ModuleType("docker")
docker.from_env = lambda: SimpleNamespace(  # type: ignore[attr-defined]
    containers=SimpleNamespace(run=_run), close=lambda: None
)
docker.models = SimpleNamespace(containers=SimpleNamespace(Container=Container))  # type: ignore[attr-defined]
sys.modules["docker"] = docker
