"""`streams broker`, and the commands beside it, as processes: signals, exit codes, what goes to which output."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import pytest

import broker_embedded
from streams.cli.server_properties import plan

STREAMS = str(Path(sys.executable).parent / "streams")

# As Apache Kafka 4.3 is distributed, but for its comments.
DISTRIBUTED = """
process.roles=broker,controller
node.id=1
controller.quorum.bootstrap.servers=localhost:9093
listeners=PLAINTEXT://:9092,CONTROLLER://:9093
inter.broker.listener.name=PLAINTEXT
advertised.listeners=PLAINTEXT://localhost:9092,CONTROLLER://localhost:9093
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT,SASL_SSL:SASL_SSL
num.network.threads=3
num.io.threads=8
socket.send.buffer.bytes=102400
socket.receive.buffer.bytes=102400
socket.request.max.bytes=104857600
log.dirs=/tmp/kraft-combined-logs
num.partitions=1
num.recovery.threads.per.data.dir=1
offsets.topic.replication.factor=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
log.retention.hours=168
log.segment.bytes=1073741824
log.retention.check.interval.ms=300000
"""


@contextmanager
def started(folder: Path, *words: str, **options: Any) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [STREAMS, *words],
        cwd=folder,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )
    with process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()


def call(folder: Path, *words: str, **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run([STREAMS, *words], cwd=folder, capture_output=True, text=True, **options)


def until(lines: IO[str] | None, text: str) -> list[str]:
    """Read up to the line that has `text`."""
    assert lines is not None
    found = []
    for line in lines:
        found.append(line)
        if text in line:
            return found
    raise AssertionError("".join(found))


def ready(broker: subprocess.Popen[str]) -> dict[str, str]:
    """What a broker with --json says when it listens."""
    assert broker.stdout is not None
    line = broker.stdout.readline()
    assert line, broker.stderr and broker.stderr.read()
    found: dict[str, str] = json.loads(line)
    return found


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_broker_says_where_it_is_and_stops_cleanly(tmp_path: Path, number: signal.Signals) -> None:
    with started(tmp_path, "broker", "--port", "0", "--data", "log") as broker:
        banner = "".join(until(broker.stderr, "topics  "))
        broker.send_signal(number)
        out, err = broker.communicate()
    assert broker.returncode == (130 if number == signal.SIGINT else 0)
    assert "streams-engine " in banner and f"pid {broker.pid}" in banner and str(tmp_path / "log") in banner
    assert "listening  127.0.0.1:" in banner and ":0" not in banner
    assert (out, err) == ("", "")


@pytest.mark.slow
def test_commands_beside_a_broker_find_it_by_its_folder(tmp_path: Path) -> None:
    with started(tmp_path, "broker", "--port", "0", "--json") as broker:
        said = ready(broker)
        assert said["data"] == str(tmp_path / "broker-data")
        assert call(tmp_path, "topics", "create", "flights").returncode == 0
        at = ("--bootstrap-server", said["bootstrap_servers"])
        assert call(tmp_path, "topics", "list", "--exclude-internal", *at).stdout == "flights\n"

        second = call(tmp_path, "broker", "--port", "0")
        assert second.returncode == 1
        assert f"process {broker.pid}" in second.stderr and f"reach it at {said['bootstrap_servers']}" in second.stderr

        port = said["bootstrap_servers"].rpartition(":")[2]
        taken = call(tmp_path, "broker", "--port", port, "--data", "other")
        assert taken.returncode == 1 and f"127.0.0.1:{port}: another program listens there" in taken.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--host", "192.0.2.1"], "PLAINTEXT://192.0.2.1:0: this machine has no such address."),
        (["--host", "nowhere.invalid"], "PLAINTEXT://nowhere.invalid:0: this machine has no such address."),
        (["--data", "file"], "data folder file: [Errno 17] File exists: "),
    ],
    ids=["address", "name", "folder"],
)
def test_a_start_that_fails_is_explained(words: list[str], message: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    failed = call(tmp_path, "broker", "--port", "0", *words)
    assert failed.returncode == 1 and message in failed.stderr


def test_a_second_signal_ends_at_once(tmp_path: Path) -> None:
    slow = "import signal, time, broker_embedded.broker as b\n"
    slow += "async def stop(self):\n    print('stopping', flush=True)\n    time.sleep(60)\n"
    slow += "b.Broker.stop = stop\nfrom streams.cli import main\nmain(['broker', '--port', '0', '--data', 'log'])\n"
    command = [sys.executable, "-c", slow]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as broker:
        until(broker.stderr, "topics  ")
        broker.send_signal(signal.SIGTERM)
        until(broker.stdout, "stopping")
        broker.send_signal(signal.SIGTERM)
        broker.communicate()
    assert broker.returncode == -signal.SIGTERM


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["--override", "num.partitons=4"],
            "num.partitons is not a setting of the broker; did you mean num.partitions?",
        ),
        (["--override", "num.partitions"], "--override 'num.partitions': give it as NAME=VALUE."),
        (["--override", "num.partitions=many"], "num.partitions"),
        (["--override", "listeners=9092"], "listeners: '9092' is not NAME://host:port"),
        (["--override", "listeners=IN://:0"], "listener IN has no security protocol"),
        (["--override", "listeners=SSL://:0"], "no certificate: set ssl.keystore.location"),
        (["--override", "listeners=PLAINTEXT://:0", "--port", "9"], "leave out --host and --port"),
        (["--override", "log.dirs=one,two"], "this broker has one folder; name it with --data"),
        (["--config", "nowhere.properties"], "File 'nowhere.properties' does not exist"),
        (["--port", "70000"], "70000 is not in the range"),
        (["--log-level", "loud"], "'loud' is not one of"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_settings_are_explained(
    words: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.streams.cli.transcripts import call as call_here

    monkeypatch.chdir(tmp_path)
    printed = call_here(["broker", *words])
    assert printed.code == 2 and message in printed.err
    assert not list(tmp_path.iterdir())


def test_other_machines_are_warned_of(tmp_path: Path) -> None:
    with started(tmp_path, "broker", "--host", "0.0.0.0", "--port", "0") as broker:
        said = "".join(until(broker.stderr, "topics  "))
    assert said.count("takes connections from other machines") == 1
    assert f"(PLAINTEXT), which clients are told is {socket.gethostname()}:" in said


@pytest.mark.slow
def test_properties_of_kafkas_distribution_work_as_they_are(tmp_path: Path) -> None:
    text = DISTRIBUTED.replace("/tmp/kraft-combined-logs", "logs").replace(":9092", ":0")
    (tmp_path / "server.properties").write_text(text)
    with started(tmp_path, "broker", "--config", "server.properties", "--json", "-l", "error") as broker:
        said = ready(broker)
        address = said["bootstrap_servers"].replace("localhost", "127.0.0.1")  # the same port whatever the address
        at = ("--bootstrap-server", address)
        described = call(tmp_path, "configs", "describe", "broker", "1", "--json", *at)
        configs = {row["name"]: row["value"] for row in map(json.loads, described.stdout.splitlines())}
    assert said["data"] == str(tmp_path / "logs")
    assert said["bootstrap_servers"].startswith("localhost:")
    assert (configs["log.retention.hours"], configs["listeners"]) == ("168", "PLAINTEXT://:0"), described.stderr


@pytest.mark.parametrize(
    ("properties", "flags", "folder", "listeners"),
    [
        ({}, {}, "broker-data", "PLAINTEXT://127.0.0.1:9092"),
        ({}, {"host": "0.0.0.0", "port": 0, "data": "here"}, "here", "PLAINTEXT://0.0.0.0:0"),
        ({"log.dir": "old"}, {}, "old", "PLAINTEXT://127.0.0.1:9092"),
        ({"log.dir": "old", "log.dirs": "new"}, {}, "new", "PLAINTEXT://127.0.0.1:9092"),
        ({"log.dirs": "one,two"}, {"data": "here"}, "here", "PLAINTEXT://127.0.0.1:9092"),
        ({"listeners": "A://:1, B://:2", "controller.listener.names": "b"}, {}, "broker-data", "A://:1"),
        (
            {"listeners": "B://:2", "controller.listener.names": "B"},
            {"port": 5},
            "broker-data",
            "PLAINTEXT://127.0.0.1:5",
        ),
    ],
)
def test_flags_and_settings_make_a_plan(
    properties: Mapping[str, str], flags: Mapping[str, Any], folder: str, listeners: str
) -> None:
    found = plan(properties, **{"host": None, "port": None, "data": None, **flags})
    assert (str(found.data_dir), found.properties["listeners"]) == (folder, listeners)


def test_the_log_of_an_app_is_served_by_the_apps_folder(tmp_path: Path) -> None:
    (tmp_path / "shop-data" / "log").mkdir(parents=True)
    (tmp_path / "shop-data" / "log" / "meta.properties").touch()
    found = plan({}, host=None, port=None, data=str(tmp_path / "shop-data"))
    assert found.data_dir == tmp_path / "shop-data" / "log"


@pytest.fixture(scope="module")
def flights(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder in which a broker has its data, with a topic, `flights`, of three records."""
    folder = tmp_path_factory.mktemp("flights")
    (folder / "broker-data").mkdir()
    with broker_embedded.running(folder / "broker-data"):
        done = call(folder, "produce", "flights", input="one\ntwo\nthree\n")
        assert done.stderr.endswith("3 records written to flights\n")
        yield folder


