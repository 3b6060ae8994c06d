"""How the files of a log are called: by the offset where a segment begins, a snapshot by the one that it is of."""

from __future__ import annotations

from typing import Final

PARTS: Final = (".log", ".index", ".timeindex", ".txnindex")
"""Of a segment, the records first."""

SNAPSHOT: Final = ".snapshot"
"""Of the producers."""

SUFFIXES: Final = (*PARTS, SNAPSHOT)


def file_name(offset: int, suffix: str) -> str:
    """
    >>> file_name(42, ".log")
    '00000000000000000042.log'
    """
    return f"{offset:020d}{suffix}"


def offset_of(name: str) -> int:
    """
    >>> offset_of("00000000000000000042.log.swap")
    42
    """
    return int(name.partition(".")[0])
