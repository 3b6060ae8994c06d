"""A worker's end of the socket to its supervisor."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from select import select

from streams.supervisor.messages import AtEnd, Check, Order, Status, to_line, to_order

VARIABLE = "_STREAMS_SUPERVISED"
"""In the environment of a process that has a supervisor: its number and the descriptor of the socket."""
ORPHAN_S = 30.0
"""So long a worker whose supervisor is gone may take to commit what it has done."""


class Link:
    """Tells the supervisor how the worker is, and hears from it; `EndOfInput` of a worker that is one of several.

    When the supervisor is gone, however it ended, the worker gets a SIGTERM: nobody would start it again.
    """

    def __init__(self, number: int, connection: socket.socket, before_end: Callable[[], object]) -> None:
        self.number = number
        self._before_end = before_end
        self._connection = connection
        self._wake: Callable[[], object] = _nobody
        self._asked = self._looked = self._answered = 0
        self._finish = False

    @classmethod
    def from_environment(cls, before_end: Callable[[], object] = lambda: None) -> Link | None:
        """The link of a process that a supervisor has started; None for any other. Its own children get none.

        `before_end` is called, in a thread, when the supervisor is gone: the process goes on until it has returned.
        """
        words = os.environ.pop(VARIABLE, "").split()
        if not words:
            return None
        number, descriptor = map(int, words)
        os.set_inheritable(descriptor, False)
        link = cls(number, socket.socket(fileno=descriptor), before_end)
        threading.Thread(target=link._listen, name="supervisor", daemon=True).start()
        return link

    def tell(self, status: Status) -> None:
        """Say something."""
        with suppress(OSError):  # it is gone, which the listening thread deals with
            self._connection.sendall(to_line(status))

    def tell_if_heard(self, status: Status) -> None:
        """Say something that does not matter much, unless the supervisor has stopped to listen."""
        if select([], [self._connection], [], 0)[1]:
            self.tell(status)

    def begin(self, wake: Callable[[], object]) -> None:
        self._wake = wake

    def reached(self, moved: int) -> bool:
        if self._finish:
            return True
        if self._asked > self._looked:  # what this end is known by may be older than the question
            self._looked = self._asked
            self._wake()
        elif self._asked > self._answered:
            self._answered = self._asked
            self.tell(AtEnd(self._answered, moved))
        return False

    def _listen(self) -> None:
        with self._connection.makefile("rb") as lines, suppress(ConnectionError):
            for line in lines:
                self._obey(to_order(line))
        self._end_alone()

    def _obey(self, order: Order) -> None:
        if isinstance(order, Check):
            self._asked = order.wave
        else:
            self._finish = True
        self._wake()

    def _end_alone(self) -> None:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        for output in (1, 2):  # whom they went to is gone
            os.dup2(nowhere, output)
        self._before_end()
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGTERM)
        time.sleep(ORPHAN_S)
        os.kill(os.getpid(), signal.SIGKILL)


def _nobody() -> None: ...
