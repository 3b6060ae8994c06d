"""The app of `scale`: that of `windowed`, to be named on a command line; its folder comes from the environment."""

from __future__ import annotations

import os
from pathlib import Path

from benchmarks import windowed

app = windowed.app(Path(os.environ.get("STREAMS_DATA_DIR", "windowed-data")))
