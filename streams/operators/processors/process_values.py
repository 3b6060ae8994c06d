"""process_values: as process, but the key of a record stays, so what is behind needs no repartition.

`FixedKeyProcessor` in Kafka Streams: what a call without a record of its own (a schedule's) hands on is a record that
the processor was given, or made from one with `replace`.
"""

from __future__ import annotations

from streams.operators.processors.process import ProcessOperator
from streams.processing import FixedKeyRecord


class ProcessValuesOperator(ProcessOperator):
    record_type = FixedKeyRecord
