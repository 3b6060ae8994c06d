"""Our command line: what it says beside our broker it says beside Apache Kafka, session by session."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.interop.targets import Broker
from tests.streams.cli.transcripts import play

SESSIONS = sorted((Path(__file__).parent.parent / "streams" / "cli" / "sessions").glob("*.txt"))


@pytest.mark.slow  # with our broker these are the tests of the command line themselves
@pytest.mark.parametrize("session", SESSIONS, ids=lambda path: path.stem)
def test_session(session: Path, target: Broker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "client.properties").write_text("security.protocol=PLAINTEXT\n")
    (tmp_path / "wrong.properties").write_text("security.protocl=PLAINTEXT\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STREAMS_BROKER", target.bootstrap)
    play(session, target.bootstrap)
