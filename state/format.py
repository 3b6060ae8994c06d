"""What is written down about each store beside its data, so that a later run opens it as what it is."""

from __future__ import annotations

from itertools import islice

from state.api import META, Backend, Changes, StateError, StoreSpec
from state.checkpoint import meta_changes
from state.commit import SLICE_ENTRIES
from state.keys import unstamp
from state.ttl import index_changes, index_name

FORMAT = "1"
"""Version of the layouts in `keys`."""

_ABOUT = "store/"


def check_format(backend: Backend, spec: StoreSpec) -> None:
    """Write down what the store is when it is new; else check it, and make or drop its time index when `ttl_ms` came or
    went. An empty store may become one of another kind.

    Raises StateError when the store is of another kind or was written by a later version.
    """
    key = _ABOUT + spec.name
    wanted = [FORMAT, spec.kind, "indexed" if spec.ttl_ms is not None else "plain"]
    found = backend.get(META, key.encode())
    if found is not None:
        version, kind, index = found.decode().split()
        if version != FORMAT:
            raise StateError(
                f"store {spec.name} is in format {version}, this version reads {FORMAT}: update the package"
            )
        if kind != spec.kind and not _is_empty(backend, spec.name):
            raise StateError(
                f"store {spec.name} is a {kind} store on disk and {spec.kind} in the topology: "
                f"go back, or remove the old one: `streams reset APP --store {spec.name}`"
            )
        if [kind, index] == wanted[1:]:
            if spec.ttl_ms is not None:
                backend.open_store(index_name(spec.name))
            return
    if spec.ttl_ms is not None:
        _make_index(backend, spec.name)
    elif index_name(spec.name) in backend.stores():
        backend.drop_store(index_name(spec.name))
    backend.write([meta_changes({key: " ".join(wanted).encode()})])


def forget_format(store: str) -> Changes:
    """The meta changes after which nothing is known about a store."""
    return meta_changes({_ABOUT + store: None})


def _is_empty(backend: Backend, store: str) -> bool:
    with backend.scan(store) as entries:
        return next(entries, None) is None


def _make_index(backend: Backend, store: str) -> None:
    backend.open_store(index_name(store))
    with backend.scan(store) as entries:
        while part := list(islice(entries, SLICE_ENTRIES)):
            values, timestamps = zip(*(unstamp(stored) for _, stored in part), strict=True)
            backend.write([index_changes(store, [key for key, _ in part], values, timestamps)])
