"""stream(pattern=): the records of several topics as one."""

from __future__ import annotations

from streams.operators.stateless.merge import MergeOperator


class PatternOperator(MergeOperator):
    """A merge, whose sources are known when the app meets the log."""
