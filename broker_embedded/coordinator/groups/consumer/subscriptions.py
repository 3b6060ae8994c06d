"""What a group reads: topics by name, and those that its regular expressions stand for."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from hashlib import blake2b
from typing import TYPE_CHECKING
from uuid import UUID

from broker_embedded.coordinator.groups.consumer.assignors import (
    ASSIGNORS,
    DEFAULT_ASSIGNOR,
    AssignmentRequest,
    Reader,
)
from broker_embedded.coordinator.groups.consumer.member import NOTHING, Member
from broker_embedded.coordinator.groups.consumer.patterns import PatternError, compile_pattern
from broker_embedded.coordinator.groups.consumer.state import Resolved, State
from broker_embedded.errors import InvalidRegularExpressionError

if TYPE_CHECKING:
    from broker_embedded.topics import Topic

log = logging.getLogger(__name__)

_pattern = lru_cache(maxsize=256)(compile_pattern)


def topic_ids(state: State, member: Member, topics: Mapping[str, Topic]) -> frozenset[UUID]:
    """Ids of the topics a member reads, as far as they are there."""
    return frozenset(topics[name].id for name in state.topics_of(member) if name in topics)


def read_names(state: State) -> frozenset[str]:
    """Names of all topics the group reads, there or not."""
    return frozenset().union(*(state.topics_of(member) for member in state.members.values()))


def metadata_hash(names: Iterable[str], topics: Mapping[str, Topic]) -> int:
    """Another one if a topic that is read appears, goes, or grows; 0 if there is none. A signed integer of 64 bits.

    Not the hash that Kafka makes: when a folder changes hands, its groups are assigned anew, once.
    """
    found = sorted(name for name in names if name in topics)
    if not found:
        return 0
    content = "".join(f"{name} {topics[name].id} {topics[name].partition_count}\n" for name in found)
    return int.from_bytes(blake2b(content.encode(), digest_size=8).digest(), signed=True)


def check_regex(regex: str) -> None:
    """Raise InvalidRegularExpressionError for one that RE2 refuses."""
    try:
        _pattern(regex)
    except PatternError as error:
        raise InvalidRegularExpressionError(
            f"SubscribedTopicRegex {regex!r} is not valid: {error}; the syntax is that of RE2"
        ) from error


def resolve(state: State, names: Iterable[str], may_read: Callable[[str], bool], now_ms: int) -> bool:
    """Look at the group's regular expressions again; whether one of them stands for other topics than before."""
    state.forget_unused_regexes()
    used = {member.regex for member in state.members.values() if member.regex}
    has_changed = False
    for regex in used:
        topics = frozenset(name for name in _matching(regex, names) if may_read(name))
        before = state.regexes.get(regex)
        if before is None or before.topics != topics:
            state.regexes[regex] = Resolved(topics, 0, now_ms)
            has_changed = True
    return has_changed


def _matching(regex: str, names: Iterable[str]) -> list[str]:
    try:
        pattern = _pattern(regex)
    except PatternError:  # from a folder of another version's: members that send it anew are told
        log.warning("the regular expression %r of a group is not valid here, and stands for no topic", regex)
        return []
    return [name for name in names if pattern.matches(name)]


def preferred_assignor(state: State) -> str:
    """The one that most members ask for; the broker's default if none does."""
    votes = Counter(member.assignor for member in state.members.values() if member.assignor is not None)
    return max(votes, key=lambda name: (votes[name], name), default=DEFAULT_ASSIGNOR)


def assign(state: State, topics: Mapping[str, Topic], now_ms: int) -> None:
    """Give every member a target, for the group's epoch."""
    readers = {
        member_id: Reader(topic_ids(state, member, topics), state.targets.get(member_id, NOTHING), member.instance_id)
        for member_id, member in state.members.items()
    }
    read = {topic for reader in readers.values() for topic in reader.topics}
    counts = {topic.id: topic.partition_count for topic in topics.values() if topic.id in read}
    state.targets = dict(ASSIGNORS[preferred_assignor(state)](AssignmentRequest(readers, counts)))
    state.assignment_epoch, state.assigned_ms = state.epoch, now_ms
