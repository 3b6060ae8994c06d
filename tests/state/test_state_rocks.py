"""What is RocksDB's own: locks, power cuts, the memory budget, errors that say what to do."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from state.api import Changes, Checkpoint, StateError, StoreLockedError, StoreSpec
from state.backends.rocks import RocksBackend
from state.budget import StateMemory
from state.restore import Restorer
from state.task_stores import TaskStores
from state.testing import copy_live_folder

MEMORY = StateMemory(32 << 20)


def test_a_folder_open_in_this_process_is_refused(tmp_path: Path) -> None:
    backend = RocksBackend(tmp_path / "0_0", MEMORY)
    with pytest.raises(StoreLockedError, match=r"0_0 is open in this process already: close"):
        RocksBackend(tmp_path / "0_0", MEMORY)
    backend.close()
    RocksBackend(tmp_path / "0_0", MEMORY).close()


def test_a_folder_open_in_another_process_is_refused(tmp_path: Path) -> None:
    program = "import sys; from state.backends.rocks import RocksBackend as R; b = R(sys.argv[1]); print(); input()"
    arguments = [sys.executable, "-c", program, str(tmp_path / "0_0")]
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdin is not None and other.stdout is not None
        other.stdout.readline()
        with pytest.raises(StoreLockedError, match=r"0_0 is in use by another process: stop that worker"):
            RocksBackend(tmp_path / "0_0", MEMORY)
        other.stdin.write(b"\n")
    RocksBackend(tmp_path / "0_0", MEMORY).close()


def test_open_scans_do_not_keep_a_closed_folder_locked(tmp_path: Path) -> None:
    backend = RocksBackend(tmp_path / "0_0", MEMORY)
    backend.open_store("a")
    backend.write([Changes("a", [b"1", b"2"], [b"x", b"x"])])
    with backend.scan("a") as entries:
        next(entries)
        backend.close()
        again = RocksBackend(tmp_path / "0_0", MEMORY)
        assert next(entries, None) is None
    with again.scan("a") as entries:
        kept = entries
        next(entries)
    again.close()
    RocksBackend(tmp_path / "0_0", MEMORY).close()
    assert next(kept, None) is None


def test_a_file_in_the_way_is_explained(tmp_path: Path) -> None:
    (tmp_path / "0_0").write_text("not a folder")
    with pytest.raises(StateError, match=r"cannot open the stores in .*0_0"):
        RocksBackend(tmp_path / "0_0", MEMORY)


def test_a_damaged_file_is_explained(tmp_path: Path) -> None:
    backend = RocksBackend(tmp_path / "0_0", MEMORY)
    backend.close()
    (tmp_path / "0_0" / "CURRENT").write_text("MANIFEST-999999\n")
    with pytest.raises(StateError, match=r"cannot open the stores in .*0_0"):
        RocksBackend(tmp_path / "0_0", MEMORY)


def test_stores_of_a_process_share_one_budget(tmp_path: Path) -> None:
    memory = StateMemory(16 << 20)
    before = memory.memory_bytes()
    backends = [RocksBackend(tmp_path / f"{n}", memory) for n in range(3)]
    for backend in backends:
        backend.open_store("a")
        for at in range(0, 100_000, 2_000):
            keys = [b"%08d" % n for n in range(at, at + 2_000)]
            backend.write([Changes("a", keys, [bytes(100)] * 2_000)])
    assert before < memory.memory_bytes() < 20 << 20
    assert memory.buffer_bytes() < 12 << 20
    for backend in backends:
        assert backend.size_bytes() > 1 << 20
        backend.close()


def test_the_budget_can_be_changed_while_in_use() -> None:
    memory = StateMemory(32 << 20)
    memory.resize(64 << 20)
    assert memory.total_bytes == 64 << 20
    assert StateMemory.shared() is StateMemory.shared()


def test_full_buffers_are_flushed_together(tmp_path: Path) -> None:
    """Or a crash would find the large store further than the small one of the same batches."""
    memory = StateMemory(16 << 20)
    backend = RocksBackend(tmp_path / "0_0", memory)
    for store in ("large", "small"):
        backend.open_store(store)
    for n in range(1_000):
        count = b"%d" % n
        changes = [Changes("large", [count, b"n"], [bytes(50_000), count]), Changes("small", [b"n"], [count])]
        backend.write(changes, durable=False)
        if backend._families["large"].property_int_value("rocksdb.total-sst-files-size"):
            break
    left = RocksBackend(copy_live_folder(tmp_path / "0_0", tmp_path / "left"), memory)
    assert left.get("large", b"n") == left.get("small", b"n") is not None
    left.close()
    backend.close()


def test_a_durable_write_waits_for_what_came_during_a_flush(tmp_path: Path) -> None:
    backend = RocksBackend(tmp_path / "0_0", MEMORY)
    for store in ("a", "b"):
        backend.open_store(store)
    backend.write([Changes("a", [b"k"], [b"1"])], durable=False)
    for _ in backend.flush_steps():
        backend.write([Changes(store, [b"k"], [b"2"]) for store in ("a", "b")], durable=False)
    backend.write([Changes("b", [b"last"], [b"3"])])
    left = RocksBackend(copy_live_folder(tmp_path / "0_0", tmp_path / "left"), MEMORY)
    assert (left.get("a", b"k"), left.get("b", b"k"), left.get("b", b"last")) == (b"2", b"2", b"3")
    left.close()
    backend.close()


@pytest.mark.parametrize(
    ("rocksdb_says", "says"),
    [
        ("IO error: No space left on device: While appending", "cannot write the stores in .*0_0: .*; free space"),
        (
            "Corruption: block checksum mismatch",
            "cannot write the stores in .*0_0: Corruption: block checksum mismatch",
        ),
    ],
)
def test_errors_of_rocksdb_name_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rocksdb_says: str, says: str
) -> None:
    def fail(*arguments: object) -> None:
        raise Exception(rocksdb_says)

    backend = RocksBackend(tmp_path / "0_0", MEMORY)
    with monkeypatch.context() as patch, pytest.raises(StateError, match=says):
        patch.setattr(backend, "_db", type("Broken", (), {"write": fail})())
        backend.write([])
    backend.close()


Rows = list[tuple[bytes, bytes | None, int]]


@pytest.fixture(scope="module")
def commits(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Rows, int]:
    """A folder with thirty commits of several slices in its write-ahead log; their changelog; the log file's size."""
    folder = tmp_path_factory.mktemp("commits") / "0_0"
    rows: Rows = []

    def changelog(store: str, keys: list[bytes], values: list[bytes | None], timestamps: list[int]) -> None:
        rows.extend(zip(keys, values, timestamps, strict=True))

    stores = TaskStores(RocksBackend(folder, MEMORY), [StoreSpec("kv")], changelog, slice_entries=2)
    for n in range(30):
        for key in range(7):
            stores.put("kv", b"%d" % (key * n % 11), None if (key + n) % 5 == 0 else b"%d" % n, n)
        stores.begin_commit()
        list(stores.finish_commit({"kv": Checkpoint("t", len(rows))}))
    copy = copy_live_folder(folder, folder.with_name("copy"))
    stores.close()
    return copy, rows, _wal(copy).stat().st_size


