"""What `benchmarks/broker.py` measures with aiokafka, in a process of its own: ADDRESS COUNT -> figures as JSON."""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
import time

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

WAITED = 2_000
IN_FLIGHT = 1_000


async def produce(address: str, count: int) -> float:
    producer = AIOKafkaProducer(bootstrap_servers=address, acks=1, linger_ms=5, max_batch_size=65_536)
    await producer.start()
    value = b"x" * 100
    try:
        await producer.send_and_wait("aio", value, partition=0)
        began = time.perf_counter()
        for _ in range(count // IN_FLIGHT):
            await asyncio.gather(*[await producer.send("aio", value, partition=0) for _ in range(IN_FLIGHT)])
        return count / (time.perf_counter() - began)
    finally:
        await producer.stop()


async def consume(address: str, count: int) -> float:
    consumer = AIOKafkaConsumer(bootstrap_servers=address)
    await consumer.start()
    try:
        partition = TopicPartition("aio", 0)
        consumer.assign([partition])
        await consumer.seek_to_beginning()
        began, read = time.perf_counter(), 0
        while read < count:
            found = await consumer.getmany(timeout_ms=10_000)
            if not found:
                raise RuntimeError(f"{read} of {count} records came")
            read += sum(map(len, found.values()))
        return read / (time.perf_counter() - began)
    finally:
        await consumer.stop()


async def waits(address: str) -> dict[str, float]:
    producer = AIOKafkaProducer(bootstrap_servers=address, acks="all")
    await producer.start()
    times_ms = []
    try:
        for number in range(WAITED + WAITED // 4):
            began = time.perf_counter()
            await producer.send_and_wait("waits", b"x" * 100, partition=0)
            if number >= WAITED // 4:
                times_ms.append(1000 * (time.perf_counter() - began))
    finally:
        await producer.stop()
    percentiles = statistics.quantiles(times_ms, n=100)
    return {"send_and_wait_p50_ms": percentiles[49], "send_and_wait_p99_ms": percentiles[98]}


async def main(address: str, count: int) -> dict[str, float]:
    figures = {"aiokafka_produce_per_s": await produce(address, count)}
    figures["aiokafka_consume_per_s"] = await consume(address, count)
    return figures | await waits(address)


if __name__ == "__main__":
    print(json.dumps(asyncio.run(main(sys.argv[1], int(sys.argv[2])))))
