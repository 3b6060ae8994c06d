"""Server-side assignors by name, the broker's default first. They are functions without state:

an assignor is given what its group reads, and what each member was given last time; it gives every partition of
every topic that is read to exactly one of the topic's readers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from broker_embedded.coordinator.groups.consumer.assignors.range import assign_ranges
from broker_embedded.coordinator.groups.consumer.assignors.request import AssignmentRequest, Reader
from broker_embedded.coordinator.groups.consumer.assignors.uniform import assign_uniformly
from broker_embedded.coordinator.groups.consumer.member import Partitions

__all__ = ["ASSIGNORS", "DEFAULT_ASSIGNOR", "AssignmentRequest", "Assignor", "Reader"]

Assignor = Callable[[AssignmentRequest], Mapping[str, Partitions]]

ASSIGNORS: Mapping[str, Assignor] = {"uniform": assign_uniformly, "range": assign_ranges}
DEFAULT_ASSIGNOR = "uniform"
