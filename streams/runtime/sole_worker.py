"""One worker of an app at a time on a data folder: its stores are for one, and so is its transactional id.

The lock is a file of the app's in the folder, beside those of the broker and of other apps. Who only sends and reads
(app.client()) takes none.
"""

from __future__ import annotations

from pathlib import Path

from broker_embedded.lock import FolderInUseError, FolderLock
from streams.config import Settings
from streams.errors import StreamsError
from streams.transport.opening import in_data_dir


class WorkerRunsError(StreamsError):
    """A living process works for the app on the same data folder: `pid`, None where it left no word."""

    def __init__(self, app_id: str, data_dir: str, held: FolderInUseError) -> None:
        who = "another process" if held.pid is None else f"process {held.pid} ({held.program}) since {held.since}"
        stop = "stop it first" if held.pid is None else f"stop it first (kill {held.pid})"
        super().__init__(
            f"app {app_id!r} is at work on {data_dir} already: the folder is in use by {who}. One worker of an app "
            f"works on a data folder at a time: {stop}, or give this one a folder of its own (data_dir)."
        )
        self.pid = held.pid


def lock_app(settings: Settings) -> FolderLock:
    """Held as long as a worker works, and while what it has done is taken away.

    Raises WorkerRunsError, ConfigError for a folder that cannot be made.
    """
    folder = Path(settings.data_dir)
    try:
        with in_data_dir(settings):
            folder.mkdir(parents=True, exist_ok=True)
            return FolderLock.take(folder, f".{settings.id}.lock")
    except FolderInUseError as error:
        raise WorkerRunsError(settings.id, settings.data_dir, error) from None
