"""Batches of columns as bytes for a topic, by the compiled writer: no row is made."""

from __future__ import annotations

from typing import Any, get_args, get_origin

from streams.batch import Batch
from streams.columns import Column
from streams.graph.definitions import TopicDef
from streams.serde import TEXT, Serde, key_serde_for
from streams.serde.json_writer import JsonWriter
from streams.serde.types import without_none
from streams.spans import Spans
from streams.text_column import TextColumn
from streams.windows import Windowed


class ColumnEncoder:
    """For topics of JSON records: of one class, or of any where the topic does not say (`record` is None). The bytes
    are those of the topic's serdes.
    """

    def __init__(self, record: Any, keys: Serde[Any], key_type: Any) -> None:
        self._record = record
        self._writers: dict[Any, JsonWriter | None] = {}
        self._keys = keys
        windowed = key_type is None or key_type is Windowed or _is_windowed_text(key_type)
        self._windows = JsonWriter([b"[", b",", b",", b"]"]) if windowed else None

    @classmethod
    def for_topic(cls, topic: TopicDef) -> ColumnEncoder | None:
        """None if the values are of no class whose JSON is that of its fields."""
        record, key_type = without_none(topic.value_type), without_none(topic.key_type)
        if record is not None and JsonWriter.for_record(record) is None:
            return None
        return cls(record, key_serde_for(key_type), key_type)

    def spans(self, batch: Batch) -> tuple[Spans, Spans] | None:
        """Keys and values of a batch; None where it has rows already, or values or keys that only these can tell."""
        if not batch.rowless or batch.headers is not None or self._record not in (None, batch.value_type):
            return None
        writer = self._writer(batch.value_type)
        if writer is None:
            return None
        try:
            keys = self._key_spans(batch)
            columns = [batch.column(field) for field in batch.value_type.__struct_fields__]
            return None if keys is None else (keys, writer.write(columns, len(batch), batch.present))
        except Exception:  # noqa: BLE001 - found again record by record, and told there
            return None

    def _writer(self, record: Any) -> JsonWriter | None:
        if record not in self._writers:
            self._writers[record] = JsonWriter.for_record(record)
        return self._writers[record]

    def _key_spans(self, batch: Batch) -> Spans | None:
        if batch.windowed is not None:
            return self._window_spans(batch)
        if batch.has_keys_of(self._keys) and batch.key_spans is not None:
            return batch.key_spans
        return Spans.of(batch.encoded_keys(self._keys))

    def _window_spans(self, batch: Batch) -> Spans | None:
        """The JSON of text in windows; of other keys the bytes may be of a form that is not ours."""
        windowed = batch.windowed
        if windowed is None or self._windows is None or not batch.has_windowed_keys_of(TEXT):
            return None
        columns = [TextColumn(windowed.keys), Column(windowed.starts), Column(windowed.ends)]
        return self._windows.write(columns, len(batch))


def _is_windowed_text(kind: Any) -> bool:
    return get_origin(kind) is Windowed and get_args(kind) == (str,)
