"""`streams topology`: the graph of an app, without a broker."""

from __future__ import annotations

import click


@click.command()
@click.argument("app")
@click.option(
    "--format", "form", type=click.Choice(["text", "mermaid", "dot", "json"]), default="text", show_default=True,
    help="Kafka's text, a flowchart for Git hosts, Graphviz, or JSON.",
)  # fmt: skip
def command(app: str, form: str) -> None:
    """Show the graph of APP (module:attribute): sub-topologies, steps, topics and stores. Nothing is started.

    \b
    Example:
      streams topology examples.flights:app --format mermaid
    """
    from streams.cli.loading import planned
    from streams.graph import describe, draw

    forms = {"text": describe.text, "mermaid": draw.mermaid, "dot": draw.dot, "json": describe.as_json}
    click.echo(forms[form](planned(app)).rstrip("\n"))
