"""Many files at a time."""

from __future__ import annotations

import threading
from functools import partial

import pytest

from broker_embedded.errors import KafkaStorageError
from broker_embedded.log import disk


def test_few_are_done_in_their_order_and_many_all() -> None:
    few: list[int] = []
    disk.side_by_side([partial(few.append, number) for number in range(7)])
    assert few == list(range(7))
    many: list[int] = []
    disk.side_by_side([partial(many.append, number) for number in range(100)])
    assert sorted(many) == list(range(100))


def test_many_wait_together() -> None:
    together = threading.Barrier(8, timeout=30)
    disk.side_by_side([lambda: together.wait() and None] * 8)


def test_an_error_is_raised_when_the_others_are_done() -> None:
    done: list[int] = []

    def fail() -> None:
        raise KafkaStorageError("the disk is full")

    with pytest.raises(KafkaStorageError, match="the disk is full"):
        disk.side_by_side([fail, *[partial(done.append, number) for number in range(20)]])
    assert sorted(done) == list(range(20))
