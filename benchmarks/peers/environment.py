"""A virtual environment of a peer, made by pip when it is not there."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.data import CACHE
from benchmarks.peers import PeerMissingError

ENVIRONMENTS = CACHE.parent / "peers"
INSTALL_S = 600


def python_with(name: str, requirements: Sequence[str]) -> Path:
    """The interpreter of the environment `name`, in which `requirements` are. Raises PeerMissingError."""
    folder = ENVIRONMENTS / name
    python, installed = folder / "bin" / "python", folder / "installed.txt"
    wanted = "\n".join(requirements)
    if python.exists() and installed.exists() and installed.read_text() == wanted:
        return python
    _run(name, sys.executable, "-m", "venv", "--clear", str(folder))
    _run(name, str(python), "-m", "pip", "install", "-q", *requirements)
    installed.write_text(wanted)
    return python


def _run(name: str, *command: str) -> None:
    try:
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=INSTALL_S)
    except subprocess.CalledProcessError as error:
        raise PeerMissingError(f"{name}: {' '.join(command)} ended with {error.returncode}: {error.stderr}") from error
    except subprocess.TimeoutExpired as error:
        raise PeerMissingError(f"{name}: {' '.join(command)} took over {INSTALL_S} s") from error
