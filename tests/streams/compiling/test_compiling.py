"""From the source of a compiled function to its use: what is kept, who compiles, what happens when it cannot be."""

from __future__ import annotations

import asyncio
import os
import pkgutil
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import numpy as np
import pytest

import streams
from streams import agg
from streams.compiling import kept, readiness
from streams.compiling.readiness import CompilingError, compile_missing, get_ready, load_now
from streams.compiling.status import status
from streams.config import load_settings
from streams.kernels import compiled
from streams.observe.metrics import collect
from streams.runtime.observer import Silent
from streams.runtime.worker import Worker

needs_numba = pytest.mark.skipif(not compiled.installed(), reason="the extra `fast`: pip install streams-engine[fast]")
TINY = """
from streams.kernels.compiled.native import inner, native

@inner
def _twice(number):
    return {expression}

@native(numbers="int64s", rows="count", factor="number", out="float64s")
def scaled(numbers, rows, factor, out):
    for row in range(rows):
        out[row] = _twice(numbers[row]) * factor
    return rows
"""


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A module of one compiled function."""
    name = f"tiny_{tmp_path.name}"
    (tmp_path / f"{name}.py").write_text(TINY.format(expression="2 * number"))
    monkeypatch.syspath_prepend(str(tmp_path))
    return name


@pytest.fixture
def all_kept(request: pytest.FixtureRequest) -> Path:
    """A folder that has all twins."""
    where = request.config.rootpath / ".cache" / "compiled"
    asyncio.run(compile_missing(where))
    return where


@pytest.fixture
def nothing_loaded(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As in a process that has just begun."""
    monkeypatch.setattr(compiled, "_linked", set())
    compiled.switch(on=True)
    yield
    compiled.switch(on=False)


def test_a_folder_of_the_user(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert kept.folder() == tmp_path / ".cache" / "streams-engine" / "compiled"
    monkeypatch.setenv("XDG_CACHE_HOME", "/caches")
    assert kept.folder() == Path("/caches/streams-engine/compiled")


@needs_numba
def test_what_is_half_written_is_not_there(tmp_path: Path) -> None:
    module, where = compiled.MODULES[0], tmp_path / "kept"
    assert kept.read(module, where) is None
    kept.write(module, where, b"code")
    assert kept.read(module, where) == b"code"
    assert module not in kept.missing(where)
    path = kept.path_of(module, where)
    path.write_bytes(path.read_bytes()[:-1])
    assert kept.read(module, where) is None
    path.write_bytes(b"")
    assert module in kept.missing(where)


@needs_numba
@pytest.mark.parametrize("writable", ["folder", "file"])
def test_what_others_could_have_written_is_not_run(
    tmp_path: Path, writable: str, caplog: pytest.LogCaptureFixture, nothing_loaded: None
) -> None:
    where = tmp_path / "kept"
    kept.write(compiled.MODULES[0], where, b"code")
    (where if writable == "folder" else kept.path_of(compiled.MODULES[0], where)).chmod(0o777)
    with pytest.raises(kept.NotOursError):
        kept.missing(where)
    asyncio.run(get_ready(str(where)))
    assert "not used" in caplog.text and not compiled.ready()
    assert "others may have written" in status(load_settings("app", {"compiled_dir": str(where)}, environment={}))


def test_a_worker_loads_every_module_that_has_compiled_functions() -> None:
    """Other tests load what is called."""
    names = {f"{compiled.__name__}.{found.name}" for found in pkgutil.iter_modules(compiled.__path__)}
    assert {name for name in names if compiled.natives(name)} == set(compiled.MODULES)


@needs_numba
def test_what_is_no_machine_code_is_not_loaded(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, all_kept: Path, nothing_loaded: None
) -> None:
    where = tmp_path / "kept"
    shutil.copytree(all_kept, where)
    kept.write(compiled.MODULES[0], where, b"garbage")
    asyncio.run(get_ready(str(where)))
    assert "holds no machine code" in caplog.text and not compiled.ready()


@needs_numba
def test_the_name_of_a_file_says_what_it_was_made_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = {}
    for expression in ("2 * number", "number + number"):
        name = f"tiny_{len(names)}"
        (tmp_path / f"{name}.py").write_text(TINY.format(expression=expression))
        monkeypatch.syspath_prepend(str(tmp_path))
        names[expression] = kept.path_of(name, tmp_path).name.partition("-")[2]
    assert len(set(names.values())) == 2
    called = kept.called_by("benchmarks.bound_kernel")
    assert {name.rpartition(".")[2] for name in called} == {
        "iso_times", "json_kinds", "json_numbers", "json_parser", "json_scan", "key_table",
    }  # fmt: skip


@needs_numba
def test_compiled_in_a_child_kept_and_loaded(tmp_path: Path, tiny: str) -> None:
    where = tmp_path / "kept"
    load_now(str(where), [tiny])
    out = np.zeros(3)
    (scaled,) = compiled.natives(tiny)
    assert scaled(np.array([1, 2, 3]), 3, 0.5, out) == 3
    assert out.tolist() == [1.0, 2.0, 3.0]
    assert asyncio.run(compile_missing(where, [tiny])).seconds == {}
    assert status(load_settings("app", {"compiled_dir": str(where)}, environment={})).startswith("made by the first")


@needs_numba
@pytest.mark.slow
async def test_of_two_that_want_the_same_one_compiles(tmp_path: Path, tiny: str) -> None:
    done = await asyncio.gather(*(compile_missing(tmp_path / "kept", [tiny]) for _ in range(2)))
    assert sorted(len(one.seconds) for one in done) == [0, 1]


@needs_numba
@pytest.mark.slow
def test_a_child_that_fails_is_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny: str, caplog: pytest.LogCaptureFixture, nothing_loaded: None
) -> None:
    (tmp_path / f"{tiny}.py").write_text(TINY.format(expression="number.nothing"))
    with pytest.raises(CompilingError, match="ended with code 1"):
        asyncio.run(compile_missing(tmp_path / "kept", [tiny]))
    monkeypatch.setattr(readiness.sys, "executable", "/bin/false")
    asyncio.run(get_ready(str(tmp_path / "empty")))
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert not compiled.ready()


