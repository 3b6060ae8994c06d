"""The data sets: facts drawn with fixed seeds, the same facts as JSON values, and as raw record batches.

Everything is deterministic. What is slow to make (values, batches) is kept under `.cache/benchmarks/`, one folder per
data set and size; deleting it costs a few seconds and nothing else.
"""

from __future__ import annotations

import os
import random
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks import messy

Int64s = npt.NDArray[np.int64]
Values = Sequence[bytes]

FORMAT = 1  # raised when a change here makes cached files wrong
CACHE = Path(__file__).resolve().parents[1] / ".cache" / "benchmarks"

PASS = 1_000_000  # events drawn; longer runs repeat them with ts moved on by as many milliseconds
FIRST_MS = 1_700_000_000_000
USERS = 10_000
PARTITIONS = 4
CLOSING_DELAY_MS = 3_600_000
BATCH_RECORDS = (
    1_000  # one raw batch of `events` is then about 90 kB, between the Java client's 16 kB and librdkafka's 1 MB
)


@dataclass(frozen=True)
class Facts:
    """What a data set says, in order of arrival; `amount` is nan where there is none, `decodable` false where cut."""

    user: Int64s
    amount: npt.NDArray[np.float64]
    ts: Int64s
    decodable: npt.NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.ts)


@dataclass(frozen=True)
class Dataset:
    """One named data set of `n` records; `keys-1000` is uniform over so many, `turns-1000` has each of so many keys in
    turn, `messy-uniform` is `uniform` made messy.

    >>> events = Dataset("events", 1000)
    >>> events.facts.ts[:2].tolist()
    [1700000000000, 1700000000001]
    >>> events.key(42)
    b'user-00042'
    """

    name: str
    n: int

    @cached_property
    def facts(self) -> Facts:
        """The facts, drawn anew: cheap beside the rest."""
        name, _, keys = self.name.partition("-")
        if name in _OF_SO_MANY:
            return _OF_SO_MANY[name](self.n, int(keys))
        return _DRAW[self.name](self.n)

    @property
    def codec(self) -> str:
        return "zstd" if self.name.startswith("messy") else "none"

    def key(self, user: int) -> bytes:
        """The key of a user, which is also the text of the field `user`."""
        return (f"user-{user:05d}" if self.name in _OF_USERS else f"key-{user:07d}").encode()

    def values(self) -> list[bytes]:
        """The JSON values in order of arrival, every partition together: what a bound reads."""
        blob, stops = self.packed_values()
        ends = stops.tolist()
        return [blob[start:stop] for start, stop in zip([0, *ends], ends, strict=False)]

    def packed_values(self) -> tuple[bytes, Int64s]:
        """The JSON values one behind the other, and where each ends: what `bound-kernel` reads."""
        folder = self._cached("values", self._write_values)
        return (folder / "values.bin").read_bytes(), np.load(folder / "stops.npy")

    def batches(self, partition: int) -> bytes:
        """The raw record batches of one partition, one after the other, offsets relative to each batch."""
        folder = self._cached(f"batches-{BATCH_RECORDS}", self._write_batches)
        return (folder / f"{partition}.batches").read_bytes()

    def closing(self, partition: int) -> bytes:
        """One batch of one record an hour after the last fact, which closes every earlier window of the partition."""
        user = next(user for user in range(USERS) if partition_of(self.key(user)) == partition)
        ts = int(self.facts.ts.max()) + CLOSING_DELAY_MS
        return _encode([self.key(user)], [_value(self.key(user).decode(), 0.0, ts)], [ts], self.codec)

    def partitions(self) -> npt.NDArray[np.int8]:
        """The partition of every record."""
        users = int(self.facts.user.max()) + 1
        return np.array([partition_of(self.key(user)) for user in range(users)], np.int8)[self.facts.user]

    def _cached(self, part: str, write: Callable[[Path], None]) -> Path:
        folder = CACHE / f"{self.name}-{self.n}-v{FORMAT}" / part
        if not folder.exists():
            folder.parent.mkdir(parents=True, exist_ok=True)
            making = Path(tempfile.mkdtemp(dir=folder.parent))
            write(making)
            try:
                os.replace(making, folder)
            except OSError:  # another process was first, with the same bytes
                shutil.rmtree(making)
        return folder

    def _write_values(self, folder: Path) -> None:
        values = list(_render(self))
        (folder / "values.bin").write_bytes(b"".join(values))
        np.save(folder / "stops.npy", np.cumsum([len(value) for value in values]))

    def _write_batches(self, folder: Path) -> None:
        values, partitions = self.values(), self.partitions()
        keys = [self.key(user) for user in range(int(self.facts.user.max()) + 1)]
        for partition in range(PARTITIONS):
            rows = np.flatnonzero(partitions == partition)
            with (folder / f"{partition}.batches").open("wb") as file:
                for at in range(0, len(rows), BATCH_RECORDS):
                    chosen = rows[at : at + BATCH_RECORDS]
                    batch_keys = [keys[user] for user in self.facts.user[chosen]]
                    timestamps = self.facts.ts[chosen].tolist()
                    file.write(_encode(batch_keys, [values[row] for row in chosen], timestamps, self.codec))


