"""A Kafka broker in a process.

>>> import broker_embedded
>>> with broker_embedded.running() as broker:
...     broker.bootstrap_servers.partition(":")[0]
'127.0.0.1'
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from broker_embedded.broker import Broker as Broker
    from broker_embedded.config import BrokerConfig as BrokerConfig
    from broker_embedded.faults import Fault as Fault
    from broker_embedded.faults import Faults as Faults
    from broker_embedded.running_broker import RunningBroker as RunningBroker
    from broker_embedded.running_broker import running as running
    from broker_embedded.security.listeners import Listener as Listener

# Imported when asked for: whoever needs only the record format pays for nothing else.
_FOUND_IN = {
    "Broker": "broker",
    "BrokerConfig": "config",
    "Fault": "faults",
    "Faults": "faults",
    "Listener": "security.listeners",
    "RunningBroker": "running_broker",
    "running": "running_broker",
}

__all__ = ["Broker", "BrokerConfig", "Fault", "Faults", "Listener", "RunningBroker", "running"]


def __getattr__(name: str) -> Any:
    if name not in _FOUND_IN:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_FOUND_IN[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
