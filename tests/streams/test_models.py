from __future__ import annotations

import copy
import pickle
from typing import Generic, TypeVar

import msgspec
import pytest

from streams import models
from streams.errors import ConfigError
from streams.expressions import Expression
from streams.models import Record, Timestamp, col, column_kind, nested_record, timestamp_field
from streams.models import Timestamp as EventTime
from streams.timestamps import iso_to_ms

T = TypeVar("T")


class Plane(Record):
    seats: int
    built: int | None = None


class Flight(Record):
    carrier: str
    delay: float | None = None
    plane: Plane | None = None
    tags: list[str] = msgspec.field(default_factory=list)


class Charter(Flight, kw_only=True):
    price: float


class Envelope(Record, Generic[T]):
    value: T


class Click(Record):
    user: str
    at: Timestamp


class MaybeClick(Record):
    at: Timestamp | None = None
    seen: int = 0


class LaterClick(Click):
    page: str = "/"


class Renamed(Record):
    moment: EventTime


class Checked(Record):
    at: Timestamp
    day: int = 0

    def __post_init__(self) -> None:
        self.day = self.at // 86_400_000


class CheckedChild(Checked):
    other: Timestamp | None = None


class OverridingChild(Click):
    calls: int = 0

    def __post_init__(self) -> None:
        self.calls += 1


class Twice(Record):
    at: Timestamp
    until: Timestamp


class Key(Record, frozen=True, order=True):
    day: int
    at: Timestamp


def test_construction_equality_and_repr() -> None:
    assert Flight("AA", 1.0) == Flight(carrier="AA", delay=1.0) != Flight("AA")
    assert repr(Flight("AA")) == "Flight(carrier='AA', delay=None, plane=None, tags=[])"
    assert Charter("AA", price=3.0).asdict() == {
        "carrier": "AA",
        "delay": None,
        "plane": None,
        "tags": [],
        "price": 3.0,
    }
    assert Flight("AA").tags is not Flight("AA").tags
    with pytest.raises(TypeError, match="carrier"):
        Flight()  # type: ignore[call-arg]


@pytest.mark.parametrize("kind", [Flight, Charter])
def test_class_attributes_are_expressions_and_instances_have_values(kind: type[Flight]) -> None:
    assert isinstance(kind.delay, Expression)
    assert repr(kind.delay) == f"{kind.__name__}.delay"
    assert (Flight("AA", 7.0).delay, Charter("AA", price=1.0).price) == (7.0, 1.0)
    assert kind.__name__ and kind.__struct_fields__[0] == "carrier"
    assert not isinstance(kind.asdict, Expression)
    with pytest.raises(AttributeError):
        _ = kind.dely  # type: ignore[attr-defined]


def test_instance_access_is_a_plain_slot() -> None:
    assert "__getattribute__" not in Record.__dict__
    assert Flight.__getattribute__ is object.__getattribute__
    assert type(Flight.__dict__["delay"]) is type(msgspec.defstruct("Plain", ["delay"]).__dict__["delay"])


def test_nested_fields() -> None:
    assert repr(Flight.plane.seats) == "Flight.plane.seats"  # type: ignore[union-attr]
    assert nested_record(Flight, "plane") is Plane
    assert nested_record(Flight, "delay") is None
    with pytest.raises(AttributeError, match=r"Flight\.plane\.wings at .*test_models\.py:\d+: no such field or method"):
        _ = Flight.plane.wings  # type: ignore[union-attr]
    with pytest.raises(AttributeError, match="no such field or method"):
        _ = Flight.delay.seats  # type: ignore[union-attr]


@pytest.mark.parametrize("flight", [Flight("AA", 1.0, Plane(3)), Charter("UA", price=1.5, tags=["a"])])
def test_travels(flight: Flight) -> None:
    assert pickle.loads(pickle.dumps(flight)) == flight
    assert copy.deepcopy(flight) == copy.copy(flight) == flight
    assert msgspec.json.decode(msgspec.json.encode(flight), type=type(flight)) == flight
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(flight), type=type(flight)) == flight
    assert msgspec.structs.replace(flight, delay=9.0).delay == 9.0
    assert msgspec.convert(flight.asdict(), type(flight), from_attributes=True) == flight


