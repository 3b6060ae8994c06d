"""Ends the transactions of workers that the group has given up.

Who is killed in the midst of a commit leaves it open, with offsets in it that whoever gets his tasks has to wait for:
until `transaction_timeout_ms` is over and the broker has looked, which took ten seconds more on Kafka 4.3. The names of
transactions are those of members, so the leader of the group knows whom it misses, and asks for their producers: that
ends what they have open, and shuts them out if they are only frozen. Nothing of it could have been committed, as the
broker takes offsets from members only (KIP-447); what was decided already is carried out.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection

from broker_embedded.wire.messages.transactions import ListTransactionsRequest
from streams.config import Settings
from streams.transport.contract import Transport, TransportError
from streams.transport.error_codes import check

log = logging.getLogger("streams.worker")


class LeftOpen:
    """`end` begins, and does not wait."""

    def __init__(self, settings: Settings, transport: Transport) -> None:
        self._settings = settings
        self._transport = transport
        self._jobs: set[asyncio.Task[None]] = set()

    def end(self, names: Collection[str]) -> None:
        """Whatever the workers of these names have begun to commit; at least once there is nothing of the kind."""
        if self._settings.processing_guarantee == "exactly_once":
            job = asyncio.create_task(self._end(names), name="transactions left open")
            self._jobs.add(job)
            job.add_done_callback(self._jobs.discard)

    async def close(self) -> None:
        """What is under way is left to time."""
        for job in self._jobs:
            job.cancel()
        await asyncio.gather(*self._jobs, return_exceptions=True)

    async def _end(self, names: Collection[str]) -> None:
        for name in sorted(await self._open(names)):
            try:
                await shut_out(self._transport, self._settings, name)
            except TransportError as error:
                log.warning("what worker %s has left open is ended by the broker when it times out: %s", name, error)
            else:
                log.info("worker %s is gone from the group: what it has left open is ended", name)

    async def _open(self, names: Collection[str]) -> Collection[str]:
        """Those that have something open: who has left as it should, and starts again at its seat just now, is not to
        be shut out. All of them where that is not to be learned.
        """
        asks = self._transport.asks
        request = ListTransactionsRequest(state_filters=["Ongoing"])
        try:
            answers = [await asks.ask_node(request, node) for node in await asks.nodes()]
            for answer in answers:
                check(answer.error_code, "transactions")
        except TransportError as error:
            log.debug("which transactions are open was not to be learned: %s", error)
            return names
        return {row.transactional_id for answer in answers for row in answer.transaction_states} & set(names)


async def shut_out(transport: Transport, settings: Settings, name: str) -> None:
    """Ends what a worker has open under its name, in which it can do nothing more; at least once there is nothing."""
    if settings.processing_guarantee == "exactly_once":
        timeout_ms = settings.transaction_timeout_ms
        producer = transport.producer(transactional_id=name, transaction_timeout_ms=timeout_ms)
        await producer.start()
        await producer.close()
