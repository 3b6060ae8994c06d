"""`streams reset`: an app begins anew, or one of its stores goes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from streams.app import App


@click.command()
@click.argument("app")
@click.option("--store", metavar="NAME", help="Remove only this store: the one that the app has renamed or given up.")
@click.option("--sources", is_flag=True, help="Let sources begin anew too: their records come into their topics again.")
@click.option("--data-dir", metavar="TEXT", help="Folder of the stores, and of the built-in broker's log.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--dry-run", is_flag=True, help="Only show what would be removed.")
def command(app: str, store: str | None, sources: bool, data_dir: str | None, yes: bool, dry_run: bool) -> int:
    """Let APP (module:attribute) begin anew: its committed offsets, internal topics and local stores are removed.

    The topics it reads and writes stay: what it writes again comes behind what is there. Stop its workers first. With
    --store only that store and its changelog are removed, and offsets stay.

    \b
    Example:
      streams reset examples.flights:app --dry-run
    """
    import asyncio

    from streams.cli.loading import load
    from streams.errors import ConfigError

    if store is not None and sources:
        raise click.UsageError("--store removes one store only; --sources goes without it.")
    loaded = load(app)
    if data_dir is not None:
        try:
            loaded.settings = loaded.settings.with_values({"data_dir": data_dir}, "flag")
        except ConfigError as error:
            raise click.UsageError(str(error)) from None
    return asyncio.run(reset(loaded, store, sources=sources, yes=yes, dry_run=dry_run))


async def reset(app: App, store: str | None, *, sources: bool, yes: bool, dry_run: bool) -> int:
    """Shows, asks and removes; gives the exit code."""
    from contextlib import AsyncExitStack

    from broker_embedded.lock import FolderInUseError
    from state.api import StateError
    from streams.cli import FAILED, OK
    from streams.errors import StreamsError
    from streams.runtime.reset import removal_of_all, removal_of_store
    from streams.runtime.seat import whole_place
    from streams.transport.opening import open_transport

    try:
        async with AsyncExitStack() as held:
            workers = held.enter_context(whole_place(app.settings))
            transport, _ = await open_transport(app.settings)
            held.push_async_callback(transport.stop)
            if store is None:
                removal = await removal_of_all(app, transport, workers=workers, sources=sources)
            else:
                removal = await removal_of_store(app, transport, store)
            lines = list(removal.lines())
            click.echo("\n".join(lines) if lines else f"{app.id} has nothing to remove in {app.settings.data_dir}")
            if not lines or dry_run:
                return OK
            if not yes and not ask():
                click.echo("Nothing was removed.", err=True)
                return FAILED
            await removal.carry_out(transport)
            click.echo("Removed.", err=True)
            return OK
    except (StreamsError, StateError, FolderInUseError) as error:
        raise click.ClickException(str(error)) from error


def ask() -> bool:
    try:
        return click.confirm("Remove all of this?", default=False, err=True)
    except click.Abort:
        raise click.UsageError("there is nobody to ask: say --yes, or --dry-run to only look.") from None
