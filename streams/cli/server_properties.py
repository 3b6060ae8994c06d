"""What `streams broker` is to do, out of its flags and a `server.properties` of Kafka's distribution as it stands."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import click

_LISTENERS = ("listeners", "advertised.listeners")
_FOLDERS = ("log.dirs", "log.dir")  # the first counts that is set
# A broker to try things on: topics come by being used, as in Kafka, and a group does not wait for more members.
_OURS = {"auto.create.topics.enable": "true", "group.initial.rebalance.delay.ms": "0"}


class Plan(NamedTuple):
    """The data folder, and settings by Kafka's names."""

    data_dir: Path
    properties: Mapping[str, str]


def plan(properties: Mapping[str, str], *, host: str | None, port: int | None, data: str | None) -> Plan:
    """What flags and settings say together. Raises click.UsageError where they contradict each other.

    >>> plan({"log.dirs": "/var/kafka", "listeners": "IN://:9092,CONTROLLER://:9093",
    ...       "controller.listener.names": "CONTROLLER"}, host=None, port=None, data=None).properties["listeners"]
    'IN://:9092'
    """
    found = _OURS | dict(properties)
    folders = next((found[name].split(",") for name in _FOLDERS if found.get(name)), ["./broker-data"])
    if data is None and len(folders) > 1:
        raise click.UsageError(f"log.dirs={','.join(folders)}: this broker has one folder; name it with --data.")
    for name in _LISTENERS:
        if name in found:
            found[name] = _without_controllers(found[name], found.get("controller.listener.names", ""))
    if not found.get("listeners"):
        found["listeners"] = f"PLAINTEXT://{host or '127.0.0.1'}:{9092 if port is None else port}"
    elif host is not None or port is not None:
        raise click.UsageError(f"listeners={found['listeners']} says where to listen: leave out --host and --port.")
    return Plan(_brokers_own(Path(data or folders[0].strip())), found)


def _without_controllers(listeners: str, controllers: str) -> str:
    """A single node's controller is in the same process: nobody connects to it."""
    names = {name.strip().upper() for name in controllers.split(",")}
    kept = [each.strip() for each in listeners.split(",") if each.strip().partition(":")[0].upper() not in names]
    return ",".join(kept)


def _brokers_own(folder: Path) -> Path:
    """The log in the folder of an app, else the folder itself."""
    is_of_app = not (folder / "meta.properties").exists() and (folder / "log" / "meta.properties").exists()
    return folder / "log" if is_of_app else folder
