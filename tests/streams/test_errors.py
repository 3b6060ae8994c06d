from __future__ import annotations

import json
import pickle
import re

import pytest

from streams import errors, policies
from streams.errors import (
    ConfigError,
    DecodeError,
    PartitionCountError,
    RecordError,
    StoreRenamedError,
    StreamsError,
    TopologyError,
    UserCodeError,
    did_you_mean,
    user_line,
)


def broken(value: dict[str, int]) -> int:
    return value["x"]


def broken_in_a_library(text: str) -> object:
    return json.loads(text)


@pytest.mark.parametrize(
    ("call", "line"), [(lambda: broken({}), "in broken"), (lambda: broken_in_a_library("{"), "in broken_in_a_library")]
)
def test_user_code_error_points_at_the_users_line(call: object, line: str) -> None:
    with pytest.raises((KeyError, ValueError)) as caught:
        call()  # type: ignore[operator]
    error = UserCodeError(caught.value, step="map_values 'broken'", topic="flights", partition=2, offset=41)
    assert str(error).startswith("map_values 'broken', flights-2 @ 41: ")
    assert type(caught.value).__name__ in str(error)
    assert error.line is not None and error.line.endswith(line) and __file__ in error.line
    assert error.__cause__ is caught.value
    assert (error.topic, error.partition, error.offset) == ("flights", 2, 41)


def test_an_error_without_a_traceback_has_no_line() -> None:
    assert user_line(None) is None
    assert str(UserCodeError(ValueError("no"))) == "ValueError: no"


@pytest.mark.parametrize(
    ("where", "text"),
    [
        ({}, "bad"),
        ({"step": "decode"}, "decode: bad"),
        ({"topic": "t"}, "t: bad"),
        ({"topic": "t", "partition": 0}, "t-0: bad"),
        ({"step": "decode", "topic": "t", "partition": 0, "offset": 0}, "decode, t-0 @ 0: bad"),
    ],
)
def test_record_errors_say_where(where: dict[str, object], text: str) -> None:
    assert str(RecordError("bad", **where)) == text  # type: ignore[arg-type]


def test_one_base_class() -> None:
    for kind in (ConfigError, TopologyError, DecodeError, UserCodeError, StoreRenamedError, PartitionCountError):
        assert issubclass(kind, StreamsError)
    assert issubclass(ConfigError, ValueError)
    assert issubclass(StoreRenamedError, TopologyError)


def test_did_you_mean() -> None:
    assert did_you_mean("datadir", ["data_dir", "broker"]) == " Did you mean 'data_dir'?"
    assert did_you_mean("x", []) == ""


@pytest.mark.parametrize(
    ("text", "policy"),
    [
        ("stop", policies.stop()),
        ("SKIP", policies.skip()),
        ("dead-letter", policies.dead_letter()),
        ("dead_letter:broken", policies.dead_letter("broken")),
        ("retry", policies.retry()),
        ("retry:7", policies.retry(7)),
    ],
)
def test_policies_from_settings(text: str, policy: policies.Policy) -> None:
    assert policies.policy_from_text(text) == policy
    assert pickle.loads(pickle.dumps(policy)) == policy


@pytest.mark.parametrize("text", ["skipp", "", "retry:often", "stop:now"])
def test_unknown_policies_are_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="is not an error policy"):
        policies.policy_from_text(text)
    if text == "skipp":
        with pytest.raises(ConfigError, match="Did you mean 'skip'"):
            policies.policy_from_text(text)


def test_retry_bounds() -> None:
    policy = policies.retry(4, backoff="1s", longest="3s", then=policies.skip())
    assert [policy.delay_ms(attempt) for attempt in (1, 2, 3, 100)] == [1_000, 2_000, 3_000, 3_000]
    with pytest.raises(ConfigError, match="never tries again"):
        policies.retry(0)
    with pytest.raises(ConfigError, match="add the times up"):
        policies.retry(then=policies.retry())  # type: ignore[arg-type]


def test_what_the_manual_names_is_found(request: pytest.FixtureRequest) -> None:
    page = (request.config.rootpath / "docs/reference/agents.md").read_text()
    tables = re.findall(r"\| error, of `streams\.errors` \|.*?\n\n", page, re.DOTALL)
    names = set(re.findall(r"`(\w+Error)`", "".join(tables)))

    assert len(tables) == 2
    assert len(names) == 9
    assert all(issubclass(getattr(errors, name), StreamsError) for name in names)
    with pytest.raises(AttributeError, match=r"'streams\.errors' has no attribute 'Nothing'"):
        errors.Nothing  # noqa: B018 - looking it up is the test
