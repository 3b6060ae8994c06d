"""One connection: order, what closes it, back-pressure, and what is left when its client goes."""

from __future__ import annotations

import asyncio
import gc
import logging
import socket
import weakref
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from broker_embedded import handlers
from broker_embedded.faults import Fault, Faults
from broker_embedded.log.partition import PartitionLog
from broker_embedded.wire import codec
from broker_embedded.wire.messages.cluster import ApiVersionsRequest, ApiVersionsResponse
from broker_embedded.wire.messages.groups import JoinGroupRequest, JoinGroupRequestProtocol
from broker_embedded.wire.messages.topics import MetadataRequest

UNSUPPORTED_VERSION, INVALID_REQUEST, UNKNOWN_SERVER_ERROR = 35, 42, -1
FETCH_BYTES = 1 << 20


def versions() -> ApiVersionsRequest:
    return ApiVersionsRequest("tests", "1")


# Order


async def test_answers_are_in_the_order_of_the_requests_behind_a_parked_fetch(served: Any, wire: Any) -> None:
    one, other = await served.connect(), await served.connect()
    one.send(wire.fetch(), wire.produce("behind"), versions())
    await wire.until(lambda: served.cluster.progress)
    await other.ask(wire.produce("early"))
    answers = [await one.receive() for _ in range(3)]
    assert [number for number, _ in answers] == [1, 2, 3]
    assert wire.values(answers[0][1]) == ["early"]
    assert served.client.read("flights") == ["early", "behind"]


async def test_requests_that_come_together_are_answered_together(served: Any, wire: Any) -> None:
    client = served.in_memory()
    client.feed(b"".join(wire.frame(versions(), number) for number in range(10)))
    await client.settle()
    assert client.numbers() == list(range(10))
    assert client.transport.writes == 1
    await client.hang_up()


async def test_an_answer_does_not_wait_for_one_that_is_parked_behind_it(served: Any, wire: Any) -> None:
    client = served.in_memory()
    client.feed(wire.frame(versions(), 1) + wire.frame(wire.fetch(), 2))
    await client.settle()
    assert client.numbers() == [1]
    await client.hang_up()


@given(cuts=st.lists(st.integers(1, 400), max_size=8))
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_however_the_bytes_are_cut_the_answers_are_the_same(cuts: list[int], make_folder: Any, wire: Any) -> None:
    async def main() -> list[int]:
        from broker_embedded.security.listeners import Listener
        from broker_embedded.serving.server import Server

        cluster = make_folder().open().cluster
        server = await Server.listen(cluster, Listener())
        requests = [versions(), MetadataRequest(), wire.produce("a", topic="none"), versions()]
        data = b"".join(wire.frame(request, number) for number, request in enumerate(requests))
        data += (1 << 30).to_bytes(4) + wire.frame(versions(), 99)
        client = wire.memory(server)
        for start, end in zip([0, *sorted(cuts)], [*sorted(cuts), len(data)], strict=True):
            client.feed(data[start:end])
            await client.settle()
        assert client.transport.closed
        await client.hang_up()
        await server.close()
        await cluster.close()
        found: list[int] = client.numbers()
        return found

    assert asyncio.run(main()) == [0, 1, 2, 3]


# Requests without an answer, and what ends a connection


async def test_acks_0_has_no_answer(served: Any, wire: Any) -> None:
    client = await served.connect()
    client.send(wire.produce("a", acks=0), wire.produce("b", acks=0), versions())
    assert (await client.receive())[0] == 3
    assert served.client.read("flights") == ["a", "b"]


async def test_an_error_with_acks_0_closes(served: Any, wire: Any, caplog: Any) -> None:
    client = await served.connect()
    client.send(wire.produce("a", acks=0, topic="nowhere"), wire.produce("b", acks=0))
    assert await client.is_closed()
    assert "errors [3] in a Produce with acks=0" in caplog.text
    assert served.client.read("flights") == []


async def test_a_version_that_is_not_served_closes(served: Any, wire: Any, caplog: Any) -> None:
    client = await served.connect()
    client.writer.write(wire.frame(MetadataRequest(), 1)[:6] + b"\0\x63" + wire.frame(MetadataRequest(), 1)[8:])
    assert await client.is_closed()
    assert "Metadata in version 99 is not served ((0, 13))" in caplog.text


async def test_an_unknown_version_of_api_versions_is_answered_in_version_0(served: Any, wire: Any) -> None:
    client = await served.connect()
    known = wire.frame(versions(), 7)
    client.writer.write(known[:6] + b"\0\x63" + known[8:])
    client.asked[7] = 18, 0
    number, answer = await client.receive()
    assert (number, answer.error_code) == (7, UNSUPPORTED_VERSION)
    assert [(row.min_version, row.max_version) for row in answer.api_keys if row.api_key == 18] == [(0, 4)]
    assert (await client.ask(versions())).error_code == 0


