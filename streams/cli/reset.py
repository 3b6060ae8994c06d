"""`streams reset`: an app begins anew, or one of its stores goes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from typing import TYPE_CHECKING, NamedTuple

import click

if TYPE_CHECKING:
    from streams.app import App
    from streams.config import Settings
    from streams.runtime.reset import Removal
    from streams.transport.contract import Transport


class Wish(NamedTuple):
    """What is to go: all of the app, or one store; and how."""

    store: str | None = None
    sources: bool = False
    yes: bool = False
    dry_run: bool = False


@click.command()
@click.argument("app")
@click.option("--store", metavar="NAME", help="Remove only this store: the one that the app has renamed or given up.")
@click.option("--sources", is_flag=True, help="Let sources begin anew too: their records come into their topics again.")
@click.option("--broker", metavar="TEXT", help="As the setting: embedded, or kafka://host:port,...")
@click.option("--data-dir", metavar="TEXT", help="Folder of the stores, and of the built-in broker's log.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--dry-run", is_flag=True, help="Only show what would be removed.")
def command(app: str, broker: str | None, data_dir: str | None, **wish: object) -> int:
    """Let APP (module:attribute) begin anew: its committed offsets, internal topics and local stores are removed.

    The topics it reads and writes stay: what it writes again comes behind what is there. Stop its workers first, on
    all machines: while there are any, they are named and nothing is removed. With --store only that store and its
    changelog are removed, and offsets stay.

    \b
    Example:
      streams reset examples.flights:app --dry-run
    """
    import asyncio

    from streams.cli.loading import load
    from streams.errors import ConfigError

    if wish["store"] is not None and wish["sources"]:
        raise click.UsageError("--store removes one store only; --sources goes without it.")
    loaded = load(app)
    given = {name: value for name, value in (("broker", broker), ("data_dir", data_dir)) if value is not None}
    try:
        loaded.settings = loaded.settings.with_values(given, "flag")
    except ConfigError as error:
        raise click.UsageError(str(error)) from None
    return asyncio.run(reset(loaded, Wish(**wish)))  # type: ignore[arg-type]


async def reset(app: App, wish: Wish) -> int:
    """Shows, asks and removes; gives the exit code."""
    from broker_embedded.lock import FolderInUseError
    from state.api import StateError
    from streams.cli import FAILED, OK
    from streams.errors import StreamsError
    from streams.transport.opening import open_transport

    try:
        async with AsyncExitStack() as held:
            workers = held.enter_context(nobody_works(app.settings, wish))
            if wish.dry_run and is_new(app.settings):
                return show(app, None)
            transport, _ = await open_transport(app.settings)
            held.push_async_callback(transport.stop)
            removal = await removal_of(app, transport, wish, workers)
            show(app, removal)
            if not removal or wish.dry_run:
                return OK
            if not wish.yes and not ask():
                click.echo("Nothing was removed.", err=True)
                return FAILED
            await removal.carry_out(transport)
            click.echo("Removed.", err=True)
            return OK
    except (StreamsError, StateError, FolderInUseError) as error:
        raise click.ClickException(f"{error}{rights(app.id, str(error))}") from error


@contextmanager
def nobody_works(settings: Settings, wish: Wish) -> Iterator[list[str]]:
    """As long as it lasts no worker of this place does anything. Gives their names."""
    from streams.runtime.seat import seats_folder, whole_place

    if wish.dry_run and not seats_folder(settings).exists():  # and who only looks does not make it
        yield []
    else:
        with whole_place(settings) as workers:
            yield workers


def is_new(settings: Settings) -> bool:
    """Whether there is no broker to ask yet."""
    from pathlib import Path

    from streams.cli.reaching import has_broker

    return settings.broker == "embedded" and not has_broker(Path(settings.data_dir))


async def removal_of(app: App, transport: Transport, wish: Wish, workers: list[str]) -> Removal:
    """What is to go. A dry run finds the same without ending the transactions of workers that were killed."""
    from streams.runtime.reset import end_transactions, removal_of_all, removal_of_store

    if wish.store is not None:
        return await removal_of_store(app, transport, wish.store, workers=workers)
    removal = await removal_of_all(app, transport, workers=workers, sources=wish.sources)
    if not wish.dry_run:
        await end_transactions(transport, workers)
    return removal


def show(app: App, removal: Removal | None) -> int:
    lines = [] if removal is None else list(removal.lines())
    where = app.settings.data_dir if app.settings.broker == "embedded" else app.settings.broker
    click.echo("\n".join(lines) if lines else f"{app.id} has nothing to remove in {where}")
    return 0


def rights(group: str, message: str) -> str:
    """What is to be allowed when something is not.

    >>> rights("shop", "no such topic")
    ''
    """
    if "AUTHORIZATION_FAILED" not in message:
        return ""
    return (
        f". A reset takes Describe and Read of the group {group!r} and of the topics that the app reads, Describe and "
        "Delete of its own topics, and Write of its transactional ids."
    )


def ask() -> bool:
    try:
        return click.confirm("Remove all of this?", default=False, err=True)
    except click.Abort:
        raise click.UsageError("there is nobody to ask: say --yes, or --dry-run to only look.") from None
