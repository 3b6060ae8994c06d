"""The app of `scale`: that of `windowed`, to be named on a command line; its folder comes from the environment.

Compiled twins are loaded with it, as in every measured worker: before its work begins.
"""

from __future__ import annotations

import os
from pathlib import Path

from benchmarks import windowed
from streams.compiling.readiness import load_now
from streams.kernels import compiled

app = windowed.app(Path(os.environ.get("STREAMS_DATA_DIR", "windowed-data")))
if compiled.installed() and os.environ.get("STREAMS_COMPILED") != "off":
    load_now()
