"""The transport that the settings name."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from broker_embedded.config import BrokerConfig
from broker_embedded.lock import FolderInUseError
from streams.config import Settings, settings_info
from streams.errors import ConfigError
from streams.transport.contract import Transport
from streams.transport.embedded import TOPIC_DEFAULTS, EmbeddedTransport

_SCHEME = "kafka://"


def open_transport(settings: Settings) -> tuple[Transport, str]:
    """What a worker works on: a transport, not started, and what it is, for people. Raises ConfigError."""
    if settings.broker != "embedded":
        return _kafka(settings), f"Kafka at {settings.broker.removeprefix(_SCHEME)}"
    return _WorkersFolder(_folder(settings), config=_config(settings)), f"embedded broker in {settings.data_dir}"


class FolderServedError(FolderInUseError):
    """A worker finds its folder in the hands of another process, which serves it to clients."""

    def __str__(self) -> str:
        return (
            f"{super().__str__()} A worker needs the folder to itself: start the worker first, and services and "
            "scripts reach the folder through it (app.client())."
        )


class _WorkersFolder(EmbeddedTransport):
    """A folder that is not joined where another process holds it."""

    async def start(self) -> None:
        try:
            await super().start()
        except FolderInUseError as error:
            if error.address is None:
                raise
            raise FolderServedError(error.folder, error.pid, error.program, error.since, error.address) from None


async def reach_transport(settings: Settings) -> Transport:
    """What a client works on, started: with the embedded broker its folder, or the process that holds it.

    Raises ConfigError, HolderSilentError, ConnectionLostError, FolderInUseError.
    """
    if settings.broker != "embedded":
        transport = _kafka(settings)
        await transport.start()
        return transport
    from streams.transport.joined import open_folder

    return await open_folder(_folder(settings), _config(settings))


def _folder(settings: Settings) -> Path:
    folder = Path(settings.data_dir)
    if not (folder / "meta.properties").exists():  # else it is the broker's own, as `streams broker` makes it
        folder /= "log"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            f"data_dir={settings.data_dir!r}: {error.strerror}: {error.filename}. Name a folder that is there or can "
            "be made (data_dir=, STREAMS_DATA_DIR or --data-dir)."
        ) from error
    return folder


def _config(settings: Settings) -> BrokerConfig:
    # Groups on one machine are small, and nobody wants to wait for the first record.
    return BrokerConfig(
        topic_defaults=TOPIC_DEFAULTS, sync_on_commit=settings.flush_on_commit, group_initial_rebalance_delay_ms=0
    )


def _kafka(settings: Settings) -> Transport:
    if not settings.broker.startswith(_SCHEME):
        raise ConfigError(
            f"broker={settings.broker!r}: say 'embedded', or kafka://host:port (several with commas) for a cluster."
        )
    from streams.transport.kafka import KafkaTransport
    from streams.transport.kafka.security import NAMES, security_of

    return KafkaTransport(
        settings.broker.removeprefix(_SCHEME), client_id=settings.id, security=security_of(_given(settings, NAMES))
    )


def _given(settings: Settings, names: Collection[str]) -> dict[str, str]:
    """The settings of the connection by Kafka's names, those that differ from their defaults."""
    known = [info for info in settings_info() if info.kafka in names]
    return {info.kafka: str(value) for info in known if (value := getattr(settings, info.name)) != info.default}