@needs_numba
def test_a_folder_that_cannot_be_written(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    all_kept: Path,
    nothing_loaded: None,
) -> None:
    async def compiles(where: Path) -> None:
        shutil.copytree(all_kept, where, dirs_exist_ok=True)

    access = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: path != tmp_path and access(path, mode))  # root may do all
    monkeypatch.setattr(
        readiness, "compile_missing", lambda where: refused(where) if where == tmp_path else compiles(where)
    )
    asyncio.run(get_ready(str(tmp_path)))
    assert "cannot be kept" in caplog.text and compiled.ready()
    assert not list(tmp_path.glob("*.o"))


async def refused(where: Path) -> None:
    with pytest.raises(PermissionError):
        await compile_missing(where)
    raise PermissionError("refused")


class Event(streams.Record):
    user: str
    amount: float | None = None


@needs_numba
@pytest.mark.slow
async def test_a_worker_goes_on_while_its_twins_are_compiled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, all_kept: Path, nothing_loaded: None
) -> None:
    monkeypatch.setenv("STREAMS_COMPILED", "auto")
    shutil.copytree(all_kept, tmp_path / "kept")
    kept.path_of(f"{compiled.__name__}.texts", tmp_path / "kept").unlink()  # the others would take longer
    app = streams.App("sums", data_dir=str(tmp_path / "data"), compiled_dir=str(tmp_path / "kept"))
    events = app.topic("events", key_type=str, value_type=Event)
    amount = streams.col(Event.amount)
    events.stream().group_by_key().aggregate(count=agg.count(), total=agg.sum(amount), name="sums")
    worker = Worker(app, Silent())
    ready = []

    @app.source(events)
    async def send() -> AsyncIterator[tuple[str, Event]]:
        while len(ready) < 3 or ready[-2:] != [True, True]:
            ready.append(compiled.ready())
            for number in range(100):
                yield f"user-{number % 7}", Event(f"user-{number % 7}", number / 4)
            await asyncio.sleep(0.1)
        worker.stop()

    async with asyncio.timeout(100):
        await worker.run()
    assert ready[0] is False
    assert {sample.name: sample.value for metric in collect(worker.assembly) for sample in metric.samples}[
        "streams_compiled"
    ] == 1
    async with app.client() as client:
        found = [value async for _, value in client.table("sums").items()]
    assert sum(one.count for one in found) == 100 * len(ready)
    assert sum(one.total for one in found) == len(ready) * sum(number / 4 for number in range(100))


@needs_numba
def test_a_folder_made_for_others_to_read(tmp_path: Path, tiny: str) -> None:
    mask = os.umask(0o002)
    try:
        asyncio.run(compile_missing(tmp_path / "kept", [tiny]))
    finally:
        os.umask(mask)
    assert (tmp_path / "kept").stat().st_mode & 0o777 == 0o755


@needs_numba
def test_nothing_is_compiled_into_a_folder_from_which_nothing_is_run(tmp_path: Path, tiny: str) -> None:
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared").chmod(0o777)
    with pytest.raises(kept.NotOursError, match="go-w"):
        asyncio.run(compile_missing(tmp_path / "shared", [tiny]))
    assert not list((tmp_path / "shared").iterdir())


@needs_numba
async def test_a_worker_that_stops_before_all_is_compiled_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, nothing_loaded: None
) -> None:
    begun = asyncio.Event()

    async def compiles(where: Path) -> None:
        begun.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(readiness, "compile_missing", compiles)
    with caplog.at_level("INFO", logger="streams.compiled"):
        waiting = asyncio.create_task(get_ready(str(tmp_path)))
        await begun.wait()
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
    assert waiting.cancelled()
    assert "stops before all is compiled" in caplog.text
