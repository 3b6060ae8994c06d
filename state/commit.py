"""Writing a commit in slices of bounded size, the checkpoint in the last.

A slice is one atomic batch and one step of the generator: between two steps the caller may serve others, and a crash
there is made good from the changelog (see `checkpoint`). One large batch would hold the interpreter lock all the while:
200,000 entries froze every thread for 0.35 s.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from state.api import Backend, Changes, Checkpoint
from state.checkpoint import checkpoint_changes, furthest, mark_changes, reaches

SLICE_ENTRIES = 2_000
SLICE_BYTES = 1 << 20


def write_slices(
    backend: Backend,
    changes: Iterable[Changes],
    checkpoints: Mapping[str, Checkpoint],
    marks: dict[str, Checkpoint],
    *,
    durable: bool = True,
    slice_entries: int = SLICE_ENTRIES,
) -> Iterator[None]:
    """Write the changes and then the checkpoints; each step is one atomic batch, nothing happens before the first.

    `changes` come in pieces of at most a slice (`layers.logged.slice_size`), and are taken as they are needed.

    `marks` are the marks now in the backend (`checkpoint.in_progress`); kept up to date here, so that no commit has to
    read them. `durable=False` leaves out the write-ahead log (restore); `backend.flush_steps()` then makes it last.
    """
    slices = _packed(changes, slice_entries)
    current = next(slices)
    marked = False
    for following in slices:
        if not marked:
            marks.update({store: furthest(new, marks.get(store)) for store, new in checkpoints.items()})
            current.append(mark_changes({store: marks[store] for store in checkpoints}))
            marked = True
        backend.write(current, durable=durable)
        yield
        current = following
    current.append(checkpoint_changes(checkpoints, marks))
    backend.write(current, durable=durable)
    for store, checkpoint in checkpoints.items():
        if reaches(checkpoint, marks.get(store)):
            marks.pop(store, None)
    yield


def _packed(changes: Iterable[Changes], slice_entries: int) -> Iterator[list[Changes]]:
    """Small changes of several stores share a slice; at least one slice, maybe an empty one."""
    piece: list[Changes] = []
    entries = 0
    for part in changes:
        if piece and entries + len(part.keys) > slice_entries:
            yield piece
            piece, entries = [], 0
        piece.append(part)
        entries += len(part.keys)
    yield piece
