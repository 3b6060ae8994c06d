"""A cluster with an authorizer and users who ask it; and a stand on which rules are tried without handlers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any, get_args, get_type_hints
from uuid import UUID

import msgspec
import pytest

from broker_embedded.cluster import Cluster
from broker_embedded.config import BrokerConfig
from broker_embedded.errors import ERRORS, KafkaError, UnknownTopicIdError
from broker_embedded.handlers import RequestContext
from broker_embedded.security.acls import Acl, Operation, PatternType, Permission, ResourceType
from broker_embedded.security.authorizer import STANDARD_AUTHORIZER, Authorizer
from broker_embedded.security.rules import guarded as guard
from broker_embedded.session import Session
from broker_embedded.wire.error_response import error_response
from broker_embedded.wire.messages import APIS, request_type
from broker_embedded.wire.messages.security import AclCreation, CreateAclsRequest

GUARDED = {"authorizer.class.name": STANDARD_AUTHORIZER, "super.users": "User:root"}


class User:
    """Asks as one principal."""

    def __init__(self, cluster: Cluster, name: str) -> None:
        self.cluster = cluster
        self.principal = f"User:{name}"

    async def ask(self, request: Any, version: int = 32_767) -> Any:
        session = Session("10.0.0.7", "IN", self.principal)
        return await self.cluster.handle(request, RequestContext(version, "test", session=session))

    async def allow(
        self,
        principal: str,
        kind: ResourceType,
        name: str,
        *operations: Operation,
        pattern: PatternType = PatternType.LITERAL,
        permission: Permission = Permission.ALLOW,
    ) -> None:
        """Add ACLs; a super user's to do."""
        rows = [
            AclCreation(int(kind), name, principal, "*", int(one), int(permission), int(pattern)) for one in operations
        ]
        answer = await self.ask(CreateAclsRequest(rows))
        assert [row.error_code for row in answer.results] == [0] * len(rows)


class Guarded:
    """The cluster and whoever asks it."""

    def __init__(self, path: Path, **properties: str) -> None:
        config = BrokerConfig(auto_create_topics=True, properties={**GUARDED, **properties})
        self.cluster = Cluster.open(path, config=config)
        self.root, self.ada = User(self.cluster, "root"), User(self.cluster, "ada")


@pytest.fixture
async def guarded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Guarded]:
    monkeypatch.setattr("os.fsync", lambda fd: None)
    opened = Guarded(tmp_path / "guarded")
    yield opened
    await opened.cluster.close()


@pytest.fixture
async def open_cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[User]:
    """A cluster without an authorizer, and somebody who asks it."""
    monkeypatch.setattr("os.fsync", lambda fd: None)
    cluster = Cluster.open(tmp_path / "open")
    yield User(cluster, "ada")
    await cluster.close()


class Fine(KafkaError):
    info = ERRORS[0]


class Handler:
    """Answers every row it sees, without error, or gives one answer to all."""

    def __init__(self, response: Any = None) -> None:
        self.seen: Any = None
        self.response = response

    async def __call__(self, cluster: Any, request: Any, context: RequestContext) -> Any:
        self.seen = request
        return self.response if self.response is not None else error_response(request, Fine())


TOPICS = {name: SimpleNamespace(name=name, id=UUID(int=number)) for number, name in enumerate(("open", "secret"), 1)}


class Stand:
    """Rules between somebody who asks and a handler, over as much of a cluster as rules look at: two topics."""

    Handler = Handler

    def __init__(self) -> None:
        self.topics = TOPICS
        self.config = SimpleNamespace(auto_create_topics=True)

    def topic(self, name: str | None, topic_id: UUID | None = None) -> Any:
        for topic in self.topics.values():
            if topic.id == topic_id:
                return topic
        raise UnknownTopicIdError

    async def ask(self, request: Any, rights: list[Any], handler: Any = None, version: int = 32_767) -> Any:
        """Ask with rights to (resource type, name, operation) and no others."""
        authorizer = Authorizer()
        authorizer.load(
            Acl(kind, PatternType.LITERAL, name, "User:ada", "*", operation, Permission.ALLOW)
            for kind, name, operation in rights
        )
        context = RequestContext(version, session=Session("10.0.0.7", principal="User:ada"))
        return await guard(authorizer, handler or Handler())(self, request, context)  # type: ignore[arg-type]

    def request(self, api_key: int, **fields: Any) -> Any:
        return self.filled(request_type(api_key), **fields)

    def message(self, api_key: int, name: str, **fields: Any) -> Any:
        """A message of the module of an API."""
        kind = getattr(import_module(f"broker_embedded.wire.messages.{APIS[api_key].module}"), name)
        return self.filled(kind, **fields)

    def filled(self, kind: type[Any], **fields: Any) -> Any:
        """A message of a type: what is required and not given is empty."""
        hints = get_type_hints(kind)
        for field in msgspec.structs.fields(kind):
            if field.required and field.name not in fields:
                options = get_args(hints[field.name]) or (hints[field.name],)
                fields[field.name] = next((one() for one in (str, int, bool, bytes) if one in options), [])
        return kind(**fields)

    def codes(self, found: Any) -> Iterator[int]:
        """Every error code in a message."""
        if isinstance(found, list):
            for row in found:
                yield from self.codes(row)
        elif isinstance(found, msgspec.Struct):
            for field in msgspec.structs.fields(found):
                value = getattr(found, field.name)
                if field.name.endswith("error_code"):
                    yield value
                else:
                    yield from self.codes(value)


@pytest.fixture
def stand() -> Stand:
    return Stand()
