"""The conformance suite for backends: what any of them must do for the layers above, crashes included.

from state.testing import check_store, copy_live_folder

def test_my_backend(tmp_path):
    folders = (tmp_path / str(number) for number in count())
    check_store(
        lambda: MyBackend(next(folders)),
        crash=lambda mine: MyBackend(copy_live_folder(mine.path, next(folders))),
    )
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any, TypeAlias

from state.api import META, Backend, Changes, Checkpoint, StoreSpec, UnknownStoreError
from state.restore import Restorer
from state.task_stores import TaskStores

Make: TypeAlias = Callable[[], Backend]
"""Opens a new, empty backend."""

Crash: TypeAlias = Callable[[Backend], Backend]
"""Opens what would be left if the process died now; the given backend may go on living."""


def check_store(make: Make, crash: Crash | None = None) -> None:
    """Run every check on backends from `make`, those about crashes only if there is a `crash`.

    Raises AssertionError naming the check that failed.

    >>> from state.backends.memory import MemoryBackend
    >>> check_store(MemoryBackend, crash=lambda backend: backend.copy())
    """
    checks: list[Callable[[Backend], None]] = list(BACKEND_CHECKS)
    if crash is not None:
        checks += [_bound(check, crash) for check in CRASH_CHECKS]
    for check in checks:
        backend = make()
        try:
            check(backend)
        except AssertionError as error:
            raise AssertionError(f"{check.__name__}: {check.__doc__} {error}") from error
        finally:
            backend.close()


def copy_live_folder(source: Path, target: Path) -> Path:
    """Copy a folder in use, as a killed process leaves it; again from the start if files came or went meanwhile."""
    while True:
        try:
            before = _sizes(source)
            target.mkdir(parents=True)
            for name in before:
                shutil.copy2(source / name, target / name)
            if _sizes(source) == before:
                return target
        except FileNotFoundError:
            pass  # a file went away while it was looked at
        shutil.rmtree(target, ignore_errors=True)


def check_values(backend: Backend) -> None:
    """A key gives the value last written to it, or None."""
    backend.open_store("a")
    assert backend.get("a", b"k") is None
    _write(backend, "a", {b"": b"", b"k": b"1", b"\xff" * 9: b"x" * 100_000})
    _write(backend, "a", {b"k": b"2", b"gone": None})
    assert backend.get("a", b"k") == b"2"
    assert backend.get("a", b"") == b""
    assert backend.get_many("a", [b"k", b"none", b"\xff" * 9, b"k"]) == [b"2", None, b"x" * 100_000, b"2"]
    assert backend.get_many("a", []) == []
    _write(backend, "a", {b"k": None})
    assert backend.get("a", b"k") is None


def check_scans(backend: Backend) -> None:
    """A scan gives start <= key < stop in the order of bytes, either way."""
    keys = [b"", b"\x00", b"a", b"a\x00", b"b", b"ba", b"\x7f", b"\x80", b"\xff", b"\xff\xff"]
    backend.open_store("a")
    _write(backend, "a", {key: b"v" + key for key in keys})
    bounds = [None, b"", b"a", b"a\x00", b"aa", b"\xff", b"\xff\xff\xff"]
    for start in bounds:
        for stop in bounds:
            expected = [key for key in keys if (start is None or key >= start) and (stop is None or key < stop)]
            for reverse in (False, True):
                with backend.scan("a", start, stop, reverse=reverse) as entries:
                    found = [key for key, value in entries if value == b"v" + key]
                assert found == (expected[::-1] if reverse else expected), (start, stop, reverse, found)


def check_snapshot(backend: Backend) -> None:
    """A scan shows what was there when it began, and may be left early."""
    backend.open_store("a")
    _write(backend, "a", {b"1": b"1", b"2": b"2", b"3": b"3"})
    with backend.scan("a") as entries:
        first = next(entries)
        _write(backend, "a", {b"2": b"new", b"3": None, b"4": b"4"})
        rest = list(entries)
    assert [first, *rest] == [(b"1", b"1"), (b"2", b"2"), (b"3", b"3")]
    with backend.scan("a") as entries:
        assert next(entries) == (b"1", b"1")


def check_cleared(backend: Backend) -> None:
    """A cleared range goes before the values of its batch, and nothing outside of it."""
    backend.open_store("a")
    backend.open_store("b")
    for store in ("a", "b"):
        _write(backend, store, {b"%02d" % n: b"old" for n in range(10)})
    backend.write([Changes("a", [b"03"], [b"new"], (b"02", b"06")), Changes("b", [b"00"], [None])])
    assert _all(backend, "a") == {b"%02d" % n: b"old" for n in (0, 1, 6, 7, 8, 9)} | {b"03": b"new"}
    assert len(_all(backend, "b")) == 9


def check_stores(backend: Backend) -> None:
    """Stores are made, listed and dropped by name, and apart from one another."""
    for store in ("b", "default", "a", "a"):
        backend.open_store(store)
    assert backend.stores() == ["a", "b", "default"]
    _write(backend, "a", {b"k": b"a"})
    assert backend.get("b", b"k") is None
    backend.drop_store("a")
    assert backend.stores() == ["b", "default"]
    for use in (lambda: backend.get("a", b"k"), lambda: _write(backend, "a", {b"k": b"1"}), lambda: _all(backend, "a")):
        try:
            use()
        except UnknownStoreError as error:
            assert "a" in str(error)
        else:
            raise AssertionError("a store that was dropped can still be used")
    backend.open_store("a")
    assert _all(backend, "a") == {}


def check_load(backend: Backend) -> None:
    """What is written without the log is there after a flush, the last write of a key winning."""
    backend.open_store("a")
    _write(backend, "a", {b"k": b"old", b"gone": b"old"})
    for n in range(5):
        backend.write([Changes("a", [b"z", b"k", b"gone"], [b"%d" % n, b"%d" % n, None])], durable=False)
    _finish(backend.flush_steps())
    assert not backend.busy("a")
    assert _all(backend, "a") == {b"k": b"4", b"z": b"4"}


def check_random(backend: Backend) -> None:
    """A thousand random batches leave what they leave in a dict."""
    random, model = Random(7), {store: dict[bytes, bytes]() for store in "ab"}
    for store in model:
        backend.open_store(store)
    for _ in range(1000):
        store = random.choice("ab")
        changes = {random.randbytes(random.randrange(3)): _value(random) for _ in range(random.randrange(5))}
        low, high = sorted(random.randbytes(random.randrange(3)) for _ in range(2))
        cleared = (low, high) if random.random() < 0.05 and low < high else None
        keys = sorted(changes)
        backend.write([Changes(store, keys, [changes[key] for key in keys], cleared)])
        if cleared is not None:
            model[store] = {key: value for key, value in model[store].items() if not low <= key < high}
        model[store].update({key: value for key, value in changes.items() if value is not None})
        for key in [key for key, value in changes.items() if value is None]:
            model[store].pop(key, None)
    for store, expected in model.items():
        assert _all(backend, store) == expected


def check_crash_keeps_batches(backend: Backend, crash: Crash) -> None:
    """After a crash every batch written durably is there, whole."""
    backend.open_store("a")
    backend.open_store("b")
    for n in range(20):
        backend.write([Changes(store, [b"%d" % n, b"n"], [b"x", b"%d" % n]) for store in "ab"])
        left = crash(backend)
        assert left.get("a", b"n") == left.get("b", b"n") == b"%d" % n
        assert len(_all(left, "a")) == n + 2
        left.close()


def check_crash_of_load(backend: Backend, crash: Crash) -> None:
    """Writes without the log are lost from the end only, never in part; after a flush they last."""
    backend.open_store("a")
    backend.open_store("b")
    for n in range(20):
        backend.write([Changes(store, [b"%d" % n, b"n"], [b"x", b"%d" % n]) for store in "ab"], durable=False)
        if n == 10:
            _finish(backend.flush_steps())
        left = crash(backend)
        found = left.get("a", b"n")
        assert found == left.get("b", b"n")
        assert n < 10 or (found is not None and int(found) >= 10), found
        assert len(_all(left, "a")) == (0 if found is None else int(found) + 2)
        left.close()
    backend.write([Changes("a", [b"last"], [b"1"])])
    left = crash(backend)
    assert left.get("b", b"n") == b"19", "a later durable write came back without the earlier ones"
    left.close()


def check_crash_in_flush(backend: Backend, crash: Crash) -> None:
    """Whichever step of a flush is the last before a crash, what is in META has its data beside it."""
    backend.open_store("a")
    backend.open_store("z")
    for n in range(3):
        backend.write([Changes(store, [b"n"], [b"%d" % n]) for store in ("a", "z", META)], durable=False)
        for _ in backend.flush_steps():
            left = crash(backend)
            found = left.get(META, b"n")
            assert found is None or left.get("a", b"n") >= found <= left.get("z", b"n")  # type: ignore[operator]
            left.close()


def check_crash_in_commit(backend: Backend, crash: Crash) -> None:
    """Whichever slice of a commit is the last before a crash, reading the changelog again makes the store whole."""
    specs = [StoreSpec("kv"), StoreSpec("window", "window")]
    log: dict[str, list[tuple[bytes, bytes | None, int]]] = {spec.name: [] for spec in specs}

    def changelog(store: str, keys: Any, values: Any, timestamps: Any) -> None:
        log[store].extend(zip(keys, values, timestamps, strict=True))

    stores = TaskStores(backend, specs, changelog, slice_entries=3)
    random = Random(11)
    for _ in range(6):
        for n in range(10):
            stores.put("kv", b"%d" % random.randrange(12), _value(random), n)
            stores.window("window").put(b"%d" % n, random.randrange(50), b"v", n)
        stores.window("window").expire(random.randrange(50))
        stores.begin_commit()
        new = {store: Checkpoint("t", len(entries)) for store, entries in log.items()}
        for _ in stores.finish_commit(new):
            left = TaskStores(crash(backend), specs, changelog, slice_entries=3)
            for store, entries in log.items():
                _catch_up(left, store, entries)
                expected = {key: value for key, value, _ in entries}
                found = {key: stored[8:] for key, stored in _all(left.backend, store).items()}
                assert found == {key: value for key, value in expected.items() if value is not None}, store
            left.close()


def check_versions(backend: Backend) -> None:
    """A versioned store knows what each key was at any time within its history, after commits and openings too."""
    random, model = Random(5), dict[bytes, dict[int, bytes]]()
    spec = StoreSpec("versioned", "versioned", history_ms=40)
    observed = 0
    for run in range(4):
        stores = TaskStores(backend, [spec], lambda *change: None)
        store = stores.versioned("versioned")
        store.advance(observed)
        for n in range(run * 100, run * 100 + 100):
            key, time, value = random.choice([b"", b"a", b"a" * 9]), max(0, n // 2 - random.randrange(60)), b"%d" % n
            if store.put(key, value, time) is not None:
                model.setdefault(key, {})[time] = value
            observed = max(observed, time)
        store.expire()
        stores.begin_commit()
        _finish(stores.finish_commit({"versioned": Checkpoint("t", run)}))
        for key, versions in model.items():
            for time in range(observed - 40, observed + 2):
                known = [began for began in versions if began <= time]
                found = store.get(key, time)
                assert (found and found.value) == (versions[max(known)] if known else None), (run, key, time)


BACKEND_CHECKS: tuple[Callable[[Backend], None], ...] = (
    check_values,
    check_scans,
    check_snapshot,
    check_cleared,
    check_stores,
    check_load,
    check_random,
    check_versions,
)
CRASH_CHECKS: tuple[Callable[[Backend, Crash], None], ...] = (
    check_crash_keeps_batches,
    check_crash_of_load,
    check_crash_in_flush,
    check_crash_in_commit,
)


def _bound(check: Callable[[Backend, Crash], None], crash: Crash) -> Callable[[Backend], None]:
    def bound(backend: Backend) -> None:
        check(backend, crash)

    bound.__name__, bound.__doc__ = check.__name__, check.__doc__
    return bound


def _catch_up(stores: TaskStores, store: str, log: list[tuple[bytes, bytes | None, int]]) -> None:
    restorer = Restorer(stores, store, topic_id="t", log_end=len(log))
    assert restorer.reason is None, restorer.reason
    missing = log[restorer.position :]
    if missing:
        keys, values, timestamps = (list(column) for column in zip(*missing, strict=True))
        restorer.feed(len(log), keys, values, timestamps)
    _finish(restorer.finish())


def _sizes(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_size for path in folder.iterdir() if path.name != "LOG"}


def _finish(steps: Iterator[None]) -> None:
    for _ in steps:
        pass


def _write(backend: Backend, store: str, values: dict[bytes, bytes | None]) -> None:
    keys = sorted(values)
    backend.write([Changes(store, keys, [values[key] for key in keys])])


def _all(backend: Backend, store: str) -> dict[bytes, bytes]:
    with backend.scan(store) as entries:
        return dict(entries)


def _value(random: Random) -> bytes | None:
    return None if random.random() < 0.25 else random.randbytes(random.randrange(8))
