"""Keys, values and headers, which are bytes, in JSON: text where it is UTF-8, else `{"base64": "..."}`."""

from __future__ import annotations

from base64 import b64decode, b64encode
from typing import Any

import msgspec


def to_json(data: bytes | None) -> str | dict[str, str] | None:
    """
    >>> to_json(b"late"), to_json(b"\\xff"), to_json(None)
    ('late', {'base64': '/w=='}, None)
    """
    if data is None:
        return None
    try:
        return data.decode()
    except UnicodeDecodeError:
        return {"base64": b64encode(data).decode()}


def from_json(value: Any) -> bytes | None:
    """The reverse; any other JSON is its own text. Raises ValueError for wrong base 64.

    >>> from_json("late"), from_json({"base64": "/w=="}), from_json({"delay": 5}), from_json(None)
    (b'late', b'\\xff', b'{"delay":5}', None)
    """
    match value:
        case None:
            return None
        case str():
            return value.encode()
        case {"base64": str(text), **rest} if not rest:
            return b64decode(text, validate=True)
        case _:
            return msgspec.json.encode(value)
