from __future__ import annotations

from typing import Any

import pytest

from streams import policies
from streams.config import Settings, load_settings, settings_info
from streams.errors import ConfigError


def load(values: dict[str, Any] | None = None, **environment: str) -> Settings:
    return load_settings("flights", values, environment=environment)


def test_nothing_configured() -> None:
    settings = load()
    assert (settings.id, settings.data_dir, settings.broker) == ("flights", "./flights-data", "embedded")
    assert settings.processing_guarantee == "exactly_once"
    assert settings.policy == policies.stop()
    assert settings.origins == {info.name: "code" if info.name == "id" else "default" for info in settings_info()}


@pytest.mark.parametrize(
    ("values", "environment", "flags", "value", "origin"),
    [
        ({}, {}, {}, 100, "default"),
        ({"commit_interval_ms": 1}, {}, {}, 1, "code"),
        ({"commit.interval.ms": 1}, {}, {}, 1, "code"),
        ({"commit_interval_ms": 1}, {"STREAMS_COMMIT_INTERVAL_MS": "2"}, {}, 2, "environment"),
        ({"commit_interval_ms": 1}, {"STREAMS_COMMIT_INTERVAL_MS": "2"}, {"commit_interval_ms": "3"}, 3, "flag"),
        ({}, {}, {"commit.interval.ms": 3}, 3, "flag"),
    ],
)
def test_who_wins(
    values: dict[str, Any], environment: dict[str, str], flags: dict[str, Any], value: int, origin: str
) -> None:
    settings = load_settings("flights", values, environment=environment).with_values(flags, "flag")
    assert settings.commit_interval_ms == value
    assert settings.origins["commit_interval_ms"] == origin


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("FLUSH_ON_COMMIT", "true", True),
        ("FLUSH_ON_COMMIT", "0", False),
        ("IDLE_AFTER_MS", "100", 100),
        ("STORE", "memory", "memory"),
        ("PROCESSING_GUARANTEE", "exactly_once_v2", "exactly_once"),
        ("BROKER", "kafka://a:9092,b:9092", "kafka://a:9092,b:9092"),
        ("ON_ERROR", "dead-letter:broken", "dead-letter:broken"),
    ],
)
def test_text_from_the_environment(name: str, text: str, value: object) -> None:
    assert getattr(load(**{f"STREAMS_{name}": text}), name.lower()) == value


def test_kafkas_names() -> None:
    settings = load({"bootstrap.servers": "a:9092", "state.dir": "/data", "processing.guarantee": "at_least_once"})
    assert (settings.broker, settings.data_dir, settings.processing_guarantee) == (
        "kafka://a:9092",
        "/data",
        "at_least_once",
    )


@pytest.mark.parametrize("policy", [policies.skip(), policies.retry(5, then=policies.dead_letter("x"))])
def test_policies_in_code(policy: policies.Policy) -> None:
    assert load({"on_error": policy}).policy is policy


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"datadir": "x"}, r"no setting is called 'datadir'\. Did you mean 'data_dir'\?"),
        ({"processing.guarante": "x"}, r"Did you mean 'processing\.guarantee'\?"),
        ({"zzz": 1}, "no setting is called 'zzz'"),
        ({"origins": {}}, "no setting is called 'origins'"),
        ({"num.stream.threads": 1}, "no setting is called 'num.stream.threads'"),
        ({"commit_interval_ms": "soon"}, "commit_interval_ms='soon': Expected `int`, got `str`"),
        ({"commit_interval_ms": "5"}, "Expected `int`, got `str`"),
        ({"commit_interval_ms": 0}, "Expected `int` >= 1"),
        ({"processing_guarantee": "maybe"}, r"Invalid enum value 'maybe'.* It takes exactly_once, at_least_once\."),
        ({"data_dir": ""}, "length >= 1"),
        ({"commit_interval_ms": 1, "commit.interval.ms": 2}, "commit_interval_ms is given twice"),
        ({"on_error": "skipp"}, "Did you mean 'skip'"),
        ({"on_error": 5}, "give streams.stop"),
    ],
)
def test_what_is_wrong_in_code(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load(values)


def test_what_is_wrong_elsewhere_names_the_place() -> None:
    with pytest.raises(ConfigError, match="STREAMS_COMMIT_INTERVAL_MS='soon': Expected `int`"):
        load(STREAMS_COMMIT_INTERVAL_MS="soon")
    with pytest.raises(ConfigError, match="--commit-interval-ms='soon': Expected `int`"):
        load().with_values({"commit_interval_ms": "soon"}, "flag")
    with pytest.raises(ConfigError, match=r"STREAMS_COMIT_INTERVAL_MS is no setting\. Did you mean"):
        load(STREAMS_COMIT_INTERVAL_MS="5")


def test_environment_is_shared_with_others() -> None:
    assert load(STREAMS_ANYTHING_ELSE="x", PATH="/bin") == load()


def test_every_setting_explains_itself() -> None:
    infos = list(settings_info())
    assert len({info.kafka for info in infos if info.kafka}) == sum(bool(info.kafka) for info in infos)
    for info in infos:
        assert info.description.endswith("."), info.name
        assert info.flag == f"--{info.name.replace('_', '-')}"
    assert set(Settings.__struct_fields__) == {info.name for info in infos} | {"origins"}


def test_settings_do_not_change() -> None:
    with pytest.raises(AttributeError):
        load().data_dir = "elsewhere"  # type: ignore[misc]
