"""Which broker a command means when the command line says it, the environment does, or nothing does."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from broker_embedded import BrokerConfig, RunningBroker, running
from streams.cli.reaching import Reach
from tests.streams.cli.transcripts import call


@pytest.fixture(autouse=True)
def nothing_is_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("STREAMS_BROKER", "STREAMS_DATA_DIR"):
        monkeypatch.delenv(name, raising=False)


def log_folder(folder: Path, *, topic: str | None = None) -> Path:
    """A folder with a broker's log, with a topic in it; nobody serves it."""
    folder.mkdir(parents=True)
    with running(folder, config=BrokerConfig()) as broker:
        if topic is not None:
            assert call(["topics", "create", topic, "--bootstrap-server", broker.bootstrap_servers]).code == 0
    return folder


@pytest.fixture
def served(tmp_path: Path) -> Iterator[RunningBroker]:
    """A broker over ./served."""
    folder = tmp_path / "served"
    folder.mkdir()
    with running(folder) as broker:
        assert call(["topics", "create", "of-served", "--bootstrap-server", broker.bootstrap_servers]).code == 0
        yield broker


def topics(*words: str) -> str:
    printed = call(["topics", "list", "--exclude-internal", *words])
    assert printed.code == 0, printed.err
    return printed.out.decode()


def test_the_only_data_folder_here_is_meant(tmp_path: Path) -> None:
    log_folder(tmp_path / "shop-data" / "log", topic="orders")
    assert topics() == "orders\n"


def test_of_several_the_one_that_is_served_is_meant(served: RunningBroker, tmp_path: Path) -> None:
    log_folder(tmp_path / "old-data")
    assert topics() == "of-served\n"


def test_the_working_folder_itself_may_be_one(served: RunningBroker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(served.data_dir)
    assert topics() == "of-served\n"


def test_several_data_folders_have_to_be_told_apart(tmp_path: Path) -> None:
    for name in ("one", "two"):
        log_folder(tmp_path / name, topic=name)
    printed = call(["topics", "list"])
    assert printed.code == 2 and "several data folders (one, two): say which broker with" in printed.err
    assert topics("--data-dir", "two") == "two\n"


def test_of_many_data_folders_a_few_are_named(tmp_path: Path) -> None:
    for number in range(8):
        (tmp_path / f"data-{number}").mkdir()
        (tmp_path / f"data-{number}" / "meta.properties").touch()

    assert "data-3, data-4, and 3 more): say which" in call(["topics", "list"]).err


def test_nothing_here_is_said(tmp_path: Path) -> None:
    printed = call(["groups", "list"])
    assert printed.code == 2
    assert f"there is no data folder in {tmp_path}: say which broker with --bootstrap-server" in printed.err


def test_a_folder_that_is_none_is_not_made_into_one(tmp_path: Path) -> None:
    printed = call(["topics", "list", "--data-dir", "elsewhere"])
    assert printed.code == 2 and "elsewhere is no data folder" in printed.err
    assert not (tmp_path / "elsewhere").exists()


def test_the_environment_names_a_broker_or_a_folder(
    served: RunningBroker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log_folder(tmp_path / "elsewhere" / "log", topic="of-elsewhere")
    for address in (served.bootstrap_servers, f"kafka://{served.bootstrap_servers}"):
        monkeypatch.setenv("STREAMS_BROKER", address)
        assert topics() == "of-served\n"
    monkeypatch.setenv("STREAMS_BROKER", "embedded")
    monkeypatch.setenv("STREAMS_DATA_DIR", str(tmp_path / "elsewhere"))
    assert topics() == "of-elsewhere\n"


def test_flags_win_over_the_environment(served: RunningBroker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log_folder(tmp_path / "elsewhere" / "log", topic="of-elsewhere")
    monkeypatch.setenv("STREAMS_BROKER", served.bootstrap_servers)
    assert topics("--data-dir", "elsewhere") == "of-elsewhere\n"
    monkeypatch.setenv("STREAMS_BROKER", "127.0.0.1:1")
    assert topics("--bootstrap-server", served.bootstrap_servers) == "of-served\n"


def test_settings_of_the_connection_go_with_an_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "client.properties").write_text(
        "security.protocol=SASL_PLAINTEXT\nsasl.mechanism=PLAIN\n"
        'sasl.jaas.config=org.example.PlainLoginModule required username="ada" \\\n  password="difference";\n'
    )
    file = str(tmp_path / "client.properties")
    monkeypatch.setenv("STREAMS_BROKER", "kafka.example.org:9092")
    assert Reach(command_config=file).settings() == {
        "broker": "kafka://kafka.example.org:9092",
        "security.protocol": "SASL_PLAINTEXT",
        "sasl.mechanism": "PLAIN",
        "sasl.username": "ada",
        "sasl.password": "difference",
    }
    monkeypatch.delenv("STREAMS_BROKER")
    with pytest.raises(click.UsageError, match="goes with --bootstrap-server"):
        Reach(command_config=file).settings()
