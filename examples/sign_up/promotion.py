"""The promotion service: whoever signs up on a day of promotion gets a discount.

streams worker examples.sign_up.promotion:app --data-dir ./sign-up-data --until-end
"""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import Any

import streams

DAYS = os.environ.get("PROMOTION_DAYS", "Friday,Saturday").split(",")


class UserSignedUp(streams.Record):  # of what the user service says, what is needed here
    email: str


class DiscountGranted(streams.Record):
    email: str
    percent: int


app = streams.App("promotion")
signed_up = app.topic("userSignedUp", key_type=str, value_type=UserSignedUp, retention="forever")
granted = app.topic("discountGranted", key_type=str, value_type=DiscountGranted, retention="forever")


def discount_for(user: UserSignedUp, timestamp: int) -> DiscountGranted | None:
    day = datetime.fromtimestamp(timestamp / 1000, UTC)
    return DiscountGranted(user.email, percent=10) if f"{day:%A}" in DAYS else None


@app.agent(signed_up, sink=[granted])
async def promote(stream: streams.Stream[UserSignedUp]) -> Any:
    async for event in stream.events():
        if discount := discount_for(event.value, event.message.timestamp):
            yield discount
