"""A pytest plugin that makes kafka-python's own integration tests start the brokers that we compare.

Their fixtures run Kafka's shell scripts out of an unpacked distribution, with a module and templates that the source
distribution leaves out. Here the same fixture objects start the broker named by BROKER instead.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import py

from tests.interop.targets import new_broker

service = ModuleType("test.service")
service.ExternalService = service.SpawnedService = None  # type: ignore[attr-defined]
sys.modules["test.service"] = service

from test.integration import fixtures  # type: ignore[import-not-found]  # noqa: E402


def _open(fixture: Any) -> None:
    if fixture.tmp_dir is None:
        fixture.tmp_dir = py.path.local.mkdtemp()
    broker = new_broker(os.environ["BROKER"], Path(fixture.tmp_dir.strpath), _config(fixture))
    broker.start()
    fixture.child = SimpleNamespace(dump_logs=lambda: None, stop=broker.stop)
    fixture.running = True


def _config(fixture: Any) -> dict[str, str]:
    """Their settings as Kafka's properties."""
    protocol = fixture.transport
    config = {
        "listeners": f"{protocol}://localhost:{fixture.port}",
        "node.id": str(fixture.broker_id),
        "num.partitions": str(fixture.partitions),
        "group.min.session.timeout.ms": "1000",
        "inter.broker.listener.name": protocol,
    }
    for lines in (fixture._sasl_config(), fixture._ssl_config()):
        text = lines.format(mechanism=fixture.sasl_mechanism)
        config |= dict(line.split("=", 1) for line in text.splitlines() if line)
    if fixture.sasl_enabled:
        mechanism = fixture.sasl_mechanism.lower()
        config[f"listener.name.{protocol.lower()}.{mechanism}.sasl.jaas.config"] = fixture._jaas_config().strip()
    if fixture.sasl_enabled and mechanism.startswith("scram"):
        config["scram.users"] = (
            f"{fixture.sasl_mechanism}=[name={fixture.broker_user},password={fixture.broker_password}]"
        )
    return config


def _topic_names(fixture: Any) -> list[str]:
    from kafka import KafkaAdminClient

    with KafkaAdminClient(**fixture._enrich_client_params({})) as client:
        names: list[str] = client.list_topics()
        return names


fixtures.KafkaFixture.open = _open
fixtures.KafkaFixture.start = lambda fixture: None
fixtures.KafkaFixture.get_topic_names = _topic_names
