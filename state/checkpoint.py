"""How far the changelogs are contained in the stores: checkpoints, marks of unfinished writes, and the rule for a
rebuild.

Both live in a map of their own (`META`) in the same place as the data, so that one atomic batch carries data and
checkpoint. A commit larger than a slice first writes a mark ("in progress up to"), last its checkpoint, which takes the
mark away. A crash between leaves the old checkpoint and the mark: reading the changelog again from the checkpoint makes
the store whole, since values in a changelog are absolute.
"""

from __future__ import annotations

from collections.abc import Mapping

from state.api import META, Backend, Changes, Checkpoint

_CHECKPOINT = "checkpoint/"
_MARK = "mark/"


def checkpoints(backend: Backend) -> dict[str, Checkpoint]:
    """The checkpoint of each store that has one."""
    return _read(backend, _CHECKPOINT)


def in_progress(backend: Backend) -> dict[str, Checkpoint]:
    """For each store with an unfinished write: how far its data may reach."""
    return _read(backend, _MARK)


def mark_changes(marks: Mapping[str, Checkpoint]) -> Changes:
    """The meta changes that say "in progress up to"."""
    return meta_changes({_MARK + store: _encode(mark) for store, mark in marks.items()})


def checkpoint_changes(new: Mapping[str, Checkpoint], marks: Mapping[str, Checkpoint]) -> Changes:
    """The meta changes that set checkpoints and take away the marks they have reached."""
    changes: dict[str, bytes | None] = {}
    for store, checkpoint in new.items():
        changes[_CHECKPOINT + store] = _encode(checkpoint)
        if store in marks and reaches(checkpoint, marks[store]):
            changes[_MARK + store] = None
    return meta_changes(changes)


def reaches(checkpoint: Checkpoint, mark: Checkpoint | None) -> bool:
    """Whether a store at this checkpoint holds all that the mark spoke of."""
    return mark is None or (mark.topic_id == checkpoint.topic_id and mark.offset <= checkpoint.offset)


def furthest(new: Checkpoint, mark: Checkpoint | None) -> Checkpoint:
    """The mark for a write up to `new` over one that was not finished: its data may reach further still."""
    return new if reaches(new, mark) or mark is None else Checkpoint(new.topic_id, max(new.offset, mark.offset))


def forget_changes(store: str) -> Changes:
    """The meta changes after which a store has neither checkpoint nor mark."""
    return meta_changes({_CHECKPOINT + store: None, _MARK + store: None})


def meta_changes(values: Mapping[str, bytes | None]) -> Changes:
    """Changes of the meta map."""
    names = sorted(values)
    return Changes(META, [name.encode() for name in names], [values[name] for name in names])


def needs_rebuild(
    checkpoint: Checkpoint | None,
    mark: Checkpoint | None,
    topic_id: str,
    log_end: int,
    log_start: int = 0,
    *,
    undone: bool = False,
) -> str | None:
    """Why the store cannot be continued from its checkpoint, or None if it can.

    A store ahead of its log, or of another topic, holds changes that never happened as far as the log knows: after a
    power cut that took the log's unsynced end, or a topic deleted and made again. A store behind the log's start has
    missed deletions. `log_end` is the next offset the changelog will give out, `log_start` its first. `undone` says
    that the change before checkpoint or mark was taken back, though the log has grown past it again.

    >>> needs_rebuild(Checkpoint("t", 10), None, "t", 10) is None
    True
    >>> needs_rebuild(Checkpoint("t", 10), None, "t", 7)
    'the checkpoint (offset 10) lies beyond the end of the changelog (offset 7)'
    """
    for what, at in (("checkpoint", checkpoint), ("unfinished commit", mark)):
        if at is None:
            continue
        if at.topic_id != topic_id:
            return (
                f"the {what} belongs to another topic (id {at.topic_id}, now {topic_id}): it was deleted and made again"
            )
        if at.offset > log_end:
            return f"the {what} (offset {at.offset}) lies beyond the end of the changelog (offset {log_end})"
    if undone:
        return "it has changes of a transaction that the changelog no longer knows as committed"
    if checkpoint is not None and checkpoint.offset < log_start:
        return f"the changelog now begins at offset {log_start}, after the checkpoint (offset {checkpoint.offset})"
    return None


def _read(backend: Backend, prefix: str) -> dict[str, Checkpoint]:
    start = prefix.encode()
    with backend.scan(META, start, start[:-1] + bytes([start[-1] + 1])) as entries:
        return {key.decode()[len(prefix) :]: _decode(value) for key, value in entries}


def _encode(checkpoint: Checkpoint) -> bytes:
    return checkpoint.offset.to_bytes(8, "big", signed=True) + checkpoint.topic_id.encode()


def _decode(value: bytes) -> Checkpoint:
    return Checkpoint(value[8:].decode(), int.from_bytes(value[:8], "big", signed=True))
