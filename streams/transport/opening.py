"""The transport that the settings name."""

from __future__ import annotations

from pathlib import Path

from broker_embedded.config import BrokerConfig
from streams.config import Settings
from streams.errors import ConfigError
from streams.transport.contract import Transport
from streams.transport.embedded import EmbeddedTransport


def open_transport(settings: Settings) -> tuple[Transport, str]:
    """A transport, not started, and what it is, for people. Raises ConfigError for a broker this version cannot
    reach.
    """
    if settings.broker != "embedded":
        raise ConfigError(
            f"broker={settings.broker!r}: only the embedded broker is there yet; "
            "leave the setting out, or say 'embedded'."
        )
    folder = Path(settings.data_dir) / "log"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            f"data_dir={settings.data_dir!r}: {error.strerror}: {error.filename}. Name a folder that is there or can "
            "be made (data_dir=, STREAMS_DATA_DIR or --data-dir)."
        ) from error
    config = BrokerConfig(sync_on_commit=settings.flush_on_commit)
    return EmbeddedTransport(folder, config=config), f"embedded broker in {settings.data_dir}"
