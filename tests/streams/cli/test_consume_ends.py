"""What ends `streams consume` from inside, and what does not pass for an end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from streams.cli.consume import Printing
from streams.client.records import ClientRecord


def printing(timeout_ms: int | None = None) -> Printing:
    return Printing(lambda record: record.value, None, timeout_ms)


async def source(*values: bytes, then: Exception | None = None, for_ever: bool = False) -> AsyncIterator[ClientRecord]:
    for offset, value in enumerate(values):
        yield ClientRecord(None, value, 0, [], "flights", 0, offset)
    if then is not None:
        raise then
    if for_ever:
        await asyncio.Event().wait()


async def test_the_end_of_the_records(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    run = printing()
    await run.run(source(b"a", b"b"))
    assert run.count == 2 and capfdbinary.readouterr().out == b"ab"


async def test_nothing_for_so_long(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    run = printing(timeout_ms=1)
    await run.run(source(for_ever=True))
    assert run.count == 0 and capfdbinary.readouterr().out == b""


async def test_a_timeout_of_the_source_is_no_end(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    run = printing(timeout_ms=60_000)
    with pytest.raises(TimeoutError, match="of the source"):
        await run.run(source(b"a", then=TimeoutError("of the source")))
    assert run.count == 1 and capfdbinary.readouterr().out == b"a"
