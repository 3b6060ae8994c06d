"""Every command for a broker, with every flag: what goes in and what comes out. `sessions/` says it, line by line."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click
import pytest

import broker_embedded
from broker_embedded import BrokerConfig
from streams.cli import streams
from streams.cli.kafka_style import KafkaStyleGroup
from tests.streams.cli.transcripts import play, steps

SESSIONS = sorted((Path(__file__).parent / "sessions").glob("*.txt"))
COMMANDS = ("topics", "produce", "consume", "groups", "configs", "acls")
CONFIG = BrokerConfig.from_properties(
    {
        "group.initial.rebalance.delay.ms": "0",
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "allow.everyone.if.no.acl.found": "true",
    }
)
WHERE = {"--bootstrap-server", "--data-dir", "--command-config"}  # of every command; `test_reaching.py` has them


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with broker_embedded.running(config=CONFIG) as broker:
        yield broker.bootstrap_servers


@pytest.mark.parametrize("session", SESSIONS, ids=lambda path: path.stem)
def test_session(session: Path, address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "client.properties").write_text("security.protocol=PLAINTEXT\n")
    (tmp_path / "wrong.properties").write_text("security.protocl=PLAINTEXT\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STREAMS_BROKER", address)
    play(session, address)


def leaves() -> dict[str, click.Command]:
    found = {}
    for name in COMMANDS:
        command = streams.get_command(click.Context(streams), name)
        assert command is not None
        subs = command.commands if isinstance(command, click.Group) else {"": command}
        found |= {f"{name} {sub}".strip(): leaf for sub, leaf in subs.items()}
    return found


def used() -> dict[str, set[str]]:
    """The flags that the sessions give to each command."""
    found: dict[str, set[str]] = {name: set() for name in leaves()}
    actions = {f"--{name.partition(' ')[2]}": name.partition(" ")[2] for name in found} | KafkaStyleGroup.KAFKA_NAMES
    for session in SESSIONS:
        for step in steps(session.read_text(encoding="utf-8")):
            command, *rest = step.words
            flags = {word for word in rest if word.startswith("--")}
            action = next((actions[word] for word in rest if word in actions), rest[0] if rest else "")
            name = command if command in found else f"{command} {action}"
            if name in found:
                found[name] |= flags
    return found


@pytest.mark.parametrize(("name", "command"), leaves().items(), ids=str)
def test_every_flag_is_in_a_session(name: str, command: click.Command) -> None:
    flags = [set(option.opts) for option in command.params if isinstance(option, click.Option)]
    assert not [names for names in flags if not names & used()[name] and not names & WHERE]
