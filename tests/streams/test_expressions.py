from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.columns import Column, column_from_rows, column_from_values
from streams.expressions import Expression, NeedsRows, col, when
from streams.expressions.tree import lift
from streams.models import Record


class Plane(Record):
    seats: int | None = None


class Row(Record):
    i: Any = None
    j: Any = None
    f: Any = None
    g: Any = None
    b: Any = None
    c: Any = None
    s: Any = None
    x: Any = None
    plane: Plane | None = None


BIG = 2**63 - 1
small_ints = st.integers(-5, 5)
ints = st.one_of(small_ints, st.sampled_from([BIG, -BIG - 1, BIG - 1, 2**53, 2**53 + 1, -(2**53) - 1, 2**62, 2**31]))
floats = st.one_of(
    st.sampled_from([0.0, -0.0, 1.0, 0.1, -2.5, math.inf, -math.inf, math.nan, 2.0**53, 2.0**63, 1e308, 5e-324]),
    st.floats(-1e6, 1e6),
)
texts = st.sampled_from(["", "AA", "aa", "Ä", "ß", "AAx", "AA\0"])
lists = st.sampled_from([[], [1], [1, 2], ["AA"]])
anything = st.one_of(small_ints, floats, texts, st.booleans(), st.just(2**70), st.none(), lists)


