"""Getting the twins ready: look at what is kept, have a child process compile what is missing, load it."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from streams.compiling import kept
from streams.compiling.linking import is_code, link
from streams.errors import StreamsError
from streams.kernels import compiled

log = logging.getLogger("streams.compiled")
_LAST_WORDS = 2_000


class CompilingError(StreamsError):
    """The twins could not be compiled; all runs without them."""


class Compiled(NamedTuple):
    """What was done: the seconds that each module took which was not there."""

    folder: Path
    seconds: dict[str, float]


async def get_ready(named: str = "") -> None:
    """Has the twins loaded, of the folder that the setting names. What goes wrong is a warning: all runs without."""
    if compiled.ready() or not compiled.installed():
        return
    start = time.monotonic()
    try:
        where = kept.folder(named)
        if await asyncio.to_thread(kept.missing, where):
            log.info("compiling into %s, beside the work, for some 15 s; until then everything runs without", where)
            try:
                await compile_missing(where)
            except PermissionError as error:
                await _once(error)
                return
        await asyncio.to_thread(_load, where)
    except asyncio.CancelledError:
        log.info("the worker stops before all is compiled; `streams compile` does it ahead")
        raise
    except Exception as error:  # noqa: BLE001 - whatever it is, all runs without them
        log.warning("compiled twins are not used: %s", error)
    else:
        log.info("compiled twins are loaded, %.1f s after the start", time.monotonic() - start)


async def _once(error: OSError) -> None:
    """With a folder that goes when they are loaded."""
    import tempfile

    log.warning(
        "compiled twins cannot be kept (%s), so each start compiles anew: set compiled_dir to a folder that can be "
        "written, or fill one with `streams compile`",
        error,
    )
    with tempfile.TemporaryDirectory(prefix="streams-compiled-") as folder:
        await compile_missing(Path(folder))
        await asyncio.to_thread(_load, Path(folder))


def load_now(named: str = "", modules: Iterable[str] = compiled.MODULES) -> None:
    """Has the twins of modules in this process when it returns, which takes long if they are to be compiled first.

    For benchmarks and tests; a worker goes on with its work meanwhile. Raises CompilingError, and OSError.
    """
    where, modules = kept.folder(named), tuple(modules)
    with ThreadPoolExecutor() as beside:  # an event loop may be running here
        beside.submit(asyncio.run, compile_missing(where, modules)).result()
    _load(where, modules)


def _load(where: Path, modules: Iterable[str] = compiled.MODULES) -> None:
    """Loads what is kept. Raises CompilingError if not all is there, NotOursError if somebody else could write it."""
    objects: dict[str, bytes] = {}
    for module in modules:
        code = kept.read(module, where)
        if code is None:
            raise CompilingError(f"{kept.path_of(module, where)} is gone: `streams compile` makes it")
        if not is_code(code):
            raise CompilingError(f"{kept.path_of(module, where)} holds no machine code: remove it")
        objects[module] = code
    link(objects)


async def compile_missing(where: Path, modules: Iterable[str] = compiled.MODULES) -> Compiled:
    """Has a child process compile what is missing, if anything is; it ends if this is cancelled.

    Raises CompilingError with its last words, and OSError where the folder cannot be written.
    """
    modules = tuple(modules)
    if not await asyncio.to_thread(kept.missing, where, modules):
        return Compiled(where, {})
    where.mkdir(mode=kept.MODE, parents=True, exist_ok=True)
    kept.check(where)
    if not os.access(where, os.W_OK):
        raise PermissionError(f"{where} cannot be written")
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "streams.compiling.process", str(where), *modules),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=_environment(),
        process_group=0,  # Ctrl-C is ours: the child ends with its standard input
    )
    assert child.stdout is not None
    assert child.stderr is not None
    try:
        # Not `communicate`, which closes the standard input.
        out, err = await asyncio.gather(child.stdout.read(), child.stderr.read())
        code = await child.wait()
    except BaseException:
        with suppress(ProcessLookupError):
            child.kill()
        await child.wait()
        raise
    if code != 0:
        raise CompilingError(f"the compiler ended with code {code}: {err.decode(errors='replace')[-_LAST_WORDS:]}")
    made = (line.split() for line in out.decode().splitlines())
    return Compiled(where, {module: float(seconds) for module, seconds in made})


def _environment() -> dict[str, str]:
    """The child's: it imports what this process does, and compiles for any processor of the kind."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("NUMBA_", "PYTHONPATH"))}
    root = str(Path(__file__).parents[2])
    return {**plain, "NUMBA_CPU_NAME": "generic", "PYTHONPATH": os.pathsep.join([root, *filter(None, sys.path)])}
