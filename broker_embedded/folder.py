"""The data folder as a whole: lock, topics, partitions, checkpoints, and the mark of a clean stop.

Kafka's layout (LogManager). What exists is what the metadata log says: a topic is there from one moment on with all its
partitions, and folders follow; a deletion is written down before files go, and finished by the next open if it was cut
short. The mark `.kafka_cleanshutdown` is written last and removed first, so a folder without it is one whose logs must
be recovered.
"""

from __future__ import annotations

import logging
import os
import re
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import MappingProxyType
from uuid import uuid4

from broker_embedded.config import BrokerConfig
from broker_embedded.configs.topics import TOPIC_CONFIGS, log_config
from broker_embedded.errors import KafkaError
from broker_embedded.lock import FolderLock
from broker_embedded.log import checkpoints, disk
from broker_embedded.log.checkpoints import MetaProperties
from broker_embedded.log.config import LogConfig
from broker_embedded.log.names import offset_of
from broker_embedded.log.partition import PartitionLog
from broker_embedded.metadata import TOPIC_RESOURCE, Metadata, NewTopic
from broker_embedded.metadata.log import METADATA_TOPIC_ID
from broker_embedded.metadata.single_node import check_format
from broker_embedded.topics import TRANSACTIONS_TOPIC, Topic

log = logging.getLogger(__name__)

_PARTITION_FOLDER = re.compile(r".+-\d+")


