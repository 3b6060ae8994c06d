from __future__ import annotations

import pytest

from broker_embedded.errors import InvalidConfigError
from broker_embedded.log.config import LogConfig


def test_defaults_are_kafkas() -> None:
    assert LogConfig.from_configs({}) == LogConfig()
    assert LogConfig.from_configs({"min.insync.replicas": "1"}) == LogConfig()


def test_values() -> None:
    config = LogConfig.from_configs({"retention.ms": "-1", "cleanup.policy": "compact,delete", "flush.ms": "5"})
    assert (config.retention_ms, config.compacts, config.deletes, config.flush_ms) == (-1, True, True, 5)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("retention.ms", "soon", "retention.ms='soon' is not a whole number"),
        ("retention.ms", "-2", "retention.ms=-2 is out of range, -1 to"),
        ("segment.bytes", "13", "out of range, 14 to 2147483647"),
        ("cleanup.policy", "shred", "'shred' must be one of delete, compact"),
        ("compression.type", "none", "must be one of producer, uncompressed"),
        ("message.timestamp.type", "createtime", "must be one of CreateTime, LogAppendTime"),
        ("retention.msec", "1", "did you mean retention.ms?"),
        ("qqq", "1", "qqq is not a topic config$"),
    ],
)
def test_wrong(name: str, text: str, message: str) -> None:
    with pytest.raises(InvalidConfigError, match=message.replace("?", r"\?")):
        LogConfig.from_configs({name: text})
