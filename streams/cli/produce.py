"""`streams produce`: what kafka-console-producer does, on ours and on a real Kafka."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from streams.cli.properties import pairs
from streams.cli.reaching import broker_options, run

if TYPE_CHECKING:
    from streams.client import Client

_PENDING_MAX = 10_000


class Line(NamedTuple):
    """A record as it was typed."""

    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes | None]]
    timestamp: int | None
    partition: int | None


class Format(NamedTuple):
    """How a line becomes a record: Kafka's properties of LineMessageReader."""

    parse_key: bool = False
    key_separator: str = "\t"
    parse_headers: bool = False
    null_marker: str | None = None
    as_json: bool = False

    def line(self, text: str) -> Line:
        """
        >>> Format(parse_key=True, key_separator=":").line("UA:late")
        Line(key=b'UA', value=b'late', headers=[], timestamp=None, partition=None)
        """
        if self.as_json:
            return _from_json(text)
        headers: list[tuple[str, bytes | None]] = []
        if self.parse_headers:
            found, text = self._split(text, "\t")
            headers = [(name, value.encode()) for name, _, value in (part.partition(":") for part in found.split(","))]
        key = None
        if self.parse_key:
            key, text = self._split(text, self.key_separator)
        return Line(self._bytes(key), self._bytes(text), headers, None, None)

    def _split(self, text: str, separator: str) -> tuple[str, str]:
        first, found, rest = text.partition(separator)
        if not found:
            raise click.ClickException(f"no {separator!r} in the line {text!r}")
        return first, rest

    def _bytes(self, text: str | None) -> bytes | None:
        return None if text is None or text == self.null_marker else text.encode()


def _from_json(text: str) -> Line:
    import msgspec

    try:
        row = msgspec.json.decode(text, type=dict[str, Any])
    except msgspec.DecodeError as error:
        raise click.ClickException(f"not a JSON object: {text!r} ({error})") from None
    headers = [(name, _json_bytes(value)) for name, value in (row.get("headers") or {}).items()]
    return Line(
        _json_bytes(row.get("key")), _json_bytes(row.get("value")), headers, row.get("timestamp"), row.get("partition")
    )


def _json_bytes(value: Any) -> bytes | None:
    import msgspec

    if value is None:
        return None
    return value.encode() if isinstance(value, str) else msgspec.json.encode(value)


@click.command()
@click.argument("topic", required=False)
@click.option("--topic", "option", metavar="NAME", help="The topic, as Kafka's tools say.")
@click.option("--key-separator", metavar="TEXT", help="Lines are KEY, this, VALUE.")
@click.option(
    "--property",
    "--reader-property",
    "properties",
    multiple=True,
    metavar="NAME=VALUE",
    help="As Kafka's: parse.key, key.separator, parse.headers, null.marker.",
)
@click.option("--json", "as_json", is_flag=True, help="Lines are objects: key, value, headers, timestamp, partition.")
@broker_options
def command(
    topic: str | None,
    option: str | None,
    key_separator: str | None,
    properties: tuple[str, ...],
    as_json: bool,
    **where: Any,
) -> None:
    """Write each line of standard input to TOPIC, until it ends.

    \b
    Examples:
      echo "UA:late" | streams produce flights --key-separator :
      streams produce flights --property parse.key=true --property key.separator=:
    """
    name = topic or option
    if name is None:
        raise click.UsageError("name a topic.")
    form = _format(pairs(properties, "--property"), key_separator, as_json)

    async def work(client: Client) -> int:
        return await _produce(client, name, form)

    click.echo(f"{run(work, **where):,} records written to {name}", err=True)


def _format(properties: dict[str, str], key_separator: str | None, as_json: bool) -> Format:
    known = ("parse.key", "key.separator", "parse.headers", "null.marker")
    for name in properties:
        if name not in known:
            raise click.UsageError(f"--property {name}: these are known: {', '.join(known)}")
    return Format(
        key_separator is not None or properties.get("parse.key") == "true",
        key_separator or properties.get("key.separator", "\t"),
        properties.get("parse.headers") == "true",
        properties.get("null.marker"),
        as_json,
    )


async def _produce(client: Client, topic: str, form: Format) -> int:
    pending: list[asyncio.Future[Any]] = []
    count = 0
    async for text in _lines():
        line = form.line(text)
        pending.append(
            client.send(
                topic,
                key=line.key,
                value=line.value,
                headers=line.headers,
                timestamp=line.timestamp,
                partition=line.partition,
            )
        )
        count += 1
        if len(pending) >= _PENDING_MAX or sys.stdin.isatty():
            await asyncio.gather(*pending)
            pending.clear()
    await asyncio.gather(*pending)
    return count


async def _lines() -> AsyncIterator[str]:
    """Standard input line by line, with Kafka's prompt on a terminal."""
    while True:
        if sys.stdin.isatty():
            click.echo(">", err=True, nl=False)
        text = await asyncio.to_thread(sys.stdin.readline)
        if not text:
            return
        yield text.rstrip("\n")
