"""Standard input, line by line, beside an event loop."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from collections.abc import AsyncIterator

import click

_CHUNK_BYTES = 1 << 20


async def lines() -> AsyncIterator[list[bytes]]:
    """The lines that have come, without their ends, until the input ends; on a terminal with Kafka's prompt."""
    is_terminal = sys.stdin.isatty()
    rest = b""
    while True:
        if is_terminal:
            click.echo(">", err=True, nl=False)
        chunk = await _read(sys.stdin.fileno())
        *found, rest = (rest + chunk).split(b"\n")
        if not chunk and rest:
            found.append(rest)
        if found:
            yield [line.removesuffix(b"\r") for line in found]
        if not chunk:
            return


async def _read(descriptor: int) -> bytes:
    """What can be read now. In a daemon thread: the loop's own threads are waited for when a program is interrupted,
    and this one waits for whoever types."""
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[bytes] = loop.create_future()

    def say(chunk: bytes) -> None:
        if not answer.done():
            answer.set_result(chunk)

    def read() -> None:
        chunk = os.read(descriptor, _CHUNK_BYTES)
        if not loop.is_closed():
            loop.call_soon_threadsafe(say, chunk)

    threading.Thread(target=read, name="standard input", daemon=True).start()
    return await answer
