"""`streams broker`: the built-in broker alone, for any client that speaks Kafka's protocol."""

from __future__ import annotations

import asyncio
import errno
import gc
import os
import signal
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from broker_embedded.broker import Broker
    from broker_embedded.serving.server import Server
    from streams.cli.server_properties import Plan

_YOUNG_OBJECTS = 20_000
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@click.command()
@click.option("--host", metavar="ADDRESS", help="Address to listen on. Default: 127.0.0.1.")
@click.option("--port", type=click.IntRange(0, 65_535), help="Default: 9092. 0 takes a free one.")
@click.option("--data", metavar="DIR", help="Folder of the log. Default: what the file says, else ./broker-data.")
@click.option("--config", metavar="FILE", type=click.Path(exists=True, dir_okay=False), help="A server.properties.")
@click.option("--override", metavar="NAME=VALUE", multiple=True, help="A setting by Kafka's name, over the file's.")
@click.option(
    "-l",
    "--log-level",
    type=click.Choice(["debug", "info", "warning", "error"]),
    default="info",
    help="The least severe log lines that are written.",
)
@click.option("--json", "as_json", is_flag=True, help="Write the address to standard output as a line of JSON.")
def command(
    host: str | None,
    port: int | None,
    data: str | None,
    config: str | None,
    override: Sequence[str],
    log_level: str,
    as_json: bool,
) -> int:
    """Run the built-in broker: Kafka's protocol, Kafka's log format, nothing to install.

    Topics are made when first used, as in Kafka (--override auto.create.topics.enable=false), and groups start without
    delay. A server.properties of Kafka's works as it is: with `listeners` in it, that says where to listen; TLS, SASL
    and ACLs have Kafka's settings too. Ctrl-C and SIGTERM stop it cleanly, a second one at once. Exit codes: 0 stopped
    by SIGTERM, 1 failed, 2 wrong usage, 130 interrupted.

    \b
    Examples:
      streams broker --port 9092 --data ./broker-data
      streams broker --port 0 --override num.partitions=4
      streams broker --config server.properties
    """
    from streams.cli.logs import set_up
    from streams.cli.properties import assignments, read_properties
    from streams.cli.server_properties import plan

    set_up(log_level)
    properties = (read_properties(Path(config)) if config else {}) | assignments(override, "--override")
    return asyncio.run(serve(plan(properties, host=host, port=port, data=data), as_json=as_json))


async def serve(plan: Plan, *, as_json: bool) -> int:
    """Serve until SIGINT or SIGTERM; a second one ends at once. Gives the exit code."""
    from streams.cli import INTERRUPTED, OK

    broker = opened(plan)
    stopped: asyncio.Future[signal.Signals] = asyncio.get_running_loop().create_future()
    for number in _SIGNALS:
        asyncio.get_running_loop().add_signal_handler(number, _stop, stopped, number)
    try:
        await broker.start()
    except OSError as error:
        raise click.ClickException(_why_not(error, plan)) from error
    _collect_seldom()
    try:
        click.echo(banner(broker), err=True)
        if as_json:
            click.echo(json_line(broker))
        received = await stopped
    finally:
        await broker.stop()
    return INTERRUPTED if received == signal.SIGINT else OK


def _collect_seldom() -> None:
    """A full collection of garbage keeps all clients waiting, 40 ms with a thousand partitions, and finds little.

    This process is the broker and nothing else, so it may say when: not over what is there for good, and seldom.
    """
    gc.freeze()
    gc.set_threshold(_YOUNG_OBJECTS, 10, 100)


def _stop(stopped: asyncio.Future[signal.Signals], number: signal.Signals) -> None:
    stopped.set_result(number)
    for each in _SIGNALS:
        asyncio.get_running_loop().remove_signal_handler(each)
        signal.signal(each, signal.SIG_DFL)


def _why_not(error: OSError, plan: Plan) -> str:
    if error.errno == errno.EADDRINUSE:
        return (
            f"{plan.properties['listeners']}: another program listens there. Stop it, or give this broker another "
            "port (--port, or `listeners`); 0 takes a free one."
        )
    if error.errno == errno.EADDRNOTAVAIL or isinstance(error, socket.gaierror):
        return (
            f"{plan.properties['listeners']}: this machine has no such address. Listen on one that it has, or "
            "on 0.0.0.0 for all (--host, or `listeners`)."
        )
    return str(error)


def opened(plan: Plan) -> Broker:
    """The broker, not started. What is wrong with the settings or the folder is said as a message."""
    from broker_embedded.broker import Broker
    from broker_embedded.config import BrokerConfig
    from broker_embedded.errors import KafkaError
    from broker_embedded.lock import FolderInUseError
    from broker_embedded.security.listener_settings import parse_listeners

    try:
        config, listeners = BrokerConfig.from_properties(plan.properties), parse_listeners(plan.properties)
        for listener in listeners:
            listener.ssl_context()
    except (KafkaError, ValueError) as error:  # ValueError: listeners and their certificates
        raise click.UsageError(str(error)) from error
    try:
        return Broker.open(plan.data_dir, config=config, listeners=listeners)
    except (KafkaError, FolderInUseError) as error:
        raise click.ClickException(str(error)) from error
    except OSError as error:
        raise click.ClickException(f"data folder {plan.data_dir}: {error}. Another is named with --data.") from error


def banner(broker: Broker) -> str:
    """What runs, where, and over which folder."""
    from importlib.metadata import version

    cluster = broker.cluster
    rows = [("broker", f"streams-engine {version('streams-engine')}, speaks Kafka 4.3, pid {os.getpid()}")]
    rows += [("listening", _address(server)) for server in broker.servers]
    rows.append(("data", str(cluster.folder.path.resolve())))
    rows.append(("topics", f"{sum(not topic.is_internal for topic in cluster.topics.values()):,}"))
    return "\n".join(f"{heading:>10}  {text}" for heading, text in rows)


def _address(server: Server) -> str:
    listener = server.listener
    bound, told = f"{listener.host or '0.0.0.0'}:{server.port}", "{}:{}".format(*server.advertised)
    name = listener.name if listener.name == listener.protocol.value else f"{listener.name}, {listener.protocol.value}"
    return f"{bound} ({name})" if bound == told else f"{bound} ({name}), which clients are told is {told}"


def json_line(broker: Broker) -> str:
    """The address and the folder, for programs that start a broker."""
    import json

    return json.dumps(
        {"bootstrap_servers": broker.bootstrap_servers, "data": str(broker.cluster.folder.path.resolve())}
    )
