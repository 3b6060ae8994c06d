"""A terminal that does what a page of the manual shows: commands run by a shell, a broker in the background.

What a page types after a prompt (`>`) is standard input. Ports of the page (localhost:9092) are free ones here, and its
blocks of `properties` are files.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.streams.cli.transcripts import Step, assert_like, like, steps

_FENCE = re.compile(r"^```(console|properties)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_NAMED = re.compile(r"`([\w-]+\.properties)`")
_PORT = re.compile(r"(localhost|\d+\.\d+\.\d+\.\d+):(\d{4,5})\b")
Other = Callable[[Step, str], None]


class Terminal:
    """The commands of a page in a folder. `other` runs those that are not for a shell (`bin/kafka-...`)."""

    def __init__(self, folder: Path, other: Other | None = None) -> None:
        self._folder = folder
        self._other = other
        self._ports: dict[str, int] = {}
        self._broker: subprocess.Popen[str] | None = None
        self._environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("STREAMS_")},
            "STREAMS_COMPILED": "off",
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        }

    def show(self, page: Path) -> None:
        """Does all of the page, and compares what is printed. Raises AssertionError."""
        text = page.read_text(encoding="utf-8")
        for block in _FENCE.finditer(text):
            if block[1] == "properties":
                name = _NAMED.findall(text[: block.start()])[-1]
                (self._folder / name).write_text(self._here(block[2]))
            else:
                for step in steps(block[2]):
                    self._run(step)

    def close(self) -> None:
        if self._broker is not None:
            self._broker.send_signal(signal.SIGINT)
            self._broker.communicate()
            self._broker = None

    def _run(self, step: Step) -> None:
        if step.line.startswith("bin/"):
            if self._other is not None:
                self._other(step, self._here(step.line))
        elif step.line.startswith("streams broker"):
            self._start(step)
        else:
            typed = "".join(f"{line[1:]}\n" for line in step.out if line.startswith(">"))
            command = ["bash", "-c", self._here(step.line)]
            done = subprocess.run(
                command,
                cwd=self._folder,
                env=self._environment,
                input=typed,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            step.out = [line for line in step.out if not line.startswith(">")]
            assert_like(step, step.code, self._as_on_the_page(done.stdout), "")

    def _start(self, step: Step) -> None:
        self.close()
        port = "" if "--port" in step.line or "--config" in step.line else f" --port {self._port('9092')}"
        self._broker = subprocess.Popen(
            ["bash", "-c", f"exec {self._here(step.line)}{port}"],
            cwd=self._folder,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert self._broker.stdout is not None
        said = ""
        for line in self._broker.stdout:
            said += self._as_on_the_page(line)
            if like(step.out, said) or like(["...", *step.out], said):  # a page may leave out the banner
                return
        raise AssertionError(f"$ {step.line}\n{said}")

    def _port(self, on_page: str) -> int:
        if on_page not in self._ports:
            with socket.socket() as taken:
                taken.bind(("127.0.0.1", 0))
                self._ports[on_page] = taken.getsockname()[1]
        return self._ports[on_page]

    def _here(self, text: str) -> str:
        return _PORT.sub(lambda found: f"{found[1]}:{self._port(found[2])}", text)

    def _as_on_the_page(self, text: str) -> str:
        for on_page, port in self._ports.items():
            text = text.replace(f":{port}", f":{on_page}")
        return text


def terminal_in(folder: Path, other: Other | None = None) -> Iterator[Terminal]:
    """A terminal, and its broker ended behind it: the body of a fixture."""
    terminal = Terminal(folder, other)
    try:
        yield terminal
    finally:
        terminal.close()
