"""The schema that the running vLLM publishes is the one that the fields were compared with."""

import pytest
from openapi_schema import captured, dump, fetch

from .conftest import Target


@pytest.mark.parametrize(
    "kind",
    [pytest.param("chat", marks=pytest.mark.upstream("chat"))],
)
def test_requests(target: Target, kind: str) -> None:
    assert dump(fetch(target.upstream.url)) == dump(captured(kind))
