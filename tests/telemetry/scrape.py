"""Scrapes the metrics of a service, as Prometheus does."""

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.request import Request, urlopen

from prometheus_client import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

OPEN_METRICS = "application/openmetrics-text; version=1.0.0"
BOUND_S = 60


class Scrape:
    """The result of a scrape.

    Attributes:
        text: its text.
        families: the metrics in it by name, as the parser names them.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        parse: Any = text_string_to_metric_families
        self.families: dict[str, Metric] = {one.name: one for one in parse(text)}
        self._by_name: dict[str, list[Sample]] = {}
        for family in self.families.values():
            for sample in family.samples:
                self._by_name.setdefault(sample.name, []).append(sample)

    @property
    def samples(self) -> Iterable[Sample]:
        """All series."""
        return (sample for samples in self._by_name.values() for sample in samples)

    def of(self, name: str, **labels: str) -> list[Sample]:
        """The series of a name that have these labels among theirs."""
        return [
            sample
            for sample in self._by_name.get(name, ())
            if labels.items() <= sample.labels.items()
        ]

    def value(self, name: str, **labels: str) -> float:
        """The sum of these series."""
        return sum(sample.value for sample in self.of(name, **labels))

    def by(self, label: str, name: str, **labels: str) -> Mapping[str, float]:
        """The series that are not 0, by one of their labels."""
        return {
            sample.labels[label]: sample.value for sample in self.of(name, **labels) if sample.value
        }


async def scrape(address: str) -> Scrape:
    """Returns the metrics at an address."""
    text, _ = await get(f"http://{address}/metrics", accept=OPEN_METRICS)
    return Scrape(text.decode())


async def get(url: str, method: str = "GET", **headers: str) -> tuple[bytes, Mapping[str, str]]:
    """Returns the body and the headers of an answer; raises `HTTPError` for statuses of errors."""

    def read() -> tuple[bytes, Mapping[str, str]]:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        request = Request(url, headers=named, method=method)
        with urlopen(request, timeout=BOUND_S) as response:
            found: Any = {name.lower(): value for name, value in response.headers.items()}
            return response.read(), found

    return await asyncio.to_thread(read)
