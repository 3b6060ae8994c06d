"""Records: typed values, decoded by msgspec at its full speed, whose class attributes are column expressions."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from types import MemberDescriptorType, NoneType
from typing import TYPE_CHECKING, Any, dataclass_transform

import msgspec

from streams.errors import ConfigError, UnknownFieldError
from streams.expressions.tree import Field, col
from streams.graph.functions import caller
from streams.scalars import holds_only_scalars
from streams.timestamps import Timestamp, arms, declared_timestamps, is_timestamp, post_init

__all__ = [
    "Record",
    "Timestamp",
    "col",
    "column_kind",
    "define_record",
    "field_type",
    "nested_record",
    "timestamp_field",
]

_class_attribute = msgspec.StructMeta.__getattribute__


@dataclass_transform(field_specifiers=(msgspec.field,))
class RecordMeta(msgspec.StructMeta):
    """`Flight.delay` is an expression, `flight.delay` a value.

    Only look-ups on the class come through here; an instance reads its slots as any msgspec Struct does.
    """

    def __new__(mcs, name: str, bases: tuple[type, ...], namespace: dict[str, Any], /, **options: Any) -> RecordMeta:
        inherited = [field for base in bases for field in getattr(base, "__timestamps__", ())]
        own = [field for field in declared_timestamps(namespace) if field not in inherited]
        if own or (inherited and "__post_init__" in namespace):
            inits = [namespace.get("__post_init__"), *(getattr(base, "__post_init__", None) for base in bases)]
            namespace["__timestamps__"] = (*inherited, *own)
            namespace["__post_init__"] = post_init(namespace["__timestamps__"], next(filter(None, inits), None))
        # What holds no containers is in no cycle: the collector need not know of it, and decoding is a sixth faster.
        options.setdefault("gc", not holds_only_scalars(bases, namespace))
        return super().__new__(mcs, name, bases, namespace, **options)

    if not TYPE_CHECKING:  # a type checker would read it as "any attribute exists"

        def __getattribute__(cls, name: str) -> Any:
            found = _class_attribute(cls, name)
            return Field(cls, name) if type(found) is MemberDescriptorType else found

        def __getattr__(cls, name: str) -> Any:
            if name.startswith("_"):
                raise AttributeError(f"type object {cls.__name__!r} has no attribute {name!r}")
            raise UnknownFieldError(cls.__name__, name, cls.__struct_fields__, caller())


class Record(msgspec.Struct, metaclass=RecordMeta):
    """A typed value. Subclass it with annotations; options are those of `msgspec.Struct` (`frozen=True` for keys).

    >>> class Flight(Record):
    ...     carrier: str
    ...     delay: float | None = None
    >>> Flight("AA", delay=20.0)
    Flight(carrier='AA', delay=20.0)
    >>> Flight.delay > 15
    Flight.delay > 15
    >>> Flight("AA").asdict()
    {'carrier': 'AA', 'delay': None}

    A field annotated with `Timestamp` is the event time. It takes ms or ISO-8601 text, and holds ms:

    >>> class Click(Record):
    ...     at: Timestamp
    >>> msgspec.json.decode(b'{"at": "2013-01-01T05:15:00Z"}', type=Click)
    Click(at=1357017300000)
    """

    def asdict(self) -> dict[str, Any]:
        """Field names and values in order; values are not copied, nested records stay records."""
        return msgspec.structs.asdict(self)


def define_record(name: str, fields: Mapping[str, Any]) -> type[Record]:
    """A Record class made while the program runs: field names and their types, all required.

    >>> define_record("Hourly", {"flights": int, "mean": float})(flights=2, mean=1.5)
    Hourly(flights=2, mean=1.5)
    """
    made: Any = RecordMeta(name, (Record,), {"__annotations__": dict(fields), "__module__": __name__})
    return made  # type: ignore[no-any-return]


@cache
def timestamp_field(record: type) -> str | None:
    """The name of the `Timestamp` field of a Record class; None if there is none, or it is no Record.

    >>> class Click(Record):
    ...     user: str
    ...     at: Timestamp
    >>> timestamp_field(Click)
    'at'
    """
    found = [name for name, kind in _field_types(record).items() if is_timestamp(kind)]
    if len(found) > 1:
        raise ConfigError(
            f"{record.__name__} has {len(found)} Timestamp fields ({', '.join(found)}), and a record has one event "
            "time: declare the others as int."
        )
    return found[0] if found else None


@cache
def nested_record(record: type, path: str) -> type | None:
    """The Record class that field `path` of `record` holds (itself or None); None for all other fields.

    >>> class Flight(Record):
    ...     carrier: str
    ...     plane: Record | None
    >>> nested_record(Flight, "plane"), nested_record(Flight, "carrier")
    (<class 'streams.models.Record'>, None)
    """
    kind: Any = record
    for name in path.split("."):
        kind = next((arm for arm in arms(_field_types(kind).get(name)) if isinstance(arm, RecordMeta)), None)
    return kind if isinstance(kind, type) else None


@cache
def field_type(record: Any, path: str) -> Any:
    """The declared type of field `path` of `record`; None if there is no such field, or no class that declares it.

    >>> class Flight(Record):
    ...     delay: float | None
    >>> field_type(Flight, "delay")
    float | None
    """
    *holders, name = path.split(".")
    return _field_types(nested_record(record, ".".join(holders)) if holders else record).get(name)


@cache
def column_kind(record: type, path: str) -> type | None:
    """bool, int or float where field `path` of `record` is declared as that (or None); None for all other fields.

    >>> class Flight(Record):
    ...     delay: float | None
    ...     at: Timestamp
    ...     carrier: str
    >>> column_kind(Flight, "delay"), column_kind(Flight, "at"), column_kind(Flight, "carrier")
    (<class 'float'>, <class 'int'>, None)
    """
    kind = field_type(record, path)
    if is_timestamp(kind):
        return int
    declared = [arm for arm in arms(kind) if arm is not NoneType]
    return declared[0] if len(declared) == 1 and declared[0] in (bool, int, float) else None


def _field_types(record: Any) -> dict[str, Any]:
    if not isinstance(record, msgspec.StructMeta):
        return {}
    fields = msgspec.structs.fields(record)  # type: ignore[arg-type]  # its stub knows instances and type[Struct] only
    return {field.name: field.type for field in fields}
