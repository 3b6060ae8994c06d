"""The next generation of the group protocol (KIP-848)."""

from __future__ import annotations