@pytest.mark.parametrize(("name", "version"), [("", "1"), ("a", ""), ("a b", "1"), ("-a", "1"), ("a", "1.")])
async def test_software_with_a_name_that_may_not_be(name: str, version: str, served: Any) -> None:
    client = await served.connect()
    assert (await client.ask(ApiVersionsRequest(name, version))).error_code == INVALID_REQUEST
    assert (await client.ask(ApiVersionsRequest("apache-kafka.java", "4.3.1"))).error_code == 0


async def test_a_frame_above_the_limit_closes_behind_what_came_before(serve: Any, wire: Any, caplog: Any) -> None:
    served = await serve(socket_request_max_bytes=200)
    client = await served.connect()
    client.send(versions(), wire.produce("x" * 200))
    assert (await client.receive())[0] == 1
    assert await client.is_closed()
    assert "0 to 200 (socket.request.max.bytes)" in caplog.text


# Faults of ours


async def test_a_handler_that_fails_is_a_server_error(
    served: Any, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    async def broken(*_: Any) -> Any:
        raise ZeroDivisionError("of ours")

    monkeypatch.setitem(handlers._handlers, 18, broken)
    client = await served.connect()
    assert (await client.ask(versions())).error_code == UNKNOWN_SERVER_ERROR
    assert "ApiVersions in version 3 of client 'raw' has failed" in caplog.text and caplog.records[-1].exc_info
    monkeypatch.undo()
    assert (await client.ask(versions())).error_code == 0


async def test_an_answer_that_can_not_be_written_is_a_server_error(
    served: Any, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    async def unspeakable(*_: Any) -> Any:
        return ApiVersionsResponse(error_code=1 << 20)

    monkeypatch.setitem(handlers._handlers, 18, unspeakable)
    client = await served.connect()
    assert (await client.ask(versions())).error_code == UNKNOWN_SERVER_ERROR
    assert caplog.records[-1].levelno == logging.ERROR and caplog.records[-1].exc_info


# Back-pressure


async def test_a_client_that_does_not_read_is_not_answered_on_and_on(served: Any, wire: Any) -> None:
    await served.client.produce("flights", *["x" * 10_000] * 100)
    client = await served.connect()
    client.send(*[wire.fetch()] * 40)
    await wire.until(lambda: served.connections() and served.connections()[0]._writable is not None)
    (connection,) = served.connections()
    held = connection._transport.get_write_buffer_size() + connection._out_bytes
    assert held < 2 * FETCH_BYTES
    assert connection._requests
    answers = [await client.receive() for _ in range(40)]
    assert [number for number, _ in answers] == list(range(1, 41))
    assert {len(wire.values(answer)) for _, answer in answers} == {100}


async def test_a_client_that_sends_faster_than_it_is_answered_is_not_read_from(served: Any, wire: Any) -> None:
    client = served.in_memory()
    client.feed(wire.frame(wire.fetch(), 0) + b"".join(wire.frame(versions(), number) for number in range(1, 18)))
    assert client.transport.reading_paused
    await client.settle()
    assert client.numbers() == []
    await served.client.produce("flights", "a")
    await client.settle()
    assert client.numbers() == list(range(18))
    assert not client.transport.reading_paused
    await client.hang_up()


async def test_large_requests_are_not_piled_up(served: Any, wire: Any) -> None:
    client = served.in_memory()
    client.feed(wire.frame(wire.fetch(), 0))
    client.feed(wire.frame(wire.produce("x" * 900_000), 1))
    assert not client.transport.reading_paused
    client.feed(wire.frame(wire.produce("x" * 900_000), 2))
    assert client.transport.reading_paused
    await client.hang_up()


async def test_others_have_their_turn(served: Any, wire: Any) -> None:
    hog, other = served.in_memory(), served.in_memory()
    hog.feed(b"".join(wire.frame(versions(), number) for number in range(200)))
    other.feed(wire.frame(versions(), 0))
    await wire.until(lambda: other.numbers())
    assert len(hog.numbers()) < 200
    await hog.settle()
    assert hog.numbers() == list(range(200))
    await hog.hang_up()
    await other.hang_up()


# Its end


async def test_a_fetch_whose_client_hangs_up_leaves_nothing(served: Any, wire: Any) -> None:
    client = await served.connect()
    client.send(wire.fetch())
    await wire.until(lambda: served.cluster.progress)
    gone = weakref.ref(served.connections()[0])
    await client.hang_up()
    await wire.until(lambda: not served.connections())
    assert not served.cluster.progress
    gc.collect()
    assert gone() is None


async def test_a_member_that_waits_for_others_and_hangs_up_leaves_no_connection(serve: Any, wire: Any) -> None:
    served = await serve(group_initial_rebalance_delay_ms=60_000)
    client = await served.connect()
    join = JoinGroupRequest("g", 10_000, "", "consumer", [JoinGroupRequestProtocol("range", b"")], 60_000)
    join.member_id = (await client.ask(join)).member_id
    client.send(join)
    await wire.until(lambda: served.connections()[0]._answerer.is_waiting)
    gone = weakref.ref(served.connections()[0])
    await client.hang_up()
    await wire.until(lambda: not served.connections())
    gc.collect()
    assert gone() is None
    other = await served.connect()
    assert (await other.ask(versions())).error_code == 0


async def test_what_was_sent_before_hanging_up_is_still_appended(served: Any, wire: Any) -> None:
    client = await served.connect()
    client.send(wire.fetch(), *[wire.produce(str(number), acks=0) for number in range(5)], versions())
    await wire.until(lambda: served.cluster.progress and len(served.connections()[0]._requests) == 6)
    await client.hang_up()
    await wire.until(lambda: not served.connections())
    assert served.client.read("flights") == [str(number) for number in range(5)]


async def test_who_resets_the_connection_is_not_read_for(
    served: Any, wire: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    await served.client.produce("flights", "x" * 100_000)
    client = served.in_memory()

    def fail(data: Any) -> None:  # as asyncio does when a write fails
        client.transport.writes += 1
        client.transport.closed = True
        asyncio.get_running_loop().call_soon(client.connection.connection_lost, ConnectionResetError())

    monkeypatch.setattr(client.transport, "write", fail)
    reads, read = [], PartitionLog.read
    monkeypatch.setattr(PartitionLog, "read", lambda *args, **named: reads.append(1) or read(*args, **named))
    client.feed(b"".join(wire.frame(wire.fetch(), number) for number in range(10)))
    await wire.until(lambda: not served.connections())
    assert (len(reads), client.transport.writes) == (1, 1)


async def test_what_does_not_wait_for_others_is_handled_to_its_end(
    served: Any, wire: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go_on, ended = asyncio.Event(), asyncio.Event(), []

    async def slow(*_: Any) -> Any:
        begun.set()
        await go_on.wait()
        ended.append(True)
        return ApiVersionsResponse()

    monkeypatch.setitem(handlers._handlers, 18, slow)
    client = await served.connect()
    client.send(versions())
    await begun.wait()
    await client.hang_up()
    await wire.until(lambda: served.connections()[0]._is_lost)
    closing = asyncio.create_task(served.server.close())
    await asyncio.sleep(0)
    assert not closing.done()
    go_on.set()
    await closing
    assert ended == [True]


async def test_small_answers_go_out_at_once(served: Any, wire: Any) -> None:
    client = await served.connect()
    await client.ask(versions())
    accepted = served.connections()[0]._transport.get_extra_info("socket")
    assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    assert accepted.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)


# Faults


async def test_a_dropped_answer_leaves_the_connection(served: Any, wire: Any) -> None:
    served.cluster.faults = Faults().add(Fault(api_key=0, drop=True, after=True))
    client = await served.connect()
    client.send(wire.produce("a"), versions())
    assert (await client.receive())[0] == 2
    assert served.client.read("flights") == ["a"]


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("kind", ["close", "crash"])
async def test_the_connection_ends(kind: str, after: bool, served: Any, wire: Any) -> None:
    served.cluster.faults = Faults().add(Fault(api_key=0, after=after, **{kind: True}))
    client = await served.connect()
    client.send(wire.produce("a"), wire.produce("b"))
    assert await client.is_closed()
    assert served.client.read("flights") == (["a"] if after else [])


async def test_an_error_is_where_the_answer_has_a_place_for_it(served: Any, wire: Any) -> None:
    served.cluster.faults = Faults().add(Fault(api_key=0, error=6))
    client = await served.connect()
    answer = await client.ask(wire.produce("a"))
    assert [row.error_code for row in answer.responses[0].partition_responses] == [6]
    assert codec.encode_response(0, 9, answer)


async def test_faults_for_a_client_and_a_topic(serve: Any, wire: Any) -> None:
    served = await serve()
    await served.client.create("other")
    served.cluster.faults = Faults().add(Fault(topic="other", error=6)).add(Fault(client_id="bad", error=7))
    client = await served.connect()

    def code(answer: Any) -> int:
        found: int = answer.responses[0].partition_responses[0].error_code
        return found

    assert code(await client.ask(wire.produce("a"))) == 0
    assert code(await client.ask(wire.produce("a", topic="other"))) == 6
    client.send(wire.produce("a"), client_id="bad")
    assert code((await client.receive())[1]) == 7
    assert served.cluster.faults.waiting == []
