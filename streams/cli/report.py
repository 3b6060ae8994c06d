"""What an app reports (`@app.report`): rows, as a table for people and as JSON lines for programs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec

Row = Mapping[str, object]


def as_rows(values: Iterable[object]) -> list[Row]:
    """Each value as a row: mappings as they are, records and other structs by their fields."""
    return [value if isinstance(value, Mapping) else msgspec.to_builtins(value) for value in values]


def json_lines(reports: Mapping[str, Sequence[Row]]) -> bytes:
    """One JSON object a row, with the report it belongs to under `report`.

    >>> json_lines({"delays": [{"carrier": "UA", "mean": 1.5}]})
    b'{"report":"delays","carrier":"UA","mean":1.5}\\n'
    """
    lines = [msgspec.json.encode({"report": name, **row}) for name, rows in reports.items() for row in rows]
    return b"".join(line + b"\n" for line in lines)


def cell(value: object) -> str:
    """A value for people: thousands apart, one decimal, nothing for None.

    >>> [cell(value) for value in (27004, 12.345, None, "UA", True)]
    ['27,004', '12.3', '', 'UA', 'True']
    """
    if isinstance(value, bool):
        return str(value)
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.1f}"
    return "" if value is None else str(value)


def is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def tail(rows: Sequence[Row], count: int) -> tuple[Sequence[Row], int]:
    """The last `count` rows and how many came before them."""
    return rows[-count:], max(0, len(rows) - count)


def text_table(rows: Sequence[Row], count: int = 24) -> str:
    """The last rows in aligned columns, numbers to the right.

    >>> print(text_table([{"carrier": "UA", "flights": 4637}, {"carrier": "OO", "flights": 1}]))
    carrier  flights
    UA         4,637
    OO             1
    """
    if not rows:
        return "(no rows)"
    shown, hidden = tail(rows, count)
    names = list(shown[0])
    cells = [[cell(row.get(name)) for name in names] for row in shown]
    widths = [max(len(name), *(len(line[i]) for line in cells)) for i, name in enumerate(names)]
    right = [is_number(shown[0][name]) for name in names]
    lines = [align(line, widths, right) for line in [names, *cells]]
    return "\n".join([*lines, *([f"({hidden:,} rows before these)"] if hidden else [])])


def align(line: Sequence[str], widths: Sequence[int], right: Sequence[bool]) -> str:
    cells = (
        text.rjust(width) if to_right else text.ljust(width)
        for text, width, to_right in zip(line, widths, right, strict=True)
    )
    return "  ".join(cells).rstrip()
