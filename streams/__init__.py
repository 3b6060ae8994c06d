"""Stream processing for Python: the model of Kafka Streams, the feel of Faust, exactly-once, and a broker built in.

Names are imported when first used, so `import streams` is cheap.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from streams import aggregates as agg
    from streams.agent_stream import Stream
    from streams.app import App
    from streams.batch import Batch
    from streams.client import Client
    from streams.expressions import coalesce, col, record, when
    from streams.join_window import JoinWindow
    from streams.models import Record, Timestamp
    from streams.policies import dead_letter, retry, skip, stop
    from streams.sources import Position
    from streams.store import Store
    from streams.windows import (
        CalendarWindow,
        HoppingWindow,
        SessionWindow,
        SlidingWindow,
        TumblingWindow,
        UnlimitedWindow,
        Windowed,
        Windows,
    )

_HOMES = {
    "App": "streams.app",
    "Batch": "streams.batch",
    "CalendarWindow": "streams.windows",
    "Client": "streams.client",
    "HoppingWindow": "streams.windows",
    "JoinWindow": "streams.join_window",
    "Position": "streams.sources",
    "Record": "streams.models",
    "SessionWindow": "streams.windows",
    "SlidingWindow": "streams.windows",
    "Store": "streams.store",
    "Stream": "streams.agent_stream",
    "Timestamp": "streams.models",
    "TumblingWindow": "streams.windows",
    "UnlimitedWindow": "streams.windows",
    "Windowed": "streams.windows",
    "Windows": "streams.windows",
    "coalesce": "streams.expressions",
    "col": "streams.expressions",
    "dead_letter": "streams.policies",
    "record": "streams.expressions",
    "retry": "streams.policies",
    "skip": "streams.policies",
    "stop": "streams.policies",
    "when": "streams.expressions",
}

__all__ = [
    "App",
    "Batch",
    "CalendarWindow",
    "Client",
    "HoppingWindow",
    "JoinWindow",
    "Position",
    "Record",
    "SessionWindow",
    "SlidingWindow",
    "Store",
    "Stream",
    "Timestamp",
    "TumblingWindow",
    "UnlimitedWindow",
    "Windowed",
    "Windows",
    "agg",
    "coalesce",
    "col",
    "dead_letter",
    "record",
    "retry",
    "skip",
    "stop",
    "when",
]


def __getattr__(name: str) -> Any:
    if name == "agg":
        return import_module("streams.aggregates")
    if name == "testing":
        return import_module("streams.testing")
    if name not in _HOMES:
        raise AttributeError(f"module 'streams' has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
