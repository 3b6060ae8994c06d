"""print: a line for each record, as `Printed` of Kafka Streams writes it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, TextIO

from streams.batch import Batch
from streams.graph.nodes import PrintNode
from streams.operators.base import Operator, TaskContext
from streams.operators.calls import FAILED, Calls


class PrintOperator(Operator[PrintNode]):
    """A file is added to, never begun anew: the tasks of a step share it, and a restart goes on in it. Lines are out
    when the batch is done; those of records that are read again after a crash come twice.
    """

    def __init__(self, node: PrintNode, context: TaskContext) -> None:
        super().__init__(node, context)
        self._calls = None if node.function is None else Calls(node.function, node, context)
        self._file: TextIO | None = None

    def open(self) -> None:
        if isinstance(self.node.to, str | Path):
            self._file = open(self.node.to, "a", encoding="utf-8")  # noqa: SIM115 - as long as the task

    def close(self) -> None:
        if self._file is not None:
            self._file.close()

    def process(self, batch: Batch) -> Batch | None:
        if self._calls is not None:
            return self._calls.run(batch, self._print)
        self._print([f"{key}, {value}" for key, value in zip(batch.keys, batch.values, strict=True)])
        return None

    def _print(self, results: list[Any]) -> None:
        out = self._file or self.node.to or sys.stdout
        out.write("".join(f"[{self.node.label}]: {said}\n" for said in results if said is not FAILED))
        flush = getattr(out, "flush", None)
        if flush is not None:
            flush()
