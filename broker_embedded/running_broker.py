"""A broker for a test, a script or a notebook: one call, and it is there.

with broker_embedded.running() as broker:
    producer = KafkaProducer(bootstrap_servers=broker.bootstrap_servers)
"""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
import threading
import weakref
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from broker_embedded.broker import Broker
from broker_embedded.config import BrokerConfig
from broker_embedded.faults import Faults
from broker_embedded.security.listeners import Listener

_MEMORY_BYTES = 1 << 30
_AS_TESTS_LIKE_IT = {"auto.create.topics.enable": "true", "group.initial.rebalance.delay.ms": "0"}
_TEST_CONFIG = BrokerConfig(auto_create_topics=True, group_initial_rebalance_delay_ms=0)  # the same, at once


class RunningBroker:
    """A broker with an event loop and a thread of its own, so that clients of any kind can use it; once.

    >>> with running() as broker:
    ...     broker.bootstrap_servers.partition(":")[0]
    '127.0.0.1'
    """

    def __init__(self, data_dir: Path | None, config: BrokerConfig, listeners: Sequence[Listener]) -> None:
        self._config, self._listeners = config, listeners
        self.data_dir = data_dir or Path(tempfile.mkdtemp(prefix="broker-", dir=_memory_folder()))
        # Also at the end of a program that has not stopped it: a notebook, closed.
        self._remove = weakref.finalize(self, shutil.rmtree, self.data_dir) if data_dir is None else None
        self._thread = threading.Thread(target=self._run, name="broker", daemon=True)
        self._ready = threading.Event()
        self._failure: BaseException | None = None
        self._faults = Faults()
        self._loop: asyncio.AbstractEventLoop
        self._stop: asyncio.Event
        self.broker: Broker

    def start(self) -> RunningBroker:
        """What `with` does, for a notebook or a `setUpClass`. Raises what goes wrong; gives the broker itself.

        >>> broker = running().start()
        >>> broker  # doctest: +ELLIPSIS
        <broker at 127.0.0.1:..., data in ...>
        >>> broker.stop()
        """
        self._thread.start()
        self._ready.wait()
        if self._failure is not None:
            self._finish()
        return self

    def stop(self) -> None:
        """Stop it, and remove its data if it had no folder. Raises what went wrong since the start."""
        with suppress(RuntimeError):  # its loop is closed: it has failed by itself, which is raised below
            self._loop.call_soon_threadsafe(self._stop.set)
        self._finish()

    def __enter__(self) -> RunningBroker:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def __repr__(self) -> str:
        is_up = self._ready.is_set() and self._thread.is_alive()
        where = f"at {self.bootstrap_servers}" if is_up else "not running"
        return f"<broker {where}, data in {self.data_dir}>"

    def _finish(self) -> None:
        """Wait for the thread; raise what has gone wrong in it."""
        self._thread.join()
        if self._remove is not None:
            self._remove()
        if self._failure is not None:
            raise self._failure

    @property
    def bootstrap_servers(self) -> str:
        """host:port of the first listener. Raises RuntimeError before the start: there is no port yet."""
        if not self._ready.is_set():
            raise RuntimeError("the broker is not running yet: `with broker_embedded.running() as broker:`, or start()")
        return self.broker.bootstrap_servers

    def faults(self) -> Faults:
        """What the broker does to the requests of its clients: see `Fault`. From any thread.

        >>> from broker_embedded import Fault
        >>> with running() as broker:
        ...     faults = broker.faults().add(Fault(api_key=0, error=6))  # the next Produce finds no leader
        """
        self.broker.cluster.faults = self._faults
        return self._faults

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
    data_dir: str | Path | None = None,
    *,
    config: BrokerConfig | Mapping[str, object] | None = None,
    listeners: Sequence[Listener] = (Listener(),),
) -> RunningBroker:
    """A broker on a free port of 127.0.0.1, in a thread of its own, as a context manager.

    Without `data_dir` its data is in memory where the machine has a folder for that (/dev/shm, with room), and gone at
    the end. Topics are made when first used and groups start without delay, as tests like it; settings by Kafka's names
    are added to that or change it, and a BrokerConfig is all there is. Raises InvalidConfigError; what goes wrong at
    the start or in the end is raised there: FolderInUseError, or OSError when the port of a listener is taken.

    >>> with running(config={"num.partitions": 4}) as broker:
    ...     (broker.broker.cluster.config.num_partitions, broker.broker.cluster.config.auto_create_topics)
    (4, True)
    """
    folder = None if data_dir is None else Path(data_dir)
    return RunningBroker(folder, _config(config), listeners)


def _config(config: BrokerConfig | Mapping[str, object] | None) -> BrokerConfig:
    if isinstance(config, BrokerConfig):
        return config
    if not config:
        return _TEST_CONFIG
    return BrokerConfig.from_properties(_AS_TESTS_LIKE_IT | {name: str(value) for name, value in config.items()})


def _memory_folder() -> Path | None:
    """Where files are in memory; None where there is no such place, or a small one, as in most containers."""
    folder = Path("/dev/shm")
    is_usable = folder.is_dir() and os.access(folder, os.W_OK) and shutil.disk_usage(folder).free >= _MEMORY_BYTES
    return folder if is_usable else None
