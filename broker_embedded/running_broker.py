"""A broker for a test, a script or a notebook: one call, and it is there.

with broker_embedded.running() as broker:
    producer = KafkaProducer(bootstrap_servers=broker.bootstrap_servers)
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from broker_embedded.broker import Broker
from broker_embedded.config import BrokerConfig
from broker_embedded.faults import Faults
from broker_embedded.security.listeners import Listener

TEST_CONFIG = BrokerConfig(auto_create_topics=True, group_initial_rebalance_delay_ms=0)


class RunningBroker:
    """A broker with an event loop and a thread of its own, so that clients of any kind can use it.

    >>> with running() as broker:
    ...     broker.bootstrap_servers.partition(":")[0]
    '127.0.0.1'
    """

    def __init__(self, data_dir: Path | None, config: BrokerConfig, listeners: Sequence[Listener]) -> None:
        self._config, self._listeners = config, listeners
        self._temporary = data_dir is None
        self.data_dir = data_dir or Path(tempfile.mkdtemp(prefix="broker-", dir=_memory_folder()))
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._thread = threading.Thread(target=self._run, name="broker", daemon=True)
        self._ready = threading.Event()
        self._failure: BaseException | None = None
        self.broker: Broker

    def __enter__(self) -> RunningBroker:
        self._thread.start()
        self._ready.wait()
        if self._failure is not None:
            self._thread.join()
            raise self._failure
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._loop is not None and self._stop is not None
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()
        if self._temporary:
            shutil.rmtree(self.data_dir)
        if self._failure is not None:
            raise self._failure

    @property
    def bootstrap_servers(self) -> str:
        """host:port of the first listener."""
        return self.broker.bootstrap_servers

    def faults(self) -> Faults:
        """The broker's faults: what it does to the requests of its clients."""
        if self.broker.cluster.faults is None:
            self.broker.cluster.faults = Faults()
        return self.broker.cluster.faults

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as error:  # noqa: BLE001 - raised again where the broker is used
            self._failure = error
        finally:
            self._ready.set()

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        self.broker = Broker.open(self.data_dir, config=self._config, listeners=self._listeners)
        async with self.broker:
            self._ready.set()
            await self._stop.wait()


def running(
    data_dir: Path | None = None, *, config: BrokerConfig = TEST_CONFIG, listeners: Sequence[Listener] = (Listener(),)
) -> RunningBroker:
    """A broker on a free port of 127.0.0.1, in a thread of its own, as a context manager.

    Without `data_dir` its data is in memory where the machine has a folder for that (/dev/shm), and gone at the end.
    Topics are made when first used and groups start without delay, as tests like it, unless `config` says otherwise.
    Raises FolderInUseError.
    """
    return RunningBroker(data_dir, config, listeners)


def _memory_folder() -> Path | None:
    folder = Path("/dev/shm")
    return folder if folder.is_dir() else None
