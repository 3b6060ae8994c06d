"""What a read_committed reader sees of a fetch (Kafka: the consumer's CompletedFetch)."""

from __future__ import annotations

from collections.abc import Iterator

from broker_embedded.records import BatchHeader, CorruptBatchError, batches, read_control, verify
from streams.transport.contract import DamagedLogError, Fetched


def read_committed(fetched: Fetched) -> Iterator[tuple[BatchHeader, memoryview]]:
    """The data batches of a fetch: no control batches, nothing aborted, nothing that ends before `start_offset`.

    A transactional batch is aborted from the first offset its producer is listed with until that producer's abort
    marker. The first batch may hold records before `start_offset`: they are the caller's to leave out.

    Raises DamagedLogError for a batch whose bytes are not those that were written (Kafka's `check.crcs`).
    """
    for header, batch in _committed(fetched):
        try:
            verify(batch)
        except CorruptBatchError as error:
            raise DamagedLogError(fetched.tp, error) from error
        yield header, batch


def _committed(fetched: Fetched) -> Iterator[tuple[BatchHeader, memoryview]]:
    if not fetched.aborted:
        for piece in fetched.data:
            for header, batch in batches(piece):
                if not header.is_control and header.last_offset >= fetched.start_offset:
                    yield header, batch
        return
    yield from _without_aborted(fetched)


def _without_aborted(fetched: Fetched) -> Iterator[tuple[BatchHeader, memoryview]]:
    waiting = sorted(fetched.aborted, key=lambda pair: pair[1], reverse=True)
    aborting: set[int] = set()
    for piece in fetched.data:
        for header, batch in batches(piece):
            while waiting and waiting[-1][1] <= header.last_offset:
                aborting.add(waiting.pop()[0])
            if header.is_control:
                if read_control(batch) is False:
                    aborting.discard(header.producer_id)
            elif header.is_transactional and header.producer_id in aborting:
                continue
            elif header.last_offset >= fetched.start_offset:
                yield header, batch
