"""The metadata log and the state it makes: replayed when opened, and every change written down before it holds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from broker_embedded.errors import KafkaStorageError
from broker_embedded.log.checkpoints import MetaProperties
from broker_embedded.metadata import records as r
from broker_embedded.metadata.beginning import SUPPORTED_FEATURES, first_records
from broker_embedded.metadata.image import METADATA_VERSION, Image
from broker_embedded.metadata.log import MetadataLog

_RECORDS_PER_BATCH: Final = 10_000


class Journal:
    """`image` after the records of `log`."""

    def __init__(self, log: MetadataLog, meta: MetaProperties) -> None:
        """Use `open`."""
        self.log = log
        self.meta = meta
        self.image = Image()
        self._open_transaction = False

    @classmethod
    def open(cls, data: Path, meta: MetaProperties, now_ms: Callable[[], int], was_clean: bool) -> Journal:
        """Raises KafkaStorageError, UnknownMetadataError."""
        journal = cls(MetadataLog.open(data, meta, now_ms, was_clean), meta)
        try:
            journal._load()
        except BaseException:
            journal.close()
            raise
        return journal

    def _load(self) -> None:
        """Replay the log: what stands in a transaction holds once that ends (KIP-868)."""
        pending: list[tuple[int, r.Record]] | None = None
        for offset, value in self.log.read():
            record = self._decode(offset, value)
            match record:
                case r.BeginTransactionRecord():
                    pending = []
                case r.EndTransactionRecord():
                    for row in pending or ():
                        self._replay(*row)
                    pending = None
                case r.AbortTransactionRecord():
                    pending = None
                case _ if pending is not None:
                    pending.append((offset, record))
                case _:
                    self._replay(offset, record)
        self._open_transaction = pending is not None

    def _decode(self, offset: int, value: bytes) -> r.Record:
        try:
            return r.decode(value)
        except r.UnknownMetadataError as error:
            raise r.UnknownMetadataError(f"{self.log.folder}, offset {offset}: {error}") from error

    def _replay(self, offset: int, record: r.Record) -> None:
        try:
            self.image.replay(record)
        except KeyError as error:
            raise KafkaStorageError(
                f"{self.log.folder}, offset {offset}: {type(record).__name__} changes {error}, which is not there: "
                "the log is damaged before it. Restore the folder"
            ) from error
        newest = SUPPORTED_FEATURES[METADATA_VERSION][1]
        if isinstance(record, r.FeatureLevelRecord) and self.image.features.get(METADATA_VERSION, 0) > newest:
            raise r.UnknownMetadataError(
                f"{self.log.folder}, offset {offset}: metadata.version {record.feature_level} is of a newer Kafka, "
                f"{newest} (Kafka 4.3) is the newest known. Open the folder with that one"
            )

    @property
    def is_new(self) -> bool:
        """Whether nothing was ever written."""
        return not self.image.features

    def begin(self) -> None:
        """Write what a new folder begins with, or a snapshot where the log has become long."""
        if self.is_new:
            self.change([*first_records(self.meta, self.log.read_bootstrap(), self.log.end_offset)])
        elif self.log.wants_snapshot:
            self.snapshot()

    def change(self, changes: Sequence[r.Record]) -> None:
        """Write down, then apply: all of `changes` or none. Raises KafkaStorageError."""
        if not changes:
            return
        if self._open_transaction:
            self.log.append([r.encode(r.AbortTransactionRecord(reason="Controller failover"))])
            self._open_transaction = False
        if len(changes) <= _RECORDS_PER_BATCH:
            self.log.append([r.encode(record) for record in changes])
        else:
            self._append_transaction(changes)
        for record in changes:
            self.image.replay(record)
        if self.log.wants_snapshot:
            self.snapshot()

    def _append_transaction(self, changes: Sequence[r.Record]) -> None:
        """More than a batch takes: what comes before a crash inside of it counts for nothing."""
        records = [r.BeginTransactionRecord(), *changes, r.EndTransactionRecord()]
        for start in range(0, len(records), _RECORDS_PER_BATCH):
            self.log.append([r.encode(record) for record in records[start : start + _RECORDS_PER_BATCH]])

    def snapshot(self) -> None:
        """Write the state down as a whole, in place of the records so far."""
        self.log.snapshot([r.encode(record) for record in self.image.records()])

    def close(self) -> None:
        self.log.close()
