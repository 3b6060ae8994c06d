"""The authorizer: cases of Kafka's rules, and a naive evaluation of all ACLs as the oracle."""

from __future__ import annotations

import random
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker_embedded.errors import InvalidConfigError
from broker_embedded.handlers import LOCAL, RequestContext
from broker_embedded.security.acls import Acl, AclFilter, Operation, PatternType, Permission, ResourceType
from broker_embedded.security.authorizer import Authorizer, authorized_operations, authorizer_of
from broker_embedded.session import Session

O, T = Operation, ResourceType  # noqa: E741
LITERAL, PREFIXED = PatternType.LITERAL, PatternType.PREFIXED
ALLOW, DENY = Permission.ALLOW, Permission.DENY


def acl(
    name: str,
    operation: Operation,
    *,
    permission: Permission = ALLOW,
    principal: str = "User:ada",
    host: str = "*",
    pattern: PatternType = LITERAL,
    kind: ResourceType = T.TOPIC,
) -> Acl:
    return Acl(kind, pattern, name, principal, host, operation, permission)


def authorizer(*acls: Acl, **options: object) -> Authorizer:
    made = Authorizer(**options)  # type: ignore[arg-type]
    made.load(acls)
    return made


CASES = [
    ("no acl", [], "t", O.READ, False),
    ("the very thing", [acl("t", O.READ)], "t", O.READ, True),
    ("another operation", [acl("t", O.READ)], "t", O.WRITE, False),
    ("another topic", [acl("t", O.READ)], "tt", O.READ, False),
    ("another type", [acl("t", O.READ, kind=T.GROUP)], "t", O.READ, False),
    ("another user", [acl("t", O.READ, principal="User:charles")], "t", O.READ, False),
    ("everybody", [acl("t", O.READ, principal="User:*")], "t", O.READ, True),
    ("another kind of principal", [acl("t", O.READ, principal="Group:ada")], "t", O.READ, False),
    ("this host", [acl("t", O.READ, host="10.0.0.7")], "t", O.READ, True),
    ("another host", [acl("t", O.READ, host="10.0.0.8")], "t", O.READ, False),
    ("all operations", [acl("t", O.ALL)], "t", O.ALTER_CONFIGS, True),
    ("all topics", [acl("*", O.READ)], "t", O.READ, True),
    ("a prefix", [acl("fl", O.READ, pattern=PREFIXED)], "flights", O.READ, True),
    ("a prefix that is the name", [acl("flights", O.READ, pattern=PREFIXED)], "flights", O.READ, True),
    ("no prefix", [acl("flights-", O.READ, pattern=PREFIXED)], "flights", O.READ, False),
    ("a prefixed star is no wildcard", [acl("*", O.READ, pattern=PREFIXED)], "t", O.READ, False),
    *[
        (f"{given.name} implies Describe", [acl("t", given)], "t", O.DESCRIBE, True)
        for given in (O.READ, O.WRITE, O.DELETE, O.ALTER)
    ],
    ("Create does not imply Describe", [acl("t", O.CREATE)], "t", O.DESCRIBE, False),
    ("AlterConfigs implies DescribeConfigs", [acl("t", O.ALTER_CONFIGS)], "t", O.DESCRIBE_CONFIGS, True),
    ("DescribeConfigs does not imply Describe", [acl("t", O.DESCRIBE_CONFIGS)], "t", O.DESCRIBE, False),
    ("deny wins", [acl("t", O.READ), acl("t", O.READ, permission=DENY)], "t", O.READ, False),
    (
        "deny by prefix wins",
        [acl("t", O.READ), acl("t", O.READ, permission=DENY, pattern=PREFIXED)],
        "t",
        O.READ,
        False,
    ),
    ("deny for all wins", [acl("t", O.READ), acl("*", O.ALL, permission=DENY)], "t", O.READ, False),
    (
        "deny for everybody wins",
        [acl("t", O.READ), acl("t", O.READ, permission=DENY, principal="User:*")],
        "t",
        O.READ,
        False,
    ),
    (
        "deny of Read denies no Describe",
        [acl("t", O.DESCRIBE), acl("t", O.READ, permission=DENY)],
        "t",
        O.DESCRIBE,
        True,
    ),
    ("deny of another host", [acl("t", O.READ), acl("t", O.READ, permission=DENY, host="10.0.0.8")], "t", O.READ, True),
]


