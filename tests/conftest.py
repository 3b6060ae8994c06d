"""Options of the whole suite."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--rewrite-golden",
        action="store_true",
        help="write the expectations of tests/golden anew: by Kafka Streams where it can be asked, else by ours",
    )


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--rewrite-golden"):
        config.option.markexpr = ""  # Kafka is asked by the slow ones
