"""Regular expressions of members: RE2's syntax, whole names, in linear time."""

from __future__ import annotations

import re
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker_embedded.coordinator.groups.consumer.patterns import PatternError, compile_pattern

FITS = [
    # pattern, names that fit, names that do not
    ("", "", "a"),
    ("orders", "orders", "orders-1 my-orders Orders"),
    ("^orders-[0-9]+$", "orders-0 orders-12", "orders- orders-x"),
    (".*", "a orders-1 a.b_c-d", None),
    ("a|bc|", "a bc", "b abc"),
    ("(a|b){2,3}", "ab bba", "a abab"),
    ("a{2}b{1,}", "aab aabbb", "ab aa"),
    ("a{,2}", None, "a aa"),
    ("ab??c+?", "ac abc abccc", "ab"),
    ("[a-c_]+", "a_b", "d"),
    ("[^a-c]+", "xyz -._", "xa"),
    ("[]a]+", "aa", "b"),
    ("[a-]+", "a-a", "b"),
    (r"[\w.]+\.[[:digit:]]{3}", "a_b.c.123", "a-b.123 a.12"),
    ("[[:^alpha:]]+", "1-2", "a1"),
    (r"\pL+\PL+", "ab12 x.", "12"),
    (r"\p{Lu}\p{^Lu}", "Aa A1", "AA aa"),
    (r"\p{Greek}*a", "a", "b"),
    (r"\d\D\w\W", "1aa-", "aaaa"),
    (r"\s*a\S", "ab", "a"),
    (r"a\.b", "a.b", "axb"),
    (r"\Qa.b\E+", "a.b a.bbb", "axb"),
    (r"\x61\x{62}\143", "abc", "abd"),
    (r"a\b-\Bb", None, "a-b"),
    (r"a\b-\bb", "a-b", "ab"),
    (r"\Aa\z", "a", "ab"),
    ("(?i)ab", "ab AB aB", "abc"),
    ("(?i:a)b", "ab Ab", "aB"),
    ("((?i)a)b", "ab Ab", "aB"),
    ("(?i)a(?-i)b", "ab Ab", "aB"),
    ("(?P<name>a)(?:b)(?<other>c)", "abc", "ab"),
    ("(?ms)a", "a", "b"),
    ("((a*)*)*b", "b aaab", "a"),
    ("(|a)+b", "b aab", "a"),
    ("ä|a", "a", "b"),
]


@pytest.mark.parametrize(("pattern", "fits", "fits_not"), FITS)
def test_patterns(pattern: str, fits: str | None, fits_not: str | None) -> None:
    automaton = compile_pattern(pattern)
    assert [name for name in (fits or "").split() if not automaton.matches(name)] == []
    assert [name for name in (fits_not or "").split() if automaton.matches(name)] == []
    assert automaton.matches("") == (pattern in ("", "a|bc|", ".*"))


REFUSED = [
    ("(", r"missing \)"),
    (")", r"unexpected \)"),
    ("a(b))", r"unexpected \)"),
    ("[a", "missing ]"),
    ("[z-a]", "invalid character class range"),
    ("[[:no:]]", r"invalid character class \[:no:\]"),
    ("*a", "missing argument"),
    ("a|+", "missing argument"),
    ("(?i)*", "missing argument"),
    ("{2}", "missing argument"),
    ("a**", "nested repetition"),
    ("a*{2}", "nested repetition"),
    ("a++", "nested repetition"),
    ("a{2,1}", "invalid repeat count"),
    ("a{1001}", "invalid repeat count"),
    ("a{99999999999}", "invalid repeat count"),
    ("(?=a)", "unsupported group syntax"),
    ("(?!a)", "unsupported group syntax"),
    ("(?<=a)b", "unsupported group syntax"),
    ("(?>a)", "unsupported group syntax"),
    ("(?", "unsupported group syntax"),
    ("(?P<n", "unsupported group syntax"),
    (r"(a)\1", "invalid escape"),
    (r"\Z", "invalid escape"),
    (r"\y", "invalid escape"),
    ("a\\", "invalid escape"),
    (r"\x{110000}", "invalid escape"),
    ("(" * 1000 + ")" * 1000, "nest more than"),
    ("(((a{100}){100}){100})", "too large"),
    ("(((){1000}){1000}){1000}", "too large"),
]


@pytest.mark.parametrize(("pattern", "message"), REFUSED, ids=[pattern[:20] for pattern, _ in REFUSED])
def test_what_re2_refuses(pattern: str, message: str) -> None:
    with pytest.raises(PatternError, match=message):
        compile_pattern(pattern)


def test_patterns_that_hold_up_others_do_not_hold_up_these() -> None:
    name = "a" * 248 + "!"
    assert not compile_pattern("(a+)+").matches(name)
    assert not compile_pattern("(a|aa)+b").matches(name)
    assert compile_pattern(".{0,1000}").matches("a" * 249)


@given(st.text(max_size=30))
def test_any_text_is_read_or_refused(pattern: str) -> None:
    with suppress(PatternError):
        compile_pattern(pattern).matches("orders-1")


leaves = st.sampled_from(["a", "b", "-", ".", "[ab]", "[^a]", r"\w", r"\d", "", "^", "$", r"\b", r"\B"])
patterns = st.recursive(
    leaves,
    lambda parts: (
        st.builds("{}{}".format, parts, parts)
        | st.builds("(?:{}|{})".format, parts, parts)
        | st.builds("(?:{}){}".format, parts, st.sampled_from(["*", "+", "?", "{1,3}", "{2}", "*?"]))
    ),
    max_leaves=8,
)


@given(patterns, st.text(alphabet="ab-1", min_size=1, max_size=6))
def test_what_pythons_syntax_shares_means_the_same(pattern: str, name: str) -> None:
    try:
        compiled = compile_pattern(pattern)
    except PatternError:
        return  # a repeat of nothing, which Python's re takes
    assert compiled.matches(name) == (re.fullmatch(pattern, name) is not None)
