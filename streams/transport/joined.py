"""A data folder that another process of this machine holds: reached over loopback, and taken over when it ends.

The holder says in the lock file where it serves the folder. Whoever joins asks again and again for the lock; the first
to get it, when the holder has ended, opens the folder and serves it at the same address, and the rest find it there.
"""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

from broker_embedded.config import BrokerConfig
from broker_embedded.lock import FolderInUseError, served_at
from streams.transport.contract import Transport
from streams.transport.embedded import EmbeddedTransport
from streams.transport.kafka import KafkaTransport
from streams.transport.kafka_connection import ConnectionLostError

log = logging.getLogger(__name__)

_ASK_INTERVAL_S = 0.2
_WITHIN_S = 10.0


async def open_folder(folder: Path, config: BrokerConfig) -> Transport:
    """A started transport to the broker over `folder`: in this process, or in the one that holds it.

    Raises FolderInUseError when the holder does not serve it, or does not answer.
    """
    deadline = asyncio.get_running_loop().time() + _WITHIN_S
    while True:
        transport = EmbeddedTransport(folder, config=config)
        try:
            await transport.start()
            return transport
        except FolderInUseError as error:
            if error.address is not None:
                joined = JoinedTransport(folder, config, error.address)
                try:
                    await joined.start()
                    return joined
                except ConnectionLostError as lost:  # it ends, or begins, just now
                    log.debug("%s", lost)
            if asyncio.get_running_loop().time() > deadline:
                raise
            await asyncio.sleep(_ASK_INTERVAL_S)


class JoinedTransport(KafkaTransport):
    """A `Transport` to the process that holds a folder, and heir to the folder."""

    def __init__(self, folder: Path, config: BrokerConfig, address: str) -> None:
        super().__init__(address, find=lambda: _address(folder, address))
        self._folder = folder
        self._config = config
        self._own: EmbeddedTransport | None = None
        self._heir: asyncio.Task[None] | None = None

    async def start(self) -> None:
        await super().start()
        self._heir = asyncio.create_task(self._inherit())

    async def stop(self) -> None:
        if self._heir is not None:
            self._heir.cancel()
            await asyncio.wait([self._heir])
        await super().stop()
        if self._own is not None:
            await self._own.stop()

    async def _inherit(self) -> None:
        """Take the folder over once nobody holds it, and serve it."""
        transport = EmbeddedTransport(self._folder, config=self._config)
        while True:
            await asyncio.sleep(_ASK_INTERVAL_S)
            try:
                await transport.start()
            except FolderInUseError:
                continue
            log.info("the process that held %s has ended: this one serves the folder now", self._folder)
            self._own = transport
            return


def _address(folder: Path, last: str) -> str:
    """Where the folder is served now, as far as its lock file says."""
    return served_at(folder) or last
