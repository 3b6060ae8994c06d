from __future__ import annotations

import pickle

import pytest
from kio.schema.errors import ErrorCode

from broker_embedded import errors
from broker_embedded.errors import ERRORS, KafkaError, error_class


def test_the_table_is_kafkas() -> None:
    theirs = {code.value: (code.name.upper(), code.retriable) for code in ErrorCode}
    assert {info.code: (info.name, info.retriable) for info in ERRORS.values()} == theirs


@pytest.mark.parametrize("code", sorted(set(ERRORS) - {0, -1}))
def test_every_code_has_a_class(code: int) -> None:
    found = error_class(code)
    assert found is error_class(code)
    assert issubclass(found, KafkaError)
    assert (found().code, found().name, str(found())) == (code, ERRORS[code].name, ERRORS[code].message)
    words = "".join(word.capitalize() for word in ERRORS[code].name.split("_"))
    assert found.__name__.removesuffix("Error") == words.removesuffix("Error").removesuffix("Exception")


def test_errors_travel_between_processes() -> None:
    error = errors.OffsetOutOfRangeError("orders-0: offset 7")
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again), again.code) == (type(error), str(error), 1)
