"""Tables in Markdown, of what a file of results says."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from benchmarks import scale
from benchmarks.figures import Case, Line, Spread, cases
from benchmarks.goals import GOALS, goal
from benchmarks.harness import OURS

SHORT = {"events_per_s": "events/s", "seconds": "s", "p50_ms": "ms, p50", "p99_ms": "ms, p99", "peak_rss_mb": "MB"}
LAYERS = ("fetch", "parse", "kernel", "operators", "state", "changelog", "encode", "produce", "commit", "broker")
"""Columns of the table of layers."""
REST = "rest"
"""All other layers."""


def markdown(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table.

    >>> print(markdown(["a", "b"], [["1", "2"]]))
    | a | b |
    |---|---|
    | 1 | 2 |
    """
    lines = ["| " + " | ".join(row) + " |" for row in [header, *rows]]
    return "\n".join([lines[0], "|" + "---|" * len(header), *lines[1:]])


def number(value: float) -> str:
    """Three digits that count.

    >>> number(712_345), number(71.23), number(0.0123), number(1234)
    ('712,000', '71.2', '0.0123', '1,230')
    """
    rounded = float(f"{value:.3g}")
    return f"{rounded:,.0f}" if rounded >= 100 else f"{rounded:g}"


def spread(of: Spread | None) -> str:
    """Median and, unless there was one round only, smallest and largest."""
    if of is None:
        return "–"
    if of.least == of.most:
        return number(of.median)
    return f"{number(of.median)} ({number(of.least)} to {number(of.most)})"


def systems(found: Sequence[Case]) -> str:
    """What each system did, and what ours is of it."""
    header = [
        "workload",
        "system",
        "",
        "figure",
        "CPU s a million",
        "memory MB",
        "`streams` to it",
        "`streams-numpy`",
    ]
    return markdown(header, (row for case in found for figure in case.figures for row in _systems(case, figure)))


def _systems(case: Case, figure: str) -> Iterable[list[str]]:
    for system in case.systems:
        ratios = ["" if system in OURS else spread(case.ratio(ours, system, figure)) for ours in OURS]
        yield [
            case.key.title,
            f"`{system}`",
            SHORT[figure],
            spread(case.spread(system, figure)),
            _median(case, system, "cpu_s_per_million"),
            _median(case, system, "peak_rss_mb"),
            *ratios,
        ]


def _median(case: Case, system: str, figure: str) -> str:
    found = case.spread(system, figure)
    return "–" if found is None else number(found.median)


def goals(found: Sequence[Case]) -> str:
    """Each goal with the ratio that came out; a missed one is bold."""
    rows = []
    for case in found:
        pairs = dict.fromkeys((of.peer, of.figure) for of in GOALS if of.workload == case.key.workload)
        for peer, figure in pairs:
            cells = [_goal(case, system, peer, figure) for system in ("streams-numpy", "streams")]
            if any(cells):
                rows.append([case.key.title, case.key.transport, f"`{peer}`", SHORT[figure], *cells])
    return markdown(["workload", "broker", "beside", "", "without `fast`", "with `fast`"], rows)


def _goal(case: Case, system: str, peer: str, figure: str) -> str:
    wanted = goal(case.key.workload, case.key.transport, case.key.dataset, system, peer, figure)
    found = case.ratio(system, peer, figure)
    if wanted is None or found is None:
        return ""
    text = f"{spread(found)}, goal {'≥' if wanted.at_least else '≤'} {number(wanted.ratio)}"
    return text if wanted.met(found.median) else f"**{text}**"


def summary(found: Sequence[Case]) -> str:
    """Events a second of everybody on Kafka, one line a workload."""
    on_kafka = [case for case in found if case.key.transport == "kafka" and case.figures == ("events_per_s",)]
    names = [*OURS, *dict.fromkeys(name for case in on_kafka for name in case.systems if name not in OURS)]
    rows = ([case.key.title, *(_rate(case, name) for name in names)] for case in on_kafka)
    return markdown(["events/s", *(f"`{name}`" for name in names)], rows)


