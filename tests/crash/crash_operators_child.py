"""What runs in the children: the second app, with everything that happens seldom made to happen often."""

from __future__ import annotations

import crash_child  # noqa: F401 - makes it so
from crash_operators_app import app

__all__ = ["app"]
