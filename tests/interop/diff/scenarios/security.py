"""SASL, ACLs, users, delegation tokens."""

from __future__ import annotations

from tests.interop.diff.broker import Asked
from tests.interop.diff.steps import ANY, CLUSTER_ACL, DENY, LITERAL, PREFIXED, READ, TOPIC_ACL, scenario


@scenario("SaslHandshake")
def sasl_handshake(ask: Asked) -> None:
    ask("SaslHandshake", mechanism="PLAIN")


@scenario("CreateAcls")
def acls(ask: Asked) -> None:
    one = {
        "resourceType": TOPIC_ACL,
        "resourceName": ask.name,
        "resourcePatternType": LITERAL,
        "principal": "User:nobody",
        "host": "*",
        "operation": READ,
        "permissionType": DENY,
    }
    for wrong in [
        {},
        {},
        {"resourcePatternType": PREFIXED} if ask.version else {},
        {"resourcePatternType": ANY} if ask.version else {},
        {"principal": "nobody"},
        {"principal": ""},
        {"host": "not a host"},
        {"operation": 99},
        {"operation": 1},
        {"permissionType": 1},
        {"resourceName": ""},
        {"resourceType": CLUSTER_ACL, "resourceName": "x"},
    ]:
        ask("CreateAcls", creations=[one | wrong])
    wanted = {"resourceTypeFilter": TOPIC_ACL, "resourceNameFilter": ask.name, "patternTypeFilter": ANY}
    whose = {"principalFilter": None, "hostFilter": None, "operation": 1, "permissionType": 1}
    ask("DescribeAcls", **wanted, **whose)
    ask("DescribeAcls", **wanted | {"patternTypeFilter": 2}, **whose)
    ask("DescribeAcls", **wanted, **whose | {"principalFilter": "User:other"})
    ask("DeleteAcls", filters=[wanted | whose, wanted | whose | {"principalFilter": "User:other"}])
    ask.until(lambda answer: not answer["resources"], "DescribeAcls", **wanted, **whose)


@scenario("AlterUserScramCredentials")
def scram(ask: Asked) -> None:
    salted = {"name": ask.name, "mechanism": 1, "iterations": 4096, "salt": b"salt", "saltedPassword": b"p" * 32}
    for wrong in [{}, {"iterations": 10}, {"iterations": 10**6}, {"mechanism": 9}, {"name": ""}]:
        ask("AlterUserScramCredentials", upsertions=[salted | wrong])
    ask("AlterUserScramCredentials", upsertions=[salted, salted])
    users = [{"name": ask.name}, {"name": f"{ask.name}-none"}]
    ask.until(lambda answer: not answer["results"][0]["errorCode"], "DescribeUserScramCredentials", users=users)
    ask("DescribeUserScramCredentials", users=[users[0], users[0]])
    for mechanism in (1, 2, 1):
        ask("AlterUserScramCredentials", deletions=[{"name": ask.name, "mechanism": mechanism}])


@scenario("CreateDelegationToken")
def create_delegation_token(ask: Asked) -> None:
    ask("CreateDelegationToken", renewers=[], maxLifetimeMs=1000)


@scenario("RenewDelegationToken")
def renew_delegation_token(ask: Asked) -> None:
    ask("RenewDelegationToken", hmac=b"none", renewPeriodMs=1000)


@scenario("ExpireDelegationToken")
def expire_delegation_token(ask: Asked) -> None:
    ask("ExpireDelegationToken", hmac=b"none", expiryTimePeriodMs=1000)


@scenario("DescribeDelegationToken")
def describe_delegation_token(ask: Asked) -> None:
    ask("DescribeDelegationToken", owners=None)
