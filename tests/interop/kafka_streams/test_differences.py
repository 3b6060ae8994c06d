"""The differences that the oracle allows are those that the docs tell users, and none is for nothing."""

from __future__ import annotations

import re
from pathlib import Path

from tests.interop.kafka_streams.differences import DIFFERENCES

PAGE = Path(__file__).parents[3] / "docs" / "explanation" / "differences.md"


def test_the_docs_have_each() -> None:
    told = re.findall(r"^\| (D\d+) \|", PAGE.read_text(), flags=re.M)
    assert {difference.id for difference in DIFFERENCES} <= set(told)


def test_each_says_what_it_allows() -> None:
    for difference in DIFFERENCES:
        assert difference.reason
        assert difference.asked or difference.allows or difference.behind, difference.id
