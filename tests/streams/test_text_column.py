"""Text as spans: to readers a column of strings."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import streams
from streams.batch import Batch
from streams.columns import column_from_values
from streams.expressions import col
from streams.expressions.tree import lift
from streams.spans import Spans
from streams.text_column import TextColumn

TEXTS = ["AA", None, "", "Zürich ✈", "UA"]


def text_column(texts: list[str | None]) -> TextColumn:
    data = [None if text is None else text.encode() for text in texts]
    stops = np.cumsum([len(one or b"") for one in data])
    missing = np.array([one is None for one in data])
    lengths = np.array([len(one or b"") for one in data])
    buffer = b"".join(one or b"" for one in data)
    return TextColumn(Spans(buffer, np.where(missing, -1, stops - lengths), np.where(missing, -1, stops)))


def test_it_is_a_column_of_its_strings() -> None:
    column, plain = text_column(TEXTS), column_from_values(TEXTS)
    assert column.to_list() == TEXTS and len(column) == len(TEXTS)
    assert column.truth().tolist() == plain.truth().tolist()
    assert column.to_numpy().tolist() == TEXTS
    for rows in (slice(1, 4), np.array([True, False, True, True, False]), np.array([4, 0, 0])):
        assert column[rows].to_list() == plain[rows].to_list()
    assert text_column(["AA"]).valid is None


def test_expressions_read_it() -> None:
    columns = {"carrier": text_column(TEXTS)}
    for expression in (
        col("carrier") == "AA",
        col("carrier").length() + 1,
        col("carrier").lower(),
        col("carrier").is_null(),
    ):
        expected = [expression.evaluate_row({"carrier": text}) for text in TEXTS]
        assert expression.evaluate_columns(columns).to_list() == expected


def test_a_batch_made_of_it_has_rows_with_strings() -> None:
    class Flight(streams.Record):
        carrier: str | None

    batch = Batch.of([(n, None) for n in range(5)]).with_columns({"carrier": text_column(TEXTS)}, Flight)
    assert batch[1:].values == [Flight(text) for text in TEXTS[1:]]


@pytest.mark.parametrize("constant", ["AA", "", "Zürich ✈", "Zü", "AAA", "\ud800", 1, None])
def test_texts_are_compared_by_their_bytes(twins: None, constant: Any) -> None:
    column = text_column([*TEXTS, "AAA"])
    carrier: Any = col("carrier")
    asked = [carrier.isin(["UA", "AA"]), carrier.isin(["AA", 1]), carrier.isin([])]
    if constant is not None:
        asked += [carrier == constant, carrier != constant, lift(constant) == carrier, carrier.isin([constant, "UA"])]
    if isinstance(constant, str):
        asked.append(carrier.startswith(constant))
    for expression in asked:
        expected = [expression.evaluate_row({"carrier": text}) for text in [*TEXTS, "AAA"]]
        assert expression.evaluate_columns({"carrier": column}).to_list() == expected
    utf8 = constant != "\ud800" and isinstance(constant, str)
    fresh = text_column(TEXTS)
    (carrier == constant if constant is not None else carrier.is_null()).evaluate_columns({"carrier": fresh})
    assert (fresh._objects is None) is (utf8 or constant is None)
