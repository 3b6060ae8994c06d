"""The pytest fixture `broker`: a broker of its own for a test that asks for it. Installed with the package."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from broker_embedded.running_broker import RunningBroker


@pytest.fixture
def broker() -> Iterator[RunningBroker]:
    """A broker on a free port, its data in memory; `broker.bootstrap_servers` is its address."""
    from broker_embedded.running_broker import running

    with running() as found:
        yield found
