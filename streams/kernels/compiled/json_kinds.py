"""Numbers by which compiled functions of JSON and their callers understand each other."""

from __future__ import annotations

INT, FLOAT, BOOL, TEXT, TIMESTAMP, OTHER, JSON = 1, 2, 3, 4, 5, 6, 7
"""What a field is. One that is read as `TIMESTAMP` is milliseconds since 1970, or ISO-8601 text that says them; of an
`OTHER` it is found where it stands. Of those that are written, `TEXT` gets quotes and escapes, and `JSON` is copied.
"""

MISSING, PRESENT, NULL = 0, 1, 2
"""What a record that was read has of a field."""

DONE, LEFT = 0, 1
"""Whether a record was read: msgspec is asked about those that are left."""
