"""`streams reset`: what it takes away, what it leaves, and what it asks before."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import broker_embedded
import streams
from streams.cli import run

STREAMS = str(Path(sys.executable).parent / "streams")

SHOP = """
import os
import streams
from streams import agg

app = streams.App("shop", commit_interval_ms=100)
orders = app.topic("orders", key_type=str, value_type=int, partitions=2)
prices = app.topic("prices", key_type=str, value_type=int, partitions=2).table(name="prices")
total = app.Table(os.environ.get("TOTAL", "total"), key_type=str, value_type=int, default=int, partitions=2)
sizes = orders.stream().group_by(lambda v: v % 3, name="by-size", key_type=int).count(name="sizes")

@app.source(orders)
def tills(position=0):
    for n in range(position, 10):
        yield streams.Position(n + 1), "ann", n

@app.agent(orders, name="add")
async def add(stream):
    async for key, amount in stream.items():
        total[key] += amount

@app.report
def totals():
    return [{"customer": key, "amount": amount} for key, amount in total.items()]
"""


@pytest.fixture
def shop(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (folder / "shop.py").write_text(SHOP)
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "path", [*sys.path])
    return folder


Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def call(shop: Path, capsys: pytest.CaptureFixture[str]) -> Call:
    """Runs a command line in this process; gives exit code and what it wrote."""

    def called(*arguments: str) -> tuple[int, str, str]:
        sys.modules.pop("shop", None)
        code = run(arguments)
        return code, *capsys.readouterr()

    return called


def amount(call: Call) -> list[int]:
    code, output, errors = call("worker", "shop:app", "--until-end", "--json", "-l", "error")
    assert (code, errors) == (0, "")
    return [json.loads(line)["amount"] for line in output.splitlines()]


def orders(folder: Path) -> int:
    async def count() -> int:
        async with streams.Client(data_dir=folder / "shop-data") as client:
            return len([record async for record in client.read("orders")])

    return asyncio.run(count())


def test_all_of_an_app_begins_anew(shop: Path, call: Call) -> None:
    assert amount(call) == [45]
    code, said, _ = call("reset", "shop:app", "--yes")
    assert code == 0
    assert said.splitlines() == [
        "offsets of group shop in orders: back to the beginning",
        "topic shop-by-size-repartition",
        "topic shop-orders-clocks-changelog",
        "topic shop-prices-clocks-changelog",
        "topic shop-shop-by-size-repartition-clocks-changelog",
        "topic shop-sizes-changelog",
        "topic shop-total-changelog",
        f"folder {Path('shop-data/state/shop')}",
    ]
    assert not (shop / "shop-data/state/shop").exists()
    assert amount(call) == [45]  # counted anew, over the records that are there
    assert orders(shop) == 10


def test_sources_begin_anew_when_asked(shop: Path, call: Call) -> None:
    assert amount(call) == [45]
    code, said, _ = call("reset", "shop:app", "--yes", "--sources")
    assert (code, "topic shop-tills-position" in said) == (0, True)
    assert amount(call) == [90]
    assert orders(shop) == 20


def test_a_renamed_store_is_removed_by_name(shop: Path, call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    assert amount(call) == [45]
    monkeypatch.setenv("TOTAL", "sum")
    code, _, errors = call("worker", "shop:app", "--until-end")
    assert (code, "store 'total' is in ./shop-data but not in the app" in errors) == (1, True)
    assert "Traceback" not in errors
    code, said, _ = call("reset", "shop:app", "--store", "total", "--yes")
    assert code == 0
    assert said.splitlines() == [
        "topic shop-total-changelog",
        "store total in shop-data/state/shop/orders-0",
        "store total in shop-data/state/shop/orders-1",
    ]
    assert amount(call) == []  # offsets are where they were
    code, said, _ = call("reset", "shop:app", "--store", "total", "--yes")
    assert code == 1


def test_a_dry_run_only_shows(shop: Path, call: Call) -> None:
    assert amount(call) == [45]
    assert call("reset", "shop:app", "--dry-run")[0] == 0
    assert call("reset", "shop:app", "--store", "sizes", "--dry-run")[0] == 0
    assert amount(call) == [45]
    assert (shop / "shop-data/state/shop").exists()


def test_a_dry_run_shows_what_then_is_removed(shop: Path, call: Call) -> None:
    assert amount(call) == [45]
    _, shown, _ = call("reset", "shop:app", "--dry-run", "--sources")
    assert call("reset", "shop:app", "--yes", "--sources") == (0, shown, "Removed.\n")
    assert call("reset", "shop:app", "--dry-run", "--sources")[1].startswith("shop has nothing to remove")


def test_a_dry_run_leaves_nothing_behind(shop: Path, call: Call) -> None:
    before = sorted(shop.rglob("*"))
    assert call("reset", "shop:app", "--dry-run")[:2] == (0, "shop has nothing to remove in ./shop-data\n")
    assert [path for path in sorted(shop.rglob("*")) if "__pycache__" not in path.parts] == before


@pytest.mark.parametrize("what", [[], ["--store", "total"]])
def test_members_elsewhere_are_named_and_nothing_is_removed(shop: Path, call: Call, what: list[str]) -> None:
    assert amount(call) == [45]

    async def beside() -> tuple[int, str, str]:
        async with streams.Client(data_dir=shop / "shop-data") as client:
            await client.send("extra", value=b"one")
            member = aiter(client.subscribe("extra", group="shop"))
            await anext(member)
            try:
                return await asyncio.to_thread(call, "reset", "shop:app", *what, "--yes")
            finally:
                await member.aclose()

    code, _, errors = asyncio.run(beside())
    assert code == 1
    assert "app 'shop' is at work: its group has the members " in errors and "Stop them there first" in errors
    assert (shop / "shop-data/state/shop").exists()
    assert amount(call) == [45]


def test_what_is_not_allowed_is_named(shop: Path, call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    rules = {
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "allow.everyone.if.no.acl.found": "true",
    }
    with broker_embedded.running(config=rules) as broker:
        monkeypatch.setenv("STREAMS_BROKER", f"kafka://{broker.bootstrap_servers}")
        assert amount(call) == [45]
        deny = ["--deny-principal", "User:ANONYMOUS", "--operation", "Delete", "--topic", "shop-total-changelog"]
        assert call("acls", "add", *deny)[0] == 0
        code, _, errors = call("reset", "shop:app", "--yes")
    assert code == 1
    assert "topic 'shop-total-changelog': not authorised" in errors
    assert "A reset takes Describe and Read of the group 'shop'" in errors


@pytest.mark.parametrize(("answer", "code", "left"), [("y\n", 0, False), ("n\n", 1, True), ("", 2, True)])
def test_it_asks(shop: Path, call: Call, answer: str, code: int, left: bool) -> None:
    assert amount(call) == [45]
    done = subprocess.run([STREAMS, "reset", "shop:app"], cwd=shop, input=answer, capture_output=True, text=True)
    assert (done.returncode, (shop / "shop-data/state/shop").exists()) == (code, left)
    assert "Remove all of this? [y/N]:" in done.stderr
    assert ("there is nobody to ask: say --yes" in done.stderr) == (code == 2)


def test_nothing_to_remove(shop: Path, call: Call) -> None:
    assert call("reset", "shop:app")[:2] == (0, "shop has nothing to remove in ./shop-data\n")


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (
            ["--store", "totle"],
            1,
            "no store 'totle' to remove. Did you mean 'total'? There are prices, sizes,",
        ),
        (["--store", "total", "--sources"], 2, "--store removes one store only"),
        (["--data-dir", ""], 2, "--data-dir=''"),
    ],
)
def test_what_it_does_not_do(call: Call, arguments: list[str], code: int, message: str) -> None:
    found, _, errors = call("reset", "shop:app", *arguments)
    assert (found, message in errors) == (code, True), errors


def test_other_apps_in_the_folder_keep_what_is_theirs(shop: Path, call: Call) -> None:
    assert amount(call) == [45]
    other = SHOP.replace('"shop"', '"shop-eu", data_dir="./shop-data"').replace("position=0", "position=10")
    (shop / "shop_eu.py").write_text(other)
    assert call("worker", "shop_eu:app", "--until-end", "-l", "error")[0] == 0
    _, said, _ = call("reset", "shop:app", "--yes")
    assert "shop-eu" not in said
    _, said, _ = call("reset", "shop_eu:app", "--dry-run")
    assert "topic shop-eu-total-changelog" in said and "folder shop-data/state/shop-eu" in said


def test_a_crash_in_a_commit_does_not_hold_it_up(shop: Path, call: Call) -> None:
    program = (
        "import os, sys; from streams.runtime.steps import on_step; from streams.cli import main\n"
        "on_step(lambda step: step == 'commit: end transaction' and os._exit(7))\n"
        "main(['worker', 'shop:app'])"
    )
    assert subprocess.run([sys.executable, "-c", program], cwd=shop, capture_output=True).returncode == 7
    assert call("reset", "shop:app", "--yes")[0] == 0
    assert amount(call) == [45]


def test_a_folder_in_use_says_by_whom(shop: Path, call: Call) -> None:
    with subprocess.Popen([STREAMS, "worker", "shop:app"], cwd=shop, stderr=subprocess.PIPE, text=True) as holder:
        assert holder.stderr is not None
        while "worker   " not in holder.stderr.readline():
            pass
        code, _, errors = call("reset", "shop:app", "--yes")
        assert code == 1
        assert f"is in use by process {holder.pid} (streams worker shop:app) since " in errors
        assert "or give this one a folder of its own (data_dir)" in errors
        assert "Traceback" not in errors
        holder.terminate()
        holder.stderr.read()
    assert holder.returncode == 0
    assert amount(call) == [45]
    assert os.listdir(shop / "shop-data" / "state") == ["shop"]
