"""`streams explain`: which steps of an app run on columns, which on rows, and how to change that."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from streams.graph.explain import Explained


@click.command()
@click.argument("app")
def command(app: str) -> None:
    """Say for each step of APP (module:attribute) whether it runs on columns or on rows, and why; and of steps that
    have a compiled twin (extra fast) whether it runs. Nothing is started.

    \b
    Example:
      streams explain examples.flights:app
    """
    from streams.cli.loading import load, planned
    from streams.compiling.status import status
    from streams.graph.explain import explain
    from streams.kernels import compiled

    plan = planned(app)
    settings = load(app).settings
    runs = settings.compiled != "off" and compiled.installed()
    click.echo(f"compiled twins: {status(settings)}")
    for sub in plan.subtopologies:
        reason = f"one record at a time: {sub.row_reason}" if sub.row_reason else "a batch at a time"
        click.echo(f"{sub.id}: {reason}")
        for said in explain(plan)[sub.id]:
            click.echo(f"  {said.form:<7}  {said.kind} {said.step}: {said.why}")
            if said.twin is not None:
                can = said.twin.startswith("compiled: ") and not runs
                click.echo(f"           {'could be ' if can else ''}{said.twin}")
            for text in _hints(said):
                click.echo(f"           {text}")


def _hints(said: Explained) -> list[str]:
    """How functions could be written as expressions, and where they stand."""
    from streams.cli.expression_hints import hint

    found = [(function, hint(function.call, said.value_type)) for function in said.functions]
    return [f"{function.where}: as an expression, {text}" for function, text in found if text is not None]
