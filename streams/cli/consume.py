"""`streams consume`: what kafka-console-consumer does, on ours and on a real Kafka."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from streams.cli.properties import pairs
from streams.cli.reaching import broker_options, json_option, run

if TYPE_CHECKING:
    from streams.client import Client
    from streams.client_records import ClientRecord


class Format(NamedTuple):
    """What of a record is printed: Kafka's properties of DefaultMessageFormatter."""

    key: bool = False
    value: bool = True
    timestamp: bool = False
    headers: bool = False
    partition: bool = False
    offset: bool = False
    key_separator: str = "\t"
    as_json: bool = False

    def text(self, record: ClientRecord) -> str:
        if self.as_json:
            return _json(record)
        parts = []
        if self.timestamp:
            parts.append(f"CreateTime:{record.timestamp}")
        if self.partition:
            parts.append(f"Partition:{record.partition}")
        if self.offset:
            parts.append(f"Offset:{record.offset}")
        if self.headers:
            headers = ",".join(f"{name}:{_text(value)}" for name, value in record.headers)
            parts.append(headers or "NO_HEADERS")
        if self.key:
            parts.append(_text(record.key))
        if self.value:
            parts.append(_text(record.value))
        return self.key_separator.join(parts)


def _text(value: bytes | None) -> str:
    return "null" if value is None else value.decode(errors="replace")


def _json(record: ClientRecord) -> str:
    import msgspec

    row = {
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "timestamp": record.timestamp,
        "key": None if record.key is None else _text(record.key),
        "value": None if record.value is None else _text(record.value),
        "headers": {name: None if value is None else _text(value) for name, value in record.headers},
    }
    return msgspec.json.encode(row).decode()


@click.command()
@click.argument("topic", required=False)
@click.option("--topic", "option", metavar="NAME", help="The topic, as Kafka's tools say.")
@click.option("--from-beginning", is_flag=True, help="Begin with the first record; else only new ones come.")
@click.option("--partition", type=click.IntRange(min=0), help="Only this partition.")
@click.option("--offset", metavar="OFFSET", help="Begin there: a number, earliest, latest, or a time.")
@click.option("--group", metavar="GROUP", help="Share the partitions with the other members, and remember the place.")
@click.option("--max-messages", type=click.IntRange(min=1), help="Stop after so many.")
@click.option("--timeout-ms", type=click.IntRange(min=1), help="Stop when none has come for so long.")
@click.option("--until-end", is_flag=True, help="Stop at the end as of now.")
@click.option(
    "--isolation-level",
    type=click.Choice(["read_committed", "read_uncommitted"]),
    default="read_committed",
    show_default=True,
    help="Whether records of open and aborted transactions are left out.",
)
@click.option(
    "--property",
    "--formatter-property",
    "properties",
    multiple=True,
    metavar="NAME=VALUE",
    help="As Kafka's: print.key, print.value, print.timestamp, print.headers, print.partition, print.offset, "
    "key.separator.",
)
@json_option
@broker_options
def command(
    topic: str | None,
    option: str | None,
    from_beginning: bool,
    partition: int | None,
    offset: str | None,
    group: str | None,
    max_messages: int | None,
    timeout_ms: int | None,
    until_end: bool,
    isolation_level: str,
    properties: tuple[str, ...],
    as_json: bool,
    **where: Any,
) -> None:
    """Write the records of TOPIC to standard output, for ever or until told otherwise.

    \b
    Examples:
      streams consume flights --from-beginning --property print.key=true
      streams consume flights --offset 2013-01-01 --max-messages 10 --json
    """
    name = topic or option
    if name is None:
        raise click.UsageError("name a topic.")
    if group is not None and (partition is not None or offset is not None or until_end):
        raise click.UsageError("--group goes without --partition, --offset and --until-end.")
    form = _format(pairs(properties, "--property"), as_json)
    start = _start(from_beginning or until_end, offset)

    async def work(client: Client) -> int:
        if group is None:
            if name not in await client.admin.list_topics(internal=True):
                raise click.ClickException(f"there is no topic {name!r}")
            records = _read(client, name, start, partition, isolation_level, follow=not until_end)
        else:
            records = _subscribe(client, name, group, isolation_level, "beginning" if from_beginning else "end")
        return await _print(records, form, max_messages, timeout_ms)

    try:
        count = run(work, **where)
    except KeyboardInterrupt:
        return
    click.echo(f"{count:,} records read", err=True)


def _read(
    client: Client, topic: str, start: Any, partition: int | None, isolation: Any, *, follow: bool
) -> AsyncIterator[ClientRecord]:
    return client.read(topic, start=start, follow=follow, partition=partition, isolation=isolation)


async def _subscribe(client: Client, topic: str, group: str, isolation: Any, start: Any) -> AsyncIterator[ClientRecord]:
    async for record in client.subscribe(topic, group=group, start=start, isolation=isolation):
        yield record
        await record.commit()


async def _print(
    records: AsyncIterator[ClientRecord], form: Format, max_messages: int | None, timeout_ms: int | None
) -> int:
    count = 0
    async with aclosing(records):  # type: ignore[type-var]
        while max_messages is None or count < max_messages:
            try:
                async with asyncio.timeout(None if timeout_ms is None else timeout_ms / 1000):
                    record = await anext(records)
            except (StopAsyncIteration, TimeoutError):
                break
            sys.stdout.write(form.text(record) + "\n")
            sys.stdout.flush()
            count += 1
    return count


def _start(from_beginning: bool, offset: str | None) -> Any:
    if offset is None:
        return "beginning" if from_beginning else "end"
    if offset.isdigit():
        return int(offset)
    return {"earliest": "beginning", "latest": "end"}.get(offset, offset)


def _format(properties: dict[str, str], as_json: bool) -> Format:
    known = {f"print.{field}": field for field in Format._fields if field not in ("key_separator", "as_json")}
    found: dict[str, Any] = {}
    for name, value in properties.items():
        if name == "key.separator":
            found["key_separator"] = value
        elif name in known:
            found[known[name]] = value == "true"
        else:
            raise click.UsageError(f"--property {name}: these are known: {', '.join([*known, 'key.separator'])}")
    return Format(**found, as_json=as_json)
