"""What recovery puts in place is told to the disk's observer, as it is durable."""

from __future__ import annotations

from pathlib import Path

import pytest

from broker_embedded.log import disk, swap


def test_a_swap_that_recovery_finishes_is_known_to_be_durable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = {f"00000000000000000000{ending}.swap" for ending in (".log", ".index", ".timeindex")}
    for name in names:
        (tmp_path / name).write_bytes(b"")
    told: list[tuple[str, str]] = []
    monkeypatch.setattr(disk, "observer", lambda kind, path, size_bytes: told.append((kind, Path(path).name)))
    assert swap.finish(tmp_path, names) == {name.removesuffix(".swap") for name in names}
    assert {name for kind, name in told if kind == "file"} == {name.removesuffix(".swap") for name in names}
