"""The folder of a user's compiled twins: a file of machine code for each module, named by all that its code depends on.

What is loaded from there is run, so it has to be the user's own (or root's), and nobody else's to write. A file ends
with a hash of what is in front of it: what a power cut has left half-written counts as not there.
"""

from __future__ import annotations

import hashlib
import os
import platform
import re
import sys
from collections.abc import Iterable
from contextlib import suppress
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from streams.kernels import compiled

_COMPILER = (
    *(f"{compiled.__name__}.{name}" for name in ("native", "vectors")),
    *(f"{__package__}.{name}" for name in ("building", "images", "instructions")),
)
_IMPORT = re.compile(r"^from (streams\.kernels\.compiled\.\w+) import ", re.MULTILINE)
MODE = 0o755
"""Of the folder: an image's is made by root, and read by whoever its workers run as."""
_HASH_BYTES = hashlib.sha256().digest_size


class NotOursError(OSError):
    """Somebody else could have written what is in the folder."""


def folder(named: str = "") -> Path:
    """Where the twins are kept: `named`, the setting `compiled_dir`, or in the user's cache folder.

    >>> folder("/opt/compiled")
    PosixPath('/opt/compiled')
    """
    if named:
        return Path(named)
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return Path(base) / "streams-engine" / "compiled"


def check(where: Path) -> None:
    """Raises NotOursError for a folder, if there is one, of which nothing would be run."""
    with suppress(FileNotFoundError):
        _check_owner(os.stat(where), where)


def path_of(module: str, where: Path) -> Path:
    """Where the code of a module is: named by its source, what it calls, the compiler, and the kind of machine."""
    return where / f"{module.rpartition('.')[2]}-{_digest(module)}.o"


def missing(where: Path, modules: Iterable[str] = compiled.MODULES) -> list[str]:
    """Those of the modules whose code is not in the folder. Raises NotOursError."""
    return [module for module in modules if read(module, where) is None]


def read(module: str, where: Path) -> bytes | None:
    """The code of a module; None if it is not there, or not whole. Raises NotOursError."""
    try:
        with path_of(module, where).open("rb") as file:
            _check_owner(os.stat(where), where)
            _check_owner(os.fstat(file.fileno()), where)
            content = file.read()
    except (FileNotFoundError, NotADirectoryError):
        return None
    code, digest = content[:-_HASH_BYTES], content[-_HASH_BYTES:]
    return code if hashlib.sha256(code).digest() == digest else None


def write(module: str, where: Path, code: bytes) -> None:
    """Puts code there, whole or not at all. Raises OSError."""
    where.mkdir(mode=MODE, parents=True, exist_ok=True)
    path = path_of(module, where)
    beside = path.with_suffix(f".{os.getpid()}")
    beside.write_bytes(code + hashlib.sha256(code).digest())
    beside.chmod(0o644)
    beside.replace(path)


def _check_owner(found: os.stat_result, where: Path) -> None:
    if found.st_uid not in (0, os.geteuid()) or found.st_mode & 0o022:
        raise NotOursError(
            f"{where}: others may have written it, and what is in it would be run. Give it to root or to who runs the "
            "worker (chown -R), and to nobody else to write (chmod -R go-w)"
        )


def called_by(module: str) -> set[str]:
    """The modules of compiled functions that a module imports, and those that these do."""
    found: set[str] = set()
    beyond = {module}
    while beyond:
        used = set(_IMPORT.findall(_source(beyond.pop()))) - found
        beyond |= used
        found |= used
    return found.difference(_COMPILER)


@cache
def _digest(module: str) -> str:
    found = hashlib.sha256(_versions().encode())
    for name in sorted({module, *called_by(module), *_COMPILER}):
        found.update(_source(name).encode())
    return found.hexdigest()[:20]


@cache
def _source(module: str) -> str:
    package, _, name = module.partition(".")  # to ask for a module of a package imports the package
    spec = find_spec(package)
    assert spec is not None
    assert spec.origin is not None
    path = Path(spec.origin)
    return (path.parent.joinpath(*name.split(".")).with_suffix(".py") if name else path).read_text(encoding="utf-8")


def _versions() -> str:
    """Of all that makes code. They are read where packages write them down: `importlib.metadata` takes 13 ms more."""
    packages = map(_version, ("numba._version", "llvmlite._version", "numpy.version"))
    return " ".join([*packages, platform.python_version(), sys.platform, platform.machine()])


def _version(module: str) -> str:
    try:
        return _source(module)
    except FileNotFoundError:
        from importlib.metadata import version

        return version(module.partition(".")[0])
