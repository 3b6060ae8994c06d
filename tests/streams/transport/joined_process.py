"""`python joined_process.py FOLDER`: a client of a data folder in a process of its own, told what to do by lines.

Takes one JSON list a line, [command, argument, ...], and answers in JSON lines. Ends when its input ends.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from itertools import count
from typing import Any

import streams
from streams.transport.joined import JoinedTransport

TOPIC = "numbers"


class Member:
    """What the lines do."""

    def __init__(self, client: streams.Client) -> None:
        self.client = client
        self.pumping: asyncio.Task[None] | None = None
        self.records: AsyncIterator[Any] | None = None

    def is_joined(self) -> bool:
        return isinstance(self.client._transport, JoinedTransport)

    async def create(self, partitions: int) -> None:
        await self.client.admin.create_topic(TOPIC, partitions=partitions, retention="forever")

    async def pump(self, name: str) -> None:
        """Send numbered records, one after the other, and say which are acknowledged."""
        self.pumping = asyncio.create_task(self._pump(name))

    async def _pump(self, name: str) -> None:
        for number in count():
            value = f"{name}-{number}"
            await self.client.send(TOPIC, key=name.encode(), value=value.encode())
            say(value)

    async def stop(self) -> None:
        assert self.pumping is not None
        self.pumping.cancel()
        await asyncio.wait([self.pumping])

    async def read(self) -> list[str]:
        return [record.value.decode() async for record in self.client.read(TOPIC)]

    async def take(self, group: str, number: int) -> list[str]:
        """Take records as a member of a group, and commit each."""
        self.records = self.records or aiter(self.client.subscribe(TOPIC, group=group))
        taken = []
        for _ in range(number):
            record = await anext(self.records)
            await record.commit()
            taken.append(record.value.decode())
        return taken


def say(answer: Any) -> None:
    print(json.dumps(answer), flush=True)


async def main(folder: str) -> None:
    async with streams.Client(data_dir=folder) as client:
        member = Member(client)
        say(member.is_joined())
        while line := await asyncio.to_thread(sys.stdin.readline):
            command, *arguments = json.loads(line)
            say({"answer": await getattr(member, command)(*arguments)})


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
