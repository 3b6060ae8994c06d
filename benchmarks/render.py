"""`python -m benchmarks render [FILE]`: the tables and plots that README and manual show, from a file of results.

A page has places for tables, from `<!-- figures: NAME -->` to `<!-- end of figures -->`; plots go to `docs/images`.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks import svg, tables
from benchmarks.figures import Case, Line, cases, read
from benchmarks.goals import yardstick
from benchmarks.harness import OURS
from benchmarks.results import newest
from benchmarks.svg import Bar

ROOT = Path(__file__).parents[1]
PAGES = ("README.md", "docs/explanation/how-fast-and-why.md")
IMAGES = "docs/images"
SHOWN = ("windowed", "stateless", "agent")
"""Workloads of the plot with all peers."""
_PLACE = re.compile(r"(<!-- figures: ([\w-]+) -->\n).*?(<!-- end of figures -->)", re.DOTALL)


def _of(transport: str, lines: Sequence[Line]) -> list[Case]:
    return [case for case in cases(lines) if case.key.transport == transport]


TABLES: dict[str, Callable[[Sequence[Line]], str]] = {
    "summary": lambda lines: tables.summary(cases(lines)),
    "kafka": lambda lines: tables.systems(_of("kafka", lines)),
    "embedded": lambda lines: tables.systems(_of("embedded", lines)),
    "goals": lambda lines: tables.goals(cases(lines)),
    "layers": tables.layers,
    "growth": tables.growth,
    "measured-with": tables.measured_with,
}


def page(text: str, lines: Sequence[Line]) -> str:
    """A page with the tables of these lines in their places. Raises KeyError for a table that there is not."""
    return _PLACE.sub(lambda found: f"{found[1]}{TABLES[found[2]](lines)}\n{found[3]}", text)


def _colour(system: str, named: Sequence[str]) -> int:
    others = [name for name in named if name not in OURS]
    return list(OURS).index(system) if system in OURS else len(OURS) + others.index(system)


def on_kafka(lines: Sequence[Line]) -> str:
    """Events a second beside other stream processors."""
    shown = [case for case in _of("kafka", lines) if case.key.workload in SHOWN]
    named = list(dict.fromkeys(name for case in shown for name in case.systems))
    groups = {case.key.title: [_rate(case, name, _colour(name, named)) for name in case.systems] for case in shown}
    return svg.bars("On Apache Kafka", "events a second, medians; one worker process of ours, exactly once", groups)


def _rate(case: Case, system: str, colour: int) -> Bar:
    found = case.spread(system, "events_per_s")
    rate = 0.0 if found is None else found.median
    return Bar(system, rate, f"{tables.number(rate)} /s", colour)


def embedded(lines: Sequence[Line]) -> str:
    """Shares of the plain loop."""
    groups: dict[str, list[Bar]] = {}
    for case in (case for case in _of("embedded", lines) if case.key.dataset == "events"):
        shares = [(name, case.ratio(name, yardstick(case.key.workload), "events_per_s")) for name in OURS]
        if found := [Bar(name, of.median, tables.number(of.median), n) for n, (name, of) in enumerate(shares) if of]:
            groups[case.key.title] = found
    note = "events a second, as a share of a plain loop over bytes in memory (the line: about 1.5 M/s)"
    return svg.bars("With the broker built in", note, groups, line_at=1.0)


def layers(lines: Sequence[Line]) -> str:
    """Where the time goes."""
    profiles = tables.profiles(lines)
    first = [line["workload"] for line in profiles]
    rows = {}
    for line in sorted(profiles, key=lambda line: first.index(line["workload"])):
        name = line["workload"] if line["profile"] == "streams" else f"{line['workload']}, no fast"
        rows[name] = tables.by_layer(line)
    names = [*tables.LAYERS, tables.REST]
    return svg.stacks("Where the time goes", "microseconds of processor time an event", rows, names)


PLOTS: dict[str, Callable[[Sequence[Line]], str]] = {
    "speed-on-kafka.svg": on_kafka,
    "speed-embedded.svg": embedded,
    "speed-layers.svg": layers,
}


def rendered(lines: Sequence[Line], root: Path = ROOT) -> dict[Path, str]:
    """Each file that figures are in, as it is to be."""
    pages = {root / name: page((root / name).read_text(encoding="utf-8"), lines) for name in PAGES}
    return pages | {root / IMAGES / name: draw(lines) for name, draw in PLOTS.items()}


def write(results: Path, root: Path = ROOT) -> list[Path]:
    """Writes the files whose contents differ; which those are."""
    changed = [(path, text) for path, text in rendered(read(results), root).items() if _text(path) != text]
    for path, text in changed:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return [path for path, _ in changed]


def _text(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.exists() else None


def main(arguments: list[str]) -> int:
    """Writes, and says what."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks render", description=__doc__)
    parser.add_argument("results", nargs="?", type=Path, help="default: the newest of benchmarks/results")
    results = parser.parse_args(arguments).results or newest()
    if results is None:
        parser.error("there are no results yet: python -m benchmarks compare")
    print("\n".join(str(path) for path in write(results)) or "nothing has changed")
    return 0
