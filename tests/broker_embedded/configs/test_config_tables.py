"""The tables of configs against what Apache Kafka 4.3.1 itself describes, and what is said about bad values."""

from __future__ import annotations

import json
import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker_embedded.config import BrokerConfig
from broker_embedded.configs.broker import _FIELDS, DYNAMIC, is_known
from broker_embedded.configs.broker_table import BROKER_CONFIGS, WITHOUT_EFFECT
from broker_embedded.configs.definitions import Definition, to_text
from broker_embedded.configs.groups import GROUP_CONFIGS
from broker_embedded.configs.topics import BROKER_NAMES, TOPIC_CONFIGS, check_topic_configs, to_log_config
from broker_embedded.errors import InvalidConfigError
from broker_embedded.log.config import LogConfig

KAFKA = json.loads((Path(__file__).parent / "kafka_configs.json").read_text())
OURS = {"flush.on.commit", "max.replication.factor"}


def _of(table: dict[str, Definition]) -> dict[str, list[Any]]:
    return {name: [known.type, known.default] for name, known in table.items()}


def test_topics_and_groups_have_kafka_s_configs() -> None:
    assert _of(TOPIC_CONFIGS) == KAFKA["topic"]
    assert _of(GROUP_CONFIGS) == KAFKA["group"]
    assert {name: BROKER_NAMES[name][0] for name in KAFKA["broker_names"]} == KAFKA["broker_names"]


def test_a_log_s_defaults_are_those_of_the_table() -> None:
    defaults = {name: known.default for name, known in TOPIC_CONFIGS.items() if known.default is not None}
    assert to_log_config(defaults) == to_log_config({}) == LogConfig()


def test_a_broker_s_settings_are_kafka_s() -> None:
    kafka = KAFKA["broker"]
    assert {n: v for n, v in _of(BROKER_CONFIGS).items() if n not in OURS} == {
        name: kafka[name][:2] for name in BROKER_CONFIGS if name not in OURS
    }
    assert set(BROKER_CONFIGS) - set(kafka) == OURS
    assert all(is_known(name) for name in kafka)
    assert not WITHOUT_EFFECT & set(BROKER_CONFIGS) and set(kafka) >= WITHOUT_EFFECT
    assert not [name for name in DYNAMIC if kafka[name][2]], "Kafka says these are read-only"


@pytest.mark.parametrize("table", [TOPIC_CONFIGS, BROKER_CONFIGS, GROUP_CONFIGS], ids=["topic", "broker", "group"])
def test_defaults_are_valid_and_documented(table: dict[str, Definition]) -> None:
    for name, known in table.items():
        assert known.documentation, name
        if known.default is not None:
            assert known.canonical(known.default) == known.default, name


def test_defaults_of_the_fields_are_kafka_s_but_for_those_that_say_so() -> None:
    names = {name: _FIELDS.get(name, name.replace(".", "_")) for name in BROKER_CONFIGS}
    known = {field.name: field.default for field in fields(BrokerConfig)}
    differing = {
        name
        for name, field in names.items()
        if field in known
        and BROKER_CONFIGS[name].default is not None
        and to_text(list(known[field]) if isinstance(known[field], tuple) else known[field])
        != BROKER_CONFIGS[name].default
    }
    assert differing == {
        *("auto.create.topics.enable", "offsets.topic.num.partitions", "transaction.state.log.num.partitions")
    }


# What has an effect without a field: listeners and their security are read from the properties themselves, a group's
# bounds too, and the rest says what is so.
WITHOUT_FIELD = re.compile(
    r"advertised\.listeners|authorizer\.class\.name|broker\.id|connections\.max\.reauth\.ms|group\.consumer\..*|group\.share\..*"
    r"|group\.streams\..*|group\.coordinator\.rebalance\.protocols|listener.*|log\.dirs?|process\.roles|sasl\..*|ssl\..*"
    r"|transaction\.two\.phase\.commit\.enable"
)


