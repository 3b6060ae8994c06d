"""What tests do without Java: they skip, and in CI they fail."""

from __future__ import annotations

import os

import pytest

from tests.interop import apache_kafka


def require_java() -> None:
    """Skips, or in CI fails, without Java and Maven."""
    try:
        apache_kafka.requirements()
    except apache_kafka.Missing as missing:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(missing))
