"""What it means for a member of a group when its coordinator refuses something."""

from __future__ import annotations

from broker_embedded import errors
from streams.transport.contract import FencedError
from streams.transport.error_codes import as_transport_error, check

UNKNOWN_MEMBER_ID = errors.UnknownMemberIdError.info.code
FENCED = errors.FencedInstanceIdError.info.code
_MEMBER_ID_REQUIRED = errors.MemberIdRequiredError.info.code
_EXPELLED = (UNKNOWN_MEMBER_ID, errors.IllegalGenerationError.info.code)
_REBALANCING = errors.RebalanceInProgressError.info.code
_ADVICE = {
    errors.InconsistentGroupProtocolError.info.code: "clients of another kind are in it: stop them, or take another id",
    errors.InvalidSessionTimeoutError.info.code: (
        "the broker's group.min.session.timeout.ms and group.max.session.timeout.ms say what session_timeout_ms may be"
    ),
    errors.GroupMaxSizeReachedError.info.code: "it is full: the broker's group.max.size says how many there may be",
}


class RebalancingError(Exception):
    """Another round has begun."""


class ExpelledError(Exception):
    """The group does not know the member (any more), or has gone on without it."""

    def __init__(self, code: int) -> None:
        super().__init__(errors.ERRORS[code].message)
        self.is_unknown = code == UNKNOWN_MEMBER_ID


def check_member(code: int, where: str) -> None:
    """Raises RebalancingError, ExpelledError, FencedError, or as `check` does. That a member is told its id first, and
    is to ask again, is no refusal (KIP-394).
    """
    if code == _REBALANCING:
        raise RebalancingError
    if code in _EXPELLED:
        raise ExpelledError(code)
    if code == FENCED:
        raise FencedError(
            f"{where}: another process has taken this seat, and goes on with what this one had. An instance id is for "
            "one process at a time: is a data folder a copy of another one? A copy is a place of its own once the "
            "folder `seats` is deleted in it"
        )
    if code in _ADVICE:
        raise as_transport_error(code, where, _ADVICE[code])
    if code != _MEMBER_ID_REQUIRED:
        check(code, where)
