"""python -m tests.interop.kafka_streams.mutations [NAME ...]: whether random cases catch mistakes put into our code.

Each is a text of one of our files and what stands in its place, in a copy of the tree; the cases are those of the
operations that it is about. Takes some ten minutes; ends with the number of mistakes that were not caught.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[3]
CASES = 300
SEED = 20261125


@dataclass(frozen=True)
class Mutation:
    """`only` are the operations of the strategy whose cases are tried."""

    name: str
    file: str
    old: str
    new: str
    only: str


_WINDOWED = "windowed,map_values"
_TABLES = "aggregate,table filter,table group_by,table map_values,to_stream"

MUTATIONS = [
    Mutation(
        "the end of a window",
        "streams/windows.py",
        "first = np.maximum(0, timestamps - size + step) // step * step",
        "first = np.maximum(0, timestamps - size + step - 1) // step * step",
        _WINDOWED,
    ),
    Mutation(
        "the grace of a window",
        "streams/windows.py",
        "return stream_time - (self.grace_ms + self.size_ms)",
        "return stream_time - self.size_ms",
        _WINDOWED,
    ),
    Mutation(
        "the sides of a joiner",
        "streams/operators/joins/stream_join.py",
        "self._swapped = side == RIGHT",
        "self._swapped = side != RIGHT",
        "stream-stream join",
    ),
    Mutation(
        "the far end of a join's window",
        "streams/operators/joins/stream_join.py",
        "bisect_right(times, time + ahead)",
        "bisect_left(times, time + ahead)",
        "stream-stream join",
    ),
    Mutation(
        "the grace of an outer join",
        "streams/operators/joins/stream_join.py",
        "elif is_open:\n                waiting",
        "elif time + ahead >= now and not self._grace_ms:\n                waiting",
        "stream-stream join",
    ),
    Mutation(
        "the time of a join's result",
        "streams/operators/joins/stream_join.py",
        "time if time > kept.time else kept.time",
        "time",
        "stream-stream join",
    ),
    Mutation(
        "the deletions of sessions that merge",
        "streams/operators/aggregations/session_aggregate.py",
        "if (start, end) != (time, time):",
        "if False:",
        _WINDOWED,
    ),
    Mutation(
        "the gap of a session",
        "streams/operators/aggregations/session_aggregate.py",
        "if held.start <= time + self._gap]",
        "if held.start < time + self._gap]",
        _WINDOWED,
    ),
    Mutation(
        "the merge of sessions, the other way round",
        "streams/operators/aggregations/session_aggregate.py",
        "for held in found:\n            state = side.folding.merge",
        "for held in reversed(found):\n            state = side.folding.merge",
        _WINDOWED,
    ),
    Mutation(
        "the right window of the record before",
        "streams/operators/aggregations/sliding_aggregate.py",
        "timestamp + 1 + self._difference >= record.time",
        "timestamp + 1 + self._difference > record.time",
        _WINDOWED,
    ),
    Mutation(
        "what is late for a sliding window",
        "streams/operators/aggregations/sliding_aggregate.py",
        "if held.end < record.side.closed_to:",
        "if held.end <= record.side.closed_to:",
        _WINDOWED,
    ),
    Mutation(
        "when suppress lets go",
        "streams/operators/tables/suppress.py",
        "self._order[0][0] <= expired",
        "self._order[0][0] < expired",
        "aggregate,windowed,suppress,to_stream",
    ),
    Mutation(
        "the first time at which suppress holds a row",
        "streams/operators/tables/suppress.py",
        "held.timestamp, held.value, held.headers = timestamp, value, list(headers)",
        "held.value, held.headers = value, list(headers)",
        "aggregate,windowed,suppress,to_stream",
    ),
    Mutation(
        "old values taken out of a group",
        "streams/operators/tables/table_aggregate.py",
        "if change.old is not None:",
        "if change.old is not None and change.new is None:",
        _TABLES,
    ),
    Mutation(
        "a change within one group",
        "streams/operators/tables/table_group.py",
        "if new and old and type(new[0]) is type(old[0]) and new[0] == old[0]:",
        "if False:",
        _TABLES,
    ),
    Mutation(
        "deletions of rows that never matched",
        "streams/operators/tables/table_filter.py",
        "if not self.node.asked_old:",
        "if True:",
        _TABLES,
    ),
    Mutation(
        "the hash of a foreign-key join",
        "streams/operators/foreign_key_joins/subscribe.py",
        "                        changes[last].hash,",
        "                        change.hash,",
        "foreign-key join,to_table,map_values",
    ),
    Mutation(
        "a row that refers to nothing any more",
        "streams/operators/foreign_key_joins/subscribe.py",
        "return [*ended, (new, TELL)]",
        "return [*ended, (new, TELL_IF_THERE)]",
        "foreign-key join,to_table,map_values",
    ),
    Mutation(
        "the time of a row joined of two",
        "streams/operators/joins/table_table_join.py",
        "stamps = np.maximum(changes.timestamps, np.array(times, np.int64))",
        "stamps = changes.timestamps",
        "table-table join,to_table",
    ),
    Mutation(
        "the time asked of a versioned table",
        "streams/operators/versioned_view.py",
        "for entry, time in zip(entries, times, strict=True)",
        "for entry, time in zip(entries, [at - 1 for at in times], strict=True)",
        "stream-versioned join",
    ),
    Mutation(
        "how long a record waits for a version",
        "streams/operators/joins/buffered_table_join.py",
        "self._heap[0][1].timestamp <= over",
        "self._heap[0][1].timestamp < over",
        "stream-versioned join",
    ),
    Mutation(
        "when a schedule is due again",
        "streams/operators/punctuations.py",
        "self.next_ms += (missed + 1) * self.interval_ms",
        "self.next_ms = now_ms + self.interval_ms",
        "process,filter",
    ),
    Mutation(
        "records without a key behind a repartition",
        "streams/operators/sinks/repartition.py",
        "if not self.node.keyless:",
        "if True:",
        "stream-stream join,stream-global join,repartition,select_key",
    ),
    Mutation(
        "a filter's None on columns",
        "streams/operators/stateless/filter.py",
        "mask = ~mask if column.valid is None else ~mask & column.valid",
        "mask = ~mask",
        "filter,map_values",
    ),
]


def main(names: list[str]) -> int:
    chosen = [mutation for mutation in MUTATIONS if not names or any(name in mutation.name for name in names)]
    missed = 0
    with tempfile.TemporaryDirectory() as folder:
        for mutation in chosen:
            said = tried(mutation, Path(folder))
            missed += said is None
            print(f"{'caught' if said else 'MISSED':8}{mutation.name:48}{said or ''}", flush=True)
    print(f"{len(chosen) - missed} of {len(chosen)} caught")
    return missed


def tried(mutation: Mutation, folder: Path) -> str | None:
    """In which kind of case the mistake shows; None if in none."""
    copy = folder / "copy"
    shutil.rmtree(copy, ignore_errors=True)
    for part in ("streams", "state", "broker_embedded"):
        shutil.copytree(ROOT / part, copy / part, ignore=shutil.ignore_patterns("__pycache__"))
    file = copy / mutation.file
    text = file.read_text()
    if text.count(mutation.old) != 1:
        raise SystemExit(f"{mutation.name}: {mutation.file} has the text {text.count(mutation.old)} times, not once")
    file.write_text(text.replace(mutation.old, mutation.new))
    asked = ["--cases", str(CASES), "--seed", str(SEED), "--only", mutation.only, "--first"]
    done = subprocess.run(
        [sys.executable, "-m", "tests.interop.kafka_streams.search", *asked],
        env={**os.environ, "PYTHONPATH": f"{copy}{os.pathsep}{ROOT}"},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=600,
    )
    if " cases, " not in done.stdout:
        raise SystemExit(f"{mutation.name}: {done.stdout}{done.stderr}")
    found = [line for line in done.stdout.splitlines() if line.startswith("-- ")]
    return found[0] if found else None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
