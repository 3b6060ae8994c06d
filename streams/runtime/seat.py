"""Where a worker sits: which place it works at, and which of the seats there is its own.

A *place* is a data folder, told from others by an id that is made once and stays in it. A *slot* is a number that one
worker at a time has there, by a lock that the kernel gives back however its holder ends. Together they name a worker to
the group and to the transactions of the broker, so that one started anew after `kill -9` is known as the one that was
there: the group gives back its tasks at once, and what it had begun to commit is ended.

A seat is *stable* if an earlier start had it already: then it is known that what it is named by outlives a process, and
a worker that stops may be waited for. A container without a lasting folder is somewhere new at every start, so that
nobody would come back; the very first start of a place is taken for such a one, which costs a rebalance once.

It all lies in `<data dir>/seats/<app>`, apart from the stores: who deletes those to have them built anew is still who
he was, and ends the transaction that he left.
"""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from broker_embedded.lock import FolderInUseError, FolderLock, is_held, said_by
from streams.config import Settings
from streams.errors import StreamsError
from streams.transport.opening import in_data_dir

SLOTS_MAX = 256
"""Workers of an app at one place, at most."""

_PLACE = "place"
_LOCK = "place.lock"
_SLOT = "slot-"
_WAIT_S = 2.0
"""How long another start at the same place is waited for; it takes milliseconds."""


class Holder(NamedTuple):
    """The process that has a seat, as far as it has left word."""

    pid: int | None
    program: str | None
    since: str | None

    def __str__(self) -> str:
        return "another process" if self.pid is None else f"process {self.pid} ({self.program}) since {self.since}"

    @property
    def how_to_stop(self) -> str:
        """What to do about it."""
        if self.pid is None:
            return "stop it first"
        if "--workers" in (self.program or ""):
            return "stop it first, by the process that started it (Ctrl-C or SIGTERM), which else starts another"
        return f"stop it first (kill {self.pid})"


class SeatTakenError(StreamsError):
    """A living process has what was asked for: the slot, or all of the place. `pid` is None where it left no word."""

    def __init__(self, settings: Settings, holder: Holder, what: str = "the folder") -> None:
        super().__init__(
            f"app {settings.id!r} is at work on {settings.data_dir} already: {what} is in use by {holder}. "
            f"{holder.how_to_stop[0].upper()}{holder.how_to_stop[1:]}, or give this one a folder of its own (data_dir)."
        )
        self.pid = holder.pid


class Seat:
    """A slot at a place, this worker's until `release`.

    >>> import tempfile
    >>> from streams.config import load_settings
    >>> settings = load_settings("shop", {"data_dir": tempfile.mkdtemp()}, environment={})
    >>> first, second = take_seat(settings), take_seat(settings)
    >>> (first.slot, second.slot, first.stable), second.instance_id == f"shop-{first.place[:8]}-1"
    ((0, 1, False), True)
    >>> first.release()
    >>> again = take_seat(settings)
    >>> again.instance_id == first.instance_id, again.stable
    (True, True)
    >>> again.release(); second.release()
    """

    def __init__(self, app_id: str, place: str, slot: int, lock: FolderLock, *, stable: bool) -> None:
        self.place = place
        """The id of the place: 32 hexadecimal digits."""
        self.slot = slot
        self.stable = stable
        """Whether an earlier start had this seat, so that a later one may have it again."""
        self.instance_id = instance_id(app_id, place, slot)
        self._lock = lock

    @property
    def transactional_id(self) -> str:
        """Of the worker's producer: the next one to have the seat ends what this one leaves open."""
        return self.instance_id

    def release(self) -> None:
        """Gives the seat back. A second call does nothing."""
        self._lock.release()


def instance_id(app_id: str, place: str, slot: int) -> str:
    """The name of a seat: `group.instance.id` of who has it, and its transactional id."""
    return f"{app_id}-{place[:8]}-{slot}"