def test_decodes_anywhere_msgspec_does() -> None:
    data = b'{"carrier":"AA","plane":{"seats":180}}'
    expected = Flight("AA", plane=Plane(180))
    assert msgspec.json.Decoder(Flight).decode(data) == expected
    assert msgspec.json.Decoder(list[Flight]).decode(b"[" + data + b"]") == [expected]
    assert msgspec.json.decode(b'{"value":' + data + b"}", type=Envelope[Flight]) == Envelope(expected)
    with pytest.raises(msgspec.ValidationError, match=r"Expected `str`, got `int` - at `\$\.carrier`"):
        msgspec.json.decode(b'{"carrier":1}', type=Flight)


def test_match_and_isinstance() -> None:
    match Flight("AA", 2.0):
        case Flight(carrier, delay):
            assert (carrier, delay) == ("AA", 2.0)
    assert isinstance(Charter("AA", price=1.0), Flight)


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("2013-01-01T05:15:00Z", 1_357_017_300_000),
        ("2013-01-01T05:15:00", 1_357_017_300_000),
        ("2013-01-01 00:15:00-05:00", 1_357_017_300_000),
        ("2013-01-01T05:15:00.123456Z", 1_357_017_300_123),
        ("2013-01-01", 1_356_998_400_000),
        ("1969-12-31T23:59:59.999Z", -1),
    ],
)
def test_timestamps_are_ms_whatever_was_sent(text: str, ms: int) -> None:
    assert iso_to_ms(text) == ms
    for kind in (Click, LaterClick):
        for at in (text, ms):
            data = msgspec.json.encode({"user": "a", "at": at})
            assert msgspec.json.decode(data, type=kind).at == ms
    assert Click("a", text).at == ms  # type: ignore[arg-type]
    assert msgspec.json.decode(msgspec.json.encode({"at": text}), type=MaybeClick).at == ms
    assert msgspec.json.decode(msgspec.json.encode({"moment": text}), type=Renamed).moment == ms
    assert msgspec.json.decode(msgspec.json.encode({"day": 1, "at": text}), type=Key) == Key(1, ms)


def test_timestamps_with_a_hook_of_the_users() -> None:
    day = "1970-01-03"
    assert Checked(day).day == 2  # type: ignore[arg-type]
    assert CheckedChild(day, other=day).asdict() == {"at": 172_800_000, "day": 2, "other": 172_800_000}  # type: ignore[arg-type]
    child = OverridingChild("a", day)  # type: ignore[arg-type]
    assert (child.at, child.calls) == (172_800_000, 1)


@pytest.mark.parametrize("at", [b'"soon"', b'"1357017300000"', b"true", b"1.5", b"null", b"[]"])
def test_what_is_no_time_does_not_decode(at: bytes) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(b'{"user":"a","at":' + at + b"}", type=Click)


@pytest.mark.parametrize(
    ("kind", "field"),
    [
        (Click, "at"),
        (LaterClick, "at"),
        (MaybeClick, "at"),
        (Renamed, "moment"),
        (Flight, None),
        (int, None),
        (dict, None),
    ],
)
def test_timestamp_field(kind: type, field: str | None) -> None:
    assert timestamp_field(kind) == field


def test_two_timestamps_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"Twice has 2 Timestamp fields \(at, until\)"):
        timestamp_field(Twice)


def test_column_kinds() -> None:
    assert column_kind(Flight, "delay") is float
    assert column_kind(Flight, "plane.built") is int
    assert column_kind(Flight, "carrier") is column_kind(Flight, "plane") is column_kind(Flight, "tags.x") is None
    assert column_kind(MaybeClick, "at") is int


def test_keys_hash_and_order() -> None:
    assert {Key(1, 2): "a"}[Key(1, 2)] == "a"
    assert Key(1, 2) < Key(1, 3)


def test_col() -> None:
    assert col(Flight.delay) is not None
    assert repr(col("plane.seats")) == "col('plane.seats')"
    for wrong in (1, None, "a b", "", lambda value: value):
        with pytest.raises(ConfigError, match="give a field of a Record"):
            col(wrong)


def test_what_holds_only_scalars_is_not_for_the_garbage_collector() -> None:
    class Plain(Record):
        name: str
        at: Timestamp
        size: float | None = None

    class Nested(Plain):
        inner: Plain | None = None

    class More(Nested):
        n: int = 0

    class Listing(Record):
        names: list[str]

    class Asked(Record, gc=True):
        n: int

    made = models.define_record("Made", {"n": int, "at": Timestamp | None})
    assert [kind.__struct_config__.gc for kind in (Plain, Nested, More, Listing, Asked, made)] == [
        False,
        True,
        True,
        True,
        True,
        False,
    ]
