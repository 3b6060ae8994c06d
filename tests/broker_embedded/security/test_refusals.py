"""Whatever is refused can be sent: every request that is served, in every version, by somebody without any right."""

from __future__ import annotations

from typing import Any, get_args, get_type_hints
from uuid import UUID

import msgspec
import pytest

from broker_embedded import handlers
from broker_embedded.security.rules import RULES, everybody
from broker_embedded.wire import codec
from broker_embedded.wire.messages import APIS, Message, request_type

# Everybody gets an answer: an empty list, of a cluster what is no secret; tokens are not enabled here.
WITHOUT_ERROR = {16, 41, 60, 66}
GUARDED = sorted(key for key in handlers.served() if RULES[key] is not everybody)


def one_of_each(kind: type[Any]) -> Any:
    """A message with one row in every list, and rows in those."""
    hints = get_type_hints(kind)
    return kind(**{field.name: _value(hints[field.name]) for field in msgspec.structs.fields(kind)})


def _value(hint: Any) -> Any:
    options = [hint, *(get_args(hint) if hint not in (list,) else ())]
    lists = [option for option in options if getattr(option, "__origin__", None) is list]
    if lists:
        return [_value(get_args(lists[0])[0])]
    messages = [option for option in options if isinstance(option, type) and issubclass(option, Message)]
    if messages:
        return one_of_each(messages[0])
    for kind, value in ((str, "x"), (bool, False), (int, 1), (float, 0.0), (bytes, b""), (UUID, UUID(int=0))):
        if kind in options:
            return value
    raise AssertionError(f"no value for {hint}")


@pytest.mark.parametrize("api_key", GUARDED, ids=[APIS[key].name for key in GUARDED])
async def test_every_refusal_can_be_sent(guarded: Any, stand: Any, api_key: int) -> None:
    first, last = handlers.served()[api_key]
    for version in range(first, last + 1):
        request = one_of_each(request_type(api_key))

        response = await guarded.ada.ask(request, version)

        assert codec.encode_response(api_key, version, response)
        if api_key not in WITHOUT_ERROR:
            assert set(stand.codes(response)) & {29, 30, 31, 53, 65, 70}, f"version {version}"
