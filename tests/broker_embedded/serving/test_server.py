"""A listener and its connections: how many there may be, how long they may be silent, and that nothing is left."""

from __future__ import annotations

import asyncio
import socket
import ssl
from contextlib import suppress
from typing import Any

import pytest
import trustme

from broker_embedded.security.listeners import Listener, SecurityProtocol
from broker_embedded.security.tls import Tls
from broker_embedded.serving.server import Server
from broker_embedded.wire.messages.cluster import ApiVersionsRequest

VERSIONS = ApiVersionsRequest("tests", "1")


async def test_silent_connections_are_closed(serve: Any, wire: Any, caplog: Any) -> None:
    caplog.set_level("INFO", "broker_embedded")
    served = await serve(connections_max_idle_ms=60_000)
    silent, busy, parked = await served.connect(), await served.connect(), await served.connect()
    await silent.ask(VERSIONS)
    parked.send(wire.fetch())
    await wire.until(lambda: served.cluster.progress)
    served.clock.now += 59_000
    await busy.ask(VERSIONS)
    served.clock.now += 1_001
    served.server.close_idle()
    assert await silent.is_closed()
    assert "silent for more than 60000 ms (connections.max.idle.ms)" in caplog.text
    assert (await busy.ask(VERSIONS)).error_code == 0
    await busy.ask(wire.produce("a"))
    assert wire.values((await parked.receive())[1]) == ["a"]


async def test_whoever_never_says_a_word_is_closed_too(serve: Any) -> None:
    served = await serve(connections_max_idle_ms=60_000)
    client = await served.connect()
    while not served.connections():
        await asyncio.sleep(0)
    served.clock.now += 60_001
    served.server.close_idle()
    assert await client.is_closed()


async def test_a_client_that_does_not_take_its_answer_is_closed(serve: Any, wire: Any) -> None:
    served = await serve(connections_max_idle_ms=60_000)
    await served.client.produce("flights", *["x" * 10_000] * 100)
    client = await served.connect()
    client.send(*[wire.fetch()] * 40)
    await wire.until(lambda: served.connections() and served.connections()[0]._writable is not None)
    served.clock.now += 60_001
    served.server.close_idle()
    assert served.connections()[0].is_closing, "what is left to send may still go out"
    served.server.close_idle()
    await wire.until(lambda: not served.connections())


@pytest.mark.parametrize("limit", [0, -1])
async def test_no_limit(limit: int, serve: Any) -> None:
    served = await serve(connections_max_idle_ms=limit)
    client = await served.connect()
    served.clock.now += 1 << 40
    served.server.close_idle()
    assert (await client.ask(VERSIONS)).error_code == 0


@pytest.mark.parametrize(
    ("setting", "name"), [("max_connections", "max.connections"), ("max_connections_per_ip", "ip")]
)
async def test_one_connection_too_many_is_closed(setting: str, name: str, serve: Any, caplog: Any) -> None:
    served = await serve(**{setting: 2})
    first, second = await served.connect(), await served.connect()
    await first.ask(VERSIONS), await second.ask(VERSIONS)
    assert await (await served.connect()).is_closed()
    assert f"{name})" in caplog.text and "2 connections" in caplog.text
    await first.hang_up()
    while len(served.connections()) > 1:
        await asyncio.sleep(0)
    assert (await (await served.connect()).ask(VERSIONS)).error_code == 0


async def test_many_connections(served: Any) -> None:
    clients = [await served.connect() for _ in range(300)]
    for client in clients:
        client.send(VERSIONS)
    assert {(await client.receive())[1].error_code for client in clients} == {0}
    await served.server.close()
    assert all([await client.is_closed() for client in clients])
    assert not served.connections()


async def test_stop_ends_what_waits_and_every_task(served: Any, wire: Any) -> None:
    before = asyncio.all_tasks()
    clients = [await served.connect() for _ in range(5)]
    for client in clients[:3]:
        client.send(wire.fetch(), VERSIONS)
    await wire.until(lambda: len(served.connections()) == 5 and len(served.cluster.progress) == 1)
    await served.server.close()
    await served.server.close()
    assert not served.connections() and not served.cluster.progress
    assert asyncio.all_tasks() == before
    assert all([await client.is_closed() for client in clients])


async def test_stop_with_tls(served: Any) -> None:
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1")
    chain = b"".join(blob.bytes() for blob in issued.cert_chain_pems).decode()
    tls = Tls(keystore_certificate_chain=chain, keystore_key=issued.private_key_pem.bytes().decode())
    server = await Server.listen(served.cluster, Listener(protocol=SecurityProtocol.SSL, tls=tls))
    context = ssl.create_default_context()
    authority.configure_trust(context)
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port, ssl=context)
    while not server._connections:
        await asyncio.sleep(0)
    await server.close()
    with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
        await reader.readexactly(1)
    writer.close()


async def test_a_port_that_is_taken(served: Any) -> None:
    with pytest.raises(OSError, match="address already in use"):
        await Server.listen(served.cluster, Listener(port=served.server.port))


async def test_connections_in_the_queue_of_a_server_that_stops_do_not_stay(served: Any) -> None:
    reached = [socket.create_connection((served.server.listener.host, served.server.port)) for _ in range(20)]
    await asyncio.sleep(0)
    await served.server.close()
    for one in reached:
        reader, writer = await asyncio.open_connection(sock=one)
        with suppress(ConnectionError):  # that is an end, too
            assert await reader.read(1) == b""
        writer.close()
    assert not served.connections()
