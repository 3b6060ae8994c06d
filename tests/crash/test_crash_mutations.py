"""The proof fails where it should: with the steps of a commit in another order, or one outside of the transaction."""

from __future__ import annotations

import pytest
from conftest import Life
from crash_compare import assert_same

from streams.testing.contents import Contents


@pytest.mark.parametrize("mutation", ["stores first", "offsets apart"])
def test_a_wrong_commit_is_found_out(mutation: str, life: Life, undisturbed: Contents) -> None:
    """Local stores written before the transaction: their changes are counted twice. Offsets apart: records are lost."""
    life.die_at("commit: end transaction", 6, CRASH_MUTATION=mutation)
    contents = life.finish()
    with pytest.raises(AssertionError, match="differ"):
        assert_same(contents, undisturbed)


@pytest.mark.parametrize("mutation", ["none", "stores first", "offsets apart"])
def test_without_a_crash_nothing_is_wrong(mutation: str, life: Life, undisturbed: Contents) -> None:
    """It takes a crash between two steps to tell these commits from the right one."""
    assert life.run(environment={"CRASH_MUTATION": mutation}).code == 0
    assert_same(life.finish(), undisturbed)
