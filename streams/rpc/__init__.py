"""Agents as services: requests to an agent's topic, and replies to a topic of whoever asks.

Both go outside of the transactions of workers: an agent that asks another in the middle of a record could else never be
answered, as its request would come with the commit that waits for it. What follows is in `docs/how-to/ask-agents.md`.

`messages` is what the records look like, `asker` who asks, `answering` an agent's part, `worker` what a worker has of
both, `calls` the methods of agents.
"""
