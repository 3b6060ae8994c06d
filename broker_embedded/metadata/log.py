"""The metadata log on disk: `__cluster_metadata-0`, a log like any other, with snapshots and the state of its quorum.

The quorum is this node. Kafka elects a leader at each start; we do so when there is something to write, so that a
broker that changes nothing writes nothing.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from broker_embedded.errors import KafkaStorageError
from broker_embedded.log import disk
from broker_embedded.log.checkpoints import MetaProperties
from broker_embedded.log.config import LogConfig
from broker_embedded.log.partition import PartitionLog
from broker_embedded.metadata import control, snapshots
from broker_embedded.metadata.snapshots import SnapshotId
from broker_embedded.records import BatchHeader, CorruptBatchError, decode, verify

METADATA_TOPIC: Final = "__cluster_metadata"
METADATA_TOPIC_ID: Final = uuid.UUID(int=1)
_QUORUM_STATE: Final = "quorum-state"
_BOOTSTRAP: Final = "bootstrap.checkpoint"
_CONFIG: Final = LogConfig(retention_ms=-1, max_message_bytes=8 << 20, file_delete_delay_ms=0)
_LEAST_BETWEEN_SNAPSHOTS_BYTES: Final = 256 << 10
"""Kafka: 20 MB. What is read at each start is kept small here."""


class MetadataLog:
    """Values of records, one after another: durable when `append` returns."""

    def __init__(self, folder: Path, log: PartitionLog, meta: MetaProperties, now_ms: Callable[[], int]) -> None:
        """Use `open`."""
        self.folder = folder
        self._log = log
        self._meta = meta
        self._now_ms = now_ms
        self._is_leader = False
        self._failed: str | None = None
        self._last_timestamp = 0
        self._snapshot_bytes = 0
        self.kraft_version = 0
        self.voters: control.Voters | None = None

    @classmethod
    def exists(cls, data: Path) -> bool:
        return (data / f"{METADATA_TOPIC}-0").exists()

    @classmethod
    def open(cls, data: Path, meta: MetaProperties, now_ms: Callable[[], int], was_clean: bool) -> MetadataLog:
        """Open the log in a data folder, or make it. Raises KafkaStorageError."""
        folder = data / f"{METADATA_TOPIC}-0"
        known = snapshots.find(folder)
        for start in (0, known[-1].end_offset if known else 0):
            log = PartitionLog.open(
                folder,
                METADATA_TOPIC,
                0,
                _CONFIG,
                now_ms=now_ms,
                clean_shutdown=was_clean,
                recovery_point=known[-1].end_offset if known else 0,
                log_start_offset=start,
                topic_id=METADATA_TOPIC_ID,
            )
            if not known or log.log_end_offset >= known[-1].end_offset:
                break
            log.close()  # it ends before its snapshot, and goes on behind it
        return cls(folder, log, meta, now_ms)

    @property
    def end_offset(self) -> int:
        return self._log.log_end_offset

    @property
    def epoch(self) -> int:
        """Of the leader that wrote last."""
        return self._log.leader_epoch

    def read(self) -> Iterator[tuple[int, bytes]]:
        """Offset and value of each record that still matters, from the newest snapshot on. Raises KafkaStorageError."""
        offset = 0
        for snapshot in reversed(snapshots.find(self.folder)):
            found = snapshots.read(snapshot.path(self.folder))
            if found is not None:
                offset = snapshot.end_offset
                for header, batch in found:
                    yield from ((offset - 1, value) for _, value in self._values(header, batch))
                break
        if offset < self._log.log_start_offset:
            raise KafkaStorageError(
                f"{self.folder}: the log begins at offset {self._log.log_start_offset}, and there is no sound snapshot "
                "of what was before. Restore the newest .checkpoint file"
            )
        for header, batch in self._log.read_all(offset):
            self._check(header, batch)
            yield from (row for row in self._values(header, batch) if row[0] >= offset)

    def _check(self, header: BatchHeader, batch: memoryview) -> None:
        try:
            verify(batch)
        except CorruptBatchError as error:
            raise KafkaStorageError(
                f"{self.folder}: what is at offset {header.base_offset} of the metadata log is damaged ({error}); the "
                "disk may be failing. Restore the folder from a copy"
            ) from error

    def read_bootstrap(self) -> list[bytes]:
        """The records that `kafka-storage format` has left for the first start. Raises KafkaStorageError."""
        path = self.folder.parent / _BOOTSTRAP
        found = (snapshots.read(path) if path.exists() else None) or []
        return [value for header, batch in found for _, value in self._values(header, batch)]

    def _values(self, header: BatchHeader, batch: memoryview) -> Iterator[tuple[int, bytes]]:
        self._last_timestamp = header.max_timestamp
        if header.is_control:
            for message in control.decode_control(batch):
                if isinstance(message, control.KRaftVersion):
                    self.kraft_version = message.kraft_version
                elif isinstance(message, control.Voters):
                    self.voters = message
            return
        columns = decode(batch)
        for offset, value in zip(columns.offsets.tolist(), columns.values(), strict=True):
            yield offset, value or b""

    def append(self, values: Sequence[bytes]) -> int:
        """Write records in one batch and see them to the disk; the offset of the first. A crash leaves all or none.

        Raises KafkaStorageError. Once a sync has failed, what is on the disk is not known: nothing more is taken then.
        """
        if self._failed is not None:
            raise KafkaStorageError(self._failed)
        if not self._is_leader:
            self._lead()
        now_ms = self._now_ms()
        batch = snapshots.record_batch(values, now_ms)
        offset = self._log.append(batch, verified=True).base_offset
        self.sync()
        self._last_timestamp = now_ms
        return offset

    def sync(self) -> None:
        try:
            self._log.sync()
        except KafkaStorageError as error:
            self._failed = f"metadata can no longer be changed: {error}"
            raise

    def _lead(self) -> None:
        """Begin an epoch: the vote is durable before anything is written in it, as KIP-595 has it."""
        epoch = max(self._log.epochs.latest, self._voted_epoch()) + 1
        voters = [control.Voter(voter_id=self._meta.node_id)]
        messages: list[msgspec.Struct] = [
            control.LeaderChange(leader_id=self._meta.node_id, voters=voters, granting_voters=voters)
        ]
        if self.end_offset == 0 and self.voters is None:
            self.kraft_version, self.voters = 1, self._first_voters()
            messages += self._quorum()
        self._write_quorum_state(epoch)
        self._log.begin_epoch(epoch)
        self._log.append_control(control.encode_control(messages, self._now_ms()))
        self._is_leader = True

    def _first_voters(self) -> control.Voters:
        """This node. Where Kafka finds another address in its configuration, it writes that down at its start."""
        return control.Voters(
            voters=[
                control.QuorumVoter(
                    voter_id=self._meta.node_id,
                    voter_directory_id=self._meta.directory_id,
                    endpoints=[control.VoterEndpoint(name="CONTROLLER", host="localhost", port=9093)],
                    kraft_version_feature=control.VersionRange(min_supported_version=0, max_supported_version=1),
                )
            ]
        )

    def _quorum(self) -> list[msgspec.Struct]:
        """Who votes, if the log says so: with kraft.version 0 the configuration does (KIP-853)."""
        if self.kraft_version == 0 or self.voters is None:
            return []
        return [control.KRaftVersion(kraft_version=self.kraft_version), self.voters]

    def _voted_epoch(self) -> int:
        path = self.folder / _QUORUM_STATE
        if not path.exists():
            return 0
        try:
            return int(json.loads(path.read_bytes())["leaderEpoch"])
        except (ValueError, KeyError, TypeError) as error:
            raise KafkaStorageError(f"{path}: not the state of a quorum ({error}). Restore the file") from error

    def _write_quorum_state(self, epoch: int) -> None:
        state: dict[str, Any] = {"leaderId": self._meta.node_id, "leaderEpoch": epoch, "votedId": -1}
        if self.kraft_version == 0:
            voters = [{"voterId": self._meta.node_id}]
            state = {"clusterId": "", **state, "appliedOffset": 0, "currentVoters": voters, "data_version": 0}
        else:
            state |= {"votedDirectoryId": "AAAAAAAAAAAAAAAAAAAAAA", "data_version": 1}
        disk.sync_replace(self.folder / _QUORUM_STATE, json.dumps(state, separators=(",", ":")).encode())

    @property
    def wants_snapshot(self) -> bool:
        """Whether much was written since the newest one: more than it has, and not little."""
        written = self._log.size_bytes
        return written > max(_LEAST_BETWEEN_SNAPSHOTS_BYTES, self._snapshot_bytes)

    def snapshot(self, values: Sequence[bytes]) -> None:
        """Write down what the log says up to here in `values`, and let the log begin here."""
        snapshot = SnapshotId(self.end_offset, self._log.epochs.at(self.end_offset - 1))
        begin = [control.SnapshotHeader(last_contained_log_timestamp=self._last_timestamp), *self._quorum()]
        now_ms = self._now_ms()
        parts = [
            control.encode_control(begin, now_ms),
            *snapshots.record_batches(values, now_ms),
            control.encode_control([control.SnapshotFooter()], now_ms),
        ]
        path = snapshot.path(self.folder)
        snapshots.write(path, parts, snapshot.epoch)
        self._snapshot_bytes = path.stat().st_size
        self._log.roll_beyond(0)
        self._log.delete_records(self.end_offset)
        for _ in ("rename the segments before", "unlink them"):
            self._log.enforce_retention()
        for old in snapshots.find(self.folder)[:-1]:
            old.path(self.folder).unlink()

    def close(self) -> None:
        self._log.close()
