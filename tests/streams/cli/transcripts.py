"""Command lines with what they print, kept as text; run in this process, or as a page of the manual shows them.

    $ streams topics create flights       a command line; $BROKER in it is the broker's address
    < UA:late                             a line of its standard input
    name  partitions                      a line of its standard output
    ! Created topic flights.              a line of its standard error
    = 1                                   its exit code, if that is not 0
    # a remark

`...` stands for anything, and runs of blanks are all alike, as in doctest.
"""

from __future__ import annotations

import doctest
import io
import shlex
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from unittest import mock

from streams.cli import run

_LIKE = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


@dataclass
class Step:
    """A command line and what comes of it."""

    line: str
    stdin: list[str] = field(default_factory=list)
    out: list[str] = field(default_factory=list)
    err: list[str] = field(default_factory=list)
    code: int = 0

    @property
    def words(self) -> list[str]:
        """What follows `streams`."""
        return shlex.split(self.line)[1:]


@dataclass(frozen=True)
class Printed:
    """What a command line gave."""

    code: int
    out: bytes
    err: str


def steps(text: str) -> Iterator[Step]:
    """The steps of a transcript."""
    step: Step | None = None
    for line in text.splitlines():
        mark, _, rest = line.partition(" ")
        if mark == "$":
            if step is not None:
                yield step
            step = Step(rest)
        elif mark == "#" or not line or step is None:
            continue
        elif mark == "=":
            step.code = int(rest)
        else:
            where = {"<": step.stdin, "!": step.err}.get(mark)
            (step.out if where is None else where).append(line if where is None else rest)
    if step is not None:
        yield step


def call(words: Iterable[str], stdin: bytes = b"") -> Printed:
    """Run `streams` with these words, here."""
    out, err = io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True), io.StringIO()
    with tempfile.TemporaryFile() as file:
        file.write(stdin)
        file.seek(0)
        with (
            mock.patch.object(sys, "stdin", io.TextIOWrapper(file)) as replaced,
            redirect_stdout(out),
            redirect_stderr(err),
        ):
            code = run(list(words))
            replaced.detach()
    return Printed(code, out.buffer.getvalue(), err.getvalue())  # type: ignore[attr-defined]


def check(step: Step, broker: str) -> None:
    """Run a step and compare. Raises AssertionError that shows both."""
    words = [word.replace("$BROKER", broker) for word in step.words]
    printed = call(words, "".join(f"{line}\n" for line in step.stdin).encode())
    assert_like(step, printed.code, printed.out.decode(errors="replace"), printed.err)


def assert_like(step: Step, code: int, out: str, err: str) -> None:
    is_like = code == step.code and like(step.out, out) and like(step.err, err)
    assert is_like, (
        f"$ {step.line}\nexpected {step.code}:\n{_text(step.out)}{_text(step.err)}"
        f"got {code}:\n{out}{'' if out.endswith(chr(10)) or not out else chr(10)}{err}"
    )


def like(expected: Iterable[str], text: str) -> bool:
    return doctest.OutputChecker().check_output(_text(expected), text, _LIKE)


def _text(lines: Iterable[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


def play(path: Path, broker: str) -> None:
    for step in steps(path.read_text(encoding="utf-8")):
        check(step, broker)
