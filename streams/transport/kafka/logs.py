"""The lines that aiokafka logs about our connections.

aiokafka logs every attempt that fails as an error. Here attempts fail and are repeated by design, and what fails in the
end is raised, so these lines are DEBUG, and the last ones go into the error that is raised. That holds for what is done
on our behalf only, which a context variable says (tasks inherit it): other users of aiokafka in this process see no
difference.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_NAMES = (
    "aiokafka",
    "aiokafka.cluster",
    "aiokafka.conn",
    "aiokafka.consumer.consumer",
    "aiokafka.consumer.fetcher",
    "aiokafka.consumer.group_coordinator",
    "aiokafka.consumer.subscription_state",
)
_heard: ContextVar[deque[str] | None] = ContextVar("heard", default=None)


class _Demote(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        heard = _heard.get()
        if heard is None:
            return True
        if record.levelno >= logging.WARNING:
            heard.append(record.getMessage())
        record.levelno, record.levelname = logging.DEBUG, "DEBUG"
        return logging.getLogger(record.name).isEnabledFor(logging.DEBUG)


_demote = _Demote()


@contextmanager
def quietly() -> Iterator[deque[str]]:
    """What aiokafka logs inside, and in tasks that are started inside, is DEBUG; gives the last warnings and errors.

    >>> with quietly() as heard:
    ...     logging.getLogger("aiokafka").error("no way to %s", "node 1")
    >>> list(heard)
    ['no way to node 1']
    """
    for name in _NAMES:
        logging.getLogger(name).addFilter(_demote)  # one that is there already is not added again
    heard: deque[str] = deque(maxlen=3)
    token = _heard.set(heard)
    try:
        yield heard
    finally:
        _heard.reset(token)