def partition_of(key: bytes) -> int:
    """The partition of a key by Kafka's default partitioner; aiokafka's murmur2, an oracle that is not ours."""
    from aiokafka.partitioner import murmur2

    return int((murmur2(key) & 0x7FFFFFFF) % PARTITIONS)


def _encode(keys: Sequence[bytes], values: Values, timestamps: Sequence[int], codec: str) -> bytes:
    from broker_embedded.records import encode

    return bytes(encode(keys, values, timestamps, codec=codec))


def _value(user: str, amount: float, ts: int) -> bytes:
    return f'{{"user": "{user}", "amount": {amount:.2f}, "ts": {ts}}}'.encode()


def _render(dataset: Dataset) -> Iterator[bytes]:
    facts = dataset.facts
    names = [dataset.key(user).decode() for user in range(int(facts.user.max()) + 1)]
    users = [names[user] for user in facts.user]
    if dataset.name.startswith("messy"):
        return messy.values(users, facts.amount.tolist(), facts.ts.tolist(), facts.decodable.tolist())
    return map(_value, users, facts.amount.tolist(), facts.ts.tolist())


def _draw_events(n: int) -> Facts:
    drawn = min(n, PASS)
    weights = list(accumulate(rank**-1.1 for rank in range(1, USERS + 1)))
    # Python's own generator: numpy's draws of the same law give other groups than the 216,143 the workload states.
    users = np.array(random.Random(7).choices(range(USERS), cum_weights=weights, k=drawn), np.int64)
    amounts = np.round(np.random.default_rng(7).uniform(0, 500, drawn), 2)
    ts = FIRST_MS + np.arange(n, dtype=np.int64)
    return Facts(np.resize(users, n), np.resize(amounts, n), ts, np.ones(n, np.bool_))


def _made_messy(facts: Facts) -> Facts:
    n = len(facts)
    rng = np.random.default_rng([7, 1])
    lateness = np.where(rng.random(n) < messy.OUT_OF_ORDER, rng.integers(1, messy.LATENESS_MS, n), 0)
    amounts = np.where(rng.random(n) < messy.WITHOUT_AMOUNT, np.nan, facts.amount)
    decodable = rng.random(n) >= messy.UNDECODABLE
    order = np.argsort(facts.ts + lateness, kind="stable")
    return Facts(facts.user[order], amounts[order], facts.ts[order], decodable[order])


def _draw_updates(n: int) -> Facts:
    rng = np.random.default_rng(7)
    keys = max(1, n // 4)
    rounds = [rng.permutation(keys) for _ in range(-(-n // keys))]
    amounts = np.round(rng.uniform(0, 500, n), 2)
    ts = FIRST_MS + np.arange(n, dtype=np.int64)
    return Facts(np.concatenate(rounds)[:n], amounts, ts, np.ones(n, np.bool_))


def _draw_uniform(n: int, keys: int | None = None) -> Facts:
    rng = np.random.default_rng([7, 3])
    ts = FIRST_MS + np.arange(n, dtype=np.int64)
    return Facts(
        rng.integers(0, keys or max(1, n // 2), n), np.round(rng.uniform(0, 500, n), 2), ts, np.ones(n, np.bool_)
    )


def _draw_turns(n: int, keys: int) -> Facts:
    """Each of the keys once, and again in the same order."""
    rng = np.random.default_rng([7, 4])
    order, amounts = rng.permutation(keys), np.round(rng.uniform(0, 500, n), 2)
    rows = np.arange(n, dtype=np.int64)
    return Facts(order[rows % keys], amounts, FIRST_MS + rows, np.ones(n, np.bool_))


def _draw_users(n: int) -> Facts:
    ts = np.full(n, FIRST_MS - 1, np.int64)  # older than every event, so that a join finds every user
    amounts = np.round(np.random.default_rng([7, 2]).uniform(0, 500, n), 2)
    return Facts(np.arange(n), amounts, ts, np.ones(n, np.bool_))


_OF_USERS = ("events", "messy", "users")
_OF_SO_MANY: dict[str, Callable[[int, int], Facts]] = {"keys": _draw_uniform, "turns": _draw_turns}
_DRAW: dict[str, Callable[[int], Facts]] = {
    "events": _draw_events,
    "messy": lambda n: _made_messy(_draw_events(n)),
    "messy-uniform": lambda n: _made_messy(_draw_uniform(n)),
    "messy-updates": lambda n: _made_messy(_draw_updates(n)),
    "uniform": _draw_uniform,
    "updates": _draw_updates,
    "users": _draw_users,
}
