"""An agent's part: which of its records are requests, and what becomes their reply.

A reply leaves when the agent asks for its next record: by then it is known that it did not fail at the request. What it
has yielded first for a record is the answer; of a list that it was given, the first value is that of the first record,
and so on. Further values answer nobody, and a request for which nothing was yielded is told so.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from typing import Any, NamedTuple, Protocol

from streams.agent_feed import Feed, Piece
from streams.batch import Batch
from streams.errors import RecordError
from streams.rpc.messages import Request, request_of


class Replies(Protocol):
    """Sends what an agent has to say to those who ask."""

    def reply(self, request: Request, value: Any) -> None:
        """The answer."""

    def no_reply(self, request: Request) -> None:
        """There is none."""

    def failed(self, request: Request, error: RecordError) -> None:
        """The agent failed at the request."""


class Asked(NamedTuple):
    """A batch, the rows of it that are requests, and those that have no reply yet."""

    batch: Batch
    rows: list[int]
    open: dict[int, Request]


class Answering:
    """Of one run of an agent's function: looks at what its `feed` gives it, and at what it yields."""

    def __init__(self, feed: Feed, replies: Replies) -> None:
        self._feed = feed
        self._replies = replies
        self._asked: dict[int, Asked] = {}
        self._yielded: list[Any] = []

    def given(self, batch: Batch) -> None:
        """The function is given records."""
        requests = _requests_among(batch)
        if requests:
            self._asked[id(batch)] = Asked(batch, list(requests), requests)
            self._feed.watch(self)

    def yielded(self, value: Any) -> None:
        """The function has yielded a value for the records that it has."""
        if self._asked and (self._feed.has_list or self._feed.row in self._requests(self._feed.piece_at_hand.batch)):
            self._yielded.append(value)

    def take_back(self) -> None:
        """What the function has yielded for the records that it has answers nobody."""
        self._yielded.clear()

    def failed(self, batch: Batch, row: int, error: RecordError) -> None:
        """The function has failed at a record, and is not given it again."""
        request = self._requests(batch).get(row)
        if request is not None:
            self._replies.failed(request, error)
            self._forget(batch, row)

    # -- for the feed

    def rows_until(self, piece: Piece) -> int:
        """How many rows of a piece go up to the first request, that one included."""
        asked = self._asked.get(id(piece.batch))
        at = 0 if asked is None else bisect_left(asked.rows, piece.start)
        return piece.stop - piece.start if asked is None or at == len(asked.rows) else asked.rows[at] + 1 - piece.start

    def done(self, pieces: list[Piece]) -> None:
        """The function is through with records: with one, or with those of a list."""
        answers = iter(self._yielded)
        several = sum(piece.stop - piece.start for piece in pieces) > 1
        for batch, row in _rows(pieces):
            request = self._requests(batch).get(row)
            if request is not None:
                try:
                    self._replies.reply(request, next(answers))
                except StopIteration:
                    self._replies.no_reply(request)
                self._forget(batch, row)
            elif several:
                next(answers, None)
        self._yielded = []

    # -- within

    def _requests(self, batch: Batch) -> dict[int, Request]:
        found = self._asked.get(id(batch))
        return {} if found is None else found.open

    def _forget(self, batch: Batch, row: int) -> None:
        requests = self._requests(batch)
        del requests[row]
        if not requests:
            del self._asked[id(batch)]
            if not self._asked:
                self._feed.watch(None)


def _requests_among(batch: Batch) -> dict[int, Request]:
    """The records of a batch that are requests, by row."""
    found = ((row, headers and request_of(headers)) for row, headers in enumerate(batch.headers or ()))
    return {row: request for row, request in found if isinstance(request, Request)}


def _rows(pieces: list[Piece]) -> Iterator[tuple[Batch, int]]:
    for piece in pieces:
        for row in range(piece.start, piece.stop):
            yield piece.batch, row
