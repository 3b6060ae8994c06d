"""Error codes of brokers as errors of the transport contract; those that pass by themselves are RetryErrors."""

from __future__ import annotations

from broker_embedded import errors
from streams.transport.contract import (
    FencedError,
    NotAllowedError,
    StaleGenerationError,
    TransportError,
    UnknownTopicError,
)

MISSING = (errors.UnknownTopicOrPartitionError.info.code, errors.UnknownTopicIdError.info.code)

_BUSY = (
    errors.ConcurrentTransactionsError.info.code,
    errors.CoordinatorLoadInProgressError.info.code,
    errors.NotEnoughReplicasError.info.code,
)
_TRANSPORT_ERRORS: dict[int, type[TransportError]] = {
    **dict.fromkeys(MISSING, UnknownTopicError),
    errors.ProducerFencedError.info.code: FencedError,
    errors.InvalidProducerEpochError.info.code: FencedError,
    errors.InvalidProducerIdMappingError.info.code: FencedError,
    # A commit of what the broker has ended by itself, as after a worker stood still: nothing of it is to be seen.
    errors.InvalidTxnStateError.info.code: FencedError,
    errors.UnknownMemberIdError.info.code: FencedError,
    errors.FencedInstanceIdError.info.code: FencedError,
    errors.IllegalGenerationError.info.code: StaleGenerationError,
    errors.RebalanceInProgressError.info.code: StaleGenerationError,
    errors.TopicAuthorizationFailedError.info.code: NotAllowedError,
    errors.GroupAuthorizationFailedError.info.code: NotAllowedError,
    errors.ClusterAuthorizationFailedError.info.code: NotAllowedError,
    errors.TransactionalIdAuthorizationFailedError.info.code: NotAllowedError,
}


class RetryError(TransportError):
    """The broker said that asking again, perhaps elsewhere, may help."""


class BusyError(RetryError):
    """The broker is the right one, and is not done yet: ask it again soon."""


def as_transport_error(code: int, where: str, message: str | None = None) -> TransportError:
    """The error for a broker's error code; `where` names the topic, partition or producer."""
    info = errors.ERRORS.get(code, errors.ERRORS[-1])
    return _TRANSPORT_ERRORS.get(code, TransportError)(f"{where}: {message or info.message} ({info.name})")


def raise_for(code: int, where: str, message: str | None = None) -> None:
    """Raise the error for `code`; 0 is none."""
    if code:
        raise as_transport_error(code, where, message)


def check(code: int, where: str, message: str | None = None) -> None:
    """Raise RetryError for an error that passes by itself, the transport's error for another; 0 is none."""
    if code == 0:
        return
    error = as_transport_error(code, where, message)
    if errors.ERRORS.get(code, errors.ERRORS[-1]).retriable and not isinstance(error, UnknownTopicError):
        raise (BusyError if code in _BUSY else RetryError)(str(error))
    raise error


def check_leader(code: int, where: str, message: str | None = None) -> None:
    """As `check`, for one of whom the metadata says that it leads a partition: if it does not know that, it will soon.

    Where the topic is gone, the metadata say so when asked again.
    """
    if code in MISSING:
        raise RetryError(f"{where}: its leader does not know it (yet, or any more)")
    check(code, where, message)
