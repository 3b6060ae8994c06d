"""The transport that the settings name."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from broker_embedded.lock import FolderInUseError, held_by
from streams.config import Settings, settings_info
from streams.errors import ConfigError
from streams.transport.contract import Transport

if TYPE_CHECKING:
    from broker_embedded.config import BrokerConfig

_SCHEME = "kafka://"


async def open_transport(settings: Settings, *, serves: bool = True, join_within_ms: int = 0) -> tuple[Transport, str]:
    """What an app works on, started, and what it is, for people.

    With the embedded broker that is its folder, or the process that holds it; without `serves` always another process.
    A group that was empty waits there for more members, `join_within_ms` from each to the next: groups on one machine
    are small, and nobody wants to wait for the first record. Raises ConfigError, HolderSilentError,
    ConnectionLostError, FolderInUseError.
    """
    if settings.broker == "embedded":
        return await _embedded(settings, serves, join_within_ms)
    kafka = _kafka(settings)
    await kafka.start()
    return kafka, f"Kafka at {settings.broker.removeprefix(_SCHEME)}"


async def _embedded(settings: Settings, serves: bool, join_within_ms: int) -> tuple[Transport, str]:
    folder, config = _folder(settings), _config(settings, join_within_ms)
    what = f"embedded broker in {settings.data_dir}"
    if not serves:
        from streams.transport.joined import join_folder

        return await join_folder(folder, config), f"{what}, held by process {held_by(folder)}"

    from streams.transport.embedded import EmbeddedTransport  # a whole broker: who asks another one does without
    from streams.transport.embedded.shared_cluster import OpenElsewhereError

    transport = EmbeddedTransport(folder, config=config)
    try:
        await transport.start()
    except (FolderInUseError, OpenElsewhereError):
        return await _join(folder, config, what)
    return transport, what


async def _join(folder: Path, config: BrokerConfig, what: str) -> tuple[Transport, str]:
    from streams.transport.joined import JoinedTransport, open_folder  # heavy, and whoever is alone does without

    transport = await open_folder(folder, config)
    if isinstance(transport, JoinedTransport):
        pid = held_by(folder)
        what += ", held by another event loop" if pid == os.getpid() else f", held by process {pid}"
    return transport, what


def _folder(settings: Settings) -> Path:
    folder = Path(settings.data_dir)
    if not (folder / "meta.properties").exists():  # else it is the broker's own, as `streams broker` makes it
        folder /= "log"
    with in_data_dir(settings):
        folder.mkdir(parents=True, exist_ok=True)
    return folder


@contextmanager
def in_data_dir(settings: Settings) -> Iterator[None]:
    """Raises ConfigError where the data folder is not one to write to."""
    try:
        yield
    except OSError as error:
        raise ConfigError(
            f"data_dir={settings.data_dir!r}: {error.strerror}: {error.filename}. Name a folder that is there or can "
            "be made (data_dir=, STREAMS_DATA_DIR or --data-dir)."
        ) from error


def _config(settings: Settings, join_within_ms: int) -> BrokerConfig:
    from broker_embedded.config import BrokerConfig
    from streams.transport.embedded import TOPIC_DEFAULTS

    return BrokerConfig(
        topic_defaults=TOPIC_DEFAULTS,
        sync_on_commit=settings.flush_on_commit,
        group_initial_rebalance_delay_ms=join_within_ms,
    )


def _kafka(settings: Settings) -> Transport:
    if not settings.broker.startswith(_SCHEME):
        raise ConfigError(
            f"broker={settings.broker!r}: say 'embedded', or kafka://host:port (several with commas) for a cluster."
        )
    from streams.transport.kafka import KafkaTransport
    from streams.transport.kafka.security import NAMES, security_of
    from streams.transport.kafka.timing import Timing

    return KafkaTransport(
        settings.broker.removeprefix(_SCHEME),
        client_id=settings.client_id or settings.id,
        security=security_of(_given(settings, NAMES)),
        **{name: getattr(settings, name) for name in Timing.__dataclass_fields__},
    )


def _given(settings: Settings, names: Collection[str]) -> dict[str, Any]:
    """The settings of the connection by Kafka's names, those that differ from their defaults."""
    known = [info for info in settings_info() if info.kafka in names]
    return {info.kafka: value for info in known if (value := getattr(settings, info.name)) != info.default}
