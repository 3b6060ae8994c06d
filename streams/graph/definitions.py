"""Topics and stores as the plan knows them: names, types and settings; nothing that opens anything."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from streams.errors import TopologyError

if TYPE_CHECKING:
    from streams.windows import Window

KEPT_FOREVER = {"retention.ms": "-1"}
"""Kafka's retention goes by the records' own time, so those of a replay could vanish as they come: topics that an app
makes keep their records unless they are told otherwise."""

_LEGAL_NAME = re.compile(r"[a-zA-Z0-9._-]{1,249}")


def check_name(name: str, what: str) -> str:
    """A name that Kafka takes for a topic (249 characters of a-z A-Z 0-9 . _ -); `Topic.validate` in Kafka.

    >>> check_name("by-carrier", "repartition")
    'by-carrier'
    """
    if not _LEGAL_NAME.fullmatch(name) or name in {".", ".."}:
        raise TopologyError(f"{what} name {name!r}: use up to 249 characters out of a-z, A-Z, 0-9, '.', '_' and '-'")
    return name


@dataclass(eq=False, slots=True, kw_only=True)
class TopicDef:
    """A topic: what it holds, and how it is to be made if it is not there.

    `partitions` None: of a repartition topic, as many as the tasks that write it; of another, as many as the setting
    `default_partitions` says if the topic has to be made. `timestamp` is the rule for the times of its records, None
    the default one; `start` is where an app begins that has not read it before. `routed`: its records say to which of
    its partitions they go, of which there are as many as the tables have that they meet.
    """

    name: str
    key_type: Any = None
    value_type: Any = None
    partitions: int | None = None
    config: dict[str, str] = field(default_factory=lambda: dict(KEPT_FOREVER))
    internal: bool = False
    timestamp: Any = None
    start: Literal["beginning", "end"] = "beginning"
    routed: bool = False
    where: str = ""


@dataclass(eq=False, slots=True, kw_only=True)
class StoreDef:
    """A store of a task: its name, what it keeps, for how long, and the topic that is its changelog.

    `source_topic` is set when the table's own topic serves as changelog; otherwise the changelog is an internal topic.
    `window_size_ms` is set for windowed stores; their entries go when stream time passes their start by `retention_ms`.
    A store of sessions (`sessions`) has start and end in its keys, and its entries go by their end. `window` says where
    the windows of a pipeline's store end.
    `aggregates` is the `NamedAggregates` whose states the store holds instead of values. `is_global`: no task's, but
    one for the whole worker, with all partitions of its topic. `history_ms`: the store keeps the versions of a key that
    were valid so long back, and takes changes that are late by no more.
    """

    name: str
    changelog: str
    key_type: Any = None
    value_type: Any = None
    source_topic: TopicDef | None = None
    window_size_ms: int | None = None
    window: Window | None = None
    sessions: bool = False
    retention_ms: int | None = None
    ttl_ms: int | None = None
    aggregates: Any = None
    is_global: bool = False
    history_ms: int | None = None
    where: str = ""

    @property
    def windowed(self) -> bool:
        return self.window_size_ms is not None

    @property
    def versioned(self) -> bool:
        return self.history_ms is not None

    @property
    def kind(self) -> Literal["key_value", "window", "session", "versioned"]:
        """How the entries of the store are laid out."""
        if self.windowed:
            return "session" if self.sessions else "window"
        return "versioned" if self.versioned else "key_value"

    @property
    def shape(self) -> list[object]:
        """What its entries cannot be read without: those of another shape would be taken for what they are not."""
        return [self.kind] if self.window is None else [self.kind, *self.window.shape]


def kept_by_tasks(stores: Iterable[StoreDef]) -> tuple[StoreDef, ...]:
    """Without those of global tables, which no task keeps: who looks into one runs wherever it likes."""
    return tuple(store for store in stores if not store.is_global)
