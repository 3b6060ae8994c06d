"""The services of the sign-up example as workers side by side, the one that holds the folder killed again and again."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from random import Random

import pytest

import streams
from broker_embedded.lock import held_by, is_held
from examples.sign_up import users

ROOT = Path(__file__).parents[2]
EVERY_DAY = "Monday,Tuesday,Wednesday,Thursday,Friday,Saturday,Sunday"
EMAILS = [f"{name}@example.org" for name in ("ann", "bob", "cho", "dee")]
SERVICES = ("promotion", "audit")


class Services:
    """Workers of the two apps on one data folder."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.data = folder / "sign-up-data"
        self._stack = stack
        self.running: dict[str, subprocess.Popen[str]] = {}

    def command(self, service: str, *more: str) -> list[str]:
        app = f"examples.sign_up.{service}:app"
        return [sys.executable, "-m", "streams", "worker", app, "--data-dir", str(self.data), "-l", "error", *more]

    def environment(self) -> dict[str, str]:
        return {**os.environ, "PYTHONPATH": str(ROOT), "PROMOTION_DAYS": EVERY_DAY}

    def start(self, service: str) -> None:
        process = subprocess.Popen(self.command(service), env=self.environment(), text=True)
        self._stack.enter_context(process)
        self._stack.callback(process.kill)
        self.running[service] = process

    async def new_holder(self) -> str:
        """The service that holds the folder, as soon as one does."""
        while True:
            pid = held_by(self.data / "log") if is_held(self.data / "log") else None
            for name, process in self.running.items():
                if process.pid == pid:
                    return name
            await asyncio.sleep(0.05)

    def kill(self, service: str) -> None:
        self.running[service].kill()
        self.running[service].wait()

    def stop(self) -> None:
        for process in self.running.values():
            process.terminate()
        assert {process.wait() for process in self.running.values()} <= {0, -signal.SIGTERM}  # or it had not begun

    def to_the_end(self, service: str) -> list[dict[str, object]]:
        done = subprocess.run(
            self.command(service, "--until-end", "--json"),
            env=self.environment(),
            capture_output=True,
            text=True,
            check=True,
        )
        return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture
def services(tmp_path: Path) -> Iterator[Services]:
    with ExitStack() as stack:
        yield Services(tmp_path, stack)


async def sign_ups(client: streams.Client, draw: Random, count: int) -> list[str]:
    emails = [draw.choice(EMAILS) for _ in range(count)]
    sent = [
        client.send("userSignedUp", key=f"{email}-{draw.random()}", value=users.UserSignedUp("", email))
        for email in emails
    ]
    await asyncio.gather(*sent)
    return emails


async def under_kills(services: Services, draw: Random, kills: int) -> Counter[str]:
    """Signs users up while holders are killed and started again; gives the sign-ups by address."""
    signed_up: Counter[str] = Counter()
    for service in draw.sample(SERVICES, 2):
        services.start(service)
    for _ in range(kills):
        holder = await services.new_holder()
        async with users.app.client(data_dir=str(services.data)) as client:
            signed_up.update(await sign_ups(client, draw, draw.randint(1, 40)))
            under_way = asyncio.create_task(sign_ups(client, draw, draw.randint(1, 200)))
            await asyncio.sleep(0)
            services.kill(holder)  # this process or the other service has the folder next
            signed_up.update(await under_way)
        services.start(holder)
    return signed_up


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("seed", range(3))
async def test_no_event_is_lost_and_none_counts_twice(services: Services, seed: int) -> None:
    signed_up = await under_kills(services, Random(seed), kills=6)
    await asyncio.to_thread(services.stop)
    await asyncio.to_thread(services.to_the_end, "promotion")
    found = await asyncio.to_thread(services.to_the_end, "audit")
    assert found == [
        {"report": "users", "email": email, "sign_ups": signed_up[email], "discounts": signed_up[email]}
        for email in sorted(signed_up)
    ]
