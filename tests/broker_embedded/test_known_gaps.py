"""What `known_gaps.md` says is not served is not, and everything else of Kafka 4.3 is."""

from __future__ import annotations

import re
from pathlib import Path

import broker_embedded
from broker_embedded.configs.broker_table import BROKER_CONFIGS, WITHOUT_EFFECT
from broker_embedded.handlers import served

GAPS = (Path(broker_embedded.__file__).parent / "known_gaps.md").read_text(encoding="utf-8")
# Keys that a broker of Kafka 4.3 serves to clients (`"listeners": ["broker"]` in its message definitions); the rest is
# for brokers and controllers among themselves.
KAFKA = {*range(4), *range(8, 52), 55, 57, 60, 61, 65, 66, 68, 69, 71, 72, *range(74, 80), *range(88, 93)}


def test_every_key_is_served_or_listed() -> None:
    listed = re.search(r"## Requests that are not served\n(.*?)\n## ", GAPS, re.DOTALL)
    assert listed is not None
    missing = {int(key) for key in re.findall(r"^\| (\d+) \|", listed[1], re.MULTILINE)}
    assert missing == KAFKA - served().keys()
    assert served().keys() <= KAFKA


def test_settings_are_named_as_they_are() -> None:
    names = re.findall(r"`([a-z]+(?:\.[a-z0-9]+)+)`", GAPS)
    assert names and all(name in BROKER_CONFIGS or name in WITHOUT_EFFECT for name in names)
