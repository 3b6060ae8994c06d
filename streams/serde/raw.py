"""Bytes as they are, and UTF-8 text."""

from __future__ import annotations

from streams.serde.contract import FunctionSerde

RAW: FunctionSerde[bytes] = FunctionSerde("raw", bytes, bytes, bytes)
"""Bytes as they are."""

TEXT: FunctionSerde[str] = FunctionSerde("text", str, str.encode, bytes.decode)
"""UTF-8, as Kafka's `StringSerializer`."""