def maybe(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(values, values, st.none())


rows = st.builds(
    Row,
    i=small_ints,
    j=maybe(ints),
    f=floats,
    g=maybe(floats),
    b=st.booleans(),
    c=maybe(st.booleans()),
    s=maybe(texts),
    x=anything,
    plane=maybe(st.builds(Plane, maybe(small_ints))),
)
literals = st.one_of(small_ints, ints, floats, texts, st.booleans(), st.just(2**80), st.none(), lists)
leaves = st.one_of(
    st.sampled_from(["i", "j", "f", "g", "b", "c", "s", "x"]).map(lambda name: getattr(Row, name)),
    st.just(Row.plane.seats),  # type: ignore[union-attr]
    st.just(col("i")),
)

BINARY: dict[str, Callable[[Any, Any], Any]] = {
    "==": lambda a, b: a.is_null() if b is None else a == b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
    "!=": lambda a, b: a.is_null() if b is None else a != b,
    "+": lambda a, b: a + b,
    "r+": lambda a, b: lift(b) + a,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a / b,
    "r/": lambda a, b: lift(b) / a,
    "//": lambda a, b: a // b,
    "r//": lambda a, b: lift(b) // a,
    "%": lambda a, b: a % b,
    "r%": lambda a, b: lift(b) % a,
    "&": lambda a, b: a & b,
    "|": lambda a, b: a | b,
    "r&": lambda a, b: lift(b) & a,
}
UNARY: list[Callable[[Any], Any]] = [
    lambda a: -a,
    abs,
    lambda a: ~a,
    lambda a: a.is_null(),
    lambda a: a.isin([1, 2.5, "AA", True, math.nan]),
    lambda a: a.between(-1, 2.5),
    lambda a: a.length(),
    lambda a: a.lower(),
    lambda a: a.upper(),
    lambda a: a.startswith("A"),
    lambda a: a**3,
    lambda a: (a % 7) ** 2,
]


def combined(inner: st.SearchStrategy[Expression]) -> st.SearchStrategy[Expression]:
    binary = st.builds(
        lambda name, a, b: BINARY[name](a, b), st.sampled_from(sorted(BINARY)), inner, st.one_of(inner, inner, literals)
    )
    unary = st.builds(lambda f, a: f(a), st.sampled_from(UNARY), inner)
    return st.one_of(binary, binary, unary, st.builds(when, inner, inner, st.one_of(inner, literals)))


expressions = st.recursive(leaves, combined, max_leaves=6)


def exactly(value: object) -> tuple[type, str]:
    """Equal means same type, same bits: -0.0 is not 0.0, 1 is not 1.0, NaN is NaN."""
    return type(value), "nan" if isinstance(value, float) and math.isnan(value) else repr(value)


def by_rows(expression: Expression, values: list[Any]) -> list[Any] | Exception:
    try:
        return [expression.evaluate_row(value) for value in values]
    except Exception as error:  # noqa: BLE001  # whatever Python raises is the reference
        return error


def by_columns(expression: Expression, values: list[Any]) -> list[Any] | None:
    columns = {field: column_from_rows(values, field) for field in expression.fields}
    try:
        return expression.evaluate_columns(columns).to_list()
    except NeedsRows:
        return None


def check(expression: Expression, values: list[Row]) -> None:
    expected, found = by_rows(expression, values), by_columns(expression, values)
    if isinstance(expected, Exception):
        assert found is None
    elif found is not None:
        assert list(map(exactly, found)) == list(map(exactly, expected))


@settings(max_examples=150, deadline=None)
@given(expressions, st.lists(rows, max_size=6))
def test_columns_give_exactly_the_rows_answer_or_refuse(expression: Expression, values: list[Row]) -> None:
    check(expression, values)


@pytest.mark.slow
@settings(max_examples=2_000, deadline=None)
@given(expressions, st.lists(rows, max_size=6))
def test_columns_give_exactly_the_rows_answer_or_refuse_in_many(expression: Expression, values: list[Row]) -> None:
    check(expression, values)


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from(["i", "j", "f", "g"]),
    st.sampled_from([name for name in BINARY if "&" not in name and "|" not in name]),
    st.sampled_from(["i", "j", "f", "g"]),
    st.lists(rows, min_size=1, max_size=5),
)
def test_one_step_agrees(left: str, name: str, right: str, values: list[Row]) -> None:
    check(BINARY[name](getattr(Row, left), getattr(Row, right)), values)


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        (Row.f > 15, [True, False, None]),
        (Row.f + Row.i, [21.0, 12.0, None]),
        (Row.i / 2, [0.5, 1.0, 1.5]),
        (Row.i // 2, [0, 1, 1]),
        (-Row.i % 2, [1, 0, 1]),
        (Row.i**2, [1, 4, 9]),
        (2**Row.i, [2, 4, 8]),
        (10 - Row.i, [9, 8, 7]),
        ((Row.f > 15) & (Row.s == "AA"), [True, False, None]),
        ((Row.f > 15) | (Row.s == "AA"), [True, False, True]),
        (~(Row.f > 15), [False, True, None]),
        (Row.f.is_null(), [False, False, True]),
        (~Row.f.is_null(), [True, True, False]),
        (Row.s.isin(["AA", "UA"]), [True, False, True]),
        (Row.i.isin([1, 3]), [True, False, True]),
        (Row.f.between(10, 20), [True, True, None]),
        (Row.s.lower() + "!", ["aa!", "bb!", "aa!"]),
        (Row.s.upper().startswith("A"), [True, False, True]),
        (Row.s.length() * 2, [4, 4, 4]),
        (abs(Row.i - 2), [1, 0, 1]),
        (when(Row.f > 15, "late", "fine"), ["late", "fine", "fine"]),
        (when(Row.f.is_null(), 0.0, Row.f), [20.0, 10.0, 0.0]),
        (when(Row.i > 1, Row.i, None), [None, 2, 3]),
        (Row.plane.seats + 1, [101, None, None]),  # type: ignore[union-attr]
        (True & (Row.i > 1), [False, True, True]),
    ],
    ids=repr,
)
def test_runs_on_columns(expression: Expression, expected: list[object]) -> None:
    values = [
        Row(i=1, f=20.0, s="AA", plane=Plane(100)),
        Row(i=2, f=10.0, s="bb", plane=Plane()),
        Row(i=3, f=None, s="AA"),
    ]
    assert by_rows(expression, values) == expected
    assert by_columns(expression, values) == expected


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        (col("i") + 1, BIG),
        (col("i") * 2, BIG // 2 + 1),
        (-col("i"), -BIG - 1),
        (abs(col("i")), -BIG - 1),
        (col("i") // -1, -BIG - 1),
        (col("i") / 3, 2**53 + 1),
        (col("i") > 0.5, 2**53 + 1),
        (col("i") ** 63, 3),
        (col("i") ** -1, 2),
        (col("i") ** 0.5, 2),
    ],
    ids=repr,
)
def test_what_columns_cannot_do_exactly_goes_to_rows(expression: Expression, value: int) -> None:
    with pytest.raises(NeedsRows):
        expression.evaluate_columns({"i": column_from_values([value])})
    assert expression.evaluate_row({"i": value}) is not None


def test_integers_beyond_64_bits_stay_exact() -> None:
    assert (col("i") + 1).evaluate_row({"i": BIG}) == 2**63
    assert by_columns(col("i") + 1, [{"i": 2**63}]) == [2**63 + 1]


def test_division_by_zero_raises_in_rows_unless_missing_or_not_taken() -> None:
    with pytest.raises(ZeroDivisionError):
        (col("a") / col("b")).evaluate_row({"a": 1, "b": 0})
    with pytest.raises(NeedsRows, match="division by zero"):
        (col("a") / col("b")).evaluate_columns({"a": column_from_values([1]), "b": column_from_values([0])})
    values = [{"a": 1, "b": None}, {"a": 1, "b": 2}]
    assert by_columns(col("a") / col("b"), values) == [None, 0.5]
    assert ((col("b") != 0) & (col("a") / col("b") > 1)).evaluate_row({"a": 1, "b": 0}) is False
    assert when(col("b") == 0, 0, col("a") / col("b")).evaluate_row({"a": 1, "b": 0}) == 0


