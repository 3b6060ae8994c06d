"""`uniform`: as many partitions for each reader as for the next, and as few moved as that allows (Kafka:
UniformAssignor).

Where all read the same, no two members differ by more than one. Where they do not, no two readers of a topic differ by
more than one unless nothing of that topic can be moved between them to better it.
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping
from uuid import UUID

from broker_embedded.coordinator.groups.consumer.assignors.request import AssignmentRequest
from broker_embedded.coordinator.groups.consumer.member import Partition, Partitions

_ROUNDS = 16  # overlapping subscriptions get better with each round; as many as in Kafka

Assigned = dict[str, set[Partition]]


def assign_uniformly(request: AssignmentRequest) -> Mapping[str, Partitions]:
    """
    >>> from broker_embedded.coordinator.groups.consumer.assignors.request import Reader
    >>> topic = UUID(int=1)
    >>> had = frozenset((topic, index) for index in range(4))
    >>> readers = {"a": Reader(frozenset({topic}), had), "b": Reader(frozenset({topic}))}
    >>> found = assign_uniformly(AssignmentRequest(readers, {topic: 4}))
    >>> {name: sorted(index for _, index in partitions) for name, partitions in found.items()}
    {'a': [0, 1], 'b': [2, 3]}
    """
    if not request.readers:
        return {}
    alike = len({reader.topics for reader in request.readers.values()}) == 1
    assigned = _kept(request)
    if alike:
        _level(request, assigned)
    else:
        _spread(request, assigned)
        _balance(request, assigned)
    return {member_id: frozenset(partitions) for member_id, partitions in assigned.items()}


def _kept(request: AssignmentRequest) -> Assigned:
    """The last targets, without what is no longer read or is not there."""
    return {
        member_id: {
            (topic, index)
            for topic, index in reader.target
            if topic in reader.topics and index < request.partition_counts[topic]
        }
        for member_id, reader in request.readers.items()
    }


def _free(request: AssignmentRequest, assigned: Assigned) -> dict[UUID, list[Partition]]:
    taken = set().union(*assigned.values())
    return {
        topic: [(topic, index) for index in range(request.partition_counts[topic]) if (topic, index) not in taken]
        for topic in request.topics()
    }


def _level(request: AssignmentRequest, assigned: Assigned) -> None:
    """All read the same: each member gets its share, `larger` of them one more; those who have more go first."""
    total = sum(request.partition_counts[topic] for topic in request.topics())
    share, larger = divmod(total, len(assigned))
    quotas = {}
    for position, member_id in enumerate(
        sorted(assigned, key=lambda member_id: (-len(assigned[member_id]), member_id))
    ):
        quotas[member_id] = share + (position < larger)
        surplus = sorted(assigned[member_id])[quotas[member_id] :]
        assigned[member_id].difference_update(surplus)
    free = [partition for partitions in _free(request, assigned).values() for partition in partitions]
    for member_id, quota in quotas.items():
        missing = quota - len(assigned[member_id])
        assigned[member_id].update(free[:missing])
        del free[:missing]


def _readers(request: AssignmentRequest) -> dict[UUID, list[str]]:
    """Readers of each topic; those topics first that weigh the most on theirs."""
    readers: dict[UUID, list[str]] = {topic: [] for topic in request.topics()}
    for member_id in sorted(request.readers):
        for topic in request.readers[member_id].topics:
            readers[topic].append(member_id)

    def order(topic: UUID) -> tuple[float, int, UUID]:
        count = len(readers[topic])
        return -request.partition_counts[topic] / count, count, topic

    return {topic: readers[topic] for topic in sorted(readers, key=order)}


def _spread(request: AssignmentRequest, assigned: Assigned) -> None:
    """What nobody has goes to the reader with the least."""
    free = _free(request, assigned)
    for topic, readers in _readers(request).items():
        loads = [(len(assigned[member_id]), member_id) for member_id in readers]
        heapq.heapify(loads)
        for partition in free[topic]:
            load, member_id = loads[0]
            assigned[member_id].add(partition)
            heapq.heapreplace(loads, (load + 1, member_id))


def _balance(request: AssignmentRequest, assigned: Assigned) -> None:
    """Move partitions, topic by topic, from the reader with the most to that with the least."""
    readers = {topic: names for topic, names in _readers(request).items() if len(names) > 1}
    for _ in range(_ROUNDS):
        moved = [_balance_topic(topic, names, assigned) for topic, names in readers.items()]
        if not any(moved):
            return


def _balance_topic(topic: UUID, readers: list[str], assigned: Assigned) -> bool:
    """Whether something was moved."""
    has = {name: sorted(partition for partition in assigned[name] if partition[0] == topic) for name in readers}
    moved = False
    while True:
        givers = [name for name in readers if has[name]]
        giver = max(givers, key=lambda name: len(assigned[name]), default=None)
        taker = min(readers, key=lambda name: len(assigned[name]))
        if giver is None or len(assigned[giver]) - len(assigned[taker]) <= 1:
            return moved
        partition = has[giver].pop()
        assigned[giver].remove(partition)
        assigned[taker].add(partition)
        has[taker].append(partition)
        moved = True
