"""Agents as services: who asks, who answers, and what becomes of requests that have no answer."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

import streams
from streams.client import Client
from streams.errors import AgentFailedError, AskTimeoutError, DecodeError, NoReplyError, StreamsError, TopologyError
from streams.policies import dead_letter, retry, skip
from streams.runtime.observer import Silent
from streams.runtime.worker import Worker

Stream = streams.Stream[Any]


class Price(streams.Record):
    item: str
    amount: float


@contextlib.asynccontextmanager
async def at_work(app: streams.App) -> AsyncIterator[Client]:
    """A worker of the app, and a client."""
    worker = Worker(app, Silent())
    running = asyncio.ensure_future(worker.run())
    try:
        async with asyncio.timeout(30), app.client() as client:
            while app.worker is None and not running.done():
                await asyncio.sleep(0.001)
            yield client
    finally:
        worker.stop()
        with contextlib.suppress(asyncio.CancelledError):
            await running


@pytest.fixture
def app(folder: str) -> streams.App:
    return streams.App("shop", data_dir=folder)


async def test_a_client_asks_and_gets_what_the_agent_yields(app: streams.App) -> None:
    @app.agent(app.topic("orders", key_type=str, value_type=str))
    async def price(stream: streams.Stream[str]) -> AsyncIterator[Price]:
        async for item in stream:
            yield Price(item, 2.5 * len(item))

    async with at_work(app) as client:
        answer = await client.agent("price").ask("tea", key="ann")
        assert answer == Price("tea", 7.5)
        assert await client.agent(price).ask("milk") == Price("milk", 10.0)
        async for record in client.read("orders"):
            assert record.headers[0][1].startswith(b"shop-")  # type: ignore[union-attr]


async def test_agents_timers_and_tasks_ask(app: streams.App) -> None:
    numbers = app.topic("numbers", key_type=str, value_type=int, partitions=2)
    out = app.topic("out", key_type=str, value_type=int, partitions=1)
    seen: list[tuple[str, int]] = []

    @app.agent()
    async def double(stream: streams.Stream[int]) -> AsyncIterator[int]:
        async for number in stream:
            yield 2 * number

    @app.agent(numbers, sink=[out])
    async def ask_twice(stream: streams.Stream[int]) -> AsyncIterator[int]:
        async for number in stream:
            yield await double.ask(await double.ask(number))

    @app.timer(0.005)
    async def tick() -> None:
        if not any(name == "timer" for name, _ in seen):
            seen.append(("timer", await double.ask(10)))

    @app.task
    async def once() -> None:
        seen.append(("task", await double.ask(20)))

    async with at_work(app) as client:
        await client.send_many(numbers, [(str(n), n) for n in range(50)])
        while len(found := [record.value async for record in client.read(out)]) < 50 or len(seen) < 2:
            await asyncio.sleep(0.005)
        assert sorted(found) == [4 * n for n in range(50)]
        assert dict(seen) == {"timer": 20, "task": 40}


async def test_many_in_flight_without_a_task_each(app: streams.App) -> None:
    @app.agent()
    async def double(stream: streams.Stream[int]) -> AsyncIterator[int]:
        async for number in stream:
            yield 2 * number

    async with at_work(app) as client:
        before = len(asyncio.all_tasks())
        answers = [client.agent(double).ask(n) for n in range(10_000)]
        assert len(asyncio.all_tasks()) <= before + 3
        assert await asyncio.gather(*answers) == [2 * n for n in range(10_000)]


async def test_map_and_join(app: streams.App) -> None:
    @app.agent(app.topic("words", key_type=str, value_type=str, partitions=3))
    async def shout(stream: Stream) -> AsyncIterator[str]:
        async for key, word in stream.items():
            yield f"{key}:{word.upper()}"

    async def later() -> AsyncIterator[str]:
        for word in ("c", "d"):
            await asyncio.sleep(0)
            yield word

    async with at_work(app) as client:
        agent = client.agent(shout)
        assert await agent.join(["a", "b"], key="k") == ["k:A", "k:B"]
        assert await agent.join([]) == []
        assert await agent.join(later()) == ["None:C", "None:D"]
        assert await agent.kvjoin([(str(n), "x") for n in range(30)]) == [f"{n}:X" for n in range(30)]
        assert sorted([answer async for answer in agent.map(["a", "b"], key="k")]) == ["k:A", "k:B"]
        assert {answer async for answer in agent.kvmap((str(n), "x") for n in range(30))} == {
            f"{n}:X" for n in range(30)
        }


async def test_only_so_many_are_in_flight_and_the_first_error_ends_a_join(
    app: streams.App, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streams.rpc.calls.IN_FLIGHT_MAX", 7)

    @app.agent(on_error=skip())
    async def double(stream: streams.Stream[int]) -> AsyncIterator[int]:
        async for number in stream:
            if number == 13:
                raise ValueError(number)
            yield 2 * number

    async with at_work(app) as client:
        agent, most = client.agent(double), 0

        async def numbers() -> AsyncIterator[int]:
            nonlocal most
            for number in range(100, 150):
                most = max(most, len(client._asker or ()))
                yield number

        assert await agent.join(numbers()) == [2 * n for n in range(100, 150)]
        assert sorted([answer async for answer in agent.map(numbers())]) == [2 * n for n in range(100, 150)]
        assert 1 < most <= 7
        with pytest.raises(AgentFailedError, match="ValueError: 13"):
            await agent.join(range(30))
        with pytest.raises(AgentFailedError, match="ValueError: 13"):
            assert {answer async for answer in agent.map(range(30))}
        await asyncio.sleep(0)
        asker = client._asker
        assert asker is not None and len(asker) == 0


async def test_what_is_sent_to_an_agent_holds_up_no_request_to_it(folder: str) -> None:
    """Sent ahead of the commit it would lie in front of the request until the commit, which waits for the agent."""
    app = streams.App("shop", data_dir=folder, batch_records_max=1, commit_interval_ms=60_000)
    orders = app.topic("orders", key_type=str, value_type=int)

    @app.agent()
    async def double(stream: streams.Stream[int]) -> AsyncIterator[int]:
        async for number in stream:
            yield 2 * number

    @app.agent(orders)
    async def asks(stream: streams.Stream[int]) -> AsyncIterator[int]:
        async for number in stream:
            if number == 0:
                for sent in range(5_000):
                    await double.send(value=sent)
                yield 0
            else:
                yield await double.ask(number, timeout=7)

    async with app.client() as client:
        answers = [client.agent(asks).ask(number, timeout=20) for number in range(3)]
        async with at_work(app):
            assert await asyncio.gather(*answers) == [0, 2, 4]


# -- requests without an answer


@pytest.mark.parametrize("policy", [skip(), dead_letter(), retry(2, backoff="1ms", then=skip())])
async def test_an_error_of_the_agent_is_told_with_its_place(app: streams.App, policy: Any) -> None:
    attempts: list[str] = []

    @app.agent(app.topic("orders", key_type=str, value_type=str), on_error=policy)
    async def price(stream: streams.Stream[str]) -> AsyncIterator[int]:
        async for item in stream:
            attempts.append(item)
            yield {"tea": 3}.get(item, 0)
            if item != "tea":
                raise KeyError(item)

    async with at_work(app) as client:
        with pytest.raises(
            AgentFailedError, match=r"agent price, orders-0 @ 0: KeyError: 'milk' \(.*test_ask.py"
        ) as at:
            await client.agent(price).ask("milk")
        assert (at.value.agent, at.value.kind, at.value.offset) == ("price", "KeyError", 0)
        assert await client.agent(price).ask("tea") == 3
        assert attempts == ["milk"] * (3 if "Retry" in repr(policy) else 1) + ["tea"]


async def test_an_error_that_stops_the_worker_is_told_before(app: streams.App) -> None:
    @app.agent()
    async def price(stream: streams.Stream[str]) -> AsyncIterator[int]:
        async for _ in stream:
            raise KeyError("no price list")
            yield 0

    with pytest.raises(StreamsError, match="no price list"):
        async with at_work(app) as client:
            with pytest.raises(AgentFailedError, match="no price list"):
                await client.agent(price).ask("milk")


async def test_an_attempt_that_is_tried_again_answers_once(app: streams.App) -> None:
    fails = [True]

    @app.agent(on_error=retry(1, backoff="1ms"))
    async def price(stream: streams.Stream[str]) -> AsyncIterator[str]:
        async for item in stream:
            yield f"first {item}" if fails else f"second {item}"
            if fails:
                fails.pop()
                raise OSError("no route")

    async with at_work(app) as client:
        assert await client.agent(price).ask("tea") == "second tea"


async def test_nothing_yielded_for_the_request(app: streams.App) -> None:
    @app.agent()
    async def odd(stream: streams.Stream[int]) -> AsyncIterator[int]:
        async for number in stream.filter(lambda n: n != 4):
            if number % 2:
                yield number

    async with at_work(app) as client:
        answers = [client.agent(odd).ask(n) for n in range(6)]
        found = await asyncio.gather(*answers, return_exceptions=True)
        assert [type(one) if isinstance(one, Exception) else one for one in found] == [
            *(NoReplyError, 1, NoReplyError, 3, NoReplyError, 5)
        ]
        with pytest.raises(NoReplyError, match="agent 'odd' was done with the request and yielded nothing"):
            await client.agent(odd).ask(2)


async def test_the_first_of_several_answers_counts_and_none_is_an_answer(app: streams.App) -> None:
    @app.agent()
    async def several(stream: streams.Stream[int]) -> AsyncIterator[int | None]:
        async for number in stream:
            for value in [None] * (number == 0) + list(range(number)):
                yield value

    async with at_work(app) as client:
        assert await client.agent(several).join([3, 0, 2]) == [0, None, 0]


async def test_lists_are_answered_in_their_order(app: streams.App) -> None:
    @app.agent()
    async def predict(stream: streams.Stream[int]) -> AsyncIterator[int]:
        async for numbers in stream.take(10, within="10ms"):
            for number in numbers:
                yield 10 * number

    async with at_work(app) as client:
        assert await client.agent(predict).join(range(25)) == [10 * n for n in range(25)]


async def test_an_agent_that_never_yields_is_refused_at_once(app: streams.App) -> None:
    @app.agent()
    async def quiet(stream: Stream) -> None:
        async for _ in stream:
            pass

    async with at_work(app) as client:
        with pytest.raises(TopologyError, match=r"agent 'quiet' .* yields nothing, so it has no answers"):
            client.agent(quiet).ask(1)
        await client.agent(quiet).cast(1)
        with pytest.raises(TopologyError, match="no agent 'loud'; it has quiet"):
            client.agent("loud")


async def test_without_a_worker_a_request_times_out_and_is_answered_later(app: streams.App) -> None:
    @app.agent()
    async def double(stream: streams.Stream[int]) -> AsyncIterator[int]:
        async for number in stream:
            yield 2 * number

    with pytest.raises(StreamsError, match=r"no worker runs 'shop' in this process.*client.agent\('double'\).ask"):
        double.ask(1)
    async with app.client() as client:
        with pytest.raises(AskTimeoutError, match=r"agent 'double' did not answer within 0.01 s. Does a worker run it"):
            await client.agent(double).ask(1, timeout=0.01)
        asker = client._asker
        assert asker is not None and len(asker) == 0
        waiting = client.agent(double).ask(2)
        async with at_work(app):
            assert await waiting == 4
        assert asker.unmatched == 1, "the answer to the first was too late"


async def test_cancelled_requests_leave_nothing(app: streams.App) -> None:
    @app.agent()
    async def double(stream: streams.Stream[int]) -> AsyncIterator[int]:
        async for number in stream:
            yield 2 * number

    async with app.client() as client:
        answers = [client.agent(double).ask(n) for n in range(100)]
        asker = client._asker
        assert asker is not None and len(asker) == 100
        for answer in answers:
            answer.cancel()
        await asyncio.sleep(0)
        assert len(asker) == 0
        topics = await client.admin.list_topics()
    async with app.client() as client:
        assert not [name for name in await client.admin.list_topics() if name.endswith("-reply")], topics


async def test_what_an_agent_passes_on_asks_nobody(app: streams.App) -> None:
    """A sink that is an agent gets the records that are yielded, and not the request."""

    @app.agent()
    async def last(stream: streams.Stream[int]) -> AsyncIterator[int]:
        async for number in stream:
            yield -number

    @app.agent(sink=[last])
    async def first(stream: streams.Stream[int]) -> AsyncIterator[int]:
        async for number in stream:
            yield number + 1

    async with at_work(app) as client:
        answer = client.agent(first).ask(1, headers=[("trace", b"7")])
        assert await answer == 2
        asker = client._asker
        while not (found := [record async for record in client.read(last.topic)]):
            await asyncio.sleep(0.005)
        assert [(record.value, list(record.headers)) for record in found] == [(2, [("trace", b"7")])]
        assert asker is not None and asker.unmatched == 0


@pytest.mark.parametrize("group", [lambda value: value["city"], "field"])
async def test_an_agent_that_groups_is_asked_by_its_key(app: streams.App, group: Callable[..., Any] | str) -> None:
    class Visit(streams.Record):
        city: str
        count: int

    visits = app.topic("visits", key_type=str, value_type=Visit, partitions=2)
    seen = app.Table("seen", key_type=str, value_type=int, default=int, partitions=3)

    @app.agent(visits, group_by=Visit.city if isinstance(group, str) else lambda value: value.city)
    async def total(stream: streams.Stream[Visit]) -> AsyncIterator[int]:
        async for visit in stream:
            seen[visit.city] += visit.count
            yield seen[visit.city]

    @app.agent(app.topic("more", value_type=str))
    async def asks(stream: streams.Stream[str]) -> AsyncIterator[int]:
        async for city in stream:
            yield await total.ask(Visit(city, 100))

    async with at_work(app) as client:
        agent = client.agent(total)
        await client.send(visits, key="x", value=Visit("rome", 5))
        assert await agent.join([Visit("oslo", 1), Visit("oslo", 1), Visit("bern", 1)]) == [1, 2, 1]
        while await agent.ask(Visit("rome", 0)) != 5:
            await asyncio.sleep(0.005)
        assert await client.agent(asks).ask("oslo") == 102


async def test_a_stop_waits_a_while_for_answers_and_drops_what_is_not_committed(
    app: streams.App, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streams.runtime.loop.ANSWER_S", 0.05)
    forever = asyncio.Event()

    @app.agent()
    async def double(stream: streams.Stream[int]) -> AsyncIterator[int]:
        async for number in stream:
            yield 2 * number

    @app.agent(sink=[app.topic("out", value_type=int)])
    async def asks(stream: streams.Stream[int]) -> AsyncIterator[int]:
        async for number in stream:
            yield await double.ask(number, partition=0 if forever.is_set() else 7)  # there is no such partition

    # A request that cannot be sent fails at once; one that is sent to nobody waits.
    monkeypatch.setattr("streams.rpc.asker._sent", lambda answer, tell, told: told.exception())
    async with app.client() as client:
        await client.send(asks.topic, value=21)
        async with at_work(app):
            while not (app.worker and app.worker.rpc and app.worker.rpc().asking):
                await asyncio.sleep(0.005)
        assert [record async for record in client.read("out")] == []
        forever.set()
        async with at_work(app):
            while not (found := [record.value async for record in client.read("out")]):
                await asyncio.sleep(0.005)
        assert found == [42]


async def test_reply_topics_of_those_that_were_killed_are_removed(app: streams.App) -> None:
    @app.agent()
    async def double(stream: streams.Stream[int]) -> AsyncIterator[int]:
        async for number in stream:
            yield 2 * number

    old, recent = (f"shop-{made:08x}-{'ab' * 8}-reply" for made in (1_500_000_000, 2_000_000_000))
    async with at_work(app) as client:
        for name in (old, recent, "shop-other-reply"):
            await client.admin.create_topic(name, partitions=1)
        assert await client.agent(double).ask(1) == 2
        assert {old, recent, "shop-other-reply"} & set(await client.admin.list_topics()) == {
            recent,
            "shop-other-reply",
        }


async def test_a_reply_topic_that_is_removed_is_made_again(app: streams.App) -> None:
    @app.agent()
    async def double(stream: streams.Stream[int]) -> AsyncIterator[int]:
        async for number in stream:
            yield 2 * number

    async with at_work(app) as client:
        assert await client.agent(double).ask(1) == 2
        assert client._asker is not None
        await client.admin.delete_topics(client._asker.topic)
        while client._asker.topic not in await client.admin.list_topics():
            await asyncio.sleep(0.01)
        assert await client.agent(double).ask(2) == 4


async def test_an_agent_that_runs_several_times_at_once(app: streams.App) -> None:
    together = asyncio.Barrier(3)

    @app.agent(app.topic("words", key_type=str, value_type=str), concurrency=3)
    async def shout(stream: streams.Stream[str]) -> AsyncIterator[str]:
        async for key, word in stream.items():
            if word == "wait":
                await together.wait()
            yield f"{key} {word}".upper()

    async with at_work(app) as client:
        keys = ["b", "c", "d", "e", "f", "g", "h"]
        found = await client.agent(shout).kvjoin([(key, f"w{n}") for n in range(20) for key in keys])
        assert found == [f"{key} w{n}".upper() for n in range(20) for key in keys]


async def test_replies_may_go_to_another_topic(app: streams.App) -> None:
    prices = app.topic("prices", value_type=float)

    @app.agent(app.topic("orders", value_type=str))
    async def price(stream: streams.Stream[str]) -> AsyncIterator[float]:
        async for item in stream:
            yield 2.5 * len(item)

    @app.task
    async def asks() -> None:
        await price.cast("tea", reply_to=prices, correlation_id="order-7")
        await price.send(value="milk", reply_to="prices")

    async with at_work(app) as client:
        while len(found := [record async for record in client.read(prices)]) < 2:
            await asyncio.sleep(0.005)
        assert [record.value for record in found] == [7.5, 10.0]
        assert found[0].headers[0] == ("kafka_correlationId", b"order-7")


async def test_an_answer_that_is_not_of_the_agents_type_is_told(app: streams.App) -> None:
    @app.agent(reply_type=int)
    async def wrong(stream: Stream) -> Any:
        async for value in stream:
            yield value if value != "object" else object()

    async with at_work(app) as client:
        assert await client.agent(wrong).ask(7) == 7
        with pytest.raises(AgentFailedError, match="the answer 'text' does not encode: str where int is declared"):
            await client.agent(wrong).ask("text")
        wrong._reply_type = str  # as of a client of another version
        with pytest.raises(DecodeError, match="the answer of agent 'wrong' is not of the type that it declares"):
            client.agent(wrong)._asker._answer(b"\xff", {})  # nobody asked
            answer = client.agent(wrong).ask("later")
            client.agent(wrong)._asker._answer(b"\xff", {"kafka_correlationId": next(iter(client._asker._pending))})
            await answer
        with pytest.raises(AgentFailedError, match="does not encode"):
            await client.agent(wrong).ask("object")
