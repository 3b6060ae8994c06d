"""The proxies that chaos cuts connections with."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest

from tests.cluster.proxy import Proxy, running_loop


@pytest.fixture
def echo() -> Iterator[int]:
    """The port of a server that gives back what it gets."""
    server = socket.create_server(("127.0.0.1", 0))

    def serve(connection: socket.socket) -> None:
        with connection:
            while data := connection.recv(100):
                connection.sendall(data)

    def accept() -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            threading.Thread(target=serve, args=(connection,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    yield server.getsockname()[1]
    server.shutdown(socket.SHUT_RDWR)
    server.close()


@pytest.fixture
def proxy(echo: int) -> Iterator[Proxy]:
    with running_loop() as loop:
        proxy = Proxy(loop, echo)
        yield proxy
        proxy.close()


def connect(proxy: Proxy) -> socket.socket:
    return socket.create_connection(("127.0.0.1", proxy.port), timeout=5)


def ask(connection: socket.socket) -> bytes:
    connection.sendall(b"hello")
    return connection.recv(100)


def test_it_passes_on(proxy: Proxy) -> None:
    with connect(proxy) as connection:
        assert ask(connection) == b"hello"
        assert proxy.connections == 1


def test_cut_connections_are_reset_and_new_ones_work(proxy: Proxy) -> None:
    with connect(proxy) as connection:
        ask(connection)
        proxy.cut()
        with pytest.raises(ConnectionError):
            ask(connection)
            ask(connection)
    with connect(proxy) as connection:
        assert ask(connection) == b"hello"


def test_refused_until_allowed(proxy: Proxy) -> None:
    proxy.refuse()
    with connect(proxy) as connection, pytest.raises(ConnectionError):
        ask(connection)
        ask(connection)
    proxy.allow()
    with connect(proxy) as connection:
        assert ask(connection) == b"hello"


def test_what_is_held_comes_later(proxy: Proxy) -> None:
    with connect(proxy) as connection:
        ask(connection)
        proxy.hold()
        connection.sendall(b"later")
        connection.settimeout(0.2)
        with pytest.raises(TimeoutError):
            connection.recv(100)
        connection.settimeout(5)
        proxy.allow()
        assert connection.recv(100) == b"later"
