"""Whether a worker would run compiled twins, for people."""

from __future__ import annotations

from streams.compiling import kept
from streams.config import Settings
from streams.kernels import compiled


def status(settings: Settings) -> str:
    """What a worker with these settings would do.

    >>> from streams.config import load_settings
    >>> status(load_settings("flights", {"compiled": "off"}, environment={}))
    'off, by the setting compiled'
    """
    if settings.compiled == "off":
        return "off, by the setting compiled"
    if not compiled.installed():
        return "none, as numba is not installed: pip install 'streams-engine[fast]'"
    where = kept.folder(settings.compiled_dir)
    try:
        missing = kept.missing(where)
    except OSError as error:
        return f"none: {error}"
    if missing:
        return f"made by the first worker, beside its work, or by `streams compile`; {where} does not have them yet"
    return f"loaded when a worker starts, from {where}"
