"""Options of the whole suite."""

from __future__ import annotations

import gc
import logging
from collections.abc import Iterator

import pytest


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
