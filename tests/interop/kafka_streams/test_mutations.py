"""The mistakes that are put into our code for the oracle to catch are about code that is there."""

from __future__ import annotations

import pytest

from tests.interop.kafka_streams.mutations import MUTATIONS, ROOT, Mutation


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_what_a_mistake_replaces_stands_once(mutation: Mutation) -> None:
    assert (ROOT / mutation.file).read_text(encoding="utf-8").count(mutation.old) == 1
