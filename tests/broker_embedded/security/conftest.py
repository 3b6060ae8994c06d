"""A cluster with an authorizer, and users who ask it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from broker_embedded.cluster import Cluster
from broker_embedded.config import BrokerConfig
from broker_embedded.handlers import RequestContext
from broker_embedded.security.acls import Operation, PatternType, Permission, ResourceType
from broker_embedded.security.authorizer import STANDARD_AUTHORIZER
from broker_embedded.session import Session
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
