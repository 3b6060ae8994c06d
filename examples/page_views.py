"""Counts how often each page is seen, with an agent.

streams worker examples.page_views:app --until-end
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import streams


class PageView(streams.Record):
    page: str


app = streams.App("page-views")
views = app.topic("page_views", key_type=str, value_type=PageView)
seen = app.Table("seen", key_type=str, value_type=int, default=int)


@app.source(views)
def visitors(position: int = 0) -> Iterator[Any]:
    for n in range(position, 1000):
        page = random.Random(n).choice(["/", "/docs", "/pricing", "/blog"])
        yield streams.Position(n + 1), f"user-{n % 50}", PageView(page)


@app.agent(views, group_by=PageView.page)
async def count(stream: streams.Stream[PageView]) -> None:
    async for view in stream:
        seen[view.page] += 1


@app.report
def pages() -> list[Any]:
    return [{"page": page, "views": views} for page, views in sorted(seen.items())]
