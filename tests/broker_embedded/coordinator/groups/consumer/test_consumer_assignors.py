"""Assignors: every partition of a topic that is read has one reader, loads are level, and little moves."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker_embedded.coordinator.groups.consumer.assignors import ASSIGNORS, AssignmentRequest, Reader
from broker_embedded.coordinator.groups.consumer.member import NOTHING, Partitions

A, B, C = (UUID(int=number) for number in (1, 2, 3))
LETTERS = {A: "a", B: "b", C: "c"}
TOPICS = {letter: topic for topic, letter in LETTERS.items()}


def run(assignor: str, readers: Mapping[str, Reader], counts: Mapping[UUID, int]) -> Mapping[str, Partitions]:
    return ASSIGNORS[assignor](AssignmentRequest(readers, counts))


def text(partitions: Partitions) -> str:
    return " ".join(f"{LETTERS[topic]}{index}" for topic, index in sorted(partitions))


def parsed(names: str) -> Partitions:
    return frozenset((TOPICS[name[0]], int(name[1:])) for name in names.split())


CASES = [
    # assignor, partitions by topic, members as "reads[@instance]|has", what they get
    ("range", {"a": 3, "b": 3}, {"m0": "ab|", "m1": "ab|"}, {"m0": "a0 a1 b0 b1", "m1": "a2 b2"}),
    ("range", {"a": 3}, {"m0": "a|", "m1": "a@i1|", "m2": "a@i0|"}, {"m2": "a0", "m1": "a1", "m0": "a2"}),
    ("range", {"a": 1}, {"m0": "a|", "m1": "a|"}, {"m0": "a0", "m1": ""}),
    ("range", {"a": 2, "b": 3}, {"m0": "ab|", "m1": "b|"}, {"m0": "a0 a1 b0 b1", "m1": "b2"}),
    ("range", {"a": 2}, {"m0": "|", "m1": "a|"}, {"m0": "", "m1": "a0 a1"}),
    ("uniform", {"a": 3, "b": 3}, {"m0": "ab|", "m1": "ab|"}, {"m0": "a0 a1 a2", "m1": "b0 b1 b2"}),
    ("uniform", {"a": 4}, {"m0": "a|a0 a1 a2 a3", "m1": "a|"}, {"m0": "a0 a1", "m1": "a2 a3"}),
    ("uniform", {"a": 3}, {"m0": "a|a0", "m1": "a|a1 a2"}, {"m0": "a0", "m1": "a1 a2"}),
    ("uniform", {"a": 1}, {"m0": "a|", "m1": "a|a0"}, {"m0": "", "m1": "a0"}),
    ("uniform", {"a": 2}, {"m0": "a|b0 b1", "m1": "a|"}, {"m0": "a0", "m1": "a1"}),
    ("uniform", {"a": 1}, {"m0": "a|a0 a1"}, {"m0": "a0"}),
    ("uniform", {"a": 2, "b": 2}, {"m0": "a|", "m1": "ab|"}, {"m0": "a0 a1", "m1": "b0 b1"}),
    ("uniform", {"a": 4, "b": 1}, {"m0": "a|", "m1": "ab|a0 a1 a2 a3"}, {"m0": "a2 a3", "m1": "a0 a1 b0"}),
    ("uniform", {"a": 1}, {"m0": "|", "m1": "|"}, {"m0": "", "m1": ""}),
    ("uniform", {}, {}, {}),
]


@pytest.mark.parametrize(("assignor", "counts", "members", "expected"), CASES)
def test_assignments(assignor: str, counts: dict[str, int], members: dict[str, str], expected: dict[str, str]) -> None:
    readers = {}
    for member_id, row in members.items():
        reads, _, has = row.partition("|")
        reads, _, instance_id = reads.partition("@")
        readers[member_id] = Reader(frozenset(TOPICS[letter] for letter in reads), parsed(has), instance_id or None)
    found = run(assignor, readers, {TOPICS[letter]: count for letter, count in counts.items()})
    assert {member_id: text(partitions) for member_id, partitions in found.items()} == expected


counts_by_topic = st.fixed_dictionaries({topic: st.integers(1, 12) for topic in (A, B, C)})
member_ids = st.lists(st.integers(0, 99).map("m{}".format), min_size=1, max_size=8, unique=True)
subscriptions = st.frozensets(st.sampled_from([A, B, C]))


def check_complete(readers: Mapping[str, Reader], counts: Mapping[UUID, int], found: Mapping[str, Partitions]) -> None:
    """Each partition that is read has one owner, who reads it."""
    assert found.keys() == readers.keys()
    given_out = sorted(partition for partitions in found.values() for partition in partitions)
    read = {topic for reader in readers.values() for topic in reader.topics}
    assert given_out == sorted((topic, index) for topic in read for index in range(counts[topic]))
    assert all(topic in readers[name].topics for name, partitions in found.items() for topic, _ in partitions)


@given(
    st.sampled_from(sorted(ASSIGNORS)), counts_by_topic, st.dictionaries(st.text(max_size=2), subscriptions, max_size=6)
)
def test_each_partition_has_one_reader(
    assignor: str, counts: dict[UUID, int], subscribed: dict[str, frozenset[UUID]]
) -> None:
    readers = {name: Reader(topics) for name, topics in subscribed.items()}
    check_complete(readers, counts, run(assignor, readers, counts))


@given(counts_by_topic, member_ids, member_ids)
def test_uniform_is_level_and_moves_as_little_as_that_allows(
    counts: dict[UUID, int], before: list[str], after: list[str]
) -> None:
    topics = frozenset(counts)
    had = run("uniform", {name: Reader(topics) for name in before}, counts)
    readers = {name: Reader(topics, had.get(name, NOTHING)) for name in after}
    found = run("uniform", readers, counts)
    check_complete(readers, counts, found)
    sizes = sorted(len(partitions) for partitions in found.values())
    assert sizes[-1] - sizes[0] <= 1
    kept = sum(len(found[name] & had.get(name, NOTHING)) for name in after)
    # nobody could keep more: the larger shares go to those who had the most
    largest_first = sorted((len(had.get(name, NOTHING)) for name in after), reverse=True)
    assert kept == sum(min(size, share) for size, share in zip(largest_first, reversed(sizes), strict=True))


@given(counts_by_topic, st.dictionaries(st.text(max_size=3), subscriptions, min_size=1, max_size=6), st.data())
def test_uniform_of_unlike_readers(
    counts: dict[UUID, int], subscribed: dict[str, frozenset[UUID]], data: st.DataObject
) -> None:
    first = {name: Reader(data.draw(subscriptions)) for name in subscribed}
    had = run("uniform", first, counts)
    readers = {name: Reader(topics, had[name]) for name, topics in subscribed.items()}
    found = run("uniform", readers, counts)
    check_complete(readers, counts, found)
    for topic in counts:
        loads = {name: len(found[name]) for name, reader in readers.items() if topic in reader.topics}
        givers = [loads[name] for name in loads if any(partition[0] == topic for partition in found[name])]
        assert max(givers, default=0) - min(loads.values(), default=0) <= 1  # no move of this topic makes it better
    again = {name: reader._replace(target=found[name]) for name, reader in readers.items()}
    assert run("uniform", again, counts) == found


@given(st.integers(1, 12), member_ids)
def test_range_gives_like_topics_alike(count: int, members: list[str]) -> None:
    found = run("range", {name: Reader(frozenset({A, B})) for name in members}, {A: count, B: count})
    for partitions in found.values():
        of_a, of_b = ([index for topic, index in sorted(partitions) if topic == wanted] for wanted in (A, B))
        assert of_a == of_b
        assert not of_a or of_a == list(range(of_a[0], of_a[-1] + 1))
