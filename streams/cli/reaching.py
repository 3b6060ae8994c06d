"""Which broker a command means, and a client to it.

Given: `--bootstrap-server` or `--data-dir`. Not given: STREAMS_BROKER, STREAMS_DATA_DIR, or the one data folder that is
in the working folder, of those the one that a running process holds.
"""

from __future__ import annotations

import asyncio
import functools
import os
import signal
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import click

from streams.client import Client

T = TypeVar("T")

_BROKER_FILE = "meta.properties"
_KAFKA = "kafka://"
_FOLDERS_SHOWN = 5


class Reach(NamedTuple):
    """The broker that the command line names."""

    bootstrap_server: str | None = None
    data_dir: str | None = None
    command_config: str | None = None

    def run(self, work: Callable[[Client], Awaitable[T]]) -> T:
        """What `work` gives with a client to the broker; its errors are messages.

        Ctrl-C and SIGTERM cancel `work`, which may still tidy up: KeyboardInterrupt, and the exit code 143.
        """
        from broker_embedded.lock import FolderInUseError
        from streams.errors import StreamsError

        try:
            return asyncio.run(_with_client(self.settings(), work))
        except (StreamsError, FolderInUseError) as error:
            raise click.ClickException(str(error)) from error
        except asyncio.CancelledError:
            raise SystemExit(128 + signal.SIGTERM) from None

    def settings(self) -> dict[str, Any]:
        """The settings of a client. Raises click.UsageError when it is not clear which broker is meant."""
        server, data_dir = self.bootstrap_server, self.data_dir
        if server is not None and data_dir is not None:
            raise click.UsageError("--bootstrap-server and --data-dir: give one of them.")
        if server is None and data_dir is None:
            server, data_dir = os.environ.get("STREAMS_BROKER"), os.environ.get("STREAMS_DATA_DIR")
        if server not in (None, "embedded"):
            return {"broker": _KAFKA + server.removeprefix(_KAFKA), **self._security()}
        if self.command_config is not None:
            raise click.UsageError("--command-config goes with --bootstrap-server.")
        folder = Path(data_dir) if data_dir is not None else only_folder(Path.cwd())
        if not has_broker(folder):
            raise click.UsageError(
                f"{folder} is no data folder: neither {_BROKER_FILE} nor log/{_BROKER_FILE} is there."
            )
        return {"broker": "embedded", "data_dir": str(folder)}

    def _security(self) -> dict[str, str]:
        if self.command_config is None:
            return {}
        from streams.cli.properties import read_properties
        from streams.transport.kafka.security import translated

        return translated(read_properties(Path(self.command_config)))


def broker_options(command: Callable[..., T]) -> Callable[..., T]:
    """Decorates a command with the options that say which broker is meant; it is given them as `broker`, a Reach."""

    @functools.wraps(command)
    def with_broker(
        *, bootstrap_server: str | None, data_dir: str | None, command_config: str | None, **rest: Any
    ) -> T:
        return command(broker=Reach(bootstrap_server, data_dir, command_config), **rest)

    for option in (
        click.option(
            "--command-config",
            metavar="FILE",
            type=click.Path(exists=True, dir_okay=False),
            help="Settings of the connection, as Kafka's tools take them: security.protocol, sasl.mechanism, ...",
        ),
        click.option("--data-dir", metavar="DIR", help="A data folder: of an app, or of `streams broker`."),
        click.option("--bootstrap-server", metavar="HOST:PORT", help="A broker: ours or any Kafka."),
    ):
        with_broker = option(with_broker)
    return with_broker


def json_option(command: Callable[..., T]) -> Callable[..., T]:
    """Decorates a command with `--json`."""
    return click.option("--json", "as_json", is_flag=True, help="One JSON object a line, for programs.")(command)


async def _with_client(settings: dict[str, Any], work: Callable[[Client], Awaitable[T]]) -> T:
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    async with _client(settings) as client:
        return await work(client)


def _client(settings: Mapping[str, Any]) -> Client:
    from streams.app import App

    nothing = App("streams")  # settings of an app may be flags, which win over the environment
    nothing.settings = nothing.settings.with_values(settings, "flag")
    return Client(nothing)


def has_broker(folder: Path) -> bool:
    """Whether there is a broker's log in a folder: its own, or that of an app."""
    return (folder / _BROKER_FILE).exists() or (folder / "log" / _BROKER_FILE).exists()


def only_folder(where: Path) -> Path:
    """The data folder that is meant when none is named. Raises click.UsageError for none or several."""
    from broker_embedded.lock import is_held

    if has_broker(where):
        return where
    found = [folder for folder in sorted(where.iterdir()) if folder.is_dir() and has_broker(folder)]
    held = [folder for folder in found if is_held(folder) or is_held(folder / "log")]
    for folders in (held, found):
        if len(folders) == 1:
            return folders[0]
    names = [folder.name for folder in found[:_FOLDERS_SHOWN]]
    if len(found) > _FOLDERS_SHOWN:
        names.append(f"and {len(found) - _FOLDERS_SHOWN} more")
    which = f"{where} has several data folders ({', '.join(names)})"
    raise click.UsageError(
        f"{which if found else f'there is no data folder in {where}'}: "
        "say which broker with --bootstrap-server HOST:PORT or --data-dir DIR."
    )
