"""Broker errors as errors of the transport contract."""

from __future__ import annotations

from broker_embedded import errors
from streams.transport.contract import FencedError, TransportError, UnknownTopicError

_TRANSPORT_ERRORS: dict[int, type[TransportError]] = {
    errors.UnknownTopicOrPartitionError.info.code: UnknownTopicError,
    errors.UnknownTopicIdError.info.code: UnknownTopicError,
    errors.ProducerFencedError.info.code: FencedError,
    errors.InvalidProducerEpochError.info.code: FencedError,
    errors.InvalidProducerIdMappingError.info.code: FencedError,
}


def as_transport_error(code: int, where: str, message: str | None = None) -> TransportError:
    """The error for a broker's error code; `where` names the topic, partition or producer."""
    info = errors.ERRORS.get(code, errors.ERRORS[-1])
    return _TRANSPORT_ERRORS.get(code, TransportError)(f"{where}: {message or info.message} ({info.name})")


def raise_for(code: int, where: str, message: str | None = None) -> None:
    """Raise the error for `code`; 0 is none."""
    if code:
        raise as_transport_error(code, where, message)
