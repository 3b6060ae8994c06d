"""One numbered file per key, and nothing else to keep up."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from broker_embedded import handlers
from broker_embedded.errors import InvalidRequestError
from broker_embedded.wire.messages import APIS, Request, request_type, response_type

FILES = sorted(Path(handlers.__file__).parent.glob("k*.py"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_file_is_named_for_its_request_and_says_its_rules(path: Path) -> None:
    key, words = path.stem[1:].split("_", 1)
    name = words.title().replace("_", "")
    assert APIS[int(key)].name == name
    assert request_type(int(key)).api_key == int(key)
    assert response_type(int(key)).__name__ == f"{name}Response"
    assert re.match(rf"# {int(key)} {name}\b", path.read_text())


async def test_a_key_without_a_file(client: Any) -> None:
    class Other(Request):
        api_key = 999

    with pytest.raises(InvalidRequestError, match=r"API key 999 is not served; these are: \[0, 1, 2, 3"):
        await client.cluster.handle(Other())
