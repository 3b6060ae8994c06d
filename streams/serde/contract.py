"""What a serde is: values to bytes and back, one by one and many at once.

None is never encoded: a null value is a deletion, a null key is no key. Both stay None on the way through.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

from streams.errors import EncodeError

T = TypeVar("T")
Headers = Sequence[tuple[str, bytes | None]]


class Serde(Generic[T]):
    """Turns values of one type into bytes and back. Subclass it with `encode` and `decode`; they never see None.

    >>> class Celsius(Serde[float]):
    ...     def encode(self, value: float) -> bytes:
    ...         return f"{value:.1f} C".encode()
    ...     def decode(self, data: bytes) -> float:
    ...         return float(data.removesuffix(b" C"))
    >>> Celsius().decode_many([b"20.5 C", None, b"warm"])
    ([20.5, None, None], [(2, ValueError("could not convert string to float: b'warm'"))])
    """

    def encode(self, value: T) -> bytes:
        """`value` as bytes; raises what is wrong with it."""
        raise NotImplementedError

    def decode(self, data: bytes) -> T:
        """The value that `data` is the encoding of; raises what is wrong with it."""
        raise NotImplementedError

    def encode_many(self, values: Sequence[T | None]) -> list[bytes | None]:
        """`encode` for each; raises for the first that fails."""
        return [None if value is None else self.encode(value) for value in values]

    def decode_many(self, data: Sequence[bytes | None]) -> tuple[list[Any], list[tuple[int, Exception]]]:
        """`decode` for each, and (index, error) of those that failed, which are None among the values."""
        return decode_all(lambda item: None if item is None else self.decode(item), data)

    def encode_row(self, value: T, headers: Headers) -> bytes:
        """`encode` for the value of a record with these headers."""
        return self.encode(value)

    def decode_row(self, data: bytes, headers: Headers) -> T:
        """`decode` for the value of a record with these headers."""
        return self.decode(data)

    def encode_rows(self, values: Sequence[T | None], headers: Sequence[Headers] | None) -> list[bytes | None]:
        """`encode_many` for the values of records with these headers, which most serdes do not look at."""
        return self.encode_many(values)

    def decode_rows(
        self, data: Sequence[bytes | None], headers: Sequence[Headers] | None
    ) -> tuple[list[Any], list[tuple[int, Exception]]]:
        """`decode_many` for the values of records with these headers."""
        return self.decode_many(data)

    def decode_each(self, data: Sequence[bytes | None]) -> list[Any]:
        """`decode` for each; raises for the first that fails."""
        values, errors = self.decode_many(data)
        if errors:
            raise errors[0][1]
        return values


class HeaderSerde(Serde[T]):
    """A serde of values that looks at the headers of their records, where they have any: in topics, not in tables.

    Subclass it with `encode_row` and `decode_row`, which are given no headers for a value that has none (as
    `Serializer` and `Deserializer` of Kafka, which may add headers besides).

    >>> class Metres(HeaderSerde[float]):
    ...     def encode_row(self, value, headers):
    ...         return str(value / 1000 if ("unit", b"km") in headers else value).encode()
    ...     def decode_row(self, data, headers):
    ...         return float(data) * (1000 if ("unit", b"km") in headers else 1)
    >>> Metres().decode_rows([b"2", b"2"], [[("unit", b"km")], []])
    ([2000.0, 2.0], [])
    """

    def encode_row(self, value: T, headers: Headers) -> bytes:
        """`value`, of a record with these headers, as bytes."""
        raise NotImplementedError

    def decode_row(self, data: bytes, headers: Headers) -> T:
        """The value that `data` is the encoding of, in a record with these headers."""
        raise NotImplementedError

    def encode(self, value: T) -> bytes:
        return self.encode_row(value, ())

    def decode(self, data: bytes) -> T:
        return self.decode_row(data, ())

    def encode_rows(self, values: Sequence[T | None], headers: Sequence[Headers] | None) -> list[bytes | None]:
        return [
            None if value is None else self.encode_row(value, own)
            for value, own in zip(values, headers or [()] * len(values), strict=True)
        ]

    def decode_rows(
        self, data: Sequence[bytes | None], headers: Sequence[Headers] | None
    ) -> tuple[list[Any], list[tuple[int, Exception]]]:
        own = iter(headers or [()] * len(data))

        def decode(item: bytes | None) -> Any:
            found = next(own)
            return None if item is None else self.decode_row(item, found)

        return decode_all(decode, data)


class FunctionSerde(Serde[T]):
    """A serde made of two functions, called without anything in between.

    `kind` is the class values must have, None for any. A wrong one raises `EncodeError` here, rather than a
    decoding error for whoever reads it later.
    """

    def __init__(
        self, name: str, kind: type | None, encode: Callable[[T], bytes], decode: Callable[[bytes], T]
    ) -> None:
        self.name = name
        self.kind = kind
        self._encode = encode
        self._decode = decode
        self._exact = {int, float} if kind is float else {kind}
        self.decode_lines: Callable[[Any], list[T]] | None = None
        """Decodes many at once that are one behind the other (`streams.serde.json_lines`)."""

    def __repr__(self) -> str:
        return f"<serde {self.name}{f' of {self.kind.__name__}' if self.kind else ''}>"

    def encode(self, value: T) -> bytes:
        self._check(value)
        return self._encode(value)

    def decode(self, data: bytes) -> T:
        return self._decode(data)

    def encode_many(self, values: Sequence[T | None]) -> list[bytes | None]:
        kinds = set(map(type, values))
        if (self.kind is None and type(None) not in kinds) or kinds <= self._exact:
            return list(map(self._encode, values))  # type: ignore[arg-type]  # none of them is None
        return super().encode_many(values)

    def decode_many(self, data: Sequence[bytes | None]) -> tuple[list[Any], list[tuple[int, Exception]]]:
        return decode_all(self._decode, data)

    def _check(self, value: object) -> None:
        if self.kind is None or type(value) in self._exact:
            return
        if not isinstance(value, self.kind) or isinstance(value, bool):
            kind = self.kind.__name__
            raise EncodeError(
                f"{type(value).__name__} where {kind} is declared: {_short(value)}. "
                f"Give {'an' if kind[0] in 'AEIOaeio' else 'a'} {kind}, or declare the type that is meant."
            )


def decode_all(
    decode: Callable[[Any], Any], data: Sequence[bytes | None]
) -> tuple[list[Any], list[tuple[int, Exception]]]:
    """`decode` for each of `data`; (index, error) of those that failed. A None is None whatever `decode` makes of it.

    One pass at C speed: `extend` keeps what it got when the iterator raises, and `map` goes on after the one that did.

    >>> decode_all(int, [b"1", None, b"x", b"4"])
    ([1, None, None, 4], [(2, ValueError("invalid literal for int() with base 10: b'x'"))])
    """
    values: list[Any] = []
    errors: list[tuple[int, Exception]] = []
    decoded = map(decode, data)
    while True:
        try:
            values.extend(decoded)
            if len(values) == len(data):
                return values, errors
            raise RuntimeError("the decoder raised StopIteration")
        except Exception as error:  # noqa: BLE001 - whatever a decoder raises is handed back with its place
            if data[len(values)] is not None:
                # Without this frame, whose variables hold `errors`: a cycle would keep all values until a full
                # collection.
                errors.append((len(values), error.with_traceback(error.__traceback__ and error.__traceback__.tb_next)))
            values.append(None)


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 200 else f"{text[:200]}..."
