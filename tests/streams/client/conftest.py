"""A broker that clients reach in both ways: in its folder, in this process, and over a socket."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

import pytest

import broker_embedded
from streams.client import Client

Open = Callable[..., Client]


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with broker_embedded.running() as broker:
        yield broker.bootstrap_servers


@pytest.fixture(params=["folder", "socket"])
def settings(request: pytest.FixtureRequest, folder: str) -> dict[str, Any]:
    """What a client is opened with."""
    if request.param == "folder":
        return {"data_dir": folder}
    return {"broker": f"kafka://{request.getfixturevalue('address')}"}


@pytest.fixture
def open_client(settings: dict[str, Any]) -> Open:
    return lambda **options: Client(**settings | options)


_numbers = count(1)


@pytest.fixture
def topic() -> str:
    """A name that no other test has."""
    return f"topic-{next(_numbers)}"