@pytest.mark.parametrize(("acls", "name", "operation", "allowed"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_rules_of_kafka(acls: list[Acl], name: str, operation: Operation, allowed: bool) -> None:
    assert authorizer(*acls).allows("User:ada", "10.0.0.7", operation, T.TOPIC, name) is allowed


def test_super_users_may_do_what_is_denied() -> None:
    made = authorizer(acl("*", O.ALL, permission=DENY, principal="User:*"), super_users=["User:root"])

    assert made.allows("User:root", "h", O.READ, T.TOPIC, "t")
    assert not made.allows("User:ada", "h", O.READ, T.TOPIC, "t")


def test_what_no_acl_is_about_may_be_open_to_all() -> None:
    made = authorizer(acl("t", O.READ, principal="User:charles"), allow_everyone_if_no_acl_found=True)

    assert made.allows("User:ada", "h", O.READ, T.TOPIC, "other")
    assert not made.allows("User:ada", "h", O.READ, T.TOPIC, "t")


def test_hosts_are_compared_as_addresses() -> None:
    made = authorizer(acl("t", O.READ, host="0:0:0:0:0:0:0:1"))

    assert made.allows("User:ada", "::1", O.READ, T.TOPIC, "t")


def test_new_acls_hold_at_once() -> None:
    made = authorizer()
    assert not made.allows("User:ada", "h", O.READ, T.TOPIC, "t")

    made.load([acl("t", O.READ)])

    assert made.allows("User:ada", "h", O.READ, T.TOPIC, "t")


# Against a naive evaluation

NAMES = ["f", "fl", "flights", "flat", "x", "*"]
PRINCIPALS, HOSTS = ["User:ada", "User:charles", "User:*"], ["10.0.0.7", "10.0.0.8", "*"]
OPERATIONS = [O.ALL, O.READ, O.WRITE, O.DESCRIBE, O.ALTER_CONFIGS, O.DESCRIBE_CONFIGS, O.CREATE]
acls = st.lists(
    st.builds(
        Acl,
        st.sampled_from([T.TOPIC, T.GROUP]),
        st.sampled_from([LITERAL, PREFIXED]),
        st.sampled_from(NAMES),
        st.sampled_from(PRINCIPALS),
        st.sampled_from(HOSTS),
        st.sampled_from(OPERATIONS),
        st.sampled_from([ALLOW, ALLOW, DENY]),
    ),
    max_size=8,
)
actions = st.tuples(
    st.sampled_from(PRINCIPALS[:2]),
    st.sampled_from(HOSTS[:2]),
    st.sampled_from(OPERATIONS[1:]),
    st.sampled_from([T.TOPIC, T.GROUP]),
    st.sampled_from(NAMES[:-1]),
)


def naively(
    rules: list[Acl], open_to_all: bool, principal: str, host: str, operation: Operation, kind: ResourceType, name: str
) -> bool:
    def is_about(rule: Acl) -> bool:
        if rule.resource_type != kind:
            return False
        if rule.pattern_type == PREFIXED:
            return name[: len(rule.name)] == rule.name
        return rule.name == name or rule.name == "*"

    def is_for(rule: Acl) -> bool:
        operations = {rule.operation}
        if rule.permission == ALLOW and rule.operation in (O.READ, O.WRITE, O.DELETE, O.ALTER):
            operations.add(O.DESCRIBE)
        if rule.permission == ALLOW and rule.operation == O.ALTER_CONFIGS:
            operations.add(O.DESCRIBE_CONFIGS)
        return (
            (rule.principal == principal or rule.principal == "User:*")
            and (rule.host == host or rule.host == "*")
            and (operation in operations or rule.operation == O.ALL)
        )

    about = [rule for rule in rules if is_about(rule)]
    if any(is_for(rule) and rule.permission == DENY for rule in about):
        return False
    if any(is_for(rule) and rule.permission == ALLOW for rule in about):
        return True
    return open_to_all and not about


@settings(max_examples=400)
@given(acls, actions, st.booleans())
def test_equals_a_naive_evaluation(
    rules: list[Acl], action: tuple[str, str, Operation, ResourceType, str], open_to_all: bool
) -> None:
    made = authorizer(*rules, allow_everyone_if_no_acl_found=open_to_all)

    assert made.allows(*action) is naively(rules, open_to_all, *action)
    assert made.allows(*action) is made.allows(*action)  # as remembered


@settings(max_examples=400)
@given(acls, actions)
def test_something_is_allowed_if_any_name_is(
    rules: list[Acl], action: tuple[str, str, Operation, ResourceType, str]
) -> None:
    """Kafka's answer is true whenever a name is allowed by an ACL for the operation itself; it may be so for more."""
    principal, host, operation, kind, _ = action
    made = authorizer(*rules)
    exact = [rule for rule in rules if rule.operation in (operation, O.ALL)]
    names = ["f", "fl", "flights", "flat", "x", "hardcode", "zzz"]

    if any(naively(exact, False, principal, host, operation, kind, name) for name in names):
        assert made.allows_some(principal, host, operation, kind)


SOME = [
    ("nothing", [], False),
    ("a topic", [acl("t", O.WRITE)], True),
    ("a prefix", [acl("t", O.WRITE, pattern=PREFIXED)], True),
    ("implied is not enough", [acl("t", O.READ)], False),
    ("all topics denied", [acl("t", O.WRITE), acl("*", O.WRITE, permission=DENY)], False),
    ("that topic denied", [acl("t", O.WRITE), acl("t", O.WRITE, permission=DENY)], False),
    ("its prefix denied", [acl("tt", O.WRITE), acl("t", O.WRITE, permission=DENY, pattern=PREFIXED)], False),
    ("a part of the prefix denied", [acl("t", O.WRITE, pattern=PREFIXED), acl("t", O.WRITE, permission=DENY)], True),
    ("all but one", [acl("*", O.WRITE), acl("hardcode", O.WRITE, permission=DENY)], True),
]


@pytest.mark.parametrize(("acls", "allowed"), [c[1:] for c in SOME], ids=[c[0] for c in SOME])
def test_whether_some_topic_may_be_written(acls: list[Acl], allowed: bool) -> None:
    assert authorizer(*acls).allows_some("User:ada", "h", O.WRITE, T.TOPIC) is allowed


# Filters

FILTERS = [
    ("everything", AclFilter(), True),
    ("the type", AclFilter(T.TOPIC), True),
    ("another type", AclFilter(T.GROUP), False),
    ("any pattern, its name", AclFilter(T.TOPIC, PatternType.ANY, "fl"), True),
    ("any pattern, a name it covers", AclFilter(T.TOPIC, PatternType.ANY, "flights"), False),
    ("match, a name it covers", AclFilter(T.TOPIC, PatternType.MATCH, "flights"), True),
    ("match, any name", AclFilter(T.TOPIC, PatternType.MATCH), True),
    ("match, another name", AclFilter(T.TOPIC, PatternType.MATCH, "f"), False),
    ("literal", AclFilter(T.TOPIC, LITERAL, "fl"), False),
    ("principal", AclFilter(principal="User:ada"), True),
    ("another principal", AclFilter(principal="User:*"), False),
    ("host", AclFilter(host="*"), True),
    ("another host", AclFilter(host="10.0.0.7"), False),
    ("operation", AclFilter(operation=O.READ), True),
    ("an operation it implies", AclFilter(operation=O.DESCRIBE), False),
    ("permission", AclFilter(permission=DENY), False),
]


@pytest.mark.parametrize(("asked", "found"), [c[1:] for c in FILTERS], ids=[c[0] for c in FILTERS])
def test_filters(asked: AclFilter, found: bool) -> None:
    assert asked.matches(acl("fl", O.READ, pattern=PREFIXED)) is found


def test_a_filter_finds_all_that_is_about_a_name() -> None:
    rules = [acl(name, O.READ, pattern=pattern) for name, pattern in product(NAMES, [LITERAL, PREFIXED])]
    random.Random(1).shuffle(rules)

    found = [rule for rule in rules if AclFilter(T.TOPIC, PatternType.MATCH, "flights").matches(rule)]

    wanted = {(LITERAL, "*"), (LITERAL, "flights"), (PREFIXED, "flights"), (PREFIXED, "fl"), (PREFIXED, "f")}
    assert {(rule.pattern_type, rule.name) for rule in found} == wanted


# What clients are told (KIP-430)


class Broker:
    authorizer: Authorizer | None = None


def bits(*operations: Operation) -> int:
    return sum(1 << operation for operation in operations)


def test_operations_that_clients_are_told() -> None:
    broker = Broker()
    ada = RequestContext(session=Session("10.0.0.7", principal="User:ada"))
    every = bits(O.READ, O.WRITE, O.CREATE, O.DELETE, O.ALTER, O.DESCRIBE, O.DESCRIBE_CONFIGS, O.ALTER_CONFIGS)
    assert authorized_operations(broker, ada, T.TOPIC, "t") == every == 3576  # type: ignore[arg-type]

    broker.authorizer = authorizer(acl("t", O.READ))

    assert authorized_operations(broker, ada, T.TOPIC, "t") == bits(O.READ, O.DESCRIBE)  # type: ignore[arg-type]
    assert authorized_operations(broker, LOCAL, T.TOPIC, "t") == every  # type: ignore[arg-type]


def test_settings() -> None:
    assert authorizer_of({"super.users": "User:root"}) is None
    name = "org.apache.kafka.metadata.authorizer.StandardAuthorizer"
    made = authorizer_of({"authorizer.class.name": name, "allow.everyone.if.no.acl.found": "true"})
    assert made is not None
    assert made.allow_everyone_if_no_acl_found
    with pytest.raises(InvalidConfigError, match=r"authorizer\.class\.name is"):
        authorizer_of({"authorizer.class.name": "org.example.Mine"})
