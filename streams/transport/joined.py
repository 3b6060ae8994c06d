"""A data folder that another process of this machine holds: reached over loopback, and taken over when it ends.

The holder says in the lock file where it serves the folder. Whoever joins asks again and again for the lock; the first
to get it, when the holder has ended, opens the folder and serves it at the same address, and the rest find it there.
Another event loop of this process is joined in the same way.
"""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

from broker_embedded.config import BrokerConfig
from broker_embedded.errors import KafkaError
from broker_embedded.lock import FolderInUseError, served_at
from broker_embedded.log.checkpoints import read_meta_properties
from streams.transport.contract import ConnectionLostError, Transport, TransportError
from streams.transport.embedded import EmbeddedTransport
from streams.transport.embedded.shared_cluster import OpenElsewhereError
from streams.transport.kafka import KafkaTransport

log = logging.getLogger(__name__)

_ASK_INTERVAL_S = 0.2
_WITHIN_S = 10.0
_PATIENT_S = 60.0
_ANSWER_WITHIN_S = 3.0
_TROUBLE_INTERVAL_S = 5.0
_NOWHERE = "127.0.0.1:0"
_REQUEST_TIMEOUT_MS = 10_000  # on loopback: what has not come by then does not come


class HolderSilentError(TransportError):
    """The process that holds a folder lives and does not answer."""

    def __init__(self, folder: Path, held: FolderInUseError | OpenElsewhereError) -> None:
        who, advice = "another event loop of this process", "let it run, or end it"
        if isinstance(held, FolderInUseError):
            who = "another process" if held.pid is None else f"process {held.pid} ({held.program}) since {held.since}"
            advice = "let it go on, or end it" if held.pid is None else f"kill -CONT {held.pid}, or kill {held.pid}"
        super().__init__(
            f"data folder {folder} is held by {who}, which serves it at {held.address} but does not answer there for "
            f"{_WITHIN_S:.0f} s. It is stopped (Ctrl-Z, a debugger) or very busy: {advice}; when it has ended, the "
            "next that asks takes the folder over."
        )


async def open_folder(folder: Path, config: BrokerConfig) -> Transport:
    """A started transport to the broker over `folder`: in this event loop, or in the one that holds it.

    Raises HolderSilentError, and FolderInUseError when the holder serves the folder nowhere.
    """
    deadline = asyncio.get_running_loop().time() + _WITHIN_S
    while True:
        try:
            transport = EmbeddedTransport(folder, config=config)
            await transport.start()
            return transport
        except (FolderInUseError, OpenElsewhereError) as error:
            held = error
        if held.address is not None:
            joined = JoinedTransport(folder, config, held.address)
            try:
                await joined.start()
                return joined
            except ConnectionLostError as lost:  # it ends, or begins, just now
                log.debug("%s", lost)
        if asyncio.get_running_loop().time() > deadline:
            raise held if held.address is None else HolderSilentError(folder, held) from held
        await asyncio.sleep(_ASK_INTERVAL_S)


async def join_folder(folder: Path, config: BrokerConfig) -> Transport:
    """A started transport to whoever holds `folder`, and never its heir. Raises ConnectionLostError when nobody serves
    the folder for a while: a longer one than before a folder is taken over, as waiting is all that is to be done.
    """
    deadline = asyncio.get_running_loop().time() + _PATIENT_S
    while True:
        joined = JoinedTransport(folder, config, served_at(folder) or _NOWHERE, inherits=False)
        try:
            await joined.start()
            return joined
        except ConnectionLostError:
            if asyncio.get_running_loop().time() > deadline:
                raise
        await asyncio.sleep(_ASK_INTERVAL_S)


class JoinedTransport(KafkaTransport):
    """A `Transport` to whoever holds a folder, and heir to the folder unless it `inherits` nothing."""

    def __init__(self, folder: Path, config: BrokerConfig, address: str, *, inherits: bool = True) -> None:
        meta = read_meta_properties(folder / "meta.properties")
        super().__init__(
            address,
            request_timeout_ms=_REQUEST_TIMEOUT_MS,
            find=lambda: self.address,
            cluster_id=None if meta is None else meta.cluster_id,
        )
        self._folder = folder
        self._own = EmbeddedTransport(folder, config=config)
        self._inherits = inherits
        self._heir: asyncio.Task[None] | None = None

    @property
    def address(self) -> str:
        """Where the folder is served now, as far as its lock file says."""
        return served_at(self._folder) or super().address

    async def start(self) -> None:
        if self._heir is not None:
            return
        if not self._inherits:
            return await super().start()
        await _check_answers(super().address)
        await super().start()
        self._heir = asyncio.create_task(self._inherit())
        self._heir.add_done_callback(_report)

    async def stop(self) -> None:
        try:
            heir, self._heir = self._heir, None
            if heir is not None:
                heir.cancel()
                await asyncio.wait([heir])
            await super().stop()
        finally:
            await self._own.stop()

    async def _inherit(self) -> None:
        """Take the folder over once nobody holds it, and serve it."""
        pause_s = _ASK_INTERVAL_S
        while True:
            await asyncio.sleep(pause_s)
            pause_s = _ASK_INTERVAL_S
            try:
                await self._own.start()
            except (FolderInUseError, OpenElsewhereError):
                continue
            except (KafkaError, OSError, ValueError):
                log.exception("nobody serves %s, and it cannot be opened here; this is tried again", self._folder)
                pause_s = _TROUBLE_INTERVAL_S
            else:
                log.info("the process that held %s has ended: this one serves the folder now", self._folder)
                return


async def _check_answers(address: str) -> None:
    """Raise ConnectionLostError unless somebody there answers the shortest of requests, ApiVersions v0."""
    host, _, port = address.rpartition(":")
    try:
        async with asyncio.timeout(_ANSWER_WITHIN_S):
            reader, writer = await asyncio.open_connection(host, int(port))
            try:
                writer.write(bytes.fromhex("0000000a 0012 0000 00000001 ffff"))
                await reader.readexactly(4)
            finally:
                writer.close()
    except (OSError, EOFError, TimeoutError) as error:
        raise ConnectionLostError(f"nobody answers at {address}: {error!r}") from error


def _report(heir: asyncio.Task[None]) -> None:
    if not heir.cancelled() and (error := heir.exception()) is not None:
        log.error("a data folder is not taken over by this process any more", exc_info=error)
