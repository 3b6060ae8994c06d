"""Apache Kafka from Maven Central, on loopback, for as long as a `with` block: what our broker is compared with.

The jars stay in Maven's own repository; `.cache/kafka` of this repository holds the class path and our compiled Java.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import IO

VERSION = "4.3.1"
HERE = Path(__file__).parent
CACHE = HERE.parent.parent / ".cache" / "kafka"
ARTIFACTS = ("kafka_2.13", "kafka-tools", "kafka-streams")

_POM = """<project xmlns="http://maven.apache.org/POM/4.0.0">
<modelVersion>4.0.0</modelVersion><groupId>local</groupId><artifactId>interop</artifactId><version>1</version>
<dependencies>{}</dependencies></project>
"""
_DEPENDENCY = "<dependency><groupId>{}</groupId><artifactId>{}</artifactId><version>{}</version></dependency>\n".format
_LOGS = ("-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-Dorg.slf4j.simpleLogger.showDateTime=true")
QUICK = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xshare:auto")
"""For a JVM that does little: compiled quickly rather than well."""
_SMALL = ("-Xms256m", "-Xmx256m", "-XX:+UseSerialGC")

BROKER = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.listener.names": "CONTROLLER",
    "offsets.topic.replication.factor": "1",
    "offsets.topic.num.partitions": "4",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "transaction.state.log.num.partitions": "4",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
}
"""One node that is broker and controller."""


class Missing(Exception):
    """Java or Maven is not on this machine."""


def requirements() -> None:
    """Raises Missing with what to install."""
    for command, package in {"java": "openjdk-17-jdk", "javac": "openjdk-17-jdk", "mvn": "maven"}.items():
        if shutil.which(command) is None:
            raise Missing(f"no {command} on the PATH; install {package} to compare with Apache Kafka {VERSION}")


@cache
def class_path(java: Path = HERE / "java", artifacts: tuple[str, ...] = ARTIFACTS) -> str:
    """Parts of Apache Kafka, and our Java from a folder; fetched and compiled when it is not there."""
    requirements()
    sources = sorted(java.glob("*.java"))
    pom = _POM.format(
        "".join(_DEPENDENCY("org.apache.kafka", artifact, VERSION) for artifact in artifacts)
        + _DEPENDENCY("org.slf4j", "slf4j-simple", "1.7.36")
    )
    content = pom.encode() + b"".join(source.read_bytes() for source in sources)
    folder = CACHE / hashlib.sha256(content).hexdigest()[:16]
    jars = folder / "class-path"
    if not jars.exists() or not all(Path(jar).exists() for jar in jars.read_text().split(":")):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "pom.xml").write_text(pom)
        _run("mvn", "-q", "-B", "dependency:build-classpath", "-Dmdep.outputFile=fetched", cwd=folder)
        found = (folder / "fetched").read_text().strip()
        _run("javac", "-d", str(folder), "-cp", found, *map(str, sources), cwd=folder)
        jars.write_text(f"{folder}:{found}")
    return jars.read_text()


def _run(*command: str, cwd: Path) -> None:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=600)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command[:3])} ended with {done.returncode}:\n{done.stdout}{done.stderr}")


class LineProcess:
    """A process that answers in lines on its standard output, logs to a file, and ends when its input ends."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], *, log: Path) -> None:
        self._log = log
        with log.open("ab") as errors:
            self.process = subprocess.Popen(
                command,
                env={**os.environ, **environment},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
        self._lines: SimpleQueue[str] = SimpleQueue()
        assert self.process.stdout is not None
        self._reader = threading.Thread(target=self._read, args=(self.process.stdout,), daemon=True)
        self._reader.start()

    def _read(self, lines: IO[str]) -> None:
        for line in lines:
            self._lines.put(line)
        self._lines.put("")

    def write(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def read(self, timeout_s: float) -> str:
        """The next line. Raises RuntimeError with the end of the log when there is none in time."""
        try:
            line = self._lines.get(timeout=timeout_s)
        except Empty:
            line = ""
        if not line:
            self.kill()
            tail = self._log.read_text(errors="replace")[-4000:]
            raise RuntimeError(f"{self.process.args} said nothing for {timeout_s} s or ended; its log:\n{tail}")
        return line

    def kill(self) -> None:
        self.process.kill()
        self._finish()

    def stop(self, timeout_s: float = 30) -> None:
        """Ends its input and waits; kills what does not end by itself."""
        assert self.process.stdin is not None
        try:
            self.process.stdin.close()
            self.process.wait(timeout_s)
        except (BrokenPipeError, subprocess.TimeoutExpired):
            self.process.kill()
        self._finish()

    def _finish(self) -> None:
        self.process.wait()
        self._reader.join()
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            if not pipe.closed:
                with _ignored_broken_pipe():
                    pipe.close()


class Java(LineProcess):
    """A JVM."""

    def __init__(self, main: str, *args: str, log: Path, options: Sequence[str] = (), jars: str | None = None) -> None:
        super().__init__(["java", *_LOGS, *options, main, *args], {"CLASSPATH": jars or class_path()}, log=log)


@contextmanager
def _ignored_broken_pipe() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        return


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


def _with_controller(properties: dict[str, str]) -> dict[str, str]:
    """Alone in its quorum, unless `controller.quorum.voters` says who else there is, and where this one is."""
    listeners, node = properties["listeners"], properties["node.id"]
    voters = properties.get("controller.quorum.voters", f"{node}@127.0.0.1:{free_port()}")
    known = dict(voter.split("@") for voter in voters.split(",") if voter)
    controller = known.get(node, f"127.0.0.1:{free_port()}")  # nobody is named where the log says who votes
    names = [listener.partition(":")[0] for listener in listeners.split(",")]
    protocols = ",".join(["CONTROLLER:PLAINTEXT", *(f"{name}:{name}" for name in names)])
    return {
        "advertised.listeners": listeners,
        "controller.quorum.voters": voters,
        "listener.security.protocol.map": protocols,
        **properties,
        "listeners": f"{listeners},CONTROLLER://{controller}",
    }


class ApacheKafka:
    """One broker; `listeners` are Kafka's, and the default is one without security on a free port."""

    def __init__(
        self, folder: Path, config: Mapping[str, str] | None = None, *, java_options: Sequence[str] = _SMALL
    ) -> None:
        """`config` has Kafka's names, and for `kafka-storage format` what `--add-scram` takes (`scram.users`) and the
        `cluster.id`.
        """
        self.folder = folder
        self.data_dir = folder / "data"
        properties = BROKER | {"log.dirs": str(self.data_dir)} | dict(config or {})
        formatting = {"-t": properties.pop("cluster.id", ""), "--add-scram": properties.pop("scram.users", "")}
        self._format_options = [word for option, value in formatting.items() if value for word in (option, value)]
        listeners = properties.setdefault("listeners", f"PLAINTEXT://127.0.0.1:{free_port()}")
        self.bootstrap = listeners.partition("://")[2].partition(",")[0]
        self.properties = folder / "server.properties"
        folder.mkdir(parents=True, exist_ok=True)
        text = (f"{key}={value}\n" for key, value in _with_controller(properties).items())
        self.properties.write_text("".join(text))
        self._java_options = java_options
        self._java: Java | None = None

    def start(self) -> None:
        """Returns when the broker answers: some 4 s."""
        self.launch()
        self.wait()

    def launch(self) -> None:
        """Begins to start: one of several is ready when most of them are."""
        log = self.folder / "server.log"
        self._java = Java(
            "KafkaServer", str(self.properties), *self._format_options, log=log, options=self._java_options
        )

    def wait(self) -> None:
        """Returns when the broker answers."""
        assert self._java is not None
        self._java.read(timeout_s=120)

    def kill(self) -> None:
        assert self._java is not None
        self._java.kill()

    def stop(self) -> None:
        assert self._java is not None
        self._java.stop()

    @property
    def pid(self) -> int:
        assert self._java is not None
        return self._java.process.pid


@dataclass(frozen=True)
class Done:
    """What a tool has printed and with which code it ended."""

    code: int
    out: str
    err: str


class Tools:
    """Kafka's command line tools and our Java programs, all in one JVM, started when first needed."""

    def __init__(self, folder: Path) -> None:
        self._log = folder / "tools.log"
        self._java: Java | None = None

    def run(self, main: str, *args: str, stdin: str = "", timeout_s: float = 60) -> Done:
        """What `main` prints. Raises RuntimeError when it does not end in time."""
        if self._java is None or self._java.process.poll() is not None:
            self._java = Java("Tools", log=self._log, options=("-Xmx256m", *QUICK))
        self._java.write(json.dumps({"main": main, "args": args, "stdin": stdin}))
        return Done(**json.loads(self._java.read(timeout_s)))

    def run_alone(self, main: str, *args: str, timeout_s: float = 60) -> Done:
        """The same in a JVM of its own, for what prints only when that ends."""
        command = ["java", *_LOGS, *QUICK, main, *args]
        environment = {**os.environ, "CLASSPATH": class_path()}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=timeout_s)
        return Done(done.returncode, done.stdout, done.stderr)

    def stop(self) -> None:
        if self._java is not None:
            self._java.stop()
