"""Who gets which task: balanced, sticky, never two at once, and where the state is."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.errors import StreamsError
from streams.runtime.assign.assignor import Rules, TaskInfo, assign
from streams.runtime.assign.roster import MemberAssignment, MemberInfo, decode, encode

ROUNDS_MAX = 40


@dataclass
class Worker:
    """A member that does what it is told; `lags` is what its place has of each task."""

    place: str
    subs: tuple[str, ...]
    active: set[str] = field(default_factory=set)
    standby: set[str] = field(default_factory=set)
    leads: bool = False


class Group:
    """Workers, told again until nothing moves. State that is followed is whole by the next round."""

    def __init__(self, tasks: list[TaskInfo], rules: Rules) -> None:
        self.tasks = tasks
        self.rules = rules
        self.workers: dict[str, Worker] = {}
        self.lags: dict[str, dict[str, int]] = {}
        self.moves = 0

    def round(self) -> bool:
        """One rebalance; whether anything changed."""
        told = assign(self.tasks, {name: self._info(name) for name in self.workers}, self.rules)
        self._check(told)
        changed = False
        for name, assignment in told.items():
            changed |= self._follow(self.workers[name], assignment)
        return changed

    def settle(self) -> None:
        for _ in range(ROUNDS_MAX):
            if not self.round():
                return
        raise AssertionError("still moving")

    def _info(self, name: str) -> MemberInfo:
        worker = self.workers[name]
        return MemberInfo(
            name=name,
            place=worker.place,
            subs=worker.subs,
            active=tuple(sorted(worker.active)),
            standby=tuple(sorted(worker.standby)),
            lags=self.lags.get(worker.place, {}),
            leads=worker.leads,
        )

    def _check(self, told: dict[str, MemberAssignment]) -> None:
        owned = {task: name for name, worker in self.workers.items() for task in worker.active}
        given_out = [task for assignment in told.values() for task in assignment.active]
        assert len(given_out) == len(set(given_out))
        for name, assignment in told.items():
            worker = self.workers[name]
            for task in assignment.active:
                assert owned.get(task, name) == name  # not before its owner has given it back
                assert task.rpartition("-")[0] in worker.subs
            for task in (*assignment.standby, *assignment.warm_up):
                assert task not in assignment.active
        assert sum(assignment.leads for assignment in told.values()) == 1

    def _follow(self, worker: Worker, told: MemberAssignment) -> bool:
        before = (worker.active, worker.standby, worker.leads)
        self.moves += len(set(told.active) - worker.active)
        worker.active, worker.leads = set(told.active), told.leads
        worker.standby = {*told.standby, *told.warm_up}
        whole = dict.fromkeys((*told.active, *told.standby, *told.warm_up), 0)
        self.lags.setdefault(worker.place, {}).update(whole)
        return before != (worker.active, worker.standby, worker.leads)


def topology(*counts: int, stateful: bool = True) -> list[TaskInfo]:
    return [TaskInfo(f"s{sub}-{n}", f"s{sub}", stateful) for sub, count in enumerate(counts) for n in range(count)]


def subs(tasks: list[TaskInfo]) -> tuple[str, ...]:
    return tuple(sorted({task.sub for task in tasks}))


counts = st.lists(st.integers(1, 9), min_size=1, max_size=4)
changes = st.lists(st.tuples(st.sampled_from(["join", "leave", "crash"]), st.integers(0, 5)), max_size=8)


@given(counts, st.booleans(), changes, st.integers(0, 2))
def test_whoever_comes_and_goes_every_task_ends_with_one_worker_and_shares_are_even(
    counts: list[int], stateful: bool, changes: list[tuple[str, int]], standbys: int
) -> None:
    tasks = topology(*counts, stateful=stateful)
    group = Group(tasks, Rules(standbys=standbys))
    group.workers["w"] = Worker("p", subs(tasks))
    group.settle()
    for at, (change, which) in enumerate(changes):
        if change == "join":
            group.workers[f"w{at}"] = Worker(f"p{which}", subs(tasks))
        elif len(group.workers) > 1:
            del group.workers[sorted(group.workers)[which % len(group.workers)]]
        group.settle()
        owners = Counter(task for worker in group.workers.values() for task in worker.active)
        assert owners == Counter(task.id for task in tasks)
        loads = [len(worker.active) for worker in group.workers.values()]
        assert max(loads) - min(loads) <= 1
        for worker in group.workers.values():
            place = [other for other in group.workers.values() if other.place == worker.place]
            assert not worker.standby & {task for other in place for task in other.active}
        if stateful:
            places = len({worker.place for worker in group.workers.values()})
            followed = Counter(task for worker in group.workers.values() for task in worker.standby)
            assert all(followed[task.id] == min(standbys, places - 1) for task in tasks)


@given(counts, st.integers(1, 6))
def test_a_new_worker_moves_no_more_than_its_share(counts: list[int], workers: int) -> None:
    tasks = topology(*counts, stateful=False)
    group = Group(tasks, Rules())
    group.workers = {f"w{n}": Worker(f"p{n}", subs(tasks)) for n in range(workers)}
    group.settle()
    group.moves = 0
    group.workers["new"] = Worker("new", subs(tasks))
    group.settle()
    share = -(-len(tasks) // (workers + 1))
    assert len(group.workers["new"].active) <= share
    # Where that left a sub-topology uneven, two tasks change places.
    assert group.moves <= share + 2 * len(counts)


@given(counts, st.integers(2, 5))
def test_each_sub_topology_is_spread(counts: list[int], workers: int) -> None:
    tasks = topology(*counts, stateful=False)
    group = Group(tasks, Rules())
    group.workers = {f"w{n}": Worker(f"p{n}", subs(tasks)) for n in range(workers)}
    group.settle()
    for sub in subs(tasks):
        held = [sum(task.startswith(f"{sub}-") for task in worker.active) for worker in group.workers.values()]
        assert max(held) - min(held) <= 2


def test_a_task_with_state_stays_until_its_new_place_has_warmed_up() -> None:
    tasks = topology(2)
    old = MemberInfo(name="old", place="p", subs=("s0",), active=("s0-0", "s0-1"))
    new = MemberInfo(name="new", place="q", subs=("s0",))
    told = assign(tasks, {"old": old, "new": new}, Rules(acceptable_lag=100))
    assert told["old"].active == ("s0-0", "s0-1")
    assert told["new"].warm_up == ("s0-0",)
    near = MemberInfo(name="new", place="q", subs=("s0",), standby=("s0-0",), lags={"s0-0": 100})
    told = assign(tasks, {"old": old, "new": near}, Rules(acceptable_lag=100))
    assert told["old"].active == ("s0-1",)
    assert told["new"].warm_up == () == told["new"].active


def test_a_task_without_an_owner_goes_where_its_state_is() -> None:
    tasks = topology(2)
    with_state = MemberInfo(name="b", place="q", subs=("s0",), lags={"s0-1": 3})
    told = assign(tasks, {"a": MemberInfo(name="a", place="p", subs=("s0",)), "b": with_state}, Rules())
    assert (told["a"].active, told["b"].active) == (("s0-0",), ("s0-1",))


def test_workers_of_one_place_give_each_other_state_without_warming_up() -> None:
    tasks = topology(2)
    old = MemberInfo(name="old", place="p", subs=("s0",), active=("s0-0", "s0-1"))
    told = assign(tasks, {"old": old, "new": MemberInfo(name="new", place="p", subs=("s0",))}, Rules(standbys=1))
    assert told["old"].active == ("s0-1",)
    assert told["new"].warm_up == () == told["new"].standby


def test_warm_ups_are_few_at_a_time() -> None:
    tasks = topology(8)
    old = MemberInfo(name="old", place="p", subs=("s0",), active=tuple(task.id for task in tasks))
    new = MemberInfo(name="new", place="q", subs=("s0",))
    told = assign(tasks, {"old": old, "new": new}, Rules(warm_ups=2))
    assert len(told["new"].warm_up) == 2


def test_a_sub_topology_that_a_worker_does_not_know_stays_with_those_that_do() -> None:
    tasks = topology(2, 2, stateful=False)
    members = {
        "a": MemberInfo(name="a", place="p", subs=("s0",)),
        "b": MemberInfo(name="b", place="q", subs=("s0", "s1")),
    }
    told = assign(tasks, members, Rules())
    assert told["a"].active == ("s0-0", "s0-1")
    assert told["b"].active == ("s1-0", "s1-1")


def test_the_leader_stays_the_leader() -> None:
    members = {"a": MemberInfo(name="a", place="p"), "b": MemberInfo(name="b", place="q", leads=True)}
    assert [told.leads for told in assign([], members, Rules()).values()] == [False, True]


@settings(max_examples=20)
@given(st.permutations(["a", "b", "c", "d"]))
def test_the_order_of_members_does_not_matter(order: list[str]) -> None:
    tasks = topology(7, 3)
    members = {name: MemberInfo(name=name, place=name, subs=subs(tasks)) for name in order}
    assert assign(tasks, members, Rules(standbys=1)) == assign(tasks, dict(sorted(members.items())), Rules(standbys=1))


def test_bytes_of_another_program_are_named() -> None:
    with pytest.raises(StreamsError, match="another program is a member of this group"):
        decode(b"\x00\x01range", MemberInfo)
    assert decode(encode(MemberAssignment(active=("a-0",))), MemberAssignment).active == ("a-0",)