@given(st.data())
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_power_cut(
    commits: tuple[Path, Rows, int], tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """Whatever suffix of the write-ahead log is lost, and of the changelog: the store is made whole, or rebuilt."""
    folder, rows, size = commits
    left = copy_live_folder(folder, tmp_path_factory.mktemp("cut") / "0_0")
    cut = data.draw(st.integers(0, size), label="bytes of the write-ahead log that were synced")
    with _wal(left).open("r+b") as wal:
        wal.truncate(cut)
    kept = rows[: data.draw(st.integers(0, len(rows)), label="records of the changelog that were synced")]
    stores = TaskStores(RocksBackend(left, MEMORY), [StoreSpec("kv")], lambda *change: None)
    restorer = Restorer(stores, "kv", topic_id="t", log_end=len(kept))
    missing = kept[restorer.position :]
    restorer.feed(len(kept), [r[0] for r in missing], [r[1] for r in missing], [r[2] for r in missing])
    list(restorer.finish())
    with stores.key_value("kv").scan() as entries:
        found = {key: value for key, value, _ in entries}
    expected = {key: value for key, value, _ in kept}
    assert found == {key: value for key, value in expected.items() if value is not None}
    stores.close()


def _wal(folder: Path) -> Path:
    return max(folder.glob("*.log"), key=lambda path: path.stat().st_size)


def test_stores_may_be_made_as_the_folder_opens(tmp_path: Path) -> None:
    backend = RocksBackend(tmp_path / "0_0", MEMORY, ["a", "b"])
    backend.write([Changes("a", [b"k"], [b"1"])])
    backend.close()
    backend = RocksBackend(tmp_path / "0_0", MEMORY, ["b", "c"])
    assert (backend.stores(), backend.get("a", b"k")) == (["a", "b", "c"], b"1")
    backend.close()
