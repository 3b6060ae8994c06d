"""An answer that is there already."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Arrived:
    """Gives an offset when it is awaited, as often as one likes.

    >>> import asyncio
    >>> async def main() -> int:
    ...     return await Arrived(7)
    >>> asyncio.run(main())
    7
    """

    offset: int

    def __await__(self) -> Generator[None, None, int]:
        yield from ()
        return self.offset
