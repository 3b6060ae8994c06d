"""`python -m tests.interop.serve DATA_DIR NAME=VALUE ...`: our broker with settings by Kafka's names.

`scram.users` is what `kafka-storage format --add-scram` takes. Prints `ready` when it listens and stops when its
standard input ends.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path

from broker_embedded import Broker, BrokerConfig
from broker_embedded.security.listener_settings import parse_listeners
from broker_embedded.security.scram import MECHANISMS, salt_password
from broker_embedded.wire.messages.security import AlterUserScramCredentialsRequest, ScramCredentialUpsertion

_USER = re.compile(r"(?P<mechanism>SCRAM-SHA-\d+)=\[name=(?P<name>.*?),password=(?P<password>.*?)\]")


async def serve(data_dir: Path, properties: Mapping[str, str], users: str) -> None:
    config = BrokerConfig.from_properties(properties)
    async with Broker.open(data_dir, config=config, listeners=parse_listeners(properties)) as broker:
        if users:
            upsertions = [_upsertion(**user.groupdict()) for user in _USER.finditer(users)]
            await broker.cluster.handle(AlterUserScramCredentialsRequest(upsertions=upsertions))
        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.read)


def _upsertion(mechanism: str, name: str, password: str) -> ScramCredentialUpsertion:
    salt, known = os.urandom(16), MECHANISMS[mechanism]
    return ScramCredentialUpsertion(name, known.type, 4096, salt, salt_password(known, password, salt, 4096))


def main() -> None:
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    data_dir, *settings = sys.argv[1:]
    properties = dict(setting.split("=", 1) for setting in settings)
    users = properties.pop("scram.users", "")
    asyncio.run(serve(Path(data_dir), properties, users))


if __name__ == "__main__":
    main()
