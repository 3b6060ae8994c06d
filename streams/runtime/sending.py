"""`app.send` inside a worker: the record joins the worker's transaction.

What an agent sends goes with what it does for the record at hand: it is taken back where that is, and sent again when
the record is read again. What others send (timers, tasks) waits for the next commit whatever becomes of the last.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from streams.batch import Headers
from streams.errors import StreamsError, TopologyError
from streams.serde import key_serde_for, serde_for
from streams.table import running

if TYPE_CHECKING:
    from streams.app import App
    from streams.topic import Topic


def send(
    app: App, topic: Topic | str, key: Any, value: Any, timestamp: int | None, headers: list[tuple[str, bytes]] | None
) -> None:
    """Sends one record; its timestamp is the worker's clock unless given.

    Raises StreamsError when no worker runs the app here.
    """
    name = topic if isinstance(topic, str) else topic.name
    if app.worker is None:
        raise StreamsError(
            f"send to {name!r}: no worker runs {app.id!r} in this process. "
            "Outside a worker use `async with app.client() as client: client.send(...)`."
        )
    definition = app.builder.graph.topics.get(name)
    if definition is None:
        raise TopologyError(f"send to {name!r}: the app does not declare that topic; add app.topic({name!r})")
    time = app.worker.now_ms() if timestamp is None else timestamp
    key_bytes = None if key is None else key_serde_for(definition.key_type).encode(key)
    value_bytes = None if value is None else serde_for(definition.value_type).encode_row(value, headers or ())
    row_headers: Headers = tuple(headers or ())
    agent = running.get(None)
    if agent is not None:
        agent.send((name, key_bytes, value_bytes, time, row_headers))
    else:
        app.worker.outputs.add(name, [key_bytes], [value_bytes], [time], [row_headers] if row_headers else None)
        app.worker.wake()