@pytest.mark.parametrize("left", [True, False, None])
@pytest.mark.parametrize("right", [True, False, None])
def test_three_valued_logic(left: bool | None, right: bool | None) -> None:
    both = False if False in (left, right) else None if None in (left, right) else True
    either = True if True in (left, right) else None if None in (left, right) else False
    value = {"a": left, "b": right}
    for expression, expected in ((col("a") & col("b"), both), (col("a") | col("b"), either), (col("a") & right, both)):
        assert expression.evaluate_row(value) is expected
        assert by_columns(expression, [value]) == [expected]
    assert (~col("a")).evaluate_row(value) is (None if left is None else not left)


def test_conditions_only() -> None:
    for expression in (col("a") & True, ~col("a"), when(col("a"), 1, 2)):
        with pytest.raises(TypeError, match=r"takes conditions \(True, False, None\), not int 1"):
            expression.evaluate_row({"a": 1})
        with pytest.raises(NeedsRows):
            expression.evaluate_columns({"a": column_from_values([1])})
    assert ((col("a") > 1) & True).evaluate_row({"a": np.float64(2)}) is True


def test_values_of_any_shape() -> None:
    expression = Row.i + 1
    assert expression.evaluate_row(Row(i=1)) == expression.evaluate_row({"i": 1}) == 2
    assert expression.evaluate_row(None) is None
    assert expression.evaluate_row({}) is None
    assert (col("items") + 1).evaluate_row({"items": 1}) == 2
    assert by_columns(col("items") + 1, [{"items": 1}, None, {}]) == [2, None, None]
    with pytest.raises(AttributeError, match="i"):
        expression.evaluate_row(Plane())


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        ((Row.f > 15) & (Row.s == "AA"), "(Row.f > 15) & (Row.s == 'AA')"),
        (-(Row.f + 1) * 2, "(-(Row.f + 1)) * 2"),
        (~Row.f.is_null(), "~Row.f.is_null()"),
        (abs(Row.i - -1), "abs(Row.i - (-1))"),
        (Row.s.lower().startswith("a"), "Row.s.lower().startswith('a')"),
        ((Row.i + Row.j).isin([1, 2]), "(Row.i + Row.j).isin([1, 2])"),
        (when(Row.b, 1, None), "when(Row.b, 1, None)"),
        (col("a.b"), "col('a.b')"),
    ],
    ids=repr,
)
def test_reads_as_it_was_written(expression: Expression, text: str) -> None:
    assert repr(expression) == text


def test_fields() -> None:
    assert (Row.i + Row.plane.seats > col("z")).fields == {"i", "plane.seats", "z"}  # type: ignore[union-attr]
    assert when(Row.b, 1, 2).fields == {"b"}


@pytest.mark.parametrize(
    "misuse",
    [
        lambda: bool(Row.f > 1),
        lambda: Row.f > 1 and Row.f < 2,
        lambda: not Row.b,
        lambda: 1 < Row.f < 2,
    ],
)
def test_truth_of_an_expression_teaches(misuse: Callable[[], object]) -> None:
    with pytest.raises(TypeError, match=r"Combine conditions with & \| ~"):
        misuse()


def test_none_and_odd_arguments_teach() -> None:
    with pytest.raises(TypeError, match=r"write Row\.f\.is_null\(\)"):
        _ = Row.f == None  # noqa: E711
    with pytest.raises(TypeError, match="give a list of values"):
        Row.s.isin("AA")
    with pytest.raises(TypeError, match=r"add `\| x\.is_null\(\)`"):
        Row.s.isin(["AA", None])


def test_expressions_are_keys_by_identity() -> None:
    expression = Row.f > 1
    assert {expression: 1}[expression] == 1


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        ([1, 2], "int64"),
        ([1, None], "int64"),
        ([1.0, None], "float64"),
        ([True, None], "bool"),
        ([1, 2.0], "object"),
        ([1, True], "object"),
        ([2**63], "object"),
        (["a", None], "object"),
        ([[1], [2]], "object"),
        ([None, None], "object"),
        ([], "object"),
    ],
    ids=repr,
)
def test_columns_hold_exactly_the_values(values: list[object], dtype: str) -> None:
    column = column_from_values(values)
    assert column.values.dtype == dtype
    assert list(map(exactly, column.to_list())) == list(map(exactly, values))
    assert column_from_values([None], float).values.dtype == "float64"
    assert column_from_values([], int).values.dtype == "int64"


def test_truth_is_what_a_filter_keeps() -> None:
    for values in ([True, False, None], [1, 0, None], [0.0, math.nan, None], ["", "a", None], [2**70, None]):
        assert column_from_values(values).truth().tolist() == [bool(value) for value in values]


def test_a_formula_without_fields_has_no_column() -> None:
    with pytest.raises(NeedsRows, match="reads no column"):
        (when(True, 1, 2)).evaluate_columns({"a": Column(np.array([1]))})
