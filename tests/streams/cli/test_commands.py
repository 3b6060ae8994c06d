"""The commands as users run them: processes, exit codes, what goes to which output."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from streams.cli import run

STREAMS = str(Path(sys.executable).parent / "streams")

SHOP = """
import streams

app = streams.App("shop", commit_interval_ms=100)
orders = app.topic("orders", key_type=str, value_type=int)
total = app.Table("total", key_type=str, value_type=int, default=int)

@app.source(orders)
def tills(position=0):
    for n in range(position, 10):
        yield streams.Position(n + 1), "ann", n

@app.agent(orders)
async def add(stream):
    async for key, amount in stream.items():
        total[key] += amount {fault}

@app.report
def totals():
    return [{{"customer": key, "amount": amount}} for key, amount in total.items()]

if __name__ == "__main__":
    app.main()
"""


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    (tmp_path / "shop.py").write_text(SHOP.format(fault=""))
    return tmp_path


def call(folder: Path, *arguments: str, program: str = STREAMS, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, **variables}
    return subprocess.run([program, *arguments], cwd=folder, env=environment, capture_output=True, text=True)


def test_worker_shows_its_work_on_standard_error_only(shop: Path) -> None:
    done = call(shop, "worker", "shop:app", "--until-end")
    assert (done.returncode, done.stdout) == (0, "")
    assert "app      shop" in done.stderr and "customer  amount\nann           45\n" in done.stderr


def test_worker_writes_the_last_report_to_standard_output_with_json(shop: Path) -> None:
    for _ in range(2):  # the second run finds nothing left to do
        done = call(shop, "worker", "shop:app", "--until-end", "--json", "-l", "error")
        assert (done.returncode, done.stderr) == (0, "")
        assert json.loads(done.stdout) == {"report": "totals", "customer": "ann", "amount": 45}


def test_worker_that_fails_says_where_and_exits_with_1(shop: Path) -> None:
    (shop / "shop.py").write_text(SHOP.format(fault="+ 1 // (amount - 5)"))
    done = call(shop, "worker", "shop:app", "--until-end")
    assert (done.returncode, done.stdout) == (1, "")
    assert "ZeroDivisionError" in done.stderr and "orders-0 @ 5" in done.stderr and "shop.py:16 in add" in done.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_worker_ends_cleanly_on_a_signal(shop: Path, number: signal.Signals) -> None:
    command = [STREAMS, "worker", "shop:app"]
    said = []
    with subprocess.Popen(command, cwd=shop, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        for line in process.stderr:
            said.append(line)
            if "worker   " in line:  # the last line of the banner
                process.send_signal(number)
    assert process.returncode == (130 if number == signal.SIGINT else 0)
    assert any("stopped by a signal" in line for line in said)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["worker"], "Missing argument 'APP'"),
        (["worker", "nowhere:app"], "there is no module 'nowhere'"),
        (["worker", "shop:missing"], "the module has no 'missing'"),
        (["worker", "shop:orders"], "shop:orders is Topic, not an App"),
        (["worker", "shop.py"], "name the module: shop:app"),
        (["worker", "shop:app", "--commit-interval-ms", "0"], "--commit-interval-ms='0'"),
        (["worker", "shop:app", "--no-such-flag"], "No such option"),
        (["workre", "shop:app"], "No such command 'workre'. Did you mean 'worker'?"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_usage_is_explained_and_exits_with_2(
    shop: Path, arguments: list[str], message: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(shop)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.delitem(sys.modules, "shop", raising=False)
    code = run(arguments)
    output = capsys.readouterr()
    assert (code, output.out) == (2, "")
    assert message in output.err


@pytest.mark.parametrize("name", ["state.py", "streams.py", "broker_embedded.py", "state/__init__.py"])
def test_a_file_with_the_name_of_our_package_is_reported(shop: Path, name: str) -> None:
    namesake = shop / name
    namesake.parent.mkdir(exist_ok=True)
    namesake.write_text("")
    done = call(shop, "worker", "shop:app", "--until-end")
    assert done.returncode == 2
    assert str(namesake) in done.stderr and "Rename yours" in done.stderr


def test_a_file_with_the_name_of_our_package_is_reported_by_the_app_itself(tmp_path: Path) -> None:
    (tmp_path / "state.py").write_text("")
    (tmp_path / "small.py").write_text("import streams\n\napp = streams.App('small')\napp.main()\n")
    done = call(tmp_path, "small.py", "topology", program=sys.executable)
    assert done.returncode == 2
    assert str(tmp_path / "state.py") in done.stderr and "Rename yours" in done.stderr


def test_an_app_that_does_not_import_shows_the_users_lines_only(shop: Path) -> None:
    (shop / "shop.py").write_text("import streams\n\n1 / 0\n")
    done = call(shop, "worker", "shop:app")
    assert done.returncode == 1
    assert "ZeroDivisionError" in done.stderr and 'shop.py", line 3' in done.stderr
    assert "importlib" not in done.stderr and "loading.py" not in done.stderr


def test_an_error_of_ours_in_an_app_shows_the_users_lines_only(shop: Path) -> None:
    done = call(shop, "worker", "shop:app", STREAMS_COMMIT_INTERVAL_MS="soon")
    assert done.returncode == 1
    assert "STREAMS_COMMIT_INTERVAL_MS='soon'" in done.stderr and 'shop.py", line 4' in done.stderr
    assert "config.py" not in done.stderr and "app.py" not in done.stderr


def test_an_app_that_misses_a_module_is_not_taken_for_a_wrong_name(shop: Path) -> None:
    (shop / "shop.py").write_text("import nowhere\n")
    done = call(shop, "worker", "shop:app")
    assert done.returncode == 1
    assert "ModuleNotFoundError: No module named 'nowhere'" in done.stderr


def test_config_show_tells_the_origin_of_each_value(shop: Path) -> None:
    done = call(shop, "config", "show", "shop:app", "--json", STREAMS_LOG_LEVEL="debug")
    shown = {row["name"]: (row["value"], row["origin"]) for row in map(json.loads, done.stdout.splitlines())}
    assert shown["log_level"] == ("debug", "environment")
    assert shown["commit_interval_ms"] == (100, "code")
    assert shown["store"] == ("rocksdb", "default")


@pytest.mark.parametrize("command", ["topology", "explain"])
def test_a_topology_that_does_not_fit_together_is_told_in_a_line(shop: Path, command: str) -> None:
    (shop / "loop.py").write_text(
        "import streams\napp = streams.App('loop')\nnames = app.topic('names')\nnames.stream().peek(print).to(names)\n"
    )
    done = call(shop, command, "loop:app")
    assert done.returncode == 1 and done.stdout == ""
    assert done.stderr.startswith(f"Error: to at {shop / 'loop.py'}:4: each record of topic 'names'")
    assert done.stderr.count("\n") == 1


def test_topology_needs_no_broker(shop: Path) -> None:
    done = call(shop, "topology", "shop:app")
    assert done.returncode == 0 and "Sub-topology: 0" in done.stdout
    assert not (shop / "shop-data").exists()


def test_a_program_is_its_own_command_line(shop: Path) -> None:
    done = call(shop, "shop.py", "worker", "--until-end", "--json", "-l", "error", program=sys.executable)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["amount"] == 45


def test_explain_says_which_form_runs_and_why(shop: Path) -> None:
    done = call(shop, "explain", "shop:app")
    assert done.returncode == 0, done.stderr
    assert "a batch at a time" in done.stdout and "rows" in done.stdout


def test_explain_says_compiled_only_of_what_would_be(shop: Path) -> None:
    done = call(
        shop.parent,
        "explain",
        "examples.flights:app",
        STREAMS_COMPILED="off",
        PYTHONPATH=str(Path(__file__).parents[3]),
    )
    assert done.returncode == 0, done.stderr
    assert " could be compiled: columns to JSON" in done.stdout and "  compiled: " not in done.stdout
