"""`streams broker`: the built-in broker alone, for any client that speaks Kafka's protocol."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from broker_embedded.broker import Broker

_LISTENERS = "listeners"
# As in the server.properties that Kafka is distributed with, and as its defaults.
_AS_DISTRIBUTED = {"auto.create.topics.enable": "true", "group.initial.rebalance.delay.ms": "0"}


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=click.IntRange(0, 65_535), default=9092, show_default=True, help="0 takes a free one.")
@click.option("--data", "data", metavar="DIR", default="./broker-data", show_default=True, help="Folder of the log.")
@click.option("--config", metavar="FILE", type=click.Path(exists=True, dir_okay=False), help="A server.properties.")
@click.option("--override", metavar="NAME=VALUE", multiple=True, help="A setting by Kafka's name, over the file's.")
@click.option("-l", "--log-level", type=click.Choice(["debug", "info", "warning", "error"]), default="info")
@click.option("--json", "as_json", is_flag=True, help="Write the address to standard output as a line of JSON.")
def command(
    host: str, port: int, data: str, config: str | None, override: tuple[str, ...], log_level: str, as_json: bool
) -> int:
    """Run the built-in broker: Kafka's protocol, Kafka's log format, nothing to install.

    Topics are made when first used, as in Kafka's own defaults (--override auto.create.topics.enable=false). With a
    setting `listeners`, that says where to listen instead of --host and --port; TLS and SASL have Kafka's settings too.

    \b
    Example:
      streams broker --port 9092 --data ./broker-data
      streams broker --port 0 --override num.partitions=4
    """
    from streams.cli.logs import set_up
    from streams.cli.properties import pairs, read_properties

    set_up(log_level)
    properties = dict(_AS_DISTRIBUTED)
    properties |= (read_properties(Path(config)) if config else {}) | pairs(override, "--override")
    properties.setdefault(_LISTENERS, f"PLAINTEXT://{host}:{port}")
    return asyncio.run(serve(Path(data), properties, as_json=as_json))


async def serve(data: Path, properties: Mapping[str, str], *, as_json: bool) -> int:
    """Serve until SIGINT or SIGTERM; a second one ends at once. Gives the exit code."""
    from streams.cli import OK

    broker = opened(data, properties)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, _stop, loop, stop, number)
    try:
        await broker.start()
    except OSError as error:
        raise click.ClickException(f"{error.strerror or error}: another program may have the port (--port)") from error
    try:
        show(broker, data, as_json=as_json)
        await stop.wait()
    finally:
        await broker.stop()
    return OK


def _stop(loop: asyncio.AbstractEventLoop, stop: asyncio.Event, number: signal.Signals) -> None:
    stop.set()
    loop.remove_signal_handler(number)


def opened(data: Path, properties: Mapping[str, str]) -> Broker:
    """The broker, not started. What is wrong with the settings or the folder is said as a message."""
    from broker_embedded.broker import Broker
    from broker_embedded.config import BrokerConfig
    from broker_embedded.errors import KafkaError
    from broker_embedded.lock import FolderInUseError
    from broker_embedded.security.listener_settings import ListenerConfigError, parse_listeners

    try:
        return Broker.open(data, config=BrokerConfig.from_properties(properties), listeners=parse_listeners(properties))
    except (KafkaError, ListenerConfigError, FolderInUseError, OSError) as error:
        raise click.ClickException(str(error)) from error


def show(broker: Broker, data: Path, *, as_json: bool) -> None:
    """The banner on standard error; with `as_json` the address on standard output too."""
    from importlib.metadata import version

    from broker_embedded.security.listeners import exposure_warning

    rows = [("broker", f"streams-engine {version('streams-engine')}, speaks Kafka 4.3")]
    for listener, (host, port) in broker.cluster.listeners.items():
        rows.append(("listening", f"{host}:{port} ({listener})"))
    rows.append(("data", str(data.resolve())))
    rows.append(("topics", f"{sum(not topic.is_internal for topic in broker.cluster.topics.values()):,}"))
    for heading, text in rows:
        click.echo(f"{heading:>10}  {text}", err=True)
    for server in broker.servers:
        if (warning := exposure_warning(server.listener, server.port)) is not None:
            click.secho(f"WARNING: {warning}", err=True, fg="yellow")
    if as_json:
        import json

        click.echo(json.dumps({"bootstrap_servers": broker.bootstrap_servers, "data": str(data.resolve())}))
