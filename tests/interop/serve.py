"""`python -m tests.interop.serve DATA_DIR PORT [NAME=VALUE ...]`: our broker with settings by Kafka's names.

Prints `ready` when it answers and stops when its standard input ends.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from broker_embedded import Broker, BrokerConfig, Listener

_NAMES = {"auto.create.topics.enable": "auto_create_topics"}
_TYPES = {"bool": lambda value: value == "true", "int": int, "str": str}

log = logging.getLogger("tests.interop.serve")


def config_of(settings: Mapping[str, str]) -> BrokerConfig:
    """The settings that we have; the log names those that we have not."""
    types = {field.name: str(field.type) for field in fields(BrokerConfig)}
    known: dict[str, Any] = {"auto_create_topics": True}
    for name, value in settings.items():
        own = _NAMES.get(name, name.replace(".", "_"))
        if types.get(own) in _TYPES:
            known[own] = _TYPES[types[own]](value)
        else:
            log.warning("no setting %s", name)
    return BrokerConfig(**known)


async def serve(data_dir: Path, port: int, config: BrokerConfig) -> None:
    async with Broker.open(data_dir, config=config, listeners=[Listener(port=port)]):
        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.read)


def main() -> None:
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    data_dir, port, *settings = sys.argv[1:]
    config = config_of(dict(setting.split("=", 1) for setting in settings))
    asyncio.run(serve(Path(data_dir), int(port), config))


if __name__ == "__main__":
    main()