def test_what_has_no_effect_says_so() -> None:
    known = {field.name for field in fields(BrokerConfig)}
    defaults_of_topics = {name for names in BROKER_NAMES.values() for name in names}
    for name, definition in BROKER_CONFIGS.items():
        says_none = "no effect" in definition.documentation
        if _FIELDS.get(name, name.replace(".", "_")) in known:
            assert not says_none, f"{name} has an effect: BrokerConfig has a field for it"
        elif name not in defaults_of_topics:
            assert says_none or WITHOUT_FIELD.fullmatch(name), f"{name}: is there anybody who reads it?"


_NUMBER = "Not a number of type {}"
_THROTTLED = (
    "{0} must be the literal '*' or a list of replicas in the following format: "
    "[partitionId]:[brokerId],[partitionId]:[brokerId],..."
)
_CODECS = "String must be one of: uncompressed, zstd, lz4, snappy, gzip, producer"
_POLICIES = "String must be one of: compact, delete"

# What Kafka says; None where it takes the value. In quotes what it repeats of the value, if that is not the value.
MESSAGES: list[tuple[str, str, str | None]] = [
    ("retention.ms", "x", _NUMBER.format("LONG")),
    ("retention.ms", "", _NUMBER.format("LONG")),
    ("retention.ms", "1.5", _NUMBER.format("LONG")),
    ("retention.ms", "1_0", _NUMBER.format("LONG")),
    ("retention.ms", "9223372036854775808", _NUMBER.format("LONG")),
    ("retention.ms", "-2", "Value must be at least -1"),
    ("retention.ms", "+5", None),
    ("retention.ms", "1 ", None),
    ("segment.bytes", "2147483648", _NUMBER.format("INT")),
    ("segment.bytes", "1048575", "Value must be at least 1048576"),
    ("segment.bytes", "1048576", None),
    ("cleanup.policy", "", None),
    ("cleanup.policy", " compact , delete ", None),
    ("cleanup.policy", "delete,delete", None),
    ("cleanup.policy", "DELETE", _POLICIES),
    ("compression.type", "GZIP", _CODECS),
    ("compression.type", "", _CODECS),
    ("compression.type", " gzip ", None),
    ("min.cleanable.dirty.ratio", "much", _NUMBER.format("DOUBLE")),
    ("min.cleanable.dirty.ratio", "-0.1", "Value must be at least 0"),
    ("min.cleanable.dirty.ratio", "1.1", "Value must be no more than 1"),
    ("min.cleanable.dirty.ratio", "NaN", None),
    ("min.cleanable.dirty.ratio", "0.5d", None),
    ("preallocate", "perhaps", "Expected value to be either true or false"),
    ("preallocate", " TRUE ", None),
    ("compression.gzip.level", "0", "Value must be between 1 and 9 or equal to -1"),
    ("compression.gzip.level", "-1", None),
    ("compression.lz4.level", "18", "Value must be no more than 17"),
    ("compression.zstd.level", "-131073", "Value must be at least -131072"),
    ("leader.replication.throttled.replicas", "*", None),
    ("leader.replication.throttled.replicas", "0:1,1:1", None),
    ("message.timestamp.type", "createtime", "String must be one of: CreateTime, LogAppendTime"),
    ("local.retention.ms", "-3", "Value must be at least -2"),
    ("retention.bytes", "-2", None),
    ("internal.segment.bytes", "1", None),
    ("internal.segment.bytes", "x", _NUMBER.format("INT")),
]


@pytest.mark.parametrize(("name", "text", "why"), MESSAGES)
def test_messages_are_kafka_s(name: str, text: str, why: str | None) -> None:
    if why is None:
        to_log_config({name: text})
        return
    with pytest.raises(InvalidConfigError) as caught:
        check_topic_configs({name: text})
    assert str(caught.value) == f"Invalid value {text} for configuration {name}: {why}"


