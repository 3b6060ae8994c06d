"""The cluster: versions, brokers, log directories, features, reassignments, quotas."""

from __future__ import annotations
