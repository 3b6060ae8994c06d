"""`app.send` inside a worker: the record joins the worker's transaction."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from streams.errors import StreamsError, TopologyError
from streams.serde import key_serde_for, serde_for

if TYPE_CHECKING:
    from streams.app import App
    from streams.topic import Topic


def send(
    app: App, topic: Topic | str, key: Any, value: Any, timestamp: int | None, headers: list[tuple[str, bytes]] | None
) -> None:
    """Adds one record to the worker's outputs. Raises StreamsError when no worker runs the app here."""
    name = topic if isinstance(topic, str) else topic.name
    if app.outputs is None:
        raise StreamsError(
            f"send to {name!r}: no worker runs {app.id!r} in this process. "
            "Outside a worker use `async with app.client() as client: client.send(...)`."
        )
    definition = app.builder.graph.topics.get(name)
    if definition is None:
        raise TopologyError(f"send to {name!r}: the app does not declare that topic; add app.topic({name!r})")
    now = time.time_ns() // 1_000_000 if timestamp is None else timestamp
    key_bytes = None if key is None else key_serde_for(definition.key_type).encode(key)
    value_bytes = None if value is None else serde_for(definition.value_type).encode(value)
    app.outputs.add(name, [key_bytes], [value_bytes], [now], None if headers is None else [headers])
