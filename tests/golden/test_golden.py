"""The cases of this folder, each against what its file says (README.md)."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import unified_diff
from pathlib import Path

import pytest

from tests.golden.case import Case

FOLDER = Path(__file__).parent
CASES = sorted(FOLDER.rglob("*.txt"))


def name(path: Path) -> str:
    return path.relative_to(FOLDER).with_suffix("").as_posix()


@pytest.fixture
def rewrite(request: pytest.FixtureRequest) -> bool:
    return bool(request.config.getoption("--rewrite-golden"))


def compare(case: Case, outcomes: list[list[str]], who: str) -> None:
    said, found = case.path.read_text(encoding="utf-8"), case.text(outcomes)
    diff = unified_diff(said.splitlines(), found.splitlines(), "the file", who, lineterm="")
    if found != said:
        pytest.fail("\n".join([f"{case.title} ({case.said('source')})", *diff]), pytrace=False)


@pytest.mark.parametrize("path", CASES, ids=name)
def test_case(path: Path, rewrite: bool) -> None:
    case = Case.read(path)
    assert case.said("source"), "a case says where its rule is from"
    outcomes = case.run()
    ours = case.said("source").startswith("ours")
    if rewrite and (ours or case.kafka):
        path.write_text(case.text(outcomes if ours else case.with_what_is_ours(outcomes)), encoding="utf-8")
        if not ours:
            return  # Kafka is asked below
        case = Case.read(path)
    compare(case, outcomes, "what came")


@pytest.fixture(scope="module")
def kafka() -> Iterator[object]:
    from tests.interop.java_needed import require_java

    require_java()
    from tests.interop.kafka_streams.kafka import KafkaStreams

    with KafkaStreams() as opened:
        yield opened


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("path", [path for path in CASES if Case.read(path).kafka], ids=name)
def test_kafka_says_the_same(path: Path, kafka: object, rewrite: bool) -> None:
    from tests.golden.kafka_answers import outcomes

    case = Case.read(path)
    found = outcomes(case, kafka)  # type: ignore[arg-type]
    if rewrite:
        path.write_text(case.text(found), encoding="utf-8")
    compare(case, found, "Kafka Streams")
