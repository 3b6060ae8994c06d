"""Delegation tokens (KIP-48, KIP-373)."""

from __future__ import annotations

from typing import ClassVar

from broker_embedded.wire.messages import Message, Request, Response

# 38 CreateDelegationToken


class CreatableRenewers(Message):
    principal_type: str
    principal_name: str


class CreateDelegationTokenRequest(Request):
    """Without an owner, whoever asks is the owner."""

    api_key: ClassVar[int] = 38
    owner_principal_type: str | None = None
    owner_principal_name: str | None = None
    renewers: list[CreatableRenewers] = []
    max_lifetime_ms: int = -1


class CreateDelegationTokenResponse(Response):
    error_code: int = 0
    principal_type: str = ""
    principal_name: str = ""
    token_requester_principal_type: str = ""
    token_requester_principal_name: str = ""
    issue_timestamp_ms: int = -1
    expiry_timestamp_ms: int = -1
    max_timestamp_ms: int = -1
    token_id: str = ""
    hmac: bytes = b""
    throttle_time_ms: int = 0


# 39 RenewDelegationToken


class RenewDelegationTokenRequest(Request):
    api_key: ClassVar[int] = 39
    hmac: bytes
    renew_period_ms: int = -1


class RenewDelegationTokenResponse(Response):
    error_code: int = 0
    expiry_timestamp_ms: int = -1
    throttle_time_ms: int = 0


# 40 ExpireDelegationToken


class ExpireDelegationTokenRequest(Request):
    """A negative period is at once."""

    api_key: ClassVar[int] = 40
    hmac: bytes
    expiry_time_period_ms: int = -1


class ExpireDelegationTokenResponse(Response):
    error_code: int = 0
    expiry_timestamp_ms: int = -1
    throttle_time_ms: int = 0


# 41 DescribeDelegationToken


class DescribeDelegationTokenOwner(Message):
    principal_type: str
    principal_name: str


class DescribeDelegationTokenRequest(Request):
    """`owners` is None for all and empty for none."""

    api_key: ClassVar[int] = 41
    owners: list[DescribeDelegationTokenOwner] | None = None


class DescribedDelegationTokenRenewer(Message):
    principal_type: str
    principal_name: str


class DescribedDelegationToken(Message):
    principal_type: str
    principal_name: str
    issue_timestamp: int  # milliseconds, as the others
    expiry_timestamp: int
    max_timestamp: int
    token_id: str
    hmac: bytes
    token_requester_principal_type: str = ""
    token_requester_principal_name: str = ""
    renewers: list[DescribedDelegationTokenRenewer] = []


class DescribeDelegationTokenResponse(Response):
    error_code: int = 0
    tokens: list[DescribedDelegationToken] = []
    throttle_time_ms: int = 0
