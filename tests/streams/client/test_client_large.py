"""What is sent in one turn may be more than a batch may hold."""

from __future__ import annotations

from pathlib import Path

import streams


async def test_more_than_a_batch(tmp_path: Path) -> None:
    app = streams.App("large", data_dir=str(tmp_path))
    topic = app.topic("numbers", value_type=str, partitions=2)
    values = [f"{n:05}" + "x" * 1_000 for n in range(3_000)]
    async with app.client() as client:
        sent = await client.send_many(topic, [(str(n % 7), value) for n, value in enumerate(values)])
        found = {(r.partition, r.offset): r.value async for r in client.read(topic)}
    assert [found[place.partition, place.offset] for place in sent] == values
