"""Who may do what: SASL, ACLs, users."""

from __future__ import annotations

from typing import ClassVar

from broker_embedded.wire.messages import Message, Request, Response

_LITERAL = 3


class SaslHandshakeRequest(Request):
    mechanism: str
    api_key: ClassVar[int] = 17


class SaslHandshakeResponse(Response):
    error_code: int = 0
    mechanisms: list[str] = []


class SaslAuthenticateRequest(Request):
    auth_bytes: bytes
    api_key: ClassVar[int] = 36


class SaslAuthenticateResponse(Response):
    error_code: int = 0
    error_message: str | None = None
    auth_bytes: bytes = b""
    session_lifetime_ms: int = 0


class DescribeAclsRequest(Request):
    resource_type_filter: int
    resource_name_filter: str | None
    principal_filter: str | None
    host_filter: str | None
    operation: int
    permission_type: int
    pattern_type_filter: int = _LITERAL
    api_key: ClassVar[int] = 29


class AclDescription(Message):
    principal: str
    host: str
    operation: int
    permission_type: int


class DescribeAclsResource(Message):
    resource_type: int
    resource_name: str
    pattern_type: int = _LITERAL
    acls: list[AclDescription] = []


class DescribeAclsResponse(Response):
    error_code: int = 0
    error_message: str | None = None
    resources: list[DescribeAclsResource] = []
    throttle_time_ms: int = 0


class AclCreation(Message):
    resource_type: int
    resource_name: str
    principal: str
    host: str
    operation: int
    permission_type: int
    resource_pattern_type: int = _LITERAL


class CreateAclsRequest(Request):
    creations: list[AclCreation]
    api_key: ClassVar[int] = 30


class AclCreationResult(Message):
    error_code: int = 0
    error_message: str | None = None


class CreateAclsResponse(Response):
    results: list[AclCreationResult]
    throttle_time_ms: int = 0


class DeleteAclsFilter(Message):
    resource_type_filter: int
    resource_name_filter: str | None
    principal_filter: str | None
    host_filter: str | None
    operation: int
    permission_type: int
    pattern_type_filter: int = _LITERAL


class DeleteAclsRequest(Request):
    filters: list[DeleteAclsFilter]
    api_key: ClassVar[int] = 31


class DeleteAclsMatchingAcl(Message):
    resource_type: int
    resource_name: str
    principal: str
    host: str
    operation: int
    permission_type: int
    pattern_type: int = _LITERAL
    error_code: int = 0
    error_message: str | None = None


class DeleteAclsFilterResult(Message):
    error_code: int = 0
    error_message: str | None = None
    matching_acls: list[DeleteAclsMatchingAcl] = []


class DeleteAclsResponse(Response):
    filter_results: list[DeleteAclsFilterResult]
    throttle_time_ms: int = 0


class UserName(Message):
    name: str


class DescribeUserScramCredentialsRequest(Request):
    users: list[UserName] | None = None
    api_key: ClassVar[int] = 50


class CredentialInfo(Message):
    mechanism: int
    iterations: int


class DescribeUserScramCredentialsResult(Message):
    user: str
    error_code: int = 0
    error_message: str | None = None
    credential_infos: list[CredentialInfo] = []


class DescribeUserScramCredentialsResponse(Response):
    error_code: int = 0
    error_message: str | None = None
    results: list[DescribeUserScramCredentialsResult] = []
    throttle_time_ms: int = 0


class ScramCredentialDeletion(Message):
    name: str
    mechanism: int


class ScramCredentialUpsertion(Message):
    name: str
    mechanism: int
    iterations: int
    salt: bytes
    salted_password: bytes


class AlterUserScramCredentialsRequest(Request):
    deletions: list[ScramCredentialDeletion] = []
    upsertions: list[ScramCredentialUpsertion] = []
    api_key: ClassVar[int] = 51


class AlterUserScramCredentialsResult(Message):
    user: str
    error_code: int = 0
    error_message: str | None = None


class AlterUserScramCredentialsResponse(Response):
    results: list[AlterUserScramCredentialsResult]
    throttle_time_ms: int = 0
