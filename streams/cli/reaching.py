"""Which broker a command means, and a client to it.

Given: `--bootstrap-server` or `--data-dir`. Not given: STREAMS_BROKER, STREAMS_DATA_DIR, or the one data folder that is
in the working folder, of those the one that a running process holds.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from streams.client import Client

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])

_BROKER_FILE = "meta.properties"


def broker_options(command: F) -> F:
    """Decorates a command with the options that say which broker is meant."""
    options = [
        click.option("--bootstrap-server", metavar="HOST:PORT", help="A broker: ours or any Kafka."),
        click.option("--data-dir", metavar="DIR", help="A data folder: of an app, or of `streams broker`."),
        click.option(
            "--command-config",
            metavar="FILE",
            type=click.Path(exists=True, dir_okay=False),
            help="Settings of the connection, as Kafka's tools take them: security.protocol, sasl.mechanism, ...",
        ),
    ]
    for option in reversed(options):
        command = option(command)
    return command


def json_option(command: F) -> F:
    """Decorates a command with `--json`."""
    return click.option("--json", "as_json", is_flag=True, help="One JSON object a line, for programs.")(command)


def run(
    work: Callable[[Client], Awaitable[T]],
    bootstrap_server: str | None,
    data_dir: str | None,
    command_config: str | None,
) -> T:
    """What `work` gives with a client to the broker that is meant; its errors are messages."""
    from broker_embedded.lock import FolderInUseError
    from streams.errors import StreamsError

    async def main() -> T:
        async with Client(**_settings(bootstrap_server, data_dir, command_config)) as client:
            return await work(client)

    try:
        return asyncio.run(main())
    except (StreamsError, FolderInUseError) as error:
        raise click.ClickException(str(error)) from error


def _settings(bootstrap_server: str | None, data_dir: str | None, command_config: str | None) -> dict[str, Any]:
    if bootstrap_server is not None and data_dir is not None:
        raise click.UsageError("--bootstrap-server and --data-dir: give one of them.")
    if command_config is not None and bootstrap_server is None:
        raise click.UsageError("--command-config goes with --bootstrap-server.")
    if bootstrap_server is None and data_dir is None:
        bootstrap_server, data_dir = os.environ.get("STREAMS_BROKER"), os.environ.get("STREAMS_DATA_DIR")
    if bootstrap_server not in (None, "embedded"):
        from streams.cli.properties import read_properties
        from streams.transport.kafka_security import translated

        security = {} if command_config is None else translated(read_properties(Path(command_config)))
        return {"broker": f"kafka://{bootstrap_server.removeprefix('kafka://')}", **security}
    folder = Path(data_dir) if data_dir is not None else _only_folder(Path.cwd())
    if not _has_broker(folder):
        raise click.UsageError(f"{folder} is no data folder: neither {_BROKER_FILE} nor log/{_BROKER_FILE} is there.")
    return {"data_dir": str(folder)}


def _has_broker(folder: Path) -> bool:
    return (folder / _BROKER_FILE).exists() or (folder / "log" / _BROKER_FILE).exists()


def _only_folder(where: Path) -> Path:
    from broker_embedded.lock import is_held

    found = [folder for folder in sorted(where.iterdir()) if folder.is_dir() and _has_broker(folder)]
    held = [folder for folder in found if is_held(folder) or is_held(folder / "log")]
    for folders in (held, found):
        if len(folders) == 1:
            return folders[0]
    which = f"{where} has several data folders ({', '.join(folder.name for folder in found)})" if found else "no broker"
    raise click.UsageError(f"{which}: say which with --data-dir DIR, or --bootstrap-server HOST:PORT.")
