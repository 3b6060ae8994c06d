"""Plots as SVG: bars in groups, bars of parts. For light and dark pages; the same bytes for the same figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

WIDTH, LEFT, RIGHT = 760, 190, 110
BAR, GAP, GROUP_GAP, HEAD, FOOT = 16, 5, 30, 46, 14
COLOURS = (
    *("#3b78e7", "#8ab4f8", "#e8710a", "#9aa0a6", "#12a4af", "#c58af9", "#e52592", "#5bb974", "#fcad70", "#a142f4"),
    "#80868b",
)
# One grey for all text: an image does not know which of its themes a page has.
STYLE = (
    "text{font:12px system-ui,sans-serif;fill:#6e7781}.t{font-size:15px;font-weight:600}.g{font-weight:600}"
    ".l{stroke:#6e7781;stroke-dasharray:3 3}"
)


@dataclass(frozen=True)
class Bar:
    """One bar: its name, how long it is, what stands at its end, and which of the colours it has."""

    name: str
    value: float
    text: str
    colour: int


def bars(title: str, note: str, groups: Mapping[str, Sequence[Bar]], line_at: float | None = None) -> str:
    """Groups of bars, each group to a scale of its own unless `line_at` is a place that all have.

    >>> bars("Rates", "events/s", {"windowed": [Bar("streams", 2.0, "2 M", 0)]}).count("<rect")
    1
    """
    parts, y = [_text(0, 18, title, "t"), _text(0, 36, note)], HEAD
    room = WIDTH - LEFT - RIGHT
    longest = max((bar.value for of in groups.values() for bar in of), default=1.0)
    for group, of in groups.items():
        top, y = y, y + 16
        parts.append(_text(0, y, group, "g"))
        scale = room / (longest if line_at is not None else max(bar.value for bar in of))
        for bar in of:
            y += GAP
            width = max(1.0, bar.value * scale)
            parts.append(_text(LEFT - 8, y + 12, bar.name, "", "end"))
            parts.append(_rect(LEFT, y, width, BAR, bar.colour))
            parts.append(_text(LEFT + width + 6, y + 12, bar.text))
            y += BAR
        if line_at is not None:
            x = LEFT + line_at * scale
            parts.append(f'<line class="l" x1="{x:.1f}" y1="{top + 16}" x2="{x:.1f}" y2="{y + 4}"/>')
        y += GROUP_GAP - 16
    return _page(title, note, y + FOOT, parts)


def stacks(title: str, note: str, rows: Mapping[str, Mapping[str, float]], names: Sequence[str]) -> str:
    """A bar a row, made of parts; `names` are the parts in their order, with a legend.

    >>> stacks("Layers", "us", {"windowed": {"parse": 1.0}}, ["parse"]).count("<rect")
    2
    """
    parts, x = [_text(0, 18, title, "t"), _text(0, 36, note)], 0.0
    y = HEAD + 8
    for number, name in enumerate(names):
        if x + 20 + 7 * len(name) > WIDTH:
            x, y = 0.0, y + 20
        parts.append(_rect(x, y, 12, 12, number))
        parts.append(_text(x + 17, y + 10, name))
        x += 34 + 7 * len(name)
    scale = (WIDTH - LEFT - RIGHT) / max((sum(row.values()) for row in rows.values()), default=1.0)
    y += 26
    for label, row in rows.items():
        parts.append(_text(LEFT - 8, y + 13, label, "", "end"))
        at = float(LEFT)
        for number, name in enumerate(names):
            width = row.get(name, 0.0) * scale
            if width >= 0.1:
                parts.append(_rect(at, y, width, BAR + 2, number))
            at += width
        parts.append(_text(at + 6, y + 13, f"{sum(row.values()):.2f}"))
        y += BAR + 2 + GAP + 2
    return _page(title, note, y + FOOT, parts)


def _text(x: float, y: float, text: str, kind: str = "", anchor: str = "") -> str:
    attributes = (f' class="{kind}"' if kind else "") + (f' text-anchor="{anchor}"' if anchor else "")
    return f'<text x="{x:.0f}" y="{y:.0f}"{attributes}>{escape(text)}</text>'


def _rect(x: float, y: float, width: float, height: float, colour: int) -> str:
    fill = COLOURS[colour % len(COLOURS)]
    return f'<rect x="{x:.1f}" y="{y:.0f}" width="{width:.1f}" height="{height:.0f}" fill="{fill}"/>'


def _page(title: str, note: str, height: int, parts: Sequence[str]) -> str:
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" role="img">'
    named = f"<title>{escape(title)}</title><desc>{escape(note)}</desc><style>{STYLE}</style>"
    return "\n".join([head, named, *parts, "</svg>", ""])