class DataFolder:
    """A folder this process holds."""

    def __init__(self, path: Path, lock: FolderLock, node_id: int, now_ms: Callable[[], int]) -> None:
        """Use `take`."""
        self.path = path
        self.lock = lock
        self.meta = self._identity(node_id)
        marked = (path / checkpoints.CLEAN_SHUTDOWN).exists()
        self.metadata = Metadata.open(path, self.meta, now_ms, marked)
        checkpoints.sync_take_clean_shutdown(path)
        self.was_clean = marked or self.metadata.is_new
        self.metadata.begin()
        self.metadata.lead(anew=not self.was_clean)
        self.lost_beginnings: dict[tuple[str, int], int] = {}
        """Partitions whose first segments are missing, and the offset at which they should begin."""

    def _identity(self, node_id: int) -> MetaProperties:
        path = self.path / checkpoints.META_PROPERTIES
        meta = checkpoints.read_meta_properties(path)
        check_format(self.path, meta, node_id)
        if meta is None:
            meta = MetaProperties(checkpoints.uuid_text(uuid4()), node_id, uuid4())
            checkpoints.sync_meta_properties(path, meta)
        return meta

    @classmethod
    def take(cls, path: Path, node_id: int, now_ms: Callable[[], int]) -> DataFolder:
        """Lock `path`, made if missing. Raises FolderInUseError, ForeignFolderError."""
        path = path.resolve()
        path.mkdir(parents=True, exist_ok=True)
        disk.allow_open_files()
        lock = FolderLock.take(path)
        try:
            return cls(path, lock, node_id, now_ms)
        except BaseException:
            lock.release()
            raise

    def open_topics(self, config: BrokerConfig, now_ms: Callable[[], int]) -> dict[str, Topic]:
        """Open every partition, recovering it after an unclean stop; finish deletions that were cut short."""
        topics = {
            found.name: Topic(found.name, found.id, len(found.partitions), self.metadata.topic_configs(found.name))
            for found in self.metadata.topics.values()
        }
        self._clear_strays(topics)
        starts = self._starts(topics)
        synced = checkpoints.read_offsets(self.path / checkpoints.RECOVERY_POINTS)
        for topic in topics.values():
            settings = log_config(_known(topic), config)
            for index in range(topic.partition_count):
                key, start = (topic.name, index), starts.get((topic.name, index), 0)
                source = self._open(topic, index, settings, now_ms, self.was_clean, synced.get(key, 0), start)
                if source.log_start_offset > start:
                    self.lost_beginnings[key] = start
                topic.partitions.append(source)
        if not self.was_clean:  # the process before may have made folders and not lived to sync their names
            disk.sync_folder(str(self.path))
        return topics

    def _clear_strays(self, topics: Mapping[str, Topic]) -> None:
        """Remove what deletions have left, and rename partitions of topics that nobody knows, as Kafka does."""
        expected = {f"{topic.name}-{index}" for topic in topics.values() for index in range(topic.partition_count)}
        for entry in list(os.scandir(self.path)):
            if entry.name.endswith("-delete") and entry.is_dir():  # renamed so by a deletion cut short
                shutil.rmtree(entry)
            elif entry.name not in expected and _PARTITION_FOLDER.fullmatch(entry.name):
                self._clear_stray(Path(entry))

    def _clear_stray(self, folder: Path) -> None:
        topic_id = checkpoints.read_topic_id(folder / checkpoints.PARTITION_METADATA)
        if topic_id is None or topic_id == METADATA_TOPIC_ID:
            return
        if topic_id in self.metadata.removed_topics:
            shutil.rmtree(folder)
            return
        stray = disk.aside(folder, "-stray")
        folder.rename(stray)
        log.warning(
            "%s is a partition of topic id %s, which the metadata log does not know: renamed to %s",
            folder,
            checkpoints.uuid_text(topic_id),
            stray.name,
        )

    def _starts(self, topics: Mapping[str, Topic]) -> dict[tuple[str, int], int]:
        """Where logs begin, as written down; for those that retention shortened just before a crash written down now.

        It renames segments first, and what it renamed is removed when the log is opened.
        """
        path = self.path / checkpoints.LOG_START_OFFSETS
        starts = checkpoints.read_offsets(path)
        if self.was_clean:
            return starts
        shortened = {}
        for topic in topics.values():
            for index in range(topic.partition_count):
                folder = self._partition_path(topic.name, index)
                files = [*folder.glob("*.log"), *folder.glob("*.log.swap")]  # (compacted ones: see log/swap.py)
                left = [offset_of(file.name) for file in files]
                if left and any(folder.glob("*.log.deleted")):
                    shortened[topic.name, index] = max(min(left), starts.get((topic.name, index), 0))
        if shortened:
            starts |= shortened
            checkpoints.sync_offsets(path, starts)
        return starts

    def _open(
        self,
        topic: Topic,
        index: int,
        settings: LogConfig,
        now_ms: Callable[[], int],
        was_clean: bool = True,
        recovery_point: int = 0,
        log_start_offset: int = 0,
    ) -> PartitionLog:
        opened = PartitionLog.open(
            self._partition_path(topic.name, index),
            topic.name,
            index,
            settings,
            now_ms=now_ms,
            clean_shutdown=was_clean,
            recovery_point=recovery_point,
            log_start_offset=log_start_offset,
            topic_id=topic.id,
        )
        opened.begin_epoch(self.metadata.topics[topic.name].partitions[index].leader_epoch)
        return opened

    def _partition_path(self, topic: str, index: int) -> Path:
        return self.path / f"{topic}-{index}"

    def create(self, topics: Sequence[Topic], config: BrokerConfig, now_ms: Callable[[], int]) -> None:
        """Make topics, all or none. They exist once the metadata log has them; what else has their place goes."""
        for topic in topics:
            self._remove_partitions(topic)
        self._forget_checkpoints({(topic.name, index) for topic in topics for index in range(topic.partition_count)})
        self.metadata.create_topics(
            [NewTopic(topic.name, topic.id, topic.partition_count, topic.configs) for topic in topics]
        )
        try:
            for topic in topics:
                self._open_new(topic, topic.partition_count, config, now_ms)
        except KafkaError:
            for topic in topics:
                self.delete(topic)
            raise

    def grow(self, topic: Topic, partition_count: int, config: BrokerConfig, now_ms: Callable[[], int]) -> None:
        """Give `topic` more partitions. After an error it has those it had, until the next attempt or open."""
        self._forget_checkpoints({(topic.name, index) for index in range(len(topic.partitions), partition_count)})
        self.metadata.add_partitions(topic.name, partition_count)
        self._open_new(topic, partition_count, config, now_ms)
        topic.partition_count = partition_count

    def _open_new(self, topic: Topic, partition_count: int, config: BrokerConfig, now_ms: Callable[[], int]) -> None:
        settings = log_config(_known(topic), config)
        opened: list[PartitionLog] = []
        with ExitStack() as undo:
            for index in range(len(topic.partitions), partition_count):
                source = self._open(topic, index, settings, now_ms)
                undo.callback(source.delete)
                opened.append(source)
            undo.pop_all()
        topic.partitions += opened

    def _forget_checkpoints(self, partitions: set[tuple[str, int]]) -> None:
        """What was written down of earlier partitions of these names says nothing of the new ones."""
        for name in (checkpoints.RECOVERY_POINTS, checkpoints.LOG_START_OFFSETS, checkpoints.HIGH_WATERMARKS):
            known = checkpoints.read_offsets(self.path / name)
            if partitions & known.keys():
                left = {key: offset for key, offset in known.items() if key not in partitions}
                checkpoints.sync_offsets(self.path / name, left)

    def configure(self, topic: Topic, configs: Mapping[str, str], config: BrokerConfig) -> None:
        """Replace the configs of `topic`, which its logs follow from then on. Raises InvalidConfigError."""
        settings = log_config(configs, config)
        gone = dict.fromkeys(name for name in topic.configs if name not in configs)
        self.metadata.set_configs(TOPIC_RESOURCE, topic.name, {**gone, **configs})
        topic.configs = self.metadata.topic_configs(topic.name)
        for partition in topic.partitions:
            partition.configure(settings)

    def delete(self, topic: Topic) -> None:
        """Remove `topic` and its files. Written down first: a crash in between is finished by the next open."""
        self.metadata.remove_topic(topic.name)
        for partition in topic.partitions:
            partition.delete()
        self._remove_partitions(topic)

    def _remove_partitions(self, topic: Topic) -> None:
        for index in range(topic.partition_count):
            shutil.rmtree(self._partition_path(topic.name, index), ignore_errors=True)

    def write_checkpoints(
        self, logs: Sequence[PartitionLog], starts: Mapping[tuple[str, int], int] = MappingProxyType({})
    ) -> None:
        """Kafka's three: up to where each log is synced, where it starts (`starts` goes first), its high watermark."""
        self._checkpoint(checkpoints.RECOVERY_POINTS, logs, lambda source: source.recovery_point)
        self._checkpoint(
            checkpoints.LOG_START_OFFSETS,
            logs,
            lambda source: starts.get((source.topic, source.partition), source.log_start_offset),
        )
        self._checkpoint(checkpoints.HIGH_WATERMARKS, logs, lambda source: source.high_watermark)

    def _checkpoint(self, name: str, logs: Iterable[PartitionLog], value: Callable[[PartitionLog], int]) -> None:
        offsets = {(source.topic, source.partition): value(source) for source in logs}
        checkpoints.sync_offsets(self.path / name, offsets)

    def close(self, logs: Sequence[PartitionLog]) -> None:
        """Close every log as a clean stop does, and say so. What was decided is on the disk before any other log."""
        for source in logs:
            if source.topic == TRANSACTIONS_TOPIC:
                source.close()
        disk.side_by_side([source.close for source in logs])
        self.write_checkpoints(logs)
        self.metadata.close()
        checkpoints.sync_clean_shutdown(self.path, self.metadata.broker_epoch)

    def release(self) -> None:
        self.lock.release()


def _known(topic: Topic) -> dict[str, str]:
    """Configs of a topic but for those of another Kafka, which stay in the metadata and mean nothing here."""
    unknown = {name for name in topic.configs if name not in TOPIC_CONFIGS and not name.startswith("internal.")}
    for name in sorted(unknown):
        log.warning("topic %s has %s=%s, which this version does not know", topic.name, name, topic.configs[name])
    return {name: value for name, value in topic.configs.items() if name not in unknown}
