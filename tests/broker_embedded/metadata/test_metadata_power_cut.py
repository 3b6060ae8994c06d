"""A crash at any moment: what was answered is there, what was not is there as a whole or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from random import Random
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from broker_embedded.log import disk
from broker_embedded.log.checkpoints import MetaProperties
from broker_embedded.metadata import GROUP_RESOURCE, Metadata, NewTopic

META = MetaProperties("cluster", 1, UUID(int=5))


class Crash(BaseException):
    """The process ends here."""


class Disk:
    """What is durable of each file, and a crash after so many syncs."""

    def __init__(self, left: int) -> None:
        self.left = left
        self.sizes: dict[Path, int] = {}

    def observe(self, kind: str, path: str, size_bytes: int) -> None:
        if kind == "file":
            self.sizes[Path(path)] = size_bytes
        self.left -= 1
        if self.left == 0:
            raise Crash

    def cut_power(self, source: Path, target: Path, random: Random) -> None:
        """Make `target` what is left of `source`: of each file at least what was synced of it."""
        shutil.copytree(source, target)
        for file in sorted(path for path in source.rglob("*") if path.is_file()):
            copy, durable = target / file.relative_to(source), self.sizes.get(file)
            fate = random.choice(["whole", "whole", "cut", "zeros", "gone"])
            if fate == "gone" and durable is None:
                copy.unlink()
            elif fate in ("cut", "zeros"):
                size = file.stat().st_size
                os.truncate(copy, random.randint(min(durable or 0, size), size))
                if fate == "zeros":  # file systems write a length before its data
                    os.truncate(copy, size)


class Work:
    """Steps that change something, each known before and after."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.metadata: Metadata | None = None
        self.given_out: set[int] = set()

    def open(self) -> Metadata:
        metadata = Metadata.open(self.path, META, lambda: 1_700_000_000_000, was_clean=False)
        self.metadata = metadata
        metadata.begin()
        return metadata

    def step(self, kind: str, number: int) -> None:
        metadata = self.metadata
        if metadata is None or kind == "again":
            self.open()
        elif kind == "create":
            metadata.create_topics([NewTopic(f"t{len(metadata.topics)}-{number}", UUID(int=number), 2, {"a": "b"})])
        elif kind == "remove" and metadata.topics:
            metadata.remove_topic(next(iter(metadata.topics)))
        elif kind == "config":
            metadata.set_configs(GROUP_RESOURCE, "g", {f"name-{number % 5}": str(number)})
        elif kind == "ids":
            self.given_out.update(metadata.next_producer_id() for _ in range(700))
        elif kind == "snapshot":
            metadata._journal.snapshot()


def said(metadata: Metadata) -> str:
    """All but the registration of the broker, which is new in a folder that had not begun."""
    rows = [repr(row) for row in metadata._image.records() if type(row).__name__ != "RegisterBrokerRecord"]
    return "\n".join(sorted(rows))


KINDS = st.sampled_from(["create", "create", "remove", "config", "config", "ids", "snapshot", "again"])


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    numbers = count()

    def make() -> Path:
        folder = tmp_path / str(next(numbers))
        folder.mkdir()
        return folder

    monkeypatch.setattr(os, "fsync", lambda fd: None)  # what is tested is when it is called
    yield make
    disk.observer = None


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(KINDS, min_size=1, max_size=15), st.integers(1, 40), st.randoms(use_true_random=False))
def test_a_crash_at_every_sync(folders: Any, kinds: list[str], left: int, random: Random) -> None:
    model, work = Disk(left), Work(folders())
    disk.observer = model.observe
    states = [""]
    try:
        for number, kind in enumerate(["again", *kinds], 1):
            work.step(kind, number)
            assert work.metadata is not None
            states = [said(work.metadata)]
    except Crash:
        states.append(after_step(work, kind, number, folders))
    finally:
        disk.observer = None
    cut = work.path.with_name(f"{work.path.name}-cut")
    model.cut_power(work.path, cut, random)
    again = Metadata.open(cut, META, lambda: 0, was_clean=False)
    assert said(again) in states
    again.begin()
    assert again.next_producer_id() not in work.given_out
    again.close()
    shutil.rmtree(cut)
    shutil.rmtree(work.path)


def after_step(work: Work, kind: str, number: int, folders: Any) -> str:
    """What would be there without the crash: the step once more, where what was written of it has come through."""
    copy = Work(folders())
    shutil.rmtree(copy.path)
    shutil.copytree(work.path, copy.path)
    metadata = copy.open()
    if said(metadata) == (said(work.metadata) if work.metadata is not None else ""):
        copy.step(kind, number)
    assert copy.metadata is not None
    return said(copy.metadata)
