"""Written a year later: reads everything from the beginning, and nobody else had to change.

streams worker examples.sign_up.audit:app --data-dir ./sign-up-data --until-end
"""

from __future__ import annotations

from typing import Any

import streams


class Mention(streams.Record):  # both topics tell an address
    email: str


app = streams.App("audit")
signed_up = app.topic("userSignedUp", key_type=str, value_type=Mention)
granted = app.topic("discountGranted", key_type=str, value_type=Mention)

sign_ups = signed_up.stream().group_by(Mention.email, name="sign-ups-by-email").count(name="sign-ups")
discounts = granted.stream().group_by(Mention.email, name="discounts-by-email").count(name="discounts")


@app.report
def users() -> list[Any]:
    given = app.tables["discounts"]
    return [
        {"email": email, "sign_ups": count, "discounts": given.get(email, 0)}
        for email, count in sorted(app.tables["sign-ups"].items())
    ]
