"""The proof fails where it should: with the steps of a commit in another order, or one outside of the transaction."""

from __future__ import annotations

import pytest
from conftest import NewLife, Undisturbed
from crash_compare import assert_nothing_wiped, assert_same

FOUND_OUT = {
    "stores first": "changelog no longer knows as committed",
    "stores first, and no look at starts": "differ: ",
    "offsets apart": "differ: .*topic large",
}
"""Local stores written before the transaction are ahead of the log after a crash between the two. A start sees that and
builds them anew, from the beginning; one that does not look counts changes twice. Offsets apart, and records are lost.
"""


@pytest.mark.parametrize("mutation", FOUND_OUT)
def test_a_wrong_commit_is_found_out(mutation: str, new_life: NewLife, undisturbed: Undisturbed) -> None:
    life = new_life(CRASH_MUTATION=mutation)
    life.die_at("commit: end transaction", 6)
    contents = life.finish()
    with pytest.raises(AssertionError, match=FOUND_OUT[mutation]):
        assert_same(contents, undisturbed.contents)
        assert_nothing_wiped(life.runs)


@pytest.mark.slow
@pytest.mark.parametrize("mutation", FOUND_OUT)
def test_it_takes_a_crash_to_tell(mutation: str, new_life: NewLife, undisturbed: Undisturbed) -> None:
    life = new_life(CRASH_MUTATION=mutation)
    assert_same(life.finish(), undisturbed.contents)
    assert_nothing_wiped(life.runs)