@pytest.mark.parametrize(
    ("configs", "message"),
    [
        ({"nope.x": "1"}, "Unknown topic config name: nope.x"),
        ({"cleanup.policy": "delete,"}, "Configuration 'cleanup.policy' values must not be empty."),
        (
            {"cleanup.policy": "delete,foo"},
            f"Invalid value foo for configuration cleanup.policy: {_POLICIES}",
        ),
        (
            {"leader.replication.throttled.replicas": "*,0:1"},
            "Invalid value [*, 0:1] for configuration leader.replication.throttled.replicas: "
            + _THROTTLED.format("leader.replication.throttled.replicas"),
        ),
        (
            {"min.compaction.lag.ms": "10", "max.compaction.lag.ms": "5"},
            "conflict topic config setting min.compaction.lag.ms (10) > max.compaction.lag.ms (5)",
        ),
        (
            {"remote.storage.enable": "true"},
            "Tiered Storage functionality is disabled in the broker. "
            "Topic cannot be configured with remote log storage.",
        ),
    ],
)
def test_other_messages_are_kafka_s(configs: dict[str, str], message: str) -> None:
    with pytest.raises(InvalidConfigError, match=f"^{re.escape(message)}$"):
        check_topic_configs(configs)


@pytest.mark.parametrize(
    ("value", "text"),
    [(1.7976931348623157e308, "1.7976931348623157E308"), (0.5, "0.5"), (1e20, "1.0E20"), (True, "true"), ([], "")],
)
def test_values_are_written_as_java_does(value: Any, text: str) -> None:
    assert to_text(value) == text


@given(st.sampled_from(sorted(TOPIC_CONFIGS)), st.text(max_size=8) | st.integers().map(str) | st.floats().map(str))
def test_any_text_is_taken_or_refused_and_what_is_taken_is_canonical(name: str, text: str) -> None:
    known = TOPIC_CONFIGS[name]
    try:
        written = known.canonical(text)
    except InvalidConfigError as error:
        assert name in str(error)
    else:
        assert known.canonical(written) == written


@pytest.mark.parametrize(
    ("properties", "expected"),
    [
        ({"num.partitions": "3"}, {"num_partitions": 3}),
        ({"auto.create.topics.enable": "TRUE"}, {"auto_create_topics": True}),
        ({"flush.on.commit": "true"}, {"sync_on_commit": True}),
        ({"group.consumer.assignors": "range , uniform"}, {"group_consumer_assignors": ("range", "uniform")}),
        ({"broker.rack": "r1", "num.io.threads": "8", "remote.log.reader.threads": "3"}, {"broker_rack": "r1"}),
    ],
)
def test_properties_become_fields(properties: dict[str, str], expected: dict[str, Any]) -> None:
    config = BrokerConfig.from_properties(properties)
    assert {name: getattr(config, name) for name in expected} == expected
    assert config.properties == properties


@pytest.mark.parametrize(
    ("properties", "name", "text"),
    [
        ({"log.retention.hours": "2"}, "retention.ms", "7200000"),
        ({"log.retention.hours": "2", "log.retention.minutes": "3"}, "retention.ms", "180000"),
        ({"log.retention.ms": "5", "log.retention.hours": "2"}, "retention.ms", "5"),
        ({"log.retention.hours": "-1"}, "retention.ms", "-1"),
        ({"log.roll.hours": "1"}, "segment.ms", "3600000"),
        ({"message.max.bytes": "77"}, "max.message.bytes", "77"),
        ({"log.cleaner.min.cleanable.ratio": "0.1"}, "min.cleanable.dirty.ratio", "0.1"),
        ({"log.flush.scheduler.interval.ms": "9"}, "flush.ms", "9"),
        ({"min.insync.replicas": "2"}, "min.insync.replicas", "2"),
    ],
)
def test_settings_of_the_broker_are_defaults_of_topics(properties: dict[str, str], name: str, text: str) -> None:
    assert BrokerConfig.from_properties(properties).topic_defaults[name] == text


@pytest.mark.parametrize(
    ("properties", "message"),
    [
        ({"num.partition": "3"}, "num.partition is not a setting of the broker; did you mean num.partitions?"),
        ({"num.partitions": "0"}, "Invalid value 0 for configuration num.partitions: Value must be at least 1"),
        ({"log.segment.bytes": "1"}, "Invalid value 1 for configuration log.segment.bytes: Value must be at least"),
        ({"log.cleaner.max.compaction.lag.ms": "5", "log.cleaner.min.compaction.lag.ms": "6"}, "conflict topic config"),
    ],
)
def test_bad_properties_are_told(properties: dict[str, str], message: str) -> None:
    with pytest.raises(InvalidConfigError, match=re.escape(message)):
        BrokerConfig.from_properties(properties)
