"""The name of whoever showed a certificate: its subject as Java prints it, and rules that shorten it.

Java: X500Principal.getName() in the form of RFC 2253. Kafka: SslPrincipalMapper, `ssl.principal.mapping.rules`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

_KEYWORDS: Final = {  # RFC 2253 has these; other attributes are told by number, their value in hex
    "2.5.4.3": "CN",
    "2.5.4.6": "C",
    "2.5.4.7": "L",
    "2.5.4.8": "ST",
    "2.5.4.9": "STREET",
    "2.5.4.10": "O",
    "2.5.4.11": "OU",
    "0.9.2342.19200300.100.1.1": "UID",
    "0.9.2342.19200300.100.1.25": "DC",
}
_TEXT: Final = frozenset({12, 19, 20, 22, 27, 28, 30})  # tags of strings; Java takes all of them for UTF-8
_SUBJECT: Final = 4  # of a certificate's fields, behind serial number, algorithm, issuer and validity
_ESCAPED: Final = re.compile(r'[,=+<>#;"\\]')
_EXPLICIT_VERSION: Final = 0xA0


def subject_name(certificate: bytes) -> str:
    """The subject of a certificate (DER), as `CN=ada,OU=engines,O=Analytical,C=GB`; "" if it has none."""
    (_, whole, _), *_ = _parts(certificate)
    (_, signed, _), *_ = _parts(whole)
    fields = [part for part in _parts(signed) if part[0] != _EXPLICIT_VERSION]
    names = [_relative_name(body) for _, body, _ in _parts(fields[_SUBJECT][1])]
    return ",".join(reversed(names))


def _relative_name(body: bytes) -> str:
    return "+".join(_attribute(attribute) for _, attribute, _ in _parts(body))


def _attribute(body: bytes) -> str:
    (_, oid, _), (tag, value, raw) = _parts(body)
    number = _dotted(oid)
    keyword = _KEYWORDS.get(number)
    if keyword is None or tag not in _TEXT:
        return f"{keyword or number}=#{raw.hex()}"
    text = value.decode(errors="replace")
    return f"{keyword}={_escape(text)}"


def _escape(text: str) -> str:
    """As RFC 2253 asks, spaces at either end included."""
    inner = text.strip(" ")
    lead = len(text) - len(text.lstrip(" ")) if inner else len(text)
    tail = len(text) - len(inner) - lead
    escaped = _ESCAPED.sub(lambda found: "\\" + found[0], inner).replace("\0", "\\00")
    return "\\ " * lead + escaped + "\\ " * tail


def _dotted(oid: bytes) -> str:
    numbers = []
    number = 0
    for byte in oid:
        number = number << 7 | byte & 0x7F
        if byte < 0x80:
            numbers.append(number)
            number = 0
    first = min(numbers[0] // 40, 2)
    return ".".join(map(str, [first, numbers[0] - 40 * first, *numbers[1:]]))


def _parts(data: bytes) -> Iterator[tuple[int, bytes, bytes]]:
    """Tag, content, and the whole, of each value that stands in `data` (DER)."""
    position = 0
    while position < len(data):
        start = position
        tag, length = data[position], data[position + 1]
        position += 2
        if length >= 0x80:
            size = length & 0x7F
            length = int.from_bytes(data[position : position + size])
            position += size
        yield tag, data[position : position + length], data[start : position + length]
        position += length


_RULE: Final = re.compile(
    r"\s*(?:(?P<default>DEFAULT)|RULE:(?P<pattern>(?:\\.|[^\\/])*)/(?P<replacement>(?:\\.|[^\\/])*)/(?P<case>[LU]?))"
    r"\s*(?:,|$)"
)


class MappingRules:
    """`RULE:pattern/replacement/[LU]`, `DEFAULT`: the first rule that fits a subject makes the name.

    >>> rules = MappingRules("RULE:^CN=(.*?),OU=engines.*$/$1/L, DEFAULT")
    >>> rules.apply("CN=Ada,OU=engines,C=GB"), rules.apply("CN=Charles,C=GB")
    ('ada', 'CN=Charles,C=GB')
    """

    def __init__(self, text: str) -> None:
        """Raises ValueError for text that is no list of rules."""
        self._rules: list[re.Match[str]] = []
        position = 0
        text = text.strip() or "DEFAULT"
        while position < len(text):
            rule = _RULE.match(text, position)
            if rule is None:
                raise ValueError(
                    f"ssl.principal.mapping.rules: {text[position:]!r} is no rule; one is DEFAULT, or "
                    "RULE:pattern/replacement/ with L or U behind the last slash to change case"
                )
            _compile(rule["pattern"] or "")
            self._rules.append(rule)
            position = rule.end()

    def apply(self, subject: str) -> str | None:
        """The name for a subject; None when no rule fits."""
        for rule in self._rules:
            if rule["default"]:
                return subject
            found = re.fullmatch(rule["pattern"], subject)
            if found is not None:
                name = _replace(rule["replacement"], found)
                return name.lower() if rule["case"] == "L" else name.upper() if rule["case"] == "U" else name
        return None


def _compile(pattern: str) -> None:
    try:
        re.compile(pattern)
    except re.error as error:
        raise ValueError(f"ssl.principal.mapping.rules: {pattern!r} is no regular expression: {error}") from error


def _replace(replacement: str, found: re.Match[str]) -> str:
    """Java's `$1`, with a backslash making the next character literal; a group that isn't there stays as it is."""

    def part(token: re.Match[str]) -> str:
        if token["literal"] is not None:
            return token["literal"]
        digits = token["group"]
        while len(digits) > 1 and int(digits) > found.re.groups:
            digits = digits[:-1]
        if int(digits) > found.re.groups:
            return token[0]
        return (found[int(digits)] or "") + token["group"][len(digits) :]

    return re.sub(r"\\(?P<literal>.)|\$(?P<group>\d+)", part, replacement)
