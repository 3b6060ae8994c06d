# 1 Fetch: whole batches as they are stored, from an offset on.
#
# - The batch that holds the offset comes whole, the client leaves out what is before. Offset == end waits; outside of
#   the log is OFFSET_OUT_OF_RANGE.
# - At least one batch: the first partition with data gives its first batch, larger than the limits or not (KIP-74).
# - Isolation 1 ends at the last stable offset and names the aborted transactions in what it returns; isolation 0 has
#   null there. Watermarks and log start stand in every row.
# - Waits up to max_wait_ms for min_bytes, over all partitions; an error in one of them answers at once.
# - Sessions (KIP-227, versions 7+): see fetching/sessions.py. A full fetch answers with every partition, an incremental
#   one with those that changed. An error of the session is that of the whole answer.
# - current_leader_epoch (9+): FENCED_LEADER_EPOCH, UNKNOWN_LEADER_EPOCH. last_fetched_epoch (12+): where the log the
#   client has read from parts from ours, the answer says so and has no records (KIP-595).
# - Topic ids (13+): UNKNOWN_TOPIC_ID; INCONSISTENT_TOPIC_ID for a topic of a session that was made again.
# - Topics whose compression.type is zstd want version 10: UNSUPPORTED_COMPRESSION_TYPE.
from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from broker_embedded.errors import InvalidFetchSessionEpochError, KafkaError
from broker_embedded.fetching.request import Fetching
from broker_embedded.handlers import RequestContext, handler
from broker_embedded.wire.messages.records import FetchRequest, FetchResponse

if TYPE_CHECKING:
    from broker_embedded.cluster import Cluster

_TOPIC_IDS = 13


@handler(1, versions=(4, 18))
async def handle(cluster: Cluster, request: FetchRequest, context: RequestContext) -> FetchResponse:
    uses_ids = context.api_version >= _TOPIC_IDS and not context.in_process
    try:
        session = cluster.fetch_sessions.begin(request, uses_ids=uses_ids)
    except KafkaError as error:
        return FetchResponse(error.code)
    fetching = Fetching(cluster, request, session, context.api_version)
    epoch = 0 if session is None else session.epoch
    if not fetching.look() and request.max_wait_ms > 0:
        await _wait(cluster, fetching, request.max_wait_ms)
        if session is not None and session.epoch != epoch:
            return FetchResponse(InvalidFetchSessionEpochError.info.code, session.id)
    return fetching.response()


async def _wait(cluster: Cluster, fetching: Fetching, max_wait_ms: int) -> None:
    woken = asyncio.Event()
    limit = asyncio.timeout(max_wait_ms / 1000)
    fetching.watch(woken.set)
    try:
        async with limit:
            while True:
                await woken.wait()
                woken.clear()
                cluster.check_serving()
                if fetching.look():
                    return
    except TimeoutError:
        if not limit.expired():  # if it has, what is there by now is the answer
            raise
    finally:
        fetching.stop_watching()
