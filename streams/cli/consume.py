"""`streams consume`: what kafka-console-consumer does, on ours and on a real Kafka."""

from __future__ import annotations

import asyncio
import io
import os
import stat
import sys
import time
from collections.abc import AsyncIterable, AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import click

from streams.cli.kafka_style import one_topic
from streams.cli.printed_records import RecordFormat, json_line
from streams.cli.properties import assignments
from streams.cli.reaching import Reach, broker_options, json_option

if TYPE_CHECKING:
    from streams.client import Client
    from streams.client.records import ClientRecord

_COMMIT_EVERY_S = 1.0


@click.command()
@one_topic
@click.option("--from-beginning", is_flag=True, help="Begin with the first record; else only new ones come.")
@click.option("--partition", type=click.IntRange(min=0), help="Only this partition.")
@click.option("--offset", metavar="OFFSET", help="Begin there: a number, earliest, latest, or a time.")
@click.option("--group", metavar="GROUP", help="Share the partitions with the other members, and remember the place.")
@click.option("--max-messages", type=click.IntRange(min=1), help="Stop after so many.")
@click.option("--timeout-ms", type=click.IntRange(min=1), help="Stop when none has come for so long.")
@click.option("--until-end", is_flag=True, help="Read what is there as of now, from the beginning, and stop.")
@click.option(
    "--isolation-level",
    "isolation",
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
    "key.separator, headers.separator, line.separator, null.literal.",
)
@json_option
@broker_options
def command(
    max_messages: int | None,
    timeout_ms: int | None,
    properties: Sequence[str],
    as_json: bool,
    broker: Reach,
    **source: Any,
) -> None:
    """Write the records of TOPIC to standard output, for ever or until told otherwise.

    Bytes are written as they are. With --json a key, value or header that is not UTF-8 is {"base64": "..."}.

    \b
    Examples:
      streams consume flights --from-beginning --property print.key=true
      streams consume flights --offset 2013-01-01 --max-messages 10 --json
    """
    form = RecordFormat.of(assignments(properties, "--property"))
    printing = Printing(json_line if as_json else form.text, max_messages, timeout_ms)
    opened = _source(**source)

    async def work(client: Client) -> None:
        if source["topic"] not in await client.admin.list_topics(internal=True):
            raise click.ClickException(f"there is no topic {source['topic']!r}: streams topics create makes it.")
        await printing.run(opened(client))

    try:
        broker.run(work)
    finally:
        click.echo(f"{printing.count:,} records read", err=True)


def _source(
    *,
    topic: str,
    from_beginning: bool,
    partition: int | None,
    offset: str | None,
    group: str | None,
    until_end: bool,
    isolation: Any,
) -> Callable[[Client], AsyncIterable[ClientRecord]]:
    """What records come from, given a client."""
    if group is None:
        start = _start(offset, "beginning" if from_beginning or until_end else "end")
        return lambda client: client.read(
            topic, start=start, follow=not until_end, partition=partition, isolation=isolation
        )
    if partition is not None or offset is not None or until_end:
        raise click.UsageError("--group goes without --partition, --offset and --until-end.")
    begin: Any = "beginning" if from_beginning else "end"
    return lambda client: client.subscribe(topic, group=group, start=begin, isolation=isolation)


def _start(offset: str | None, default: str) -> int | str:
    from streams.client.records import time_ms
    from streams.errors import TopologyError

    if offset is None:
        return default
    if offset.isdigit():
        return int(offset)
    start = {"earliest": "beginning", "latest": "end"}.get(offset, offset)
    if start == offset:
        try:
            time_ms(offset)
        except TopologyError:
            raise click.UsageError(
                f"--offset {offset}: give a number, earliest, latest, or a time such as 2013-01-01T12:00."
            ) from None
    return start


class Printing:
    """Records on their way to standard output; `count` are there. A group goes on behind what was printed."""

    def __init__(self, text: Callable[[ClientRecord], bytes], max_messages: int | None, timeout_ms: int | None) -> None:
        self.count = 0
        self._text = text
        self._max = max_messages
        self._timeout_s = None if timeout_ms is None else timeout_ms / 1000
        self._printed: dict[int, ClientRecord] = {}
        self._commit_at = time.monotonic() + _COMMIT_EVERY_S

    async def run(self, records: AsyncIterable[ClientRecord]) -> None:
        """Print until there are no more, or enough, or nobody reads them."""
        iterator = aiter(records)
        try:
            async with _until_nobody_reads():
                while (self._max is None or self.count < self._max) and (record := await self._next(iterator)):
                    self._print(record)
                    self.count += 1
                    self._printed[record.partition] = record
                    if time.monotonic() >= self._commit_at:
                        await self._commit()
        except BrokenPipeError:
            # Python writes what is left when it ends: let that go nowhere.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        finally:
            await self._commit()

    async def _next(self, iterator: AsyncIterator[ClientRecord]) -> ClientRecord | None:
        """None when there are no more, or none has come for so long."""
        try:
            async with asyncio.timeout(self._timeout_s) as waiting:
                return await anext(iterator)
        except StopAsyncIteration:
            return None
        except TimeoutError:
            if not waiting.expired():
                raise
            return None

    async def _commit(self) -> None:
        from streams.client.subscription import SubscribedRecord

        for record in self._printed.values():
            if isinstance(record, SubscribedRecord):
                await record.commit()
        self._printed.clear()
        self._commit_at = time.monotonic() + _COMMIT_EVERY_S

    def _print(self, record: ClientRecord) -> None:
        sys.stdout.buffer.write(self._text(record))
        sys.stdout.buffer.flush()


@asynccontextmanager
async def _until_nobody_reads() -> AsyncIterator[None]:
    """Ends what is inside as soon as the reader of standard output, if that is a pipe, has gone."""
    try:
        output = sys.stdout.fileno()
        is_pipe = stat.S_ISFIFO(os.fstat(output).st_mode)
    except io.UnsupportedOperation:  # not a file at all
        is_pipe = False
    if not is_pipe:
        yield
        return
    loop = asyncio.get_running_loop()

    def gone() -> None:
        loop.remove_reader(output)
        reading.reschedule(loop.time())

    try:
        async with asyncio.timeout(None) as reading:
            # The end that is written to becomes readable when nobody can read what is written.
            loop.add_reader(output, gone)
            yield
    except TimeoutError:
        if not reading.expired():
            raise
    finally:
        loop.remove_reader(output)
