"""The schema that the running vLLM publishes is the one that the fields were compared with."""

import pytest
from openapi_schema import CAPTURES, captured, dump, fetch

from .conftest import Target

KINDS = sorted(path.stem for path in CAPTURES.glob("*.json"))


@pytest.mark.parametrize(
    "kind", [pytest.param(kind, marks=pytest.mark.upstream(kind)) for kind in KINDS]
)
def test_requests(target: Target, kind: str) -> None:
    assert dump(fetch(target.upstream.url)) == dump(captured(kind))
