"""The manual can't rot: every Python example runs, every command line parses, every link leads somewhere."""

from __future__ import annotations

import doctest
import inspect
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import click
import pytest

from broker_embedded import BrokerConfig
from broker_embedded.configs.broker import _FIELDS
from broker_embedded.configs.broker_table import BROKER_CONFIGS
from broker_embedded.configs.definitions import to_text
from streams import aggregates
from streams.cli import streams as command_line
from streams.config import settings_info
from streams.dsl import grouped, table
from streams.dsl import stream as dsl

ROOT = Path(__file__).parent.parent
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").rglob("*.md")])
FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"(?:^|[ /])streams ([a-z][^&|>\n]*)", re.MULTILINE)
LINK = re.compile(r"\]\((?!https?:)([^)#\s]*)#?([^)\s]*)\)")


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def blocks(page: Path, language: str) -> list[str]:
    return [code for name, code in FENCE.findall(page.read_text(encoding="utf-8")) if name == language]


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "python")], ids=relative)
def test_python_examples_run(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The blocks of a page run one after the other in one namespace, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    module = ModuleType("page_of_the_manual")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    namespace = module.__dict__
    for code in blocks(page, "python"):
        if code.startswith(">>>"):
            test = doctest.DocTestParser().get_doctest(code, namespace, page.name, str(page), 0)
            assert doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(test, clear_globs=False).failed == 0
            namespace.update(test.globs)
        else:
            exec(compile(code, str(page), "exec", dont_inherit=True), namespace)


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "sh")], ids=relative)
def test_command_lines_parse(page: Path) -> None:
    for line in COMMAND.findall("\n".join(blocks(page, "sh"))):
        parse(command_line, shlex.split(line, comments=True), line)


def parse(command: click.Command, arguments: list[str], line: str) -> None:
    """Takes the arguments apart as click would, without running anything."""
    context = command.make_context(command.name, list(arguments), resilient_parsing=True)
    if isinstance(command, click.Group):
        name, sub, rest = command.resolve_command(context, [*context._protected_args, *context.args])
        assert sub is not None, f"no command {name!r} in: streams {line}"
        parse(sub, rest, line)
    else:
        unknown = [word for word in arguments if word.startswith("--") and word.split("=")[0] not in options(command)]
        assert not unknown, f"no option {unknown} in: streams {line}"


def options(command: click.Command) -> set[str]:
    return {"--help", *(name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts))}


@pytest.mark.parametrize("page", PAGES, ids=relative)
def test_links_lead_somewhere(page: Path) -> None:
    for target, anchor in LINK.findall(page.read_text(encoding="utf-8")):
        path = (page.parent / target).resolve() if target else page
        assert path.exists(), f"{relative(page)} links to {target}"
        if anchor:
            assert anchor in anchors(path), f"{relative(page)} links to {target}#{anchor}"


def test_the_map_names_files_that_are_there() -> None:
    there = ["/" + path.relative_to(ROOT).as_posix() for path in ROOT.rglob("*.py") if ".cache" not in path.parts]
    for page in [ROOT / "docs" / "architecture.md", *(ROOT / "docs" / "decisions").glob("*.md")]:
        named = set(re.findall(r"`((?:\w+/)*\w+\.py)`", page.read_text(encoding="utf-8"))) - {
            "foo.py",
            "operators/joins/foo.py",
        }
        gone = {name for name in named if "kNN" not in name and not any(path.endswith("/" + name) for path in there)}
        assert not gone, f"{relative(page)} names {gone}"


def anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def settings_page() -> str:
    """`reference/settings.md`, from the struct that lists the settings."""
    rows = [
        f"| `{info.name}` | {code(info.default)} | {code(info.kafka)} | {cell(info.description)} |"
        for info in settings_info()
    ]
    return SETTINGS_HEAD + "\n".join(rows) + "\n"


def code(value: object) -> str:
    return "" if value in ("", None) else f"`{value}`"


def cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "\\<")


SETTINGS_HEAD = """# Settings

Each is a keyword of `streams.App(...)`, by this name or by Kafka's, a flag of `streams worker` (`--commit-interval-ms`)
and an environment variable (`STREAMS_COMMIT_INTERVAL_MS`). A flag wins over the environment, the environment over code,
code over the default; `streams config show` tells which it was. A name that does not exist is refused with the one you
may have meant.

| name | default | Kafka's name | meaning |
|---|---|---|---|
"""


def cli_page() -> str:
    """`reference/cli.md`, from the commands' own help."""
    return "# Commands\n\n" + "\n".join(section(path, command) for path, command in commands(command_line, "streams"))


