"""Tidiness is a test: style, types, import direction, doctests, lean start-up. One rule, one test."""

from __future__ import annotations

import ast
import doctest
import importlib
import re
import shutil
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("broker_embedded", "state", "streams")
SOURCES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
NO_IO = ("broker_embedded/wire", "streams/kernels", "streams/graph")

# Comes in where it is first needed, so that a worker's first record is not kept waiting.
HEAVY = {
    *("aiokafka", "cramjam", "croniter", "kio", "llvmlite", "numba", "polars", "prometheus_client", "pyarrow", "rich"),
    *("rocksdict", "starlette", "structlog"),
}


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def run(*command: str) -> None:
    if shutil.which(command[0], path=str(Path(sys.executable).parent)) is None:
        pytest.skip(f"{command[0]} comes with the extra `test`")
    tool = str(Path(sys.executable).parent / command[0])
    done = subprocess.run([tool, *command[1:]], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def loaded(code: str) -> set[str]:
    """The top-level modules that a fresh interpreter has loaded after running `code`."""
    probe = f"import sys\n{code}\nprint('\\n'.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", probe], cwd=ROOT, capture_output=True, text=True, check=True)
    return {name.partition(".")[0] for name in done.stdout.split()}


def test_lint() -> None:
    run("ruff", "check", ".")


def test_format() -> None:
    run("ruff", "format", "--check", ".")


def test_types() -> None:
    run("mypy")


def test_import_direction() -> None:
    run("lint-imports", "--no-cache")


@pytest.mark.parametrize("path", SOURCES, ids=relative)
def test_doctests(path: Path) -> None:
    if ">>>" not in path.read_text(encoding="utf-8"):
        return
    failed, _ = doctest.testmod(importlib.import_module(module_name(path)), optionflags=doctest.ELLIPSIS)
    assert failed == 0


@pytest.mark.parametrize("path", [p for p in SOURCES if relative(p).startswith(NO_IO)], ids=relative)
def test_opens_no_file(path: Path) -> None:
    calls = [node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Call)]
    opened = [call.lineno for call in calls if isinstance(call.func, ast.Name) and call.func.id == "open"]
    assert not opened, f"{relative(path)} opens a file in line {opened}; bytes come in as arguments here"


def test_no_dead_modules() -> None:
    """Every module is named somewhere else: imported, listed in a registry, the home of a node's operator, or an entry
    point of the distribution."""
    homes = [*SOURCES, *(ROOT / "tests").rglob("*.py"), ROOT / "pyproject.toml"]
    texts = {path: path.read_text(encoding="utf-8") for path in homes}
    named = {path: set(re.findall(r"\w+", text)) for path, text in texts.items()}
    handlers = ROOT / "broker_embedded" / "handlers"  # numbered files, found by their number
    dead = [
        relative(path)
        for path in SOURCES
        if not path.name.startswith("__") and path.parent != handlers
        if not any(names_of(path) & words for other, words in named.items() if other != path)
    ]
    assert not dead, f"nothing imports {dead}"


def test_the_map_names_files_that_are_there() -> None:
    named = set(re.findall(r"`([\w/]+\.py)`", (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")))
    folders = (ROOT / "tests", ROOT / "benchmarks")
    there = [
        f"/{relative(path)}" for path in (*SOURCES, *(path for folder in folders for path in folder.rglob("*.py")))
    ]
    patterns = {name for name in named if re.search(r"\bfoo|kNN_name", name)}
    gone = {name for name in named - patterns if not any(path.endswith(f"/{name}") for path in there)}
    assert not gone, f"docs/architecture.md names {gone}"


def names_of(path: Path) -> set[str]:
    """What others call a module: `table_join` is also the operator of `TableJoinNode`."""
    return {path.stem, "".join(word.capitalize() for word in path.stem.split("_")) + "Node"}


def test_each_operator_has_a_test_of_its_name() -> None:
    operators = ROOT / "streams" / "operators"
    tests = ROOT / "tests" / "streams"
    untested = [
        relative(path)
        for path in operators.glob("*/*.py")
        if f"class {operator_name(path)}(" in path.read_text(encoding="utf-8")
        if not (tests / "operators" / path.parent.name / f"test_operator_{path.name}").exists()
        if not (tests / path.parent.name / f"test_{path.stem}_operator.py").exists()
    ]
    assert not untested


def operator_name(path: Path) -> str:
    return "".join(word.capitalize() for word in path.stem.split("_")) + "Operator"


def test_dependencies_are_declared() -> None:
    """What the packages import is named in pyproject.toml, not only brought in by something else."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = (name for names in project["optional-dependencies"].values() for name in names)
    declared = {re.split(r"[<>=!~\[ ;]", name)[0].lower() for name in (*project["dependencies"], *extras)}
    homes = packages_distributions()
    standard = {*sys.stdlib_module_names, "annotationlib"}  # there from Python 3.14 on
    imported = {name for path in SOURCES for name in imports(path)} - standard - set(PACKAGES)
    undeclared = {
        name for name in imported if not declared & {home.lower().replace("_", "-") for home in homes.get(name, [name])}
    }
    assert not undeclared


def imports(path: Path) -> set[str]:
    """The top-level names of all that a module imports, wherever it does so."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found.update(alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.partition(".")[0])
    return found


def test_import_streams_is_lean() -> None:
    assert not (HEAVY | {"numpy", "asyncio"}) & loaded("import streams\nstreams.App")


def test_help_is_lean() -> None:
    help_ = "from streams.cli import main\ntry: main(['--help'])\nexcept SystemExit: pass"
    assert not (HEAVY | {"numpy", "asyncio", "msgspec"}) & loaded(help_)
