"""The services of the sign-up example side by side, killed and started again, in any order."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import permutations
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EVERY_DAY = "Monday,Tuesday,Wednesday,Thursday,Friday,Saturday,Sunday"
Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts a service; all run in one empty folder."""
    with ExitStack() as stack:

        def service(*arguments: str) -> subprocess.Popen[str]:
            process = subprocess.Popen(
                [sys.executable, "-m", "examples.sign_up", *arguments],
                cwd=tmp_path,
                env={**os.environ, "PYTHONPATH": str(ROOT), "PROMOTION_DAYS": EVERY_DAY},
                stdout=subprocess.PIPE,
                text=True,
            )
            stack.enter_context(process)
            stack.callback(process.kill)
            return process

        yield service


def sign_up(start: Start, *emails: str) -> None:
    assert start("users", *emails).wait() == 0


def wait_for(audit: subprocess.Popen[str], emails: dict[str, int]) -> None:
    """Until the auditor has said of each address that all its sign-ups have a discount, and nothing beyond."""
    missing = {f"{email}: {count} sign-ups, {count} discounts" for email, count in emails.items()}
    assert audit.stdout is not None
    for line in audit.stdout:
        email, _, said = line.partition(": ")
        assert all(int(number) <= emails[email] for number in said.split() if number.isdigit())
        missing.discard(line.strip())
        if not missing:
            return
    raise AssertionError("the auditor has ended")


@pytest.mark.slow
@pytest.mark.parametrize("order", list(permutations(["users", "promotion", "audit"])), ids=" ".join)
def test_any_order(order: tuple[str, ...], start: Start) -> None:
    running = {}
    for service in order:
        if service == "users":
            sign_up(start, "ann@example.org", "bob@example.org", "ann@example.org")
        else:
            running[service] = start(service)
    wait_for(running["audit"], {"ann@example.org": 2, "bob@example.org": 1})


@pytest.mark.slow  # that folders change hands so, tests/streams/transport shows
def test_services_are_killed_and_come_back(start: Start) -> None:
    audit, promotion = start("audit"), start("promotion")
    sign_up(start, "ann@example.org")
    wait_for(audit, {"ann@example.org": 1})
    audit.kill()  # it came first: the promotion service takes the folder over
    sign_up(start, "bob@example.org", "ann@example.org")
    audit = start("audit")
    wait_for(audit, {"ann@example.org": 2, "bob@example.org": 1})
    promotion.kill()  # and now the auditor does
    sign_up(start, "cho@example.org")
    start("promotion")
    sign_up(start, "bob@example.org")
    wait_for(audit, {"bob@example.org": 2, "cho@example.org": 1})
    audit.kill()
    wait_for(start("audit"), {"ann@example.org": 2, "bob@example.org": 2, "cho@example.org": 1})


def test_an_unknown_service_is_named(start: Start) -> None:
    assert start("billing").wait() == 1
