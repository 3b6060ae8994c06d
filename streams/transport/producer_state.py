"""What a producer may do next, which is the same on every transport (Kafka: TransactionManager)."""

from __future__ import annotations

from enum import Enum

from streams.transport.contract import TransportError


class ProducerState(Enum):
    """Where a producer is. BROKEN is for those whose broker may not answer."""

    NEW = "not started"
    READY = "ready"
    OPEN = "in a transaction"
    BROKEN = "in a transaction with a batch that may be there or not"
    UNKNOWN = "in doubt about its last commit"
    CLOSED = "closed"

    def expect(self, wanted: ProducerState, who: str, doing: str) -> None:
        """Raise TransportError unless it is `wanted`; `who` cannot be `doing` this then.

        >>> ProducerState.NEW.expect(ProducerState.READY, "producer 'a'", "begin a transaction")
        Traceback (most recent call last):
        streams.transport.contract.TransportError: producer 'a' cannot begin a transaction: it is not started, not ready
        """
        if self is not wanted:
            advice = _ADVICE.get(self, "")
            raise TransportError(f"{who} cannot {doing}: it is {self.value}, not {wanted.value}{advice}")


_ADVICE = {
    ProducerState.BROKEN: ": abort it",
    ProducerState.UNKNOWN: ": start it again, that settles the transaction",
}
