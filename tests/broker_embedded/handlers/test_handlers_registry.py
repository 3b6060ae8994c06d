"""One numbered file per key, and nothing else to keep up."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from broker_embedded import handlers
from broker_embedded.errors import InvalidRequestError
from broker_embedded.wire import messages as m

REQUESTS = [kind for kind in vars(m).values() if isinstance(kind, type) and issubclass(kind, m.Request)]
FILES = sorted(Path(handlers.__file__).parent.glob("k*.py"))


@pytest.mark.parametrize("request_type", [kind for kind in REQUESTS if kind is not m.Request], ids=lambda k: k.__name__)
def test_every_request_has_its_handler(request_type: type[m.Request]) -> None:
    assert handlers.find(request_type.api_key) is not None


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_file_is_named_for_its_request_and_says_its_rules(path: Path) -> None:
    key, words = path.stem[1:].split("_", 1)
    name = words.title().replace("_", "")
    assert getattr(m, f"{name}Request").api_key == int(key)
    assert re.match(rf"# {int(key)} {name}\b", path.read_text())


async def test_a_key_without_a_file(client: Any) -> None:
    class Other(m.Request):
        api_key = 999

    with pytest.raises(InvalidRequestError, match=r"API key 999 is not served; these are: \[0, 1, 2, 3"):
        await client.cluster.handle(Other())
