"""What the members of an app's group tell of themselves, and what they are told to do: bytes beside Kafka's own.

Kafka's coordinator keeps both without looking into them: what is told with each JoinGroup, what is to be done with each
SyncGroup. They are MessagePack; fields that a later version adds are passed over by an earlier one.
"""

from __future__ import annotations

from typing import TypeVar

import msgspec

from streams.errors import StreamsError

T = TypeVar("T", bound=msgspec.Struct)


class MemberInfo(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a worker tells when it joins.

    `place` is the data folder that it shares with other workers of its machine, `subs` the sub-topologies and sources
    that its app has. `active` tasks are its own now, `standby` those it follows. `lags` has, by task, how many records
    of changelogs the state in its place lacks. `start` is another one for each process, `round` differs from the last
    one when it asks for another assignment.
    """

    name: str
    place: str
    host: str = ""
    subs: tuple[str, ...] = ()
    active: tuple[str, ...] = ()
    standby: tuple[str, ...] = ()
    lags: dict[str, int] = {}
    leads: bool = False
    topology: str = ""
    start: str = ""
    round: int = 0


class MemberAssignment(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a worker is to do.

    `warm_up` tasks are followed like `standby` ones, and become active here once their state is near the end.
    `leads` is true for one worker of the app. `where` has the name of the worker of each task, `hosts` the host of each
    worker. While some task is `moving`, nobody has it: its worker has been told to give it back. `seen` is the `start`
    of the process that was asked what it has; one that comes back to a seat is given what was said to the last one.
    """

    active: tuple[str, ...] = ()
    standby: tuple[str, ...] = ()
    warm_up: tuple[str, ...] = ()
    leads: bool = False
    where: dict[str, str] = {}
    hosts: dict[str, str] = {}
    moving: bool = False
    seen: str = ""
    topology: str = ""


def encode(told: MemberInfo | MemberAssignment) -> bytes:
    """The bytes for the coordinator.

    >>> decode(encode(MemberInfo(name="a", place="p", active=("count-0",))), MemberInfo).active
    ('count-0',)
    """
    return msgspec.msgpack.encode(told)


def decode(data: bytes, kind: type[T]) -> T:
    """What `encode` was given. Raises StreamsError for bytes that are something else."""
    try:
        return msgspec.msgpack.decode(data, type=kind)
    except msgspec.DecodeError as error:
        raise StreamsError(
            f"another program is a member of this group: what it tells is no {kind.__name__} ({error}). An app's id is "
            "the name of its group: give the app, or the other program, another one."
        ) from error