def take_seat(settings: Settings, slot: int | None = None) -> Seat:
    """The first free slot at the place of the settings, or `slot`, of which whoever starts several workers gives each
    its own.

    Raises SeatTakenError, ConfigError for a folder that cannot be made.
    """
    with _alone(settings) as folder:
        place = _place(folder)
        for number in range(SLOTS_MAX) if slot is None else (slot,):
            name = f"{_SLOT}{number}"
            stable = (folder / name).exists()
            try:
                lock = FolderLock.take(folder, name)
            except FolderInUseError as error:
                held = Holder(error.pid, error.program, error.since)
                continue
            return Seat(settings.id, place, number, lock, stable=stable)
    raise SeatTakenError(settings, held, f"each of {SLOTS_MAX} slots" if slot is None else f"slot {slot}")


def holders(settings: Settings) -> dict[int, Holder]:
    """Who has which slot at the place of the settings."""
    with _alone(settings) as folder:
        return _holders(folder)


def free_slots(settings: Settings) -> list[int]:
    """The slots that somebody had there and nobody has now."""
    with _alone(settings) as folder:
        taken = _holders(folder)
        return [slot for slot in _slots(folder) if slot not in taken]


def free_seats(settings: Settings) -> dict[int, str]:
    """The names (`instance_id`) of those slots.

    >>> import tempfile
    >>> from streams.config import load_settings
    >>> settings = load_settings("shop", {"data_dir": tempfile.mkdtemp()}, environment={})
    >>> free_seats(settings)
    {}
    >>> seat = take_seat(settings, 3)
    >>> seat.release()
    >>> free_seats(settings) == {3: seat.instance_id}
    True
    """
    slots = free_slots(settings)
    if not slots:
        return {}
    with _alone(settings) as folder:
        place = _place(folder)
    return {slot: instance_id(settings.id, place, slot) for slot in slots}


def forget_seats(settings: Settings, slots: Iterable[int]) -> None:
    """Nobody is to come back to these slots: unless somebody has one now, it is as if nobody ever had."""
    with _alone(settings) as folder:
        taken = _holders(folder)
        for slot in slots:
            if slot not in taken:
                (folder / f"{_SLOT}{slot}").unlink(missing_ok=True)


@contextmanager
def whole_place(settings: Settings) -> Iterator[list[str]]:
    """All of the place: nobody works there, and nobody begins to until the end. Gives the names (`instance_id`) of all
    who ever sat there.

    Raises SeatTakenError while somebody works there.
    """
    with _alone(settings) as folder:
        if found := _holders(folder):
            slot = min(found)
            raise SeatTakenError(settings, found[slot], f"slot {slot}")
        place = _place(folder) if _slots(folder) else ""
        yield [instance_id(settings.id, place, slot) for slot in _slots(folder)]


def seats_folder(settings: Settings) -> Path:
    """Where an app's place and its slots are written down."""
    return Path(settings.data_dir) / "seats" / settings.id


def _slots(folder: Path) -> list[int]:
    return sorted(int(path.name.removeprefix(_SLOT)) for path in folder.glob(f"{_SLOT}*"))


def _holders(folder: Path) -> dict[int, Holder]:
    return {slot: _holder(folder, f"{_SLOT}{slot}") for slot in _slots(folder) if is_held(folder, f"{_SLOT}{slot}")}


def _holder(folder: Path, name: str) -> Holder:
    said = said_by(folder, name)
    return Holder(said.get("pid"), said.get("program"), said.get("since"))


@contextmanager
def _alone(settings: Settings) -> Iterator[Path]:
    """The folder, for one at a time: others look at locks, which is to hold them for a moment, or choose."""
    folder = seats_folder(settings)
    with in_data_dir(settings):
        folder.mkdir(parents=True, exist_ok=True)
        lock = _wait_for(settings, folder)
    try:
        yield folder
    finally:
        lock.release()


def _wait_for(settings: Settings, folder: Path) -> FolderLock:
    until = time.monotonic() + _WAIT_S
    while True:
        try:
            return FolderLock.take(folder, _LOCK)
        except FolderInUseError as error:
            if time.monotonic() >= until:
                raise SeatTakenError(settings, Holder(error.pid, error.program, error.since)) from None
        time.sleep(0.005)


def _place(folder: Path) -> str:
    """The id of the place, made by whoever is first."""
    path = folder / _PLACE
    if path.exists() and (known := path.read_text().strip()):
        return known
    made = uuid.uuid4().hex
    new = path.with_suffix(".new")
    with open(new, "w") as file:
        file.write(made)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
    return made
