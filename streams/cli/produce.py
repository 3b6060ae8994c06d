"""`streams produce`: what kafka-console-producer does, on ours and on a real Kafka."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import click

from streams.cli.kafka_style import one_topic
from streams.cli.properties import assignments
from streams.cli.reaching import Reach, broker_options
from streams.cli.standard_input import lines
from streams.cli.typed_lines import LineError, LineFormat, Typed, read_json

if TYPE_CHECKING:
    from streams.client import Client


@click.command()
@one_topic
@click.option("--key-separator", metavar="TEXT", help="Lines are KEY, this, VALUE.")
@click.option(
    "--property",
    "--reader-property",
    "properties",
    multiple=True,
    metavar="NAME=VALUE",
    help="As Kafka's: parse.key, key.separator, parse.headers, headers.delimiter, headers.separator, "
    "headers.key.separator, null.marker.",
)
@click.option("--json", "as_json", is_flag=True, help="Lines are what `streams consume --json` writes.")
@broker_options
def command(topic: str, key_separator: str | None, properties: Sequence[str], as_json: bool, broker: Reach) -> None:
    """Write each line of standard input to TOPIC, until it ends. Makes the topic if it is not there.

    With --json a line is an object with key, value, headers, timestamp and partition, any of them left out. Text is
    taken as it is, {"base64": "..."} as bytes, any other JSON as its own text.

    \b
    Examples:
      echo "UA:late" | streams produce flights --key-separator :
      echo '{"key": "UA", "value": {"delay": 5}}' | streams produce flights --json
    """
    form = LineFormat.of(assignments(properties, "--property"), key_separator)
    writing = Writing(topic, read_json if as_json else form.read)
    try:
        broker.run(writing.write)
    finally:
        click.echo(f"{writing.written:,} records written to {topic}", err=True)


class Writing:
    """Lines on their way to a topic; `written` are acknowledged."""

    def __init__(self, topic: str, read: Callable[[bytes], Typed]) -> None:
        self.written = 0
        self._topic, self._read = topic, read
        self._lines = 0
        self._sent: list[asyncio.Future[Any]] = []

    async def write(self, client: Client) -> None:
        """Write standard input. Raises click.ClickException for a line that is no record, with what is before it
        written."""
        if self._topic not in await client.admin.list_topics(internal=True):
            await client.admin.create_topic(self._topic)
            click.echo(f"Created topic {self._topic}.", err=True)
        async for found in lines():
            try:
                for line in found:
                    self._send(client, line)
            finally:
                await asyncio.gather(*self._sent)
                self._sent.clear()

    def _send(self, client: Client, line: bytes) -> None:
        self._lines += 1
        try:
            typed = self._read(line)
        except LineError as error:
            raise click.ClickException(f"line {self._lines}: {error}") from None
        sent = client.send(self._topic, **typed._asdict())
        sent.add_done_callback(self._count)
        self._sent.append(sent)

    def _count(self, sent: asyncio.Future[Any]) -> None:
        self.written += not sent.cancelled() and sent.exception() is None
