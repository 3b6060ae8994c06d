"""Options of the whole suite."""

from __future__ import annotations

import gc
import logging
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def _levels_of_logging() -> Iterator[None]:
    """The command line sets them for its whole process, which here goes on."""
    loggers = [logging.root, logging.getLogger("asyncio"), logging.getLogger("broker_embedded")]
    before = [logger.level for logger in loggers]
    yield
    for logger, level in zip(loggers, before, strict=True):
        logger.setLevel(level)


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
