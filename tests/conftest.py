"""Options of the whole suite."""

from __future__ import annotations

import gc
import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from streams.kernels import compiled
from streams.kernels.compiled.native import Native

COMPILED_DIR = Path(__file__).parent.parent / ".cache" / "compiled"
os.environ["STREAMS_COMPILED"] = "off"  # no worker of a test compiles, unless the test is about that


def load_compiled(module: str = compiled.MODULES[0]) -> None:
    """Has the compiled twins in this process, without having them used."""
    from streams.compiling.readiness import load_now

    load_now(str(COMPILED_DIR), compiled.MODULES if module in compiled.MODULES else [module])


compiled.switch(on=False)
Native.on_demand = staticmethod(load_compiled)


@pytest.fixture
def twins(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Has the compiled twins run in a test, for few rows too."""
    monkeypatch.setattr(compiled, "MANY_ROWS", 1)
    if not compiled.installed():
        pytest.skip("the extra `fast`: pip install streams-engine[fast]")
    if not compiled.loaded():
        load_compiled()
    compiled.switch(on=True)
    yield
    compiled.switch(on=False)


@pytest.fixture(params=["compiled", "plain"])
def twin(request: pytest.FixtureRequest) -> str:
    """Runs a test with the compiled twins, where they can be had, and without."""
    if request.param == "compiled":
        request.getfixturevalue("twins")
    return str(request.param)


@pytest.fixture(autouse=True)
def logging_as_it_was() -> Iterator[None]:
    """A command that runs in this process sets up logging for a process of its own: later tests are to see warnings."""
    loggers = [logging.root, logging.getLogger("asyncio"), logging.getLogger("broker_embedded")]
    levels, handlers = [logger.level for logger in loggers], list(logging.root.handlers)
    yield
    for logger, level in zip(loggers, levels, strict=True):
        logger.setLevel(level)
    for handler in set(logging.root.handlers).difference(handlers):
        logging.root.removeHandler(handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--rewrite-golden",
        action="store_true",
        help="write the expectations of tests/golden anew: by Kafka Streams where it can be asked, else by ours",
    )


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--rewrite-golden"):
        config.option.markexpr = ""  # Kafka is asked by the slow ones


def pytest_collection_finish() -> None:
    """What has been loaded and collected stays to the end: no collection of garbage looks at it again."""
    gc.collect()
    gc.freeze()
