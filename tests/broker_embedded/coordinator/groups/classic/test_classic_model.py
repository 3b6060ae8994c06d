"""Any order of joins, syncs, heartbeats, departures, silences, restarts and kills, with what must hold after each step.

The model is the members' side: each remembers what it was told last. It has no rules of rebalancing; what is checked is
what every client relies on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

T = TypeVar("T")

ILLEGAL_GENERATION, UNKNOWN_MEMBER_ID, REBALANCE_IN_PROGRESS, FENCED_INSTANCE_ID = 22, 25, 27, 82
OUT = {UNKNOWN_MEMBER_ID, FENCED_INSTANCE_ID}
NAMES = ("a", "b", "c", "static")
names = st.sampled_from(NAMES)
protocols = st.sampled_from([("range",), ("sticky", "range"), ("range", "sticky")])


@dataclass
class Client:
    """What a member knows of itself."""

    instance: str | None = None
    member_id: str = ""
    generation: int = -1
    protocol: str = ""
    leads: bool = False
    members: tuple[str, ...] = ()
    assignment: bytes | None = None
    joining: asyncio.Task[Any] | None = None
    syncing: asyncio.Task[Any] | None = None

    @property
    def is_idle(self) -> bool:
        return self.joining is None and self.syncing is None

    def forget(self) -> None:
        self.member_id, self.generation, self.leads, self.assignment = "", -1, False, None


class Groups(RuleBasedStateMachine):
    def __init__(self, make_folder: Callable[[], Any], party_type: Any, settle: Any, add_topic: Any) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.folder = make_folder()
        self.party_type, self.settle, self.add_topic = party_type, settle, add_topic
        self.clients = {name: Client("static" if name == "static" else None) for name in NAMES}
        self.fenced: list[tuple[str, int]] = []
        self.generations: dict[int, dict[str, bytes]] = {}
        """Who was given what in which generation."""
        self.newest = 0

    def run(self, work: Awaitable[T]) -> T:
        async def main() -> T:
            result = await work
            await self.settle()
            return result

        return self.runner.run(main())

    @initialize(delay_ms=st.sampled_from([0, 3_000]))
    def start(self, delay_ms: int) -> None:
        self.config = {"group_initial_rebalance_delay_ms": delay_ms}
        self.reopen()
        self.add_topic(self.party.cluster)

    def reopen(self) -> None:
        async def opened() -> Any:
            return self.folder.open(**self.config)

        self.party = self.party_type(self.run(opened()).cluster, self.folder.clock)

    def teardown(self) -> None:
        self.run(self.folder.close())
        self.collect()
        self.runner.close()

    # What the clients do

    @rule(name=names, known=protocols)
    def join(self, name: str, known: tuple[str, ...]) -> None:
        client = self.clients[name]
        if not client.is_idle:
            return

        async def begin() -> None:
            if not client.member_id and client.instance is None:
                client.member_id = await self.party.new_id(protocols=known)
            client.joining = self.party.join(client.member_id, instance=client.instance, protocols=known)

        self.run(begin())

    @rule(name=names)
    def sync(self, name: str) -> None:
        client = self.clients[name]
        if not client.is_idle or client.generation < 0:
            return

        async def begin() -> None:
            given = {one: f"{one}@{client.generation}".encode() for one in client.members} if client.leads else {}
            client.syncing = self.party.sync(
                client.member_id,
                client.generation,
                given,
                protocol_name=client.protocol,
                group_instance_id=client.instance,
            )

        self.run(begin())

    @rule(name=names)
    def heartbeat(self, name: str) -> None:
        client = self.clients[name]
        if client.is_idle and client.generation >= 0:
            code = self.run(self.party.heartbeat(client.member_id, client.generation, client.instance))
            assert code in {0, REBALANCE_IN_PROGRESS, ILLEGAL_GENERATION, *OUT}
            if code in OUT:
                client.forget()

    @rule(name=names)
    def leave(self, name: str) -> None:
        client = self.clients[name]
        if client.is_idle and client.member_id:
            (code,) = self.run(self.party.leave((client.member_id, client.instance)))
            assert code in {0, *OUT}
            self.fenced.append((client.member_id, client.generation))
            client.forget()

    @rule()
    def restart_of_the_static_client(self) -> None:
        client = self.clients["static"]
        if client.is_idle and client.member_id:
            self.fenced.append((client.member_id, client.generation))
            client.forget()
            self.join("static", ("range",))

    @rule(name=names)
    def commit(self, name: str) -> None:
        """Taken of the members of the generation that is, and of nobody else."""
        client = self.clients[name]
        group = self.party.cluster.groups.get("g")
        if group is None or not client.is_idle or client.generation < 0:
            return
        code = self.run(self.party.commit(client.member_id, client.generation, group_instance_id=client.instance))
        if code == 0:
            assert client.generation == group.generation
            assert client.member_id in group.members
        else:
            assert code in {REBALANCE_IN_PROGRESS, ILLEGAL_GENERATION, *OUT}

    @rule(data=st.data())
    def zombie(self, data: st.DataObject) -> None:
        """Whoever has left, was replaced or timed out gets nothing done."""
        if self.fenced:
            member_id, generation = data.draw(st.sampled_from(self.fenced))
            live = {client.member_id for client in self.clients.values()}
            if member_id not in live and generation >= 0:
                assert self.run(self.party.heartbeat(member_id, generation)) == UNKNOWN_MEMBER_ID
                assert self.run(self.party.commit(member_id, generation)) in {UNKNOWN_MEMBER_ID, ILLEGAL_GENERATION}
                assert self.run(self.party.sync(member_id, generation)).error_code == UNKNOWN_MEMBER_ID

    # Time, stops and kills

    @rule(ms=st.sampled_from([100, 3_000, 9_000, 11_000, 61_000]))
    def time_passes(self, ms: int) -> None:
        self.run(self.party.pass_ms(ms))

    @rule(clean=st.booleans())
    def restart(self, clean: bool) -> None:
        """Stable and empty groups are as they were; a rebalance that was on its way is not."""
        group = self.party.cluster.groups.get("g")
        before = self.run(self.party.describe()) if group is not None else None
        if not clean:
            self.folder.kill()
        self.run(self.party.cluster.close())
        self.collect()
        self.reopen()
        if before is not None and before.group_state in ("Stable", "Empty"):
            after = self.run(self.party.describe())
            if before.protocol_type:
                assert after == before
            assert self.party.cluster.groups.get("g").generation == group.generation
        written = getattr(self.party.cluster.groups.get("g"), "generation", 0)
        for client in self.clients.values():  # a generation without assignments is not written, its number comes again
            if client.generation > written:
                client.generation = -1

    # Answers

    def collect(self) -> None:
        """Let the clients learn what has been answered."""
        for client in self.clients.values():
            if client.joining is not None and client.joining.done():
                answer, client.joining = client.joining.result(), None
                self.joined(client, answer)
            if client.syncing is not None and client.syncing.done():
                answer, client.syncing = client.syncing.result(), None
                self.synced(client, answer)

    def joined(self, client: Client, answer: Any) -> None:
        if answer.error_code in OUT:
            client.forget()
        if answer.error_code:
            return
        client.member_id, client.generation, client.protocol = (
            answer.member_id,
            answer.generation_id,
            answer.protocol_name,
        )
        client.leads = answer.leader == answer.member_id and not answer.skip_assignment
        client.members = tuple(row.member_id for row in answer.members)
        assert bool(answer.members) == (answer.leader == answer.member_id)
        self.newest = max(self.newest, answer.generation_id)

    def synced(self, client: Client, answer: Any) -> None:
        if answer.error_code in OUT:
            client.forget()
        if answer.error_code == 0:
            client.assignment = answer.assignment
            given = self.generations.setdefault(client.generation, {})
            given[client.member_id] = bytes(answer.assignment)

    # What must hold after each step

    @invariant()
    def answers_fit(self) -> None:
        if not hasattr(self, "party"):
            return
        self.collect()
        group = self.party.cluster.groups.get("g")
        if group is None:
            return
        members = {member.member_id: member for member in group.members}
        assert (group.members.leader_id in members) == bool(members)
        assert set(group.members.static.values()) == {one for one, member in members.items() if member.is_static}
        assert not group.members.pending.keys() & members.keys()
        assert group.is_empty == (not members) or group.state == "PreparingRebalance"

    @invariant()
    def nobody_waits_for_nothing(self) -> None:
        """Who waits is a member, and the group has a moment at which it goes on without the others."""
        if not hasattr(self, "party"):
            return
        group = self.party.cluster.groups.get("g")
        for client in self.clients.values():
            if client.joining is not None:
                assert group.state == "PreparingRebalance"
                assert group.rebalance.join_due_ms is not None
            if client.syncing is not None:
                assert group.state == "CompletingRebalance"
                assert group.rebalance.sync_due_ms is not None

    @invariant()
    def one_leader_and_its_members_a_generation(self) -> None:
        if not hasattr(self, "party"):
            return
        current = [client for client in self.clients.values() if client.generation >= 0]
        for generation in {client.generation for client in current}:
            mates = [client for client in current if client.generation == generation]
            assert len({client.protocol for client in mates}) == 1
            assert sum(client.leads for client in mates) <= 1
            for leader in (client for client in mates if client.leads):
                assert {client.member_id for client in mates} <= set(leader.members) | {
                    client.member_id for client in mates if client.instance
                }

    @invariant()
    def each_has_what_its_leader_gave_in_its_generation(self) -> None:
        for generation, given in self.generations.items():
            for member_id, assignment in given.items():
                owner, _, of = assignment.decode().rpartition("@")
                assert assignment == b"" or int(of) == generation
                assert assignment == b"" or owner == member_id or owner.startswith("static-")
            owners = [assignment for assignment in given.values() if not assignment.startswith(b"static-")]
            assert len(set(owners)) == len([owner for owner in owners if owner]) + (b"" in owners)


def test_classic_groups_against_what_clients_rely_on(
    make_folder: Callable[[], Any], party_type: Any, settle: Any, add_topic: Any
) -> None:
    run_state_machine_as_test(
        lambda: Groups(make_folder, party_type, settle, add_topic),
        settings=settings(
            max_examples=15,
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
        ),
    )
