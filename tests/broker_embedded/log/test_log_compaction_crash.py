"""Random histories with compactions in between, killed or cut from power at any operation on the disk."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from broker_embedded import records
from broker_embedded.log import disk

CONFIG = {
    "cleanup_policy": "compact",
    "segment_bytes": 700,
    "index_interval_bytes": 150,
    "delete_retention_ms": 2_000,
    "file_delete_delay_ms": 0,
}
KEYS = "abcdefg"


class Killed(BaseException):
    """The process is gone."""


class Disk:
    """Counts what is done to files, kills at one of them, and takes back at a power cut what was not synced.

    A file loses an end at random of what was written to it since it was synced; the names in a folder go back to what
    they were after some operation since the folder was synced, as a file system with a journal has it.
    """

    def __init__(self, patch: pytest.MonkeyPatch, attic: Path) -> None:
        self._attic = attic
        attic.mkdir(exist_ok=True)
        self.left = -1
        self._synced: dict[int, int] = {}  # by inode
        self._undo: dict[str, list[Callable[[], None]]] = {}
        self._real = {name: getattr(os, name) for name in ("rename", "replace", "unlink", "write", "pwritev")}
        for name in ("rename", "replace"):
            patch.setattr(os, name, self._renaming(self._real[name]))
        patch.setattr(os, "unlink", self._unlink)
        for name in ("write", "pwritev"):
            patch.setattr(os, name, self._counting(self._real[name]))
        patch.setattr(disk, "sync_file", self._sync_file)
        patch.setattr(disk, "sync_folder", self._sync_folder)
        self._patch = patch

    def _count(self) -> None:
        if self.left == 0:
            raise Killed
        self.left -= 1

    def _counting(self, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any) -> Any:
            self._count()
            return real(*args)

        return call

    def _keep(self, path: str) -> str | None:
        if not os.path.exists(path):
            return None
        kept = str(self._attic / f"{len(os.listdir(self._attic))}")
        os.link(path, kept)
        return kept

    def _renaming(self, real: Callable[..., None]) -> Callable[..., None]:
        def rename(source: Any, target: Any) -> None:
            source, target = os.fspath(source), os.fspath(target)
            self._count()
            kept = self._keep(target)
            real(source, target)

            def undo() -> None:
                if os.path.exists(target):
                    self._real["rename"](target, source)
                if kept is not None:
                    os.link(kept, target)

            self._undo.setdefault(os.path.dirname(source), []).append(undo)

        return rename

    def _unlink(self, path: Any, **options: Any) -> None:
        path = os.fspath(path)
        self._count()
        kept = self._keep(path)
        self._real["unlink"](path)

        def undo() -> None:
            if kept is not None and not os.path.exists(path):
                os.link(kept, path)

        self._undo.setdefault(os.path.dirname(path), []).append(undo)

    def _sync_file(self, fd: int, path: str) -> None:
        self._count()
        status = os.fstat(fd)
        self._synced[status.st_ino] = status.st_size

    def _sync_folder(self, path: str) -> None:
        self._count()
        self._undo.pop(path, None)

    def cut_power(self, folder: Path, draw: Callable[[int], int]) -> None:
        """`draw(n)` is a number from 0 to n."""
        undo = self._undo.pop(str(folder), [])
        for step in undo[::-1][: draw(len(undo))]:
            step()
        self._undo.clear()
        for path in sorted(folder.iterdir()):
            status = path.stat()
            synced = min(self._synced.get(status.st_ino, 0), status.st_size)
            os.truncate(path, synced + draw(status.st_size - synced))


@dataclass
class Event:
    """A batch or a marker, as it was appended."""

    base_offset: int
    last_offset: int
    rows: list[tuple[str, str | None]]
    producer_id: int = -1
    last_sequence: int = -1
    is_transactional: bool = False
    commit: bool | None = None  # of a marker


@dataclass
class History:
    """What was appended; everything a log must show follows from it."""

    events: list[Event] = field(default_factory=list)

    def cut(self, end: int) -> None:
        self.events = [event for event in self.events if event.last_offset < end]

    def open_since(self) -> dict[int, int]:
        found: dict[int, int] = {}
        for event in self.events:
            if event.commit is not None:
                found.pop(event.producer_id, None)
            elif event.is_transactional:
                found.setdefault(event.producer_id, event.base_offset)
        return found

    def sequences(self) -> dict[int, tuple[int, int]]:
        """Producer id to the last sequence and offset."""
        return {
            event.producer_id: (event.last_sequence, event.last_offset)
            for event in self.events
            if event.producer_id >= 0 and event.commit is None
        }

    def view(self) -> dict[str, str]:
        """What a consumer of committed records ends with, tombstones left out."""
        return committed_view(
            (event.base_offset, event.producer_id, event.is_transactional, event.commit, self._rows(event))
            for event in self.events
        )

    @staticmethod
    def _rows(event: Event) -> list[tuple[int, str, str | None]]:
        return [(event.base_offset + number, key, value) for number, (key, value) in enumerate(event.rows)]


def committed_view(batches: Iterator[tuple[int, int, bool, bool | None, list[Any]]]) -> dict[str, str]:
    waiting: dict[int, list[Any]] = {}
    seen: list[tuple[int, str, str | None]] = []
    for _, producer_id, is_transactional, commit, rows in batches:
        if commit is not None:
            ended = waiting.pop(producer_id, [])
            seen += ended if commit else []
        elif is_transactional:
            waiting.setdefault(producer_id, []).extend(rows)
        else:
            seen += rows
    newest = {key: value for _, key, value in sorted(seen, key=lambda row: row[0])}
    return {key: value for key, value in newest.items() if value is not None}


class Story:
    def __init__(self, lab: Any, data: Any, patch: pytest.MonkeyPatch, attic: Path) -> None:
        self.lab = lab
        self.data = data
        self.history = History()
        self.log = lab.open(**CONFIG)
        self.sequences: dict[int, int] = {}
        self.clean = 0
        self.recovery_point = 0  # the one on the disk
        self.log.sync()
        self.disk = Disk(patch, attic)

    def number(self, largest: int) -> int:
        return int(self.data.draw(st.integers(0, largest)))

    def append(self) -> None:
        rows = self.data.draw(
            st.lists(st.tuples(st.sampled_from(KEYS), st.none() | st.text("xyz", max_size=40)), min_size=1, max_size=5)
        )
        producer_id = self.data.draw(st.sampled_from([-1, 1, 2, 3]))  # 1 is idempotent, 2 and 3 are transactional
        codec = self.data.draw(st.sampled_from(["none", "none", "lz4"]))
        fields: dict[str, Any] = {"codec": codec, "timestamp": self.lab.now_ms}
        if producer_id >= 0:
            first = self.sequences.get(producer_id, 0)
            fields |= {"producer_id": producer_id, "producer_epoch": 0, "base_sequence": first}
            fields["is_transactional"] = producer_id > 1
        appended = self.log.append(self.lab.keyed(*rows, **fields))
        last = -1
        if producer_id >= 0:
            last = self.sequences.get(producer_id, 0) + len(rows) - 1
            self.sequences[producer_id] = last + 1
        bounds = appended.base_offset, appended.last_offset
        self.history.events.append(Event(*bounds, rows, producer_id, last, producer_id > 1))

    def end_transaction(self) -> None:
        for producer_id in self.history.open_since():
            commit = self.data.draw(st.booleans())
            offset = self.log.append_marker(producer_id, 0, commit=commit).base_offset
            self.history.events.append(Event(offset, offset, [], producer_id, commit=commit))
            return

    def wait(self) -> None:
        self.lab.now_ms += self.number(3_000)
        self.log.enforce_retention()

    def sync(self) -> None:
        self.log.sync()
        self.recovery_point = self.log.recovery_point

    def compact(self) -> None:
        self.sync()
        self.clean = self.lab.compact(self.log, self.clean, self.data.draw(st.sampled_from([600, 1 << 20])))

    def compact_and_die(self) -> None:
        """At some operation of the compaction, or of what comes after."""
        self.sync()
        self.disk.left = self.number(60)
        with suppress(Killed):
            self.clean = self.lab.compact(self.log, self.clean)
            self.append()
        self.die()

    def die(self) -> None:
        self.disk.left = -1
        folder = self.lab.kill(self.log)
        if self.data.draw(st.booleans()):
            self.disk.cut_power(folder, self.number)
        if self.data.draw(st.booleans()):  # and again, on the way up
            self.disk.left = self.number(20)
            with suppress(Killed):
                self.reopen(folder)
                self.lab.kill(self.log)
            self.disk.left = -1
            if self.data.draw(st.booleans()):
                self.disk.cut_power(folder, self.number)
        self.reopen(folder)
        self.history.cut(self.log.log_end_offset)
        self.sequences = {key: last + 1 for key, (last, _) in self.history.sequences().items()}
        self.clean = min(self.clean, self.log.log_end_offset)

    def reopen(self, folder: Path) -> None:
        self.log = self.lab.open(folder, clean=False, recovery_point=self.recovery_point, **CONFIG)

    def check(self) -> None:
        log, history = self.log, self.history
        end = history.events[-1].last_offset + 1 if history.events else 0
        assert log.log_end_offset == end
        assert log.log_end_offset >= self.recovery_point
        headers = self.lab.headers(self.lab.read_all(log))
        assert all(before.last_offset < after.base_offset for before, after in pairwise(headers))
        written = {event.base_offset + number: row for event in history.events for number, row in enumerate(event.rows)}
        rows = self.lab.rows(log)
        assert all(written[offset] == (key, value) for offset, key, value in rows)
        assert committed_view(self._batches()) == history.view()
        assert log.open_transactions() == history.open_since()
        for producer_id, last in history.sequences().items():
            batch = log.producers.get(producer_id).batches[-1]
            assert (batch.last_sequence, batch.last_offset) == last

    def _batches(self) -> Iterator[tuple[int, int, bool, bool | None, list[Any]]]:
        for header, batch in records.batches(self.lab.read_all(self.log)):
            commit = records.read_control(batch) if header.is_control else None
            rows = []
            if not header.is_control:
                columns = records.decode(batch)
                values = [None if value is None else value.decode() for value in columns.values()]
                names = [(key or b"").decode() for key in list(columns.keys())]
                rows = list(zip(columns.offsets.tolist(), names, values, strict=True))
            if not header.is_control or commit is not None:
                yield header.base_offset, header.producer_id, header.is_transactional, commit, rows


STEPS = [*["append"] * 8, "end_transaction", "end_transaction", "wait", "sync", "compact", "compact_and_die", "die"]


@contextmanager
def story(lab: Any, data: Any, tmp_path: Path) -> Iterator[Story]:
    with pytest.MonkeyPatch.context() as patch:
        yield Story(lab, data, patch, tmp_path / "attic")
    lab.release()


def tell(lab: Any, data: Any, tmp_path: Path, length: int) -> None:
    with story(lab, data, tmp_path) as told:
        for step in data.draw(st.lists(st.sampled_from(STEPS), min_size=length, max_size=2 * length)):
            getattr(told, step)()
            if step != "append":
                told.check()
        told.die()
        told.check()


quiet = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large]


@settings(max_examples=25, deadline=None, suppress_health_check=quiet)
@given(data=st.data())
def test_compaction_loses_nothing(lab: Any, tmp_path: Path, data: Any) -> None:
    tell(lab, data, tmp_path, 25)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@settings(max_examples=int(os.environ.get("COMPACTION_STORIES", "60")), deadline=None, suppress_health_check=quiet)
@given(data=st.data())
def test_compaction_loses_nothing_in_long_stories(lab: Any, tmp_path: Path, data: Any) -> None:
    tell(lab, data, tmp_path, 40)
