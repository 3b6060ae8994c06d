"""Tokens of OAUTHBEARER as aiokafka's clients ask for them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from inspect import isawaitable

from aiokafka.abc import AbstractTokenProvider

from streams.errors import ConfigError


class Tokens(AbstractTokenProvider):  # type: ignore[misc]  # aiokafka has no types
    """Asks a function for a token whenever a connection is made."""

    def __init__(self, give: Callable[[], str | Awaitable[str]]) -> None:
        self._give = give

    async def token(self) -> str:
        given = self._give()
        return await given if isawaitable(given) else given


def provider(given: object) -> AbstractTokenProvider:
    """What was given, as aiokafka takes it. Raises ConfigError for what is neither a provider nor a function."""
    if isinstance(given, AbstractTokenProvider):
        return given
    if not callable(given):
        raise ConfigError(f"sasl.oauth.token.provider is {given!r}, and is to be a function that returns a token.")
    return Tokens(given)
