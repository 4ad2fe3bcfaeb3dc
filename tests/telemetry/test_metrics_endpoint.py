"""The HTTP server of the metrics: formats, requests that are not for it, its address."""

import asyncio
import gzip
import logging
import platform
import socket
from importlib.metadata import version
from pathlib import Path
from urllib.error import HTTPError

import pytest
from conftest import Serve
from rpc.calls import BOUND_S, chat

from penstock_server.configuration import Settings
from penstock_server.options import SettingsError, Unrequested
from penstock_server.reload import Reloader
from penstock_server.rpc.server import CannotListen
from penstock_server.simulator import Simulator
from penstock_server.telemetry import log
from penstock_server.telemetry.metrics.names import BY_NAME, METRICS, PROCESS, Kind

from .conftest import Observe
from .scrape import OPEN_METRICS, get


async def test_the_format_is_negotiated(observe: Observe) -> None:
    observed = await observe()
    url = f"http://{observed.service.metrics.address}/metrics"
    plain, headers = await get(url)
    assert headers["content-type"].startswith("text/plain; version=")
    assert b"# EOF" not in plain
    openly, headers = await get(url, accept=OPEN_METRICS)
    assert headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
    assert openly.endswith(b"# EOF\n")
    packed, headers = await get(url, accept=OPEN_METRICS, accept_encoding="gzip")
    assert headers["content-encoding"] == "gzip"
    assert gzip.decompress(packed).endswith(b"# EOF\n")
    part, _ = await get(f"{url}?name[]=penstock_build_info")
    assert [line.partition(b"{")[0] for line in part.splitlines()[2:]] == [b"penstock_build_info"]


async def test_requests_for_something_else(observe: Observe) -> None:
    observed = await observe()
    url = f"http://{observed.service.metrics.address}"
    body, headers = await get(f"{url}/metrics", method="HEAD")
    assert (body, int(headers["content-length"]) > 0) == (b"", True)
    for path, method, code in (("/", "GET", 404), ("//[", "GET", 404), ("/metrics", "POST", 405)):
        with pytest.raises(HTTPError) as caught:
            await get(f"{url}{path}", method=method)
        assert caught.value.code == code
        caught.value.close()


@pytest.mark.parametrize("sent", [b"\x16\x03\x01 no HTTP\r\n\r\n", b"GET /metrics HTTP/1.1\r\n"])
async def test_invalid_requests_are_harmless(observe: Observe, sent: bytes) -> None:
    observed = await observe()
    host, _, port = observed.service.metrics.address.rpartition(":")
    async with asyncio.timeout(BOUND_S):
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(sent)
        writer.write_eof()
        assert b"200" not in await reader.read()
        writer.close()
    assert (await observed.scrape()).samples


async def test_a_failed_export_is_an_error_and_logged(
    observe: Observe, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    observed = await observe()
    monkeypatch.setattr(log, "lines_dropped", lambda: "no number")
    with pytest.raises(HTTPError) as caught:
        await observed.scrape_now()
    assert caught.value.code == 500
    caught.value.close()
    assert "metrics cannot be exported" in caplog.messages
    monkeypatch.undo()
    assert (await observed.scrape()).samples


async def test_a_unix_socket(serve: Serve, simulator: Simulator, tmp_path: Path) -> None:
    path = tmp_path / "metrics"
    await serve(upstream=(simulator.url,), metrics_listen=f"unix:{path}")
    reader, writer = await asyncio.open_unix_connection(str(path))
    writer.write(b"GET /metrics HTTP/1.1\r\nHost: penstock\r\n\r\n")
    assert b"penstock_build_info" in await reader.read()
    writer.close()


async def test_no_metrics(serve: Serve, simulator: Simulator) -> None:
    service = await serve(upstream=(simulator.url,), metrics_listen="")
    assert service.metrics.address == ""


@pytest.mark.parametrize("option", ["metrics_listen", "admin_listen"])
async def test_a_taken_configured_address_is_an_error(
    option: str, serve: Serve, simulator: Simulator
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taker:
        address = f"127.0.0.1:{taker.getsockname()[1]}"
        flag = option.replace("_", "-")
        expected = (
            f"{option}: cannot listen on {address}: address already in use"
            f"; choose another address with --{flag}"
        )
        with pytest.raises(CannotListen, match=f"^{expected}$"):
            await serve(upstream=(simulator.url,), **{option: address})


@pytest.mark.parametrize("option", ["metrics_listen", "admin_listen"])
async def test_a_taken_default_costs_a_warning(
    option: str, serve: Serve, simulator: Simulator, caplog: pytest.LogCaptureFixture
) -> None:
    assert isinstance(getattr(Settings(), option), Unrequested)
    with socket.create_server(("127.0.0.1", 0)) as taker:
        address = Unrequested(f"127.0.0.1:{taker.getsockname()[1]}")
        with caplog.at_level(logging.WARNING, "penstock"):
            service = await serve(upstream=(simulator.url,), **{option: address})
    assert service.port
    [line] = [one for one in caplog.records if one.message == "cannot listen"]
    fields = {"option": option, "address": address, "reason": "address already in use"}
    assert line.fields == fields  # type: ignore[attr-defined]


async def test_everything_exported_is_in_the_table(observe: Observe) -> None:
    observed = await observe(metrics_by_caller=True)
    await observed.chats.CreateChatCompletion(chat())
    assert [piece async for piece in observed.chats.StreamChatCompletion(chat())]
    families = (await observed.scrape()).families
    table = {
        metric.name.removesuffix("_total"): metric
        for group in METRICS.values()
        for metric in group
        # Only with workers, and only with TLS.
        if not metric.name.startswith(("penstock_workers", "penstock_certificate"))
    }
    process = {name.removesuffix("_total") for name in PROCESS}
    assert families.keys() == table.keys() | process
    for name, metric in table.items():
        assert families[name].type == metric.kind, name
        assert families[name].documentation == metric.help, name
        for sample in families[name].samples:
            assert sample.labels.keys() - {"le"} == set(metric.labels), name


def test_the_table_is_sound() -> None:
    for name, metric in BY_NAME.items():
        assert name.endswith("_total") is (metric.kind is Kind.COUNTER), name
        assert bool(metric.buckets) is (metric.kind is Kind.HISTOGRAM), name
        assert metric.help.endswith("."), name
        assert list(metric.buckets) == sorted(metric.buckets), name


async def test_the_service_itself(
    observe: Observe, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    observed = await observe()
    found = await observed.scrape()
    [build] = found.of("penstock_build_info")
    assert build.labels == {
        "version": version("penstock"),
        "python_version": platform.python_version(),
    }
    assert found.value("penstock_configuration_generation") == 1
    assert found.value("process_resident_memory_bytes") > 0
    assert found.value("penstock_log_lines_dropped_total") == 0

    await observed.service.reload(Settings(upstream=(simulator.url,), idle_timeout=7.0))
    monkeypatch.setattr(log, "lines_dropped", lambda: 3)
    found = await observed.scrape()
    assert found.value("penstock_configuration_generation") == 2
    assert found.value("penstock_configuration_reloads_refused_total") == 0
    assert found.value("penstock_log_lines_dropped_total") == 3


async def test_reloads_that_are_refused(observe: Observe) -> None:
    observed = await observe()

    def load() -> Settings:
        raise SettingsError("it cannot be read")

    asked = asyncio.Event()
    asked.set()
    reloading = asyncio.create_task(Reloader(observed.service, load, "", asked).run())
    async with asyncio.timeout(BOUND_S):
        name = "penstock_configuration_reloads_refused_total"
        while not (await observed.scrape()).value(name):
            pass
    reloading.cancel()
