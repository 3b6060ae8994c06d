"""The manual can't rot: every Python example runs, every command line parses, every link leads somewhere."""

from __future__ import annotations

import doctest
import re
import shlex
import sys
from pathlib import Path
from types import ModuleType

import click
import pytest

from streams.cli import streams as command_line

ROOT = Path(__file__).parent.parent
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").rglob("*.md")])
FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"^(?:\$ )?(?:\S*/)?streams (.+)$", re.MULTILINE)
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
        arguments = shlex.split(line.split(" | ")[0].split(" > ")[0], comments=True)
        parse(command_line, arguments, line)


def parse(command: click.Command, arguments: list[str], line: str) -> None:
    """Takes the arguments apart as click would, without running anything."""
    context = command.make_context(command.name, list(arguments), resilient_parsing=True)
    if isinstance(command, click.Group):
        name, sub, rest = command.resolve_command(context, arguments)
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


def anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_readme_has_one_command_to_run_and_one_to_test() -> None:
    commands = [line for block in blocks(ROOT / "README.md", "sh") for line in block.splitlines()]
    assert len(commands) == 2 and all(command.startswith("python3 -m venv ") for command in commands)
