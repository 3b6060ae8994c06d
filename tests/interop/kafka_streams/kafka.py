"""Kafka Streams itself, asked what it answers to a case: a JVM with TopologyTestDriver in it, one for all cases."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Any

from tests.interop import apache_kafka

ARTIFACTS = ("kafka-streams-test-utils",)
_QUIET = ("-Dorg.slf4j.simpleLogger.defaultLogLevel=error",)
_TIMEOUT_S = 60


class KafkaStreams:
    """A context: `ask` gives the answer to a case. README.md says what both hold."""

    def __enter__(self) -> KafkaStreams:
        self._folder = Path(tempfile.mkdtemp(prefix="kafka-streams-"))
        self._java = apache_kafka.Java(
            "Oracle",
            str(self._folder / "state"),
            log=self._folder / "log",
            options=(*_QUIET, *apache_kafka.QUICK),
            jars=apache_kafka.class_path(Path(__file__).parent / "java", ARTIFACTS),
        )
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._java.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    def ask(self, case: dict[str, Any]) -> dict[str, Any]:
        """Raises RuntimeError with the end of Kafka's log when it does not answer."""
        self._java.write(json.dumps(case))
        answer: dict[str, Any] = json.loads(self._java.read(_TIMEOUT_S))
        return answer

    def ask_all(self, cases: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
        return [self.ask(case) for case in cases]
