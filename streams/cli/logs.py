"""Log lines on standard error."""

from __future__ import annotations

import logging

import click


class StandardError(logging.Handler):
    """Writes to whatever is standard error now, so that a live view may put itself in between."""

    def emit(self, record: logging.LogRecord) -> None:
        click.echo(self.format(record), err=True)


def set_up(level: str, *, aside: str | None = None) -> None:
    """Sends the records of every logger from `level` upwards to standard error; asyncio's own notes on itself stay
    out, and what is told at INFO by the package that stands `aside`.
    """
    handler = StandardError()
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)-7s %(message)s", "%H:%M:%S"))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    logging.getLogger("asyncio").setLevel(logging.WARNING)
    if aside is not None and level == "info":
        logging.getLogger(aside).setLevel(logging.WARNING)
