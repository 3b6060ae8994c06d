"""A batch as bytes for a topic: keys and values through the topic's serdes, into the task's outputs."""

from __future__ import annotations

from typing import Any

import numpy as np

from streams.batch import Batch, Headers
from streams.errors import EncodeError, user_line
from streams.graph.definitions import TopicDef
from streams.graph.nodes import Node
from streams.kernels import compiled
from streams.operators.column_encoding import ColumnEncoder
from streams.operators.failures import Failures
from streams.operators.outputs import Outputs
from streams.serde import Serde, key_serde_for, serde_for


class RecordEncoder:
    """Writes batches to one topic. A record that does not encode goes to the error policy."""

    def __init__(self, topic: TopicDef, node: Node, outputs: Outputs, failures: Failures) -> None:
        self._topic = topic
        self._node = node
        self._outputs = outputs
        self._failures = failures
        self._keys = key_serde_for(topic.key_type)
        self._values = serde_for(topic.value_type)
        self._columns = ColumnEncoder.for_topic(topic)

    def write(self, batch: Batch, partition: int | None = None) -> None:
        """Adds the records to the outputs, for a partition or for those of their keys."""
        if self._columns is not None and compiled.ready(len(batch)):
            spans = self._columns.spans(batch)
            if spans is not None:
                self._outputs.add_spans(self._topic.name, *spans, batch.timestamps, partition=partition)
                return
        try:
            keys = batch.encoded_keys(self._keys)
            values = self._values.encode_rows(batch.values, batch.headers)
        except Exception:  # noqa: BLE001 - found again record by record, and told there
            batch, keys, values = self._one_by_one(batch)
        self._outputs.add(self._topic.name, keys, values, batch.timestamps.tolist(), batch.headers, partition=partition)

    def _one_by_one(self, batch: Batch) -> tuple[Batch, list[bytes | None], list[bytes | None]]:
        keys: list[bytes | None] = []
        values: list[bytes | None] = []
        kept = np.ones(len(batch), np.bool_)
        for index, (key, value) in enumerate(zip(batch.keys, batch.values, strict=True)):
            headers = () if batch.headers is None else batch.headers[index]
            try:
                pair = (
                    self._encoded("key", self._keys, key, headers),
                    self._encoded("value", self._values, value, headers),
                )
            except EncodeError as error:
                kept[index] = False
                self._failures.give_up(self._node, batch, index, error)
            else:
                keys.append(pair[0])
                values.append(pair[1])
        return batch.take(kept), keys, values

    def _encoded(self, part: str, serde: Serde[Any], value: Any, headers: Headers) -> bytes | None:
        try:
            return None if value is None else serde.encode_row(value, headers)
        except Exception as error:  # noqa: BLE001 - said in its words
            detail = error.reason if isinstance(error, EncodeError) else f"{type(error).__name__}: {error}"
            line = user_line(error.__traceback__)  # of a serde of the user's
            raise EncodeError(f"the {part} does not fit topic {self._topic.name!r}: {detail}", line=line) from None
