"""The facts of `events` as real services write them: values of about 300 bytes that agree on nothing but their meaning.

Shuffled key order, nesting (with the same field names inside), three ways of spacing, 5 % with escapes or characters
outside ASCII, 5 % with `amount` null or missing, 0.1 % cut off so that they do not decode.
"""

from __future__ import annotations

import json
import math
import random
from collections.abc import Iterable, Iterator

OUT_OF_ORDER = 0.05
LATENESS_MS = 5_000  # an event arrives at most this much after one that is younger; the workloads' grace is as long
WITHOUT_AMOUNT = 0.05
ESCAPED = 0.05
UNDECODABLE = 0.001

_SEPARATORS = [(", ", ": "), (",", ":"), (" ,\n  ", " : ")]
_CITIES = ["Lisbon", "Osaka", "Nairobi", "Quito", "Tallinn"]
_NOTES = ["Zürich ↔ København", 'said "fine" \\ left\tearly', "naïve café 🚲", "line one\nline two"]


def values(
    users: Iterable[str], amounts: Iterable[float], timestamps: Iterable[int], decodable: Iterable[bool]
) -> Iterator[bytes]:
    """One JSON value for each fact; nan stands for no amount, a value that is not decodable loses its end.

    >>> [json.loads(value)["amount"] for value in values(["user-00001"], [1.5], [0], [True])]
    [1.5]
    """
    rng = random.Random(7)
    for user, amount, ts, whole in zip(users, amounts, timestamps, decodable, strict=True):
        text = _value(rng, user, amount, ts)
        yield text.encode() if whole else text[: rng.randrange(20, len(text) - 1)].encode()


def _value(rng: random.Random, user: str, amount: float, ts: int) -> str:
    escaped = rng.random() < ESCAPED
    comma, colon = rng.choice(_SEPARATORS)
    fields = [
        f'"user"{colon}{_escape(user) if escaped and rng.random() < 0.5 else json.dumps(user)}',
        f'"ts"{colon}{ts}',
        f'"device"{colon}{{"os"{colon}"linux"{comma}"app"{colon}{{"build"{colon}{rng.randrange(9999)}}}}}',
        f'"previous"{colon}{{"user"{colon}"nobody"{comma}"amount"{colon}{rng.randrange(500)}{comma}"ts"{colon}0}}',
        f'"tags"{colon}["a"{comma}"b"{comma}{{"ts"{colon}[1{comma}2]}}]',
        f'"session"{colon}"{rng.getrandbits(128):032x}"',
        f'"city"{colon}"{rng.choice(_CITIES)}"',
        f'"note"{colon}{_note(rng) if escaped else chr(34) + "nothing to declare" + chr(34)}',
    ]
    if not math.isnan(amount):
        fields.append(f'"amount"{colon}{amount:.2f}')
    elif rng.random() < 0.5:
        fields.append(f'"amount"{colon}null')
    rng.shuffle(fields)
    return f"{{{comma.join(fields)}}}"


def _note(rng: random.Random) -> str:
    return json.dumps(rng.choice(_NOTES), ensure_ascii=rng.random() < 0.5)


def _escape(text: str) -> str:
    return '"' + text[:2] + f"\\u{ord(text[2]):04x}" + text[3:] + '"'
