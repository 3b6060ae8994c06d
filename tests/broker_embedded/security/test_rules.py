"""What a client has to be allowed for each request: a whole request, or row by row."""

from __future__ import annotations

from typing import Any, get_args, get_type_hints
from uuid import UUID

import pytest

from broker_embedded import handlers
from broker_embedded.handlers import LOCAL
from broker_embedded.security.acls import Operation, ResourceType
from broker_embedded.security.rules import RULES
from broker_embedded.wire.messages import APIS, request_type

OPEN_ID, SECRET_ID = UUID(int=1), UUID(int=2)  # of the topics that the stand has
Right = tuple[ResourceType, str, Operation]


def test_every_request_that_is_served_has_a_rule() -> None:
    assert handlers.served().keys() <= RULES.keys()


async def test_a_request_without_a_rule_is_refused(stand: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(RULES, 26)

    answer = await stand.ask(stand.request(26, transactional_id="t"), [(TXN, "t", O.ALL)])

    assert answer.error_code == 31


O, T = Operation, ResourceType  # noqa: E741
TOPIC, GROUP, TXN, CLUSTER = T.TOPIC, T.GROUP, T.TRANSACTIONAL_ID, T.CLUSTER
ON_CLUSTER = "kafka-cluster"


def on_cluster(operation: Operation) -> list[Right]:
    return [(CLUSTER, ON_CLUSTER, operation)]


PARTITION = {"partition_index": 0}
WHOLE: list[tuple[int, dict[str, Any], list[Right], int]] = [
    (11, {"group_id": "g"}, [(GROUP, "g", O.READ)], 30),
    (12, {"group_id": "g"}, [(GROUP, "g", O.READ)], 30),
    (13, {"group_id": "g"}, [(GROUP, "g", O.READ)], 30),
    (14, {"group_id": "g"}, [(GROUP, "g", O.READ)], 30),
    (25, {"transactional_id": "t", "group_id": "g"}, [(TXN, "t", O.WRITE), (GROUP, "g", O.READ)], 53),
    (26, {"transactional_id": "t"}, [(TXN, "t", O.WRITE)], 53),
    (29, {}, on_cluster(O.DESCRIBE), 31),
    (30, {"creations": [None]}, on_cluster(O.ALTER), 31),
    (31, {"filters": [None]}, on_cluster(O.ALTER), 31),
    (35, {}, on_cluster(O.DESCRIBE), 31),
    (43, {}, on_cluster(O.ALTER), 31),
    (45, {}, on_cluster(O.ALTER), 31),
    (46, {}, on_cluster(O.DESCRIBE), 31),
    (48, {}, on_cluster(O.DESCRIBE_CONFIGS), 31),
    (50, {}, on_cluster(O.DESCRIBE), 31),
    (55, {}, on_cluster(O.DESCRIBE), 31),
    (57, {}, on_cluster(O.ALTER), 31),
    (68, {"group_id": "g"}, [(GROUP, "g", O.READ)], 30),
    (74, {}, on_cluster(O.DESCRIBE_CONFIGS), 31),
]
ROW_OF = {30: "AclCreation", 31: "DeleteAclsFilter"}


@pytest.mark.parametrize(("api_key", "fields", "rights", "code"), WHOLE, ids=[APIS[case[0]].name for case in WHOLE])
async def test_all_or_nothing(stand: Any, api_key: int, fields: dict[str, Any], rights: list[Right], code: int) -> None:
    rows = {name: [stand.message(api_key, ROW_OF[api_key])] for name, value in fields.items() if value == [None]}
    asked = stand.request(api_key, **{**fields, **rows})
    refused, allowed = stand.Handler(), stand.Handler()

    answer = await stand.ask(asked, [], refused)
    await stand.ask(asked, rights, allowed)

    assert refused.seen is None
    assert code in set(stand.codes(answer))
    assert allowed.seen is asked


EACH: list[tuple[int, str, str, list[dict[str, Any]], list[Right], int]] = [
    (2, "topics", "topics", [{"name": "open"}, {"name": "secret"}], [(TOPIC, "open", O.DESCRIBE)], 29),
    (
        8,
        "topics",
        "topics",
        [{"name": "open"}, {"name": "secret"}],
        [(GROUP, "g", O.READ), (TOPIC, "open", O.READ)],
        29,
    ),
    (
        8,
        "topics",
        "topics",
        [{"topic_id": OPEN_ID}, {"topic_id": SECRET_ID}],
        [(GROUP, "g", O.READ), (TOPIC, "open", O.READ)],
        29,
    ),
    (0, "topic_data", "responses", [{"name": "open"}, {"name": "secret"}], [(TOPIC, "open", O.WRITE)], 29),
    (0, "topic_data", "responses", [{"topic_id": OPEN_ID}, {"topic_id": SECRET_ID}], [(TOPIC, "open", O.WRITE)], 29),
    (1, "topics", "responses", [{"topic": "open"}, {"topic": "secret"}], [(TOPIC, "open", O.READ)], 29),
    (15, "groups", "groups", ["open", "secret"], [(GROUP, "open", O.DESCRIBE)], 30),  # type: ignore[list-item]
    (20, "topics", "responses", [{"name": "open"}, {"name": "secret"}], [(TOPIC, "open", O.DELETE)], 29),
    (21, "topics", "topics", [{"name": "open"}, {"name": "secret"}], [(TOPIC, "open", O.DELETE)], 29),
    (37, "topics", "results", [{"name": "open"}, {"name": "secret"}], [(TOPIC, "open", O.ALTER)], 29),
    (42, "groups_names", "results", ["open", "secret"], [(GROUP, "open", O.DELETE)], 30),  # type: ignore[list-item]
    (
        47,
        "topics",
        "topics",
        [{"name": "open"}, {"name": "secret"}],
        [(GROUP, "g", O.DELETE), (TOPIC, "open", O.READ)],
        29,
    ),
    (
        28,
        "topics",
        "topics",
        [{"name": "open"}, {"name": "secret"}],
        [(TXN, "t", O.WRITE), (GROUP, "g", O.READ), (TOPIC, "open", O.READ)],
        29,
    ),
    (61, "topics", "topics", [{"name": "open"}, {"name": "secret"}], [(TOPIC, "open", O.READ)], 29),
    (69, "group_ids", "groups", ["open", "secret"], [(GROUP, "open", O.DESCRIBE)], 30),  # type: ignore[list-item]
    (10, "coordinator_keys", "coordinators", ["open", "secret"], [(GROUP, "open", O.DESCRIBE)], 30),  # type: ignore[list-item]
    (75, "topics", "topics", [{"name": "open"}, {"name": "secret"}], [(TOPIC, "open", O.DESCRIBE)], 29),
    *[
        (
            key,
            "resources",
            answers,
            [{"resource_type": kind, "resource_name": "open"}, {"resource_type": kind, "resource_name": "secret"}],
            [(resource, "open", operation)],
            code,
        )
        for key, answers, operation in (
            (32, "results", O.DESCRIBE_CONFIGS),
            (33, "responses", O.ALTER_CONFIGS),
            (44, "responses", O.ALTER_CONFIGS),
        )
        for kind, resource, code in ((2, TOPIC, 29), (32, GROUP, 30))
    ],
]
EXTRA = {8: {"group_id": "g"}, 47: {"group_id": "g"}, 28: {"group_id": "g", "transactional_id": "t"}}


def row_type(kind: type[Any], rows: str) -> type[Any]:
    hint = get_type_hints(kind)[rows]
    found: type[Any] = next(
        inner for part in (hint, *get_args(hint)) for inner in get_args(part) if inner is not type(None)
    )
    return found


def with_rows(stand: Any, api_key: int, rows: str, values: list[Any], **fields: Any) -> Any:
    """A request with these rows; each has a partition where rows have partitions."""
    found = []
    for value in values:
        row = value
        if isinstance(value, dict):
            kind = row_type(request_type(api_key), rows)
            row = stand.filled(kind, **value)
            for name in ("partitions", "partition_data"):
                if name in kind.__struct_fields__:
                    setattr(row, name, [stand.filled(row_type(kind, name))])
            if "partition_indexes" in kind.__struct_fields__:
                row.partition_indexes = [0]
        found.append(row)
    return stand.request(api_key, **{rows: found}, **EXTRA.get(api_key, {}), **fields)


def by_name(stand: Any, rows: list[Any]) -> dict[Any, set[int]]:
    def name(row: Any) -> Any:
        for field in ("name", "topic", "group_id", "key", "resource_name"):
            if getattr(row, field, None):
                return getattr(row, field)
        return {OPEN_ID: "open", SECRET_ID: "secret"}[row.topic_id]

    return {name(row): set(stand.codes(row)) for row in rows}


@pytest.mark.parametrize(
    ("api_key", "rows", "answers", "values", "rights", "code"), EACH, ids=[APIS[case[0]].name for case in EACH]
)
async def test_row_by_row(
    stand: Any, api_key: int, rows: str, answers: str, values: list[Any], rights: list[Right], code: int
) -> None:
    handler = stand.Handler()
    asked = with_rows(stand, api_key, rows, values)

    answer = await stand.ask(asked, rights, handler)
    assert by_name(stand, getattr(answer, answers)) == {"open": {0}, "secret": {code}}
    assert getattr(handler.seen, rows) == getattr(asked, rows)[:1]
    assert getattr(answer, "error_code", 0) == 0

    only_secret = with_rows(stand, api_key, rows, values[1:])
    answer = await stand.ask(only_secret, rights, stand.Handler())
    assert by_name(stand, getattr(answer, answers)) == {"secret": {code}}
    assert getattr(answer, "error_code", 0) == 0

    all_open = with_rows(stand, api_key, rows, values[:1])
    handler = stand.Handler()
    await stand.ask(all_open, rights, handler)
    assert handler.seen == all_open


async def test_the_process_itself_is_not_asked(guarded: Any) -> None:
    """Through the cluster: what comes over a connection is guarded, what the process asks for is not."""
    from broker_embedded.wire.messages.topics import CreatableTopic, CreateTopicsRequest

    asked = CreateTopicsRequest([CreatableTopic("t", 1)])

    assert (await guarded.ada.ask(asked)).topics[0].error_code == 29
    assert (await guarded.cluster.handle(asked, LOCAL)).topics[0].error_code == 0


async def test_the_log_says_what_was_denied(stand: Any, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO"):
        await stand.ask(stand.request(12, group_id="readers"), [])
        await stand.ask(stand.request(16), [])  # a list asks for nothing by name

    assert caplog.messages == ["User:ada from 10.0.0.7 is denied READ of GROUP readers"]
