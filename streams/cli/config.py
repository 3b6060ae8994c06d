"""`streams config show`: every setting of an app, and who set it."""

from __future__ import annotations

import click


@click.group()
def command() -> None:
    """Look at the settings of an app."""


@command.command()
@click.argument("app")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def show(app: str, as_json: bool) -> None:
    """Show every setting of APP (module:attribute): its value and where that comes from.

    A flag of `streams worker` wins over the environment, the environment over code, code over the default.

    \b
    Example:
      STREAMS_LOG_LEVEL=debug streams config show examples.flights:app
    """
    import msgspec

    from streams.cli.loading import load
    from streams.cli.report import text_table
    from streams.config import settings_info

    settings = load(app).settings
    rows = [
        {
            "name": info.name,
            "value": _shown(info.name, getattr(settings, info.name)),
            "origin": settings.origins[info.name],
            "environment": info.environment,
            "kafka": info.kafka or None,
        }
        for info in settings_info()
    ]
    if as_json:
        click.echo(b"\n".join(msgspec.json.encode(row) for row in rows))
    else:
        click.echo(text_table([row | {"value": str(row["value"])} for row in rows], len(rows)))


def _shown(name: str, value: object) -> object:
    return "(hidden)" if name.endswith("password") and value else value