def _rate(case: Case, system: str) -> str:
    found = case.spread(system, "events_per_s")
    return "–" if found is None else number(found.median)


def layers(lines: Iterable[Line]) -> str:
    """Microseconds of processor time an event, by layer: the newest profile of each workload."""
    rows = []
    for line in profiles(lines):
        spent = by_layer(line)
        cells = [f"{us:.2f}" for us in (*spent.values(), sum(spent.values()))]
        rows.append([line["workload"], f"`{line['profile']}`", *cells])
    return markdown(["workload", "", *LAYERS, REST, "in all"], rows)


def by_layer(line: Line) -> dict[str, float]:
    """Microseconds an event of a profile, by column of the table."""
    spent = {name: 1e6 * seconds / line["n"] for name, seconds in line["layers"].items()}
    rest = sum(us for name, us in spent.items() if name not in LAYERS)
    return {name: spent.get(name, 0.0) for name in LAYERS} | {REST: rest}


def profiles(lines: Iterable[Line]) -> list[Line]:
    """The newest profile of each workload and system."""
    found = {(line["workload"], line["transport"], line["profile"]): line for line in lines if "profile" in line}
    return sorted(found.values(), key=lambda line: list(OURS).index(line["profile"]))


def growth(lines: Sequence[Line]) -> str:
    """How cost grows: the newest measurement of each axis."""
    rows = []
    for axis in scale.AXES:
        of = newest(lines, axis)
        summed = scale.summary(axis, of)
        for at, rate in summed["rate"].items():
            cores = summed["broker_cores"].get(at)
            groups = next(line.get("groups_per_event", "") for line in of if line["at"] == at)
            cells = [*_against_goals(axis, rate, summed["cpu"][at]), number(summed["peak_rss_mb"][at])]
            rows.append([axis, f"{at:,}", *cells, "" if cores is None else f"{cores:.2f}", f"{groups}"])
    header = ["axis", "at", "rate, to the first", "CPU an event", "memory MB", "broker's cores", "groups an event"]
    return markdown(header, rows)


def _against_goals(axis: str, rate: float, cpu: float) -> list[str]:
    """Rate and processor time, the one that misses its goal bold."""
    missed = (axis != "workers" and rate < scale.RATE_GOAL, axis == "workers" and cpu > scale.CPU_GOAL)
    return [f"**{of:.2f}**" if bad else f"{of:.2f}" for of, bad in zip((rate, cpu), missed, strict=True)]


def newest(lines: Sequence[Line], axis: str) -> list[Line]:
    """Of an axis of `scale`, its newest measurement."""
    of = [line for line in lines if line.get("axis") == axis]
    return [line for line in of if line["comparison"] == max(line["comparison"] for line in of)]


def measured_with(lines: Sequence[Line]) -> str:
    """Days, machines, versions and commits of what is shown of these lines."""
    shown = [line for case in cases(lines) for line in case.lines] + profiles(lines)
    shown += [line for axis in scale.AXES for line in newest(lines, axis)]
    versions: dict[str, str] = {}
    for line in shown:
        versions |= line.get("versions", {})
    days = sorted({line["comparison"][:10] for line in shown})
    machines = dict.fromkeys(_machine(line) for line in shown)
    named = ", ".join(f"{name} {version}" for name, version in versions.items())
    commits = ", ".join(dict.fromkeys(line["commit"] for line in shown))
    return f"{' to '.join(dict.fromkeys((days[0], days[-1])))}; {'; '.join(machines)}; {named}; commit {commits}."


def _machine(line: Line) -> str:
    of = line["machine"]
    return f"{of['cpus']} processors ({of['processor']}), {of['memory_gb']} GB, {of['system']}"


def report(lines: Sequence[Line]) -> str:
    """All tables, for a terminal."""
    found = cases(lines)
    parts = [systems(found), goals(found)] if found else []
    parts += [layers(lines)] if profiles(lines) else []
    parts += [growth(lines)] if any("axis" in line for line in lines) else []
    return "\n\n".join([*parts, measured_with(lines)] if lines else ["nothing was measured"])
