"""Runs every scenario on both brokers, at every version that both offer."""

from __future__ import annotations

import traceback
from collections.abc import Sequence

from tests.interop.diff.broker import Asked, Exchange, offered
from tests.interop.diff.compare import Difference, compare
from tests.interop.diff.messages import Versions, definitions
from tests.interop.diff.scenarios import cluster, groups, records, security, topics, transactions  # noqa: F401 - they register
from tests.interop.diff.steps import SCENARIOS, Scenario


def run_all(kafka: str, ours: str, wanted: Sequence[str] = ()) -> list[Difference]:
    """All differences, in the order of the scenarios."""
    offers = {kafka: offered(kafka), ours: offered(ours)}
    found: list[Difference] = []
    for name, (subject, scenario) in SCENARIOS.items():
        if wanted and not any(part in name for part in wanted):
            continue
        key = definitions()[f"{subject}Request"].key
        versions = offers[kafka].get(key), offers[ours].get(key)
        if versions[1] is None or versions[0] is None:
            found.append(Difference(name, 0, subject, -1, "served", *versions))
            continue
        first, last = max(versions[0][0], versions[1][0]), min(versions[0][1], versions[1][1])
        first = max(first, definitions()[f"{subject}Request"].versions[0])  # Produce 0 is offered and not served
        for version in range(first, last + 1):
            said = [_said(address, offers[address], scenario, subject, version, name) for address in (kafka, ours)]
            found += compare(name, *said)
    return found


def _said(
    address: str, offer: dict[int, Versions], scenario: Scenario, subject: str, version: int, name: str
) -> list[Exchange]:
    asked = Asked(address, offer, subject, version, f"{name}-{version}")
    try:
        scenario(asked)
    except Exception:  # noqa: BLE001 - an answer that can't be gone on with is a difference, and shown as one
        asked.said.append(Exchange("stopped", version, {}, {"error": traceback.format_exc(limit=-2)}))
    finally:
        asked.close()
    return asked.said
