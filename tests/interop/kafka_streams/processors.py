"""The processors that users would write, by the step's `processor`; `java/Processors.java` has the same for Kafka."""

from __future__ import annotations

from typing import Any

import streams
from tests.interop.kafka_streams import functions
from tests.interop.kafka_streams.functions import Row

Step = dict[str, Any]


def process(app: streams.App, stream: Any, step: Step) -> Any:
    given = {"key_type": stream.key_type, "value_type": stream.value_type, "name": step["id"]}
    match step["processor"]:
        case "running_count":
            return stream.process(
                _running_count(step), stores=[_store(app, stream, step)], **(given | {"value_type": Row})
            )
        case "flush":
            return stream.process(_flush(step), stores=[_store(app, stream, step)], **given)
        case "mark":
            return stream.process(Mark, **given)
    raise ValueError(f"no processor {step}")


def process_values(app: streams.App, stream: Any, step: Step) -> Any:
    stores = [_store(app, stream, step)]
    return stream.process_values(_running_count(step), stores=stores, value_type=Row, name=step["id"])


def _store(app: streams.App, stream: Any, step: Step) -> Any:
    value_type = int if step["processor"] == "running_count" else stream.value_type
    return app.store(f"{step['id']}-store", key_type=str, value_type=value_type)


def _running_count(step: Step) -> type:
    class RunningCount:
        """Each record with n how many its key has had so far; one without a key as it is, but a row."""

        def init(self, ctx: Any) -> None:
            self._ctx = ctx
            self._counts = ctx.store(f"{step['id']}-store")

        def process(self, record: Any) -> None:
            if record.key is not None:
                count = (self._counts.get(record.key) or 0) + 1
                self._counts.put(record.key, count)
                record = record.replace(value=functions.row(record.value, n=count))
            elif record.value is not None:
                record = record.replace(value=functions.row(record.value))
            self._ctx.forward(record)

    return RunningCount


def _flush(step: Step) -> type:
    class Flush:
        """Keeps the last value of each key; every `every_ms` of `time` forwards all of them and forgets them."""

        def init(self, ctx: Any) -> None:
            self._ctx = ctx
            self._kept = ctx.store(f"{step['id']}-store")
            ctx.schedule(f"{step['every_ms']}ms", step["time"], self.flush)

        def process(self, record: Any) -> None:
            if record.key is not None:
                self._kept.put(record.key, record.value)

        def flush(self, timestamp: int) -> None:
            for key, value in list(self._kept.all()):
                self._kept.delete(key)
                self._ctx.forward(key=key, value=value, timestamp=timestamp)

    return Flush


class Mark:
    """Each record 1 ms later, under the header `mark` with its key, besides those it has."""

    def init(self, ctx: Any) -> None:
        self._ctx = ctx

    def process(self, record: Any) -> None:
        key = functions.plain(record.key)
        mark = ("mark", str("null" if key is None else key).encode())
        self._ctx.forward(record.replace(headers=[*record.headers, mark], timestamp=record.timestamp + 1))
