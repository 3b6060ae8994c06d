"""DescribeAcls, CreateAcls, DeleteAcls (29-31)."""

from __future__ import annotations

from typing import Any

import pytest

from broker_embedded.cluster import Cluster
from broker_embedded.config import BrokerConfig
from broker_embedded.security.acls import Operation, PatternType, Permission, ResourceType
from broker_embedded.wire.messages.security import (
    AclCreation,
    CreateAclsRequest,
    DeleteAclsFilter,
    DeleteAclsRequest,
    DescribeAclsRequest,
)

ANY, MATCH, LITERAL, PREFIXED = 1, 2, 3, 4
TOPIC, GROUP, CLUSTER = 2, 3, 4
READ, WRITE = 3, 4
ALLOW = 3


def creation(
    name: str, *, kind: int = TOPIC, operation: int = READ, pattern: int = LITERAL, **fields: Any
) -> AclCreation:
    values = {"principal": "User:ada", "host": "*", "permission_type": ALLOW} | fields
    return AclCreation(kind, name, operation=operation, resource_pattern_type=pattern, **values)


def asked(kind: int = ANY, name: str | None = None, pattern: int = ANY, **fields: Any) -> dict[str, Any]:
    return {
        "resource_type_filter": kind,
        "resource_name_filter": name,
        "pattern_type_filter": pattern,
        "principal_filter": None,
        "host_filter": None,
        "operation": ANY,
        "permission_type": ANY,
    } | fields


async def described(user: Any, **fields: Any) -> set[tuple[str, int, int]]:
    answer = await user.ask(DescribeAclsRequest(**asked(**fields)))
    assert answer.error_code == 0
    return {(row.resource_name, row.pattern_type, acl.operation) for row in answer.resources for acl in row.acls}


async def test_acls_are_found_by_filters(guarded: Any) -> None:
    rows = [
        creation("flights"),
        creation("flights", operation=WRITE),
        creation("fl", pattern=PREFIXED),
        creation("*"),
        creation("readers", kind=GROUP),
    ]
    answer = await guarded.root.ask(CreateAclsRequest(rows))
    assert [row.error_code for row in answer.results] == [0] * 5

    flights, prefix, wildcard = ("flights", LITERAL, READ), ("fl", PREFIXED, READ), ("*", LITERAL, READ)
    assert len(await described(guarded.root)) == 5
    assert await described(guarded.root, kind=GROUP) == {("readers", LITERAL, READ)}
    assert await described(guarded.root, name="flights", operation=READ) == {flights}
    assert await described(guarded.root, name="flights", pattern=MATCH, operation=READ) == {flights, prefix, wildcard}
    assert await described(guarded.root, pattern=PREFIXED) == {prefix}
    assert await described(guarded.root, principal_filter="User:charles") == set()


async def test_acls_of_a_resource_come_together(guarded: Any) -> None:
    await guarded.root.ask(CreateAclsRequest([creation("t"), creation("u"), creation("t", operation=WRITE)]))

    answer = await guarded.root.ask(DescribeAclsRequest(**asked()))

    assert [(row.resource_name, len(row.acls)) for row in answer.resources] == [("t", 2), ("u", 1)]


async def test_the_same_acl_twice_is_one(guarded: Any) -> None:
    await guarded.root.ask(CreateAclsRequest([creation("t"), creation("t")]))
    answer = await guarded.root.ask(CreateAclsRequest([creation("t")]))

    assert answer.results[0].error_code == 0
    assert len(guarded.cluster.metadata.acls) == 1


WRONG = [
    (creation("t", kind=ANY), "ANY"),
    (creation("t", kind=99), "99 is no resource type"),
    (creation("t", pattern=MATCH), "MATCH"),
    (creation("t", pattern=ANY), "ANY"),
    (creation("t", operation=0), "0 is no operation"),
    (creation("t", operation=ANY), "ANY"),
    (creation("t", permission_type=ANY), "ANY"),
    (creation(""), "empty resource name"),
    (creation("mine", kind=CLUSTER), "kafka-cluster"),
    (creation("t", principal="ada"), "User:name"),
]


@pytest.mark.parametrize(("row", "words"), WRONG, ids=[words for _, words in WRONG])
async def test_a_row_that_makes_no_sense_does_not_hold_up_others(guarded: Any, row: AclCreation, words: str) -> None:
    answer = await guarded.root.ask(CreateAclsRequest([creation("a"), row, creation("b")]))

    assert [found.error_code for found in answer.results] == [0, 42, 0]
    assert words in answer.results[1].error_message
    assert len(guarded.cluster.metadata.acls) == 2


async def test_deleting_tells_what_went(guarded: Any) -> None:
    await guarded.root.ask(CreateAclsRequest([creation("t"), creation("u"), creation("v")]))
    filters = [asked(name="t"), asked(name="u"), asked(name="nothing"), asked(kind=99), asked(name="t", pattern=MATCH)]

    answer = await guarded.root.ask(DeleteAclsRequest([DeleteAclsFilter(**one) for one in filters]))

    assert [(row.error_code, [acl.resource_name for acl in row.matching_acls]) for row in answer.filter_results] == [
        (0, ["t"]),
        (0, ["u"]),
        (0, []),
        (42, []),
        (0, ["t"]),
    ]
    assert await described(guarded.root) == {("v", LITERAL, READ)}


async def test_a_filter_with_an_unknown_number(guarded: Any) -> None:
    answer = await guarded.root.ask(DescribeAclsRequest(**asked(operation=77)))

    assert (answer.error_code, answer.error_message) == (42, "77 is no operation of Kafka's")


async def test_changes_hold_at_once(guarded: Any) -> None:
    request = DescribeAclsRequest(**asked())
    assert (await guarded.ada.ask(request)).error_code == 31
    await guarded.root.allow("User:ada", ResourceType.CLUSTER, "kafka-cluster", Operation.DESCRIBE)
    assert (await guarded.ada.ask(request)).error_code == 0

    await guarded.root.ask(DeleteAclsRequest([DeleteAclsFilter(**asked())]))

    assert (await guarded.ada.ask(request)).error_code == 31


async def test_acls_are_there_after_a_restart(guarded: Any) -> None:
    await guarded.root.allow(
        "User:ada", ResourceType.TOPIC, "fl", Operation.READ, pattern=PatternType.PREFIXED, permission=Permission.DENY
    )
    await guarded.cluster.close()

    again = Cluster.open(guarded.cluster.folder.path, config=guarded.cluster.config)

    assert again.authorizer is not None
    (record,) = again.metadata.acls.values()
    assert (record.resource_name, record.pattern_type, record.permission_type) == ("fl", PREFIXED, Permission.DENY)
    await again.close()


async def test_without_an_authorizer(open_cluster: Any) -> None:
    described = await open_cluster.ask(DescribeAclsRequest(**asked()))
    created = await open_cluster.ask(CreateAclsRequest([creation("t")]))
    deleted = await open_cluster.ask(DeleteAclsRequest([DeleteAclsFilter(**asked())]))

    assert described.error_code == created.results[0].error_code == deleted.filter_results[0].error_code == 54
    assert "authorizer.class.name" in described.error_message


def test_an_unknown_authorizer_is_told_at_the_start(tmp_path: Any) -> None:
    with pytest.raises(Exception, match=r"org\.example\.Mine"):
        Cluster.open(tmp_path, config=BrokerConfig(properties={"authorizer.class.name": "org.example.Mine"}))
