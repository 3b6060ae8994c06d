"""Seats: who is who at a place, whatever starts at once and however it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

import streams.runtime.seat as seats
from streams.config import Settings, load_settings
from streams.errors import ConfigError
from streams.runtime.seat import SeatTakenError, free_slots, holders, seats_folder, take_seat, whole_place

SITTER = """
import sys
from streams.config import load_settings
from streams.runtime.seat import take_seat

settings = load_settings("shop", {"data_dir": sys.argv[1]}, environment={})
print("ready", flush=True)
sys.stdin.readline()
seat = take_seat(settings, *map(int, sys.argv[2:]))
print(seat.instance_id, seat.slot, seat.stable, flush=True)
sys.stdin.readline()
"""

Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings("shop", {"data_dir": str(tmp_path)}, environment={})


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """A process that takes a seat when it is told to."""
    with ExitStack() as stack:

        def process(*slot: int) -> subprocess.Popen[str]:
            command = [sys.executable, "-c", SITTER, str(tmp_path), *map(str, slot)]
            made = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            stack.enter_context(made)
            stack.callback(made.kill)
            assert made.stdout is not None and made.stdout.readline() == "ready\n"
            return made

        yield process


def go_on(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


def told(process: subprocess.Popen[str]) -> tuple[str, int, bool]:
    assert process.stdout is not None
    name, slot, stable = process.stdout.readline().split()
    return name, int(slot), stable == "True"


def test_all_that_start_at_once_agree_on_the_place(start: Start, settings: Settings) -> None:
    processes = [start() for _ in range(6)]
    for process in processes:
        go_on(process)
    found = sorted((told(process) for process in processes), key=lambda seat: seat[1])
    place = found[0][0].split("-")[1]
    assert found == [(f"shop-{place}-{slot}", slot, False) for slot in range(6)]
    assert {slot: holder.pid for slot, holder in holders(settings).items()}.keys() == set(range(6))
    assert {holder.pid for holder in holders(settings).values()} == {process.pid for process in processes}


def test_a_killed_worker_comes_back_to_its_seat(start: Start, settings: Settings) -> None:
    first, second = start(), start()
    go_on(first)
    name, _, _ = told(first)
    go_on(second)
    told(second)
    os.kill(first.pid, signal.SIGKILL)
    first.wait()
    assert free_slots(settings) == [0]
    again = start()
    go_on(again)
    assert told(again) == (name, 0, True)
    assert holders(settings)[1].pid == second.pid


def test_a_frozen_worker_keeps_its_seat(start: Start, settings: Settings) -> None:
    first = start()
    go_on(first)
    told(first)
    os.kill(first.pid, signal.SIGSTOP)
    seat = take_seat(settings)
    assert seat.slot == 1
    seat.release()


def test_a_slot_that_is_asked_for(settings: Settings) -> None:
    third = take_seat(settings, 2)
    assert third.slot == 2
    with pytest.raises(SeatTakenError, match=rf"slot 2 is in use by process {os.getpid()} .*Stop it first") as found:
        take_seat(settings, 2)
    assert found.value.pid == os.getpid()
    first = take_seat(settings)
    assert (first.slot, free_slots(settings)) == (0, [])
    third.release()
    third.release()
    assert free_slots(settings) == [2]
    first.release()


def test_a_seat_is_stable_from_its_second_start_on(settings: Settings) -> None:
    for stable in (False, True, True):
        seat = take_seat(settings)
        assert seat.stable is stable
        seat.release()
    other = take_seat(settings, 1)
    assert not other.stable, "nobody has had this one before"
    other.release()


def test_an_app_has_seats_of_its_own(settings: Settings) -> None:
    first = take_seat(settings)
    other = take_seat(settings.with_values({"id": "shop-eu"}))
    assert (other.slot, other.place == first.place) == (0, False)
    first.release()
    other.release()


def test_deleted_stores_change_nobody(settings: Settings) -> None:
    first = take_seat(settings)
    first.release()
    assert not seats_folder(settings).is_relative_to(Path(settings.data_dir) / "state")


def test_a_place_that_was_made_in_a_power_cut(settings: Settings) -> None:
    """Its file is there without its bytes, or has not yet its name."""
    folder = seats_folder(settings)
    folder.mkdir(parents=True)
    (folder / "place").touch()
    (folder / "place.new").write_text("half")
    seat = take_seat(settings)
    assert len(seat.place) == 32
    seat.release()
    again = take_seat(settings)
    assert again.place == seat.place
    again.release()


def test_when_all_slots_are_taken(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seats, "SLOTS_MAX", 2)
    taken = [take_seat(settings), take_seat(settings)]
    with pytest.raises(SeatTakenError, match="each of 2 slots is in use by process"):
        take_seat(settings)
    for seat in taken:
        seat.release()


def test_the_whole_place_is_for_one(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seats, "_WAIT_S", 0.0)
    with whole_place(settings) as names:
        assert names == []
        with pytest.raises(SeatTakenError, match=f"the folder is in use by process {os.getpid()}"):
            take_seat(settings)
    seat = take_seat(settings, 1)
    with pytest.raises(SeatTakenError, match="slot 1 is in use"), whole_place(settings):
        pass
    seat.release()
    with whole_place(settings) as names:
        assert names == [seat.transactional_id]
    take_seat(settings).release()


def test_a_folder_that_cannot_be_made(tmp_path: Path, settings: Settings) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="Name a folder that is there or can be made"):
        take_seat(settings.with_values({"data_dir": str(tmp_path / "file" / "data")}))
