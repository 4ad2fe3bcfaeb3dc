"""Errors link to the page that describes them only if the service knows one."""

import pytest
from grpc import StatusCode as Code

from penstock_server.convert.errors import InvalidRequest, Violation
from penstock_server.options import page_url
from penstock_server.rpc import status
from penstock_server.rpc.status import trailers
from penstock_server.simulator import Simulator

from .calls import Ended, Serve, chat, create, plain_channel, read_details, stream

PAGE = "https://docs.example.com/errors.html"


@pytest.mark.parametrize("url", [PAGE, ""])
async def test_the_link(url: str, serve: Serve, simulator: Simulator) -> None:
    service = await serve(upstream=(simulator.url,), errors_url=url)
    async with plain_channel(service) as channel:
        for call in (create, stream):
            result = await call(channel, chat(fault="status code=400"))
            assert (result.code, result.reason) == (Code.INVALID_ARGUMENT, "UPSTREAM_REJECTED")
            assert result.help == (f"{PAGE}#UPSTREAM_REJECTED" if url else "")


def test_the_link_is_the_first_to_be_left_out() -> None:
    ended = status.of_invalid(InvalidRequest(*[Violation("x" * 250, "y" * 500)] * 9))
    message, metadata = trailers(ended, "id-1", (), f"{PAGE}?{'z' * 4000}")
    rich = dict(metadata)["grpc-status-details-bin"]
    assert isinstance(rich, bytes)
    result = read_details(Ended(ended.row.code, message), rich)
    assert result.fields
    assert not result.help


@pytest.mark.parametrize("value", ["docs.example.com", "ftp://x/", f"{PAGE}#A", ""])
def test_what_is_not_a_page(value: str) -> None:
    with pytest.raises(ValueError, match=r"URL of a page|must"):
        page_url(value)
