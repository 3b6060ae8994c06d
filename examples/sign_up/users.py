"""The user service: says who signed up, as it happens, and knows no reader.

python -m examples.sign_up.users ann@example.org bob@example.org
"""

from __future__ import annotations

import asyncio
import sys
from uuid import uuid4

import streams


class UserSignedUp(streams.Record):
    id: str
    email: str


app = streams.App("users")
signed_up = app.topic("userSignedUp", key_type=str, value_type=UserSignedUp, retention="forever")


async def sign_up(*emails: str) -> None:
    async with app.client(data_dir="./sign-up-data") as client:
        for email in emails:
            user = UserSignedUp(str(uuid4()), email)
            await client.send("userSignedUp", key=user.id, value=user)


if __name__ == "__main__":
    asyncio.run(sign_up(*sys.argv[1:]))
