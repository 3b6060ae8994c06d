"""What ships for whoever tests an app: `Driver`, and what the package's own tests are made of.

Names are imported when first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from streams.testing.driver import Clock, Driver, TopicRecord

__all__ = ["Clock", "Driver", "TopicRecord"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'streams.testing' has no attribute {name!r}")
    return getattr(import_module("streams.testing.driver"), name)
