"""The small files around a log, in Kafka's formats: offset checkpoints, epochs, partition metadata, meta.properties.

Those of the data folder are written durably (`sync_` in the name); those of a partition's folder become durable with
its next sync.
"""

from __future__ import annotations

import base64
import json
import os
import re
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from broker_embedded.errors import KafkaStorageError
from broker_embedded.log import disk

RECOVERY_POINTS: Final = "recovery-point-offset-checkpoint"
LOG_START_OFFSETS: Final = "log-start-offset-checkpoint"
CLEANED: Final = "cleaner-offset-checkpoint"
HIGH_WATERMARKS: Final = "replication-offset-checkpoint"
LEADER_EPOCHS: Final = "leader-epoch-checkpoint"
PARTITION_METADATA: Final = "partition.metadata"
META_PROPERTIES: Final = "meta.properties"
CLEAN_SHUTDOWN: Final = ".kafka_cleanshutdown"


def uuid_text(value: uuid.UUID) -> str:
    """A UUID as Kafka prints it: 22 characters of URL-safe base64.

    >>> uuid_text(uuid.UUID(int=0)), parse_uuid("AAAAAAAAAAAAAAAAAAAAAQ")
    ('AAAAAAAAAAAAAAAAAAAAAA', UUID('00000000-0000-0000-0000-000000000001'))
    """
    return base64.urlsafe_b64encode(value.bytes).rstrip(b"=").decode()


def parse_uuid(text: str) -> uuid.UUID:
    """The inverse of `uuid_text`. Raises ValueError."""
    return uuid.UUID(bytes=base64.urlsafe_b64decode(text + "=="))


def sync_offsets(path: Path, offsets: Mapping[tuple[str, int], int]) -> None:
    """Write an offset checkpoint, durably: (topic, partition) to offset. Raises KafkaStorageError."""
    disk.sync_replace(path, _lines([f"{topic} {partition} {offset}" for (topic, partition), offset in offsets.items()]))


def read_offsets(path: Path) -> dict[tuple[str, int], int]:
    """Read an offset checkpoint; empty when there is no file. Raises KafkaStorageError naming a malformed line."""
    rows = [line.split() for line in _read_lines(path, fields=3)]
    return {(topic, int(partition)): int(offset) for topic, partition, offset in rows}


def write_epochs(path: Path, epochs: Sequence[tuple[int, int]]) -> None:
    """Write `leader-epoch-checkpoint`: epoch and start offset. Raises KafkaStorageError."""
    temporary = Path(f"{path}.tmp")
    disk.write_file(temporary, _lines([f"{epoch} {start}" for epoch, start in epochs]))
    with disk.storing(path, "replace"):
        os.replace(temporary, path)


def read_epochs(path: Path) -> list[tuple[int, int]]:
    """Read `leader-epoch-checkpoint`; empty when there is no file. Raises KafkaStorageError."""
    rows = [line.split() for line in _read_lines(path, fields=2)]
    return [(int(epoch), int(start)) for epoch, start in rows]


def _lines(rows: list[str]) -> bytes:
    return "".join(f"{line}\n" for line in ("0", str(len(rows)), *rows)).encode()


def _read_lines(path: Path, fields: int) -> list[str]:
    """The entries of one of Kafka's checkpoint files: version 0, their number, one a line."""
    text = _read_text(path)
    if not text:  # also Kafka creates the file before it has anything to write
        return []
    lines = text.splitlines()
    rows = lines[2:]
    numbers = [word for row in rows for word in row.split()[-2:]]
    sound = text.endswith("\n") and lines[0] == "0" and lines[1:2] == [str(len(rows))]
    sound = sound and all(len(row.split()) == fields for row in rows)
    if not (sound and all(word.lstrip("-").isdigit() for word in numbers)):
        raise KafkaStorageError(
            f"{path}: not a checkpoint file (version 0, number of entries, entries of {fields} words). "
            "Restore it, or remove it: what it says is then found out by reading the logs"
        )
    return rows


def _read_text(path: Path) -> str:
    """The text of a file, empty when there is none; a power cut may leave what was not synced empty or all zero."""
    try:
        with disk.storing(path, "read"):
            return path.read_bytes().strip(b"\0").decode(errors="replace")  # callers see what is damaged
    except KafkaStorageError as error:
        if isinstance(error.__cause__, FileNotFoundError):
            return ""
        raise


def is_partition_of(path: Path, topic_id: uuid.UUID) -> bool:
    """Whether a folder's `partition.metadata` names this topic; written if it is missing or was cut short.

    Raises KafkaStorageError.
    """
    expected = f"version: 0\ntopic_id: {uuid_text(topic_id)}"
    found = _read_text(path)
    if found != expected and expected.startswith(found):
        disk.write_file(path, expected.encode())
        return True
    return found == expected


def read_topic_id(path: Path) -> uuid.UUID | None:
    """The topic id in a `partition.metadata`; None without one. Raises KafkaStorageError."""
    found = re.search(r"^topic_id: (\S{22})$", _read_text(path), re.MULTILINE)
    return None if found is None else parse_uuid(found[1])


class MetaProperties(NamedTuple):
    """Whose data a folder holds (Kafka's meta.properties, version 1)."""

    cluster_id: str
    node_id: int
    directory_id: uuid.UUID


def sync_meta_properties(path: Path, meta: MetaProperties) -> None:
    """Write `meta.properties`, durably. Raises KafkaStorageError."""
    lines = (
        "version=1",
        f"cluster.id={meta.cluster_id}",
        f"node.id={meta.node_id}",
        f"directory.id={uuid_text(meta.directory_id)}",
    )
    disk.sync_replace(path, "".join(f"{line}\n" for line in lines).encode())


def read_meta_properties(path: Path) -> MetaProperties | None:
    """Read `meta.properties`; None without the file. Raises KafkaStorageError."""
    lines = _read_text(path).splitlines()
    if not lines:
        return None
    fields = dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))
    try:
        return MetaProperties(fields["cluster.id"], int(fields["node.id"]), parse_uuid(fields["directory.id"]))
    except (KeyError, ValueError) as error:
        raise KafkaStorageError(
            f"{path}: {error} is missing or wrong. Is this a data folder? Restore the file, or name another folder"
        ) from error


def sync_clean_shutdown(folder: Path, broker_epoch: int = -1) -> None:
    """Mark the data folder as shut down cleanly, durably: all its logs are closed. Raises KafkaStorageError."""
    disk.sync_replace(folder / CLEAN_SHUTDOWN, json.dumps({"version": 0, "brokerEpoch": broker_epoch}).encode())


def sync_take_clean_shutdown(folder: Path) -> bool:
    """Whether the last shutdown was clean; the mark is removed, durably, so that a crash from now on is seen."""
    try:
        (folder / CLEAN_SHUTDOWN).unlink()
    except FileNotFoundError:
        return False
    disk.sync_folder(str(folder))
    return True
