"""`streams compile`: compiled twins of the hot loops, made before a worker wants them."""

from __future__ import annotations

import click


@click.command()
@click.option("--compiled-dir", default=None, help="Folder to keep them in, as the setting of that name.")
def command(compiled_dir: str | None) -> int:
    """Compile the hot loops that have a compiled twin, as a worker would do beside its work.

    For images of containers, so that no worker has to: with the same setting compiled_dir, or STREAMS_COMPILED_DIR,
    workers take what is there. It runs on any processor of this kind. Needs the extra `fast`.

    \b
    Example:
      streams compile --compiled-dir /opt/compiled
    """
    import asyncio

    from streams.compiling import kept
    from streams.compiling.readiness import CompilingError, compile_missing
    from streams.config import load_settings
    from streams.kernels import compiled

    if not compiled.installed():
        raise click.ClickException("numba is not installed: pip install 'streams-engine[fast]'")
    given = {} if compiled_dir is None else {"compiled_dir": compiled_dir}
    where = kept.folder(load_settings("compile").with_values(given, "flag").compiled_dir)
    try:
        done = asyncio.run(compile_missing(where))
    except (CompilingError, OSError) as error:
        raise click.ClickException(str(error)) from None
    for module, seconds in done.seconds.items():
        click.echo(f"compiled {module.rpartition('.')[2]} in {seconds:.1f} s")
    kept_before = len(compiled.MODULES) - len(done.seconds)
    click.echo(f"{where}: {len(done.seconds)} made, {kept_before} were there")
    return 0