def section(path: str, command: click.Command) -> str:
    text = inspect.cleandoc(command.help or "")
    example = re.search(r"\x08\nExamples?:\n(.*)", text, re.DOTALL)
    prose = text[: example.start()] if example else text
    given = [parameter for parameter in command.params if isinstance(parameter, click.Option)]
    rows = "".join(f"| `{', '.join(option.opts)}` | {cell(option.help or '')} |\n" for option in given)
    return "\n".join(
        [
            f"## {path}\n",
            f"{prose.strip()}\n",
            *([f"```sh\n{inspect.cleandoc(example[1])}\n```\n"] if example else []),
            *([f"| option | meaning |\n|---|---|\n{rows}"] if rows else []),
        ]
    )


def commands(command: click.Command, path: str) -> Iterator[tuple[str, click.Command]]:
    yield path, command
    if isinstance(command, click.Group):
        for name in command.list_commands(click.Context(command)):
            sub = command.get_command(click.Context(command), name)
            assert sub is not None
            yield from commands(sub, f"{path} {name}")


def broker_settings_page() -> str:
    """`reference/broker-settings.md`, from the table of the broker's settings."""
    rows = []
    for name, definition in sorted(BROKER_CONFIGS.items()):
        own = getattr(BrokerConfig(), _FIELDS.get(name, name.replace(".", "_")), None)
        given = [code(definition.default)]
        if own is not None and not isinstance(own, tuple) and to_text(own) != definition.default and name != "node.id":
            given = [code(to_text(own)), *(f"(Kafka: {kafka})" for kafka in given if kafka)]
        rows.append(f"| `{name}` | {' '.join(given)} | {cell(definition.documentation)} |")
    return BROKER_SETTINGS_HEAD + "\n".join(rows) + "\n"


BROKER_SETTINGS_HEAD = """# Settings of the broker

By Kafka's names: in a `server.properties` (`streams broker --config FILE`), one at a time (`--override NAME=VALUE`),
or in code (`BrokerConfig.from_properties`). [How to run it](../how-to/broker-alone.md). Some can be changed while it
runs (`streams configs alter broker`). `listener.name.NAME.` before a setting of TLS or SASL makes it that of one
listener. `streams broker` sets `auto.create.topics.enable=true` and `group.initial.rebalance.delay.ms=0` unless told
otherwise.

Besides these, settings of Kafka that say how to do what one process does not do (replication, remote storage, metrics
reporters) are taken and have no effect; a name that Kafka does not have is refused.

| name | default | meaning |
|---|---|---|
"""


def broker_gaps_page() -> str:
    """`reference/broker-gaps.md`, which is the file that comes with the broker."""
    return (ROOT / "broker_embedded" / "known_gaps.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("settings.md", settings_page),
        ("cli.md", cli_page),
        ("broker-settings.md", broker_settings_page),
        ("broker-gaps.md", broker_gaps_page),
    ],
)
def test_reference_is_what_the_code_says(name: str, make: Callable[[], str]) -> None:
    """`UPDATE_DOCS=1 pytest tests/test_docs.py` writes the pages anew."""
    page = ROOT / "docs" / "reference" / name
    if os.environ.get("UPDATE_DOCS"):
        page.write_text(make(), encoding="utf-8")
    assert page.read_text(encoding="utf-8") == make()


@pytest.mark.parametrize("cls", [dsl.Stream, grouped.GroupedStream, table.Table], ids=lambda cls: cls.__name__)
def test_every_step_is_in_the_manual(cls: type) -> None:
    manual = (ROOT / "docs" / "reference" / "operators.md").read_text(encoding="utf-8")
    steps = [name for name, member in vars(cls).items() if not name.startswith("_") and inspect.isfunction(member)]
    assert not [name for name in steps if not re.search(rf"`[^`]*\b{name}\(", manual)]


def test_every_aggregate_is_in_the_manual() -> None:
    manual = (ROOT / "docs" / "reference" / "operators.md").read_text(encoding="utf-8")
    made = [
        name
        for name, member in vars(aggregates).items()
        if inspect.isfunction(member) and member.__module__ == aggregates.__name__ and not name.startswith("_")
    ]
    assert made and not [name for name in made if f"agg.{name}(" not in manual]


def test_the_first_app_of_the_tutorial_shows_what_the_tutorial_says(tmp_path: Path) -> None:
    page = ROOT / "docs" / "tutorial" / "first-app.md"
    (tmp_path / "shop.py").write_text(blocks(page, "python")[0])
    (command, *_), (output, *_) = blocks(page, "sh"), blocks(page, "text")
    program, *arguments = shlex.split(command)
    done = subprocess.run(
        [Path(sys.executable).parent / program, *arguments], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.stderr.endswith(output)


def test_readme_has_one_command_to_run_and_one_to_test() -> None:
    commands = [line for block in blocks(ROOT / "README.md", "sh") for line in block.splitlines()]
    assert len(commands) == 2 and all(command.startswith("python3 -m venv ") for command in commands)
