"""The three services side by side: each a process of its own, all of them clients of one data folder.

python -m examples.sign_up promotion
python -m examples.sign_up audit
python -m examples.sign_up users ann@example.org bob@example.org

They may be started in any order, and killed. Whoever comes first holds the folder and serves it to the others; when it
ends, another takes over.
"""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from contextlib import suppress

import streams
from examples.sign_up import audit, promotion, users

DATA = "./sign-up-data"


async def promote() -> None:
    """Grants discounts. The group's place is kept by the broker, so a promotion that comes back goes on there."""
    async with promotion.app.client(data_dir=DATA) as client:
        async for record in client.subscribe("userSignedUp", group="promotion"):
            discount = promotion.discount_for(record.value, record.timestamp)
            if discount is not None:
                # Killed before the commit, it grants once more, by the same key: who counts, counts keys.
                await client.send("discountGranted", key=record.key, value=discount)
            await record.commit()


async def count() -> None:
    """Reads everything from the beginning, goes on with what comes, and says how each address stands."""
    async with audit.app.client(data_dir=DATA) as client:
        seen: dict[str, dict[str, str]] = {"userSignedUp": {}, "discountGranted": {}}
        await asyncio.gather(*[follow(client, topic, seen) for topic in seen])


async def follow(client: streams.Client, topic: str, seen: dict[str, dict[str, str]]) -> None:
    async for record in client.read(topic, follow=True):
        if record.key not in seen[topic]:
            email = seen[topic][record.key] = record.value.email
            sign_ups, discounts = (Counter(emails.values())[email] for emails in seen.values())
            print(f"{email}: {sign_ups} sign-ups, {discounts} discounts", flush=True)


SERVICES = {"users": users.sign_up, "promotion": promote, "audit": count}

if __name__ == "__main__":
    if not sys.argv[1:] or sys.argv[1] not in SERVICES:
        sys.exit(f"Which service? One of {', '.join(SERVICES)}.")
    with suppress(KeyboardInterrupt):
        asyncio.run(SERVICES[sys.argv[1]](*sys.argv[2:]))
