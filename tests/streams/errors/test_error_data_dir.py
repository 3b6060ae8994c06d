"""A data folder that cannot be made is told by its setting."""

from __future__ import annotations

from pathlib import Path

import pytest

import streams
from streams.errors import ConfigError
from streams.runtime.observer import Silent
from streams.runtime.worker import Worker


async def test_a_file_in_its_place(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    app = streams.App("nowhere", data_dir=str(tmp_path / "file" / "data"))
    app.topic("events").stream().for_each(print)
    with pytest.raises(ConfigError, match=r"data_dir=.*Not a directory.*--data-dir"):
        await Worker(app, Silent(), until_end=True).run()
