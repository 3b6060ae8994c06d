"""What the others use: everything that is set is there after the next open, however the process ended."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from broker_embedded.errors import KafkaStorageError
from broker_embedded.log import disk
from broker_embedded.log.checkpoints import MetaProperties
from broker_embedded.metadata import (
    BROKER_RESOURCE,
    GROUP_RESOURCE,
    NO_ID,
    TOPIC_RESOURCE,
    AccessControlEntryRecord,
    Metadata,
    NewTopic,
    journal,
)
from broker_embedded.metadata import records as r
from broker_embedded.metadata.log import MetadataLog

META = MetaProperties("cluster", 1, UUID(int=5))
LOG = "__cluster_metadata-0"


class Data:
    """A data folder; `again` opens it anew, after a clean stop or from a copy, which is what a kill leaves."""

    def __init__(self, path: Path) -> None:
        self.path, self.metadata = path, self.open(path, was_clean=True)

    def open(self, path: Path, was_clean: bool) -> Metadata:
        metadata = Metadata.open(path, META, lambda: 1_700_000_000_000, was_clean)
        metadata.begin()
        return metadata

    def again(self, end: str = "kill") -> Metadata:
        if end == "stop":
            self.metadata.close()
        else:
            copy = self.path.with_name(f"{self.path.name}~")
            shutil.copytree(self.path, copy)
            self.path = copy
        self.metadata = self.open(self.path, was_clean=end == "stop")
        return self.metadata


@pytest.fixture
def data(tmp_path: Path) -> Data:
    path = tmp_path / "data"
    path.mkdir()
    return Data(path)


def new_topic(name: str, partitions: int = 1, **configs: str) -> NewTopic:
    return NewTopic(name, uuid4(), partitions, {key.replace("_", "."): value for key, value in configs.items()})


def state(metadata: Metadata) -> list[Any]:
    """All that is said, but for the order in which it came."""
    return sorted(map(repr, metadata._image.records()))


def acl(principal: str) -> AccessControlEntryRecord:
    return AccessControlEntryRecord(
        id=NO_ID,
        resource_type=2,
        resource_name="flights",
        pattern_type=3,
        principal=principal,
        host="*",
        operation=3,
        permission_type=3,
    )


def set_everything(metadata: Metadata) -> None:
    metadata.create_topics([new_topic("flights", 3, retention_ms="-1"), new_topic("trains")])
    metadata.add_partitions("trains", 4)
    metadata.create_topics([new_topic("gone", 2, retention_ms="5")])
    metadata.remove_topic("gone")
    metadata.set_configs(TOPIC_RESOURCE, "flights", {"retention.ms": None, "segment.bytes": "1048576"})
    metadata.set_configs(BROKER_RESOURCE, "", {"log.retention.ms": "7"})
    metadata.set_configs(BROKER_RESOURCE, "1", {"log.retention.ms": "8"})
    metadata.set_configs(GROUP_RESOURCE, "readers", {"consumer.session.timeout.ms": "50000"})
    for user in ("alice", "bob"):
        metadata.put_scram(user, 1, salt=b"s", stored_key=b"k", server_key=b"v", iterations=4096)
    metadata.remove_scram("bob", 1)
    first, _ = metadata.add_acls([acl("User:alice"), acl("User:bob")])
    metadata.remove_acls([first])
    metadata.set_quotas((("user", "alice"),), {"producer_byte_rate": 1024.0, "consumer_byte_rate": 5.0})
    metadata.set_quotas((("user", "alice"),), {"consumer_byte_rate": None})
    metadata.set_features({"share.version": 1, "group.version": 0})


def check_everything(metadata: Metadata) -> None:
    assert {name: len(topic.partitions) for name, topic in metadata.topics.items()} == {"flights": 3, "trains": 4}
    assert metadata.topic_configs("flights") == {"segment.bytes": "1048576"}
    assert metadata.topic_configs("trains") == metadata.topic_configs("gone") == {}
    assert metadata.broker_configs() == {"log.retention.ms": "7"}
    assert metadata.broker_configs(1) == {"log.retention.ms": "8"}
    assert metadata.group_configs("readers") == {"consumer.session.timeout.ms": "50000"}
    assert [(key, row.iterations) for key, row in metadata.scram_users.items()] == [(("alice", 1), 4096)]
    assert [row.principal for row in metadata.acls.values()] == ["User:bob"]
    assert all(key == row.id for key, row in metadata.acls.items())
    assert metadata.quotas == {(("user", "alice"),): {"producer_byte_rate": 1024.0}}
    levels = {"metadata.version": 30, "transaction.version": 2, "share.version": 1, "kraft.version": 1}
    assert metadata.features == levels


@pytest.mark.parametrize("end", ["stop", "kill"])
@pytest.mark.parametrize("with_snapshot", [False, True])
def test_all_that_is_set_is_there_again(data: Data, end: str, with_snapshot: bool) -> None:
    set_everything(data.metadata)
    check_everything(data.metadata)
    if with_snapshot:
        data.metadata._journal.snapshot()
    before, offset = state(data.metadata), data.metadata.offset
    again = data.again(end)
    check_everything(again)
    assert (state(again), again.offset) == (before, offset)
    again.create_topics([new_topic("after")])
    assert "after" in data.again(end).topics


def test_an_open_that_changes_nothing_writes_nothing(data: Data) -> None:
    data.metadata.create_topics([new_topic("flights")])
    data.metadata.close()
    before = {file.name: file.read_bytes() for file in (data.path / LOG).iterdir()}
    data.open(data.path, was_clean=True).close()
    assert {file.name: file.read_bytes() for file in (data.path / LOG).iterdir()} == before


def test_each_process_that_writes_begins_an_epoch(data: Data) -> None:
    for number in range(1, 4):
        data.metadata.create_topics([new_topic(f"flights-{number}")])
        assert data.metadata.epoch == number
        quorum = json.loads((data.path / LOG / "quorum-state").read_text())
        assert (quorum["leaderId"], quorum["leaderEpoch"], quorum["data_version"]) == (1, number, 1)
        data.again()


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_producer_ids_are_never_given_twice(data: Data, end: str) -> None:
    seen = [data.metadata.next_producer_id() for _ in range(1500)]
    seen += [data.again(end).next_producer_id() for _ in range(2)]
    assert len(set(seen)) == len(seen) == 1502
    assert max(seen) < 4000


def test_what_is_as_it_was_is_not_written(data: Data) -> None:
    data.metadata.set_configs(GROUP_RESOURCE, "g", {"a": "1"})
    offset = data.metadata.offset
    data.metadata.set_configs(GROUP_RESOURCE, "g", {"a": "1", "b": None})
    data.metadata.create_topics([])
    assert data.metadata.offset == offset


def test_what_is_not_there_cannot_be_removed(data: Data) -> None:
    data.metadata.add_acls([acl("User:alice")])
    with pytest.raises(KeyError, match="user 'bob' has no credential of mechanism 2"):
        data.metadata.remove_scram("bob", 2)
    with pytest.raises(KeyError):
        data.metadata.remove_acls([*data.metadata.acls, uuid4()])
    assert len(data.metadata.acls) == 1


def test_snapshots_keep_the_log_short(data: Data, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("broker_embedded.metadata.log._LEAST_BETWEEN_SNAPSHOTS_BYTES", 5000)
    for number in range(200):
        data.metadata.set_configs(GROUP_RESOURCE, "g", {f"config-{number % 10}": str(number)})
        files = [file.name for file in (data.path / LOG).iterdir()]
        assert sum(name.endswith(".log") for name in files) == 1
        assert sum(name.endswith(".checkpoint") for name in files) <= 1
        assert not any(name.endswith((".deleted", ".tmp")) for name in files)
    size_bytes = sum(file.stat().st_size for file in (data.path / LOG).iterdir())
    assert size_bytes < 12_000
    assert len(data.again().group_configs("g")) == 10


def test_a_snapshot_that_was_cut_short_counts_for_nothing(data: Data, caplog: pytest.LogCaptureFixture) -> None:
    data.metadata.create_topics([new_topic("flights")])
    data.metadata._journal.snapshot()
    (whole,) = (data.path / LOG).glob("*.checkpoint")
    torn = whole.with_name(f"{int(whole.name[:20]) - 1:020d}-0000000001.checkpoint")
    torn.write_bytes(whole.read_bytes()[:-5])
    assert "flights" in data.again().topics
    torn = data.path / LOG / torn.name
    torn.rename(torn.with_name(whole.name))
    with pytest.raises(KafkaStorageError, match="there is no sound snapshot of what was before"):
        data.again()
    assert "the snapshot was cut short" in caplog.text


def test_more_than_a_batch_takes_is_there_all_or_nothing(data: Data, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "_RECORDS_PER_BATCH", 4)
    data.metadata.create_topics([new_topic("flights", 10), new_topic("trains", 10)])
    assert {name: len(topic.partitions) for name, topic in data.again().topics.items()} == {"flights": 10, "trains": 10}

    append, left = MetadataLog.append, [3]

    def dying(log: MetadataLog, values: Any) -> int:
        left[0] -= 1
        if left[0] < 0:
            raise KeyboardInterrupt
        return append(log, values)

    monkeypatch.setattr(MetadataLog, "append", dying)
    with pytest.raises(KeyboardInterrupt):
        data.metadata.create_topics([new_topic("ships", 10)])
    monkeypatch.setattr(MetadataLog, "append", append)
    again = data.again()
    assert set(again.topics) == {"flights", "trains"}
    again.create_topics([new_topic("planes")])  # behind the record that ends what was cut short
    assert set(data.again().topics) == {"flights", "trains", "planes"}


def test_after_a_failed_sync_nothing_is_changed_any_more(data: Data, monkeypatch: pytest.MonkeyPatch) -> None:
    data.metadata.create_topics([new_topic("flights")])

    def fail(fd: int, path: str) -> None:
        raise KafkaStorageError(f"{path}: fsync failed")

    with monkeypatch.context() as patch:
        patch.setattr(disk, "sync_file", fail)
        with pytest.raises(KafkaStorageError, match="fsync failed"):
            data.metadata.create_topics([new_topic("trains")])
    assert set(data.metadata.topics) == {"flights"}
    with pytest.raises(KafkaStorageError, match=r"metadata can no longer be changed: .*fsync failed"):
        data.metadata.create_topics([new_topic("ships")])


def test_users_that_kafka_prepared_are_taken_over(tmp_path: Path) -> None:
    """`kafka-storage format --add-scram` leaves them in bootstrap.checkpoint."""
    from broker_embedded.metadata import control, snapshots

    user = r.UserScramCredentialRecord(
        name="alice", mechanism=1, salt=b"s", stored_key=b"k", server_key=b"v", iterations=4096
    )
    level = r.FeatureLevelRecord(name="metadata.version", feature_level=25)
    parts = [
        control.encode_control([control.SnapshotHeader(last_contained_log_timestamp=0)], 0),
        *snapshots.record_batches([r.encode(level), r.encode(user)], 0),
        control.encode_control([control.SnapshotFooter()], 0),
    ]
    snapshots.write(tmp_path / "bootstrap.checkpoint", parts, 0)
    metadata = Data(tmp_path).metadata
    assert list(metadata.scram_users) == [("alice", 1)]
    assert metadata.features == {"metadata.version": 25, "kraft.version": 1}


def append_records(data: Data, *changes: r.Record) -> None:
    log = MetadataLog.open(data.path, META, lambda: 0, was_clean=False)
    log.append([r.encode(change) for change in changes])
    log.close()


def test_transactions_of_kafka(data: Data) -> None:
    ids = [UUID(int=number) for number in range(10, 14)]
    topics = [r.TopicRecord(name=f"t{number}", topic_id=topic_id) for number, topic_id in enumerate(ids)]
    append_records(data, r.BeginTransactionRecord(name="kept"), topics[0], r.EndTransactionRecord())
    append_records(data, r.BeginTransactionRecord(), topics[1], r.AbortTransactionRecord(reason="no"))
    append_records(data, topics[2], r.BeginTransactionRecord(), topics[3])
    assert set(data.again().topics) == {"t0", "t2"}
    data.metadata.set_features({"share.version": 1})
    assert set(data.again().topics) == {"t0", "t2"}


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda: r.RemoveTopicRecord(topic_id=UUID(int=99)), r"offset \d+: RemoveTopicRecord changes .*not there"),
        (lambda: r.PartitionChangeRecord(topic_id=UUID(int=99)), "PartitionChangeRecord changes"),
    ],
)
def test_a_damaged_log_is_told(data: Data, change: Callable[[], r.Record], match: str) -> None:
    append_records(data, change())
    with pytest.raises(KafkaStorageError, match=match):
        data.again()


def test_a_flipped_bit_is_told(data: Data) -> None:
    data.metadata.set_configs(TOPIC_RESOURCE, "flights", {"retention.ms": "1000"})
    data.metadata.close()
    file = data.path / LOG / f"{0:020d}.log"
    content = bytearray(file.read_bytes())
    content[content.rindex(b"1000")] ^= 1
    file.write_bytes(content)
    with pytest.raises(KafkaStorageError, match=r"metadata log is damaged .* Restore the folder"):
        data.open(data.path, was_clean=True)


def test_a_record_of_a_newer_kafka_is_told(data: Data) -> None:
    log = MetadataLog.open(data.path, META, lambda: 0, was_clean=False)
    log.append([bytes.fromhex("01630000")])
    with pytest.raises(r.UnknownMetadataError, match=r"__cluster_metadata-0, offset \d+: a record of kind 99"):
        data.again()


def test_partitions_follow_their_changes(data: Data) -> None:
    data.metadata.create_topics([NewTopic("flights", UUID(int=7), 1, {})])
    shrunk = r.PartitionChangeRecord(
        partition_id=0, topic_id=UUID(int=7), isr=[], leader=-1, eligible_leader_replicas=[1], last_known_elr=[1]
    )
    append_records(data, shrunk)
    (partition,) = data.again().topics["flights"].partitions.values()
    assert (partition.isr, partition.leader, partition.leader_epoch, partition.partition_epoch) == ([], -1, 1, 1)
    append_records(data, r.PartitionChangeRecord(partition_id=0, topic_id=UUID(int=7), isr=[1]))
    append_records(data, r.ClearElrRecord(topic_name=""))
    (partition,) = data.again().topics["flights"].partitions.values()
    assert (partition.isr, partition.leader_epoch, partition.partition_epoch) == ([1], 1, 2)
    assert partition.eligible_leader_replicas is None
