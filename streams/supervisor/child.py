"""One process under a supervisor: its lines, and its socket."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from asyncio.subprocess import DEVNULL, Process
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from typing import Any

from streams.supervisor.link import VARIABLE
from streams.supervisor.messages import Order, Status, to_line, to_status

LONGEST_LINE = 1 << 20
_LAST_LINES_WITHIN_S = 1.0  # a process that the dead one has started may have its pipes, and keep them

Say = Callable[[str], object]
"""Takes a line without its end."""


class Child:
    """A process that has been started. Made by `start`."""

    def __init__(self, process: Process, connection: asyncio.StreamWriter) -> None:
        self._process = process
        self._connection = connection
        self._pipes: list[asyncio.BaseTransport] = []
        self._readers: list[asyncio.Task[None]] = []
        self.pid = process.pid

    @classmethod
    async def start(
        cls, command: Sequence[str], number: int, *, out: Say, err: Say, hear: Callable[[Status], object]
    ) -> Child:
        """`out` and `err` get the lines that it writes, `hear` what it tells."""
        ours, theirs = socket.socketpair()
        # Pipes of our own: asyncio, up to Python 3.12, takes a process for running as long as somebody has its pipes.
        (out_read, out_write), (err_read, err_write) = os.pipe(), os.pipe()
        environment = {**os.environ, VARIABLE: f"{number} {theirs.fileno()}"}
        if sys.stdout.isatty():
            environment["PYTHONUNBUFFERED"] = "1"  # what it prints is seen at once, as without a supervisor
        try:
            process = await asyncio.create_subprocess_exec(
                *command,
                stdin=DEVNULL,
                stdout=out_write,
                stderr=err_write,
                env=environment,
                pass_fds=(theirs.fileno(),),
                process_group=0,  # Ctrl-C in a terminal is the supervisor's: it tells the others once
            )
        except BaseException:
            ours.close()
            os.close(out_read)
            os.close(err_read)
            raise
        finally:
            theirs.close()
            os.close(out_write)
            os.close(err_write)
        heard, connection = await asyncio.open_connection(sock=ours)
        child = cls(process, connection)
        child._read(_lines(heard, lambda line: hear(to_status(line.encode()))))
        child._read(_lines(await child._open(out_read), out))
        child._read(_lines(await child._open(err_read), err))
        return child

    async def _open(self, descriptor: int) -> asyncio.StreamReader:
        reader = asyncio.StreamReader()
        pipe, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(descriptor, "rb", 0)
        )
        self._pipes.append(pipe)
        return reader

    def _read(self, lines: Coroutine[Any, Any, None]) -> None:
        self._readers.append(asyncio.create_task(lines))

    def tell(self, order: Order) -> None:
        """A few bytes: nobody waits until they are gone."""
        if self.is_alive():
            self._connection.write(to_line(order))

    def is_alive(self) -> bool:
        return self._process.returncode is None

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal, if it is still there. May be called by a signal handler."""
        if self.is_alive():
            self._process.send_signal(number)

    async def ended(self) -> int:
        """The exit code, when its last lines have been passed on; negative for a signal."""
        code = await self._process.wait()
        _, late = await asyncio.wait(self._readers, timeout=_LAST_LINES_WITHIN_S)
        for reader in late:
            reader.cancel()
        await asyncio.gather(*self._readers)
        for pipe in self._pipes:
            pipe.close()
        self._connection.close()
        with suppress(ConnectionError):
            await self._connection.wait_closed()
        return code


async def _lines(reader: asyncio.StreamReader, take: Say) -> None:
    """Passes on whole lines only, so that those of several processes do not mix; without an end, what is there."""
    rest = b""
    try:
        while piece := await reader.read(1 << 16):
            *lines, rest = (rest + piece).split(b"\n")
            for line in lines:
                take(line.decode(errors="replace"))
            if len(rest) > LONGEST_LINE:
                take(rest.decode(errors="replace"))
                rest = b""
    except (ConnectionError, asyncio.CancelledError):
        pass  # it has been killed, or its pipes are someone else's now
    if rest:
        take(rest.decode(errors="replace"))