@pytest.mark.parametrize(
    ("number", "code", "is_member"),
    [
        pytest.param(signal.SIGINT, 130, False, id="SIGINT-alone"),
        pytest.param(signal.SIGTERM, 143, True, id="SIGTERM-member"),
        pytest.param(signal.SIGINT, 130, True, id="SIGINT-member", marks=pytest.mark.slow),
        pytest.param(signal.SIGTERM, 143, False, id="SIGTERM-alone", marks=pytest.mark.slow),
    ],
)
def test_consume_says_how_many_when_it_is_stopped(
    flights: Path, number: signal.Signals, code: int, is_member: bool
) -> None:
    membership = ("--group", number.name) if is_member else ()
    with started(flights, "consume", "flights", "--from-beginning", *membership) as reader:
        until(reader.stdout, "three")
        reader.send_signal(number)
        _, err = reader.communicate()
    assert reader.returncode == code and "3 records read\n" in err and "Traceback" not in err
    if is_member:
        described = call(flights, "groups", "describe", number.name, "--json").stdout
        assert json.loads(described)["offsets"][0]["offset"] == 3


def test_consume_ends_when_nobody_reads_it(flights: Path) -> None:
    line = f"{STREAMS} consume flights --from-beginning | head -1"
    done = subprocess.run(["bash", "-c", line], cwd=flights, capture_output=True, text=True)
    assert done.stdout == "one\n" and "Traceback" not in done.stderr and "Exception" not in done.stderr


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), pytest.param(signal.SIGTERM, 143, marks=pytest.mark.slow)]
)
def test_produce_can_be_interrupted_while_it_waits_for_input(flights: Path, number: signal.Signals, code: int) -> None:
    topic = f"typed-{number.name}"
    with started(flights, "produce", topic) as writer:
        assert writer.stdin is not None
        until(writer.stderr, "Created topic")
        writer.stdin.write("hello\n")
        writer.stdin.flush()
        assert call(flights, "consume", topic, "--from-beginning", "--max-messages", "1").stdout == "hello\n"
        writer.send_signal(number)
        err = writer.communicate()[1]
    assert writer.returncode == code and f"1 records written to {topic}\n" in err and "Traceback" not in err


def test_bytes_come_out_as_they_went_in(flights: Path) -> None:
    lines = bytes(range(1, 10)) + bytes(range(11, 13)) + bytes(range(14, 256)) + b"\n"
    subprocess.run([STREAMS, "produce", "raw"], cwd=flights, input=lines, check=True, capture_output=True)
    done = subprocess.run([STREAMS, "consume", "raw", "--until-end"], cwd=flights, check=True, capture_output=True)
    assert done.stdout == lines


def test_a_prompt_stands_on_a_terminal_only(flights: Path) -> None:
    import pty

    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [STREAMS, "produce", "typed"], cwd=flights, stdin=theirs, stderr=subprocess.PIPE, text=True
    ) as writer:
        os.close(theirs)
        until(writer.stderr, "Created topic")
        os.write(ours, b"hello\n\x04")
        _, err = writer.communicate()
    os.close(ours)
    assert err == ">>1 records written to typed\n"
