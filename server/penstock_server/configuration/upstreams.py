"""The upstreams and the policy that the configuration describes.

For keys that a table omits, the general options apply.
"""

import math
from collections.abc import Sequence
from dataclasses import fields
from hashlib import sha256

from penstock_server.configuration.settings import Settings
from penstock_server.configuration.upstream_table import Entry, UpstreamTable, called
from penstock_server.fleet import Policy
from penstock_server.options import SettingsError
from penstock_server.upstream import Timeouts, Tls, UpstreamConfig

# JSON bytes allowed for each byte of the protobuf message.
_JSON_PER_MESSAGE = 4
_LEAST_ANSWER_BYTES = 1024 * 1024


def upstream_configs(settings: Settings) -> Sequence[UpstreamConfig]:
    """Returns the configuration of each upstream.

    Raises:
        SettingsError: two options give a key for all upstreams.
    """
    return [_config(entry, settings) for entry in settings.upstream]


def policy(settings: Settings) -> Policy:
    """Returns the policy of the fleet: each of its fields is an option of the same name."""
    return Policy(**{rule.name: getattr(settings, rule.name) for rule in fields(Policy)})


def _config(entry: Entry, settings: Settings) -> UpstreamConfig:
    table = UpstreamTable(entry) if isinstance(entry, str) else entry
    return UpstreamConfig(
        table.url,
        name=called(entry),
        api_key=_api_key(table, settings),
        callers_credentials=settings.forward_authorization,
        headers=table.headers or {},
        models=table.models or {},
        weight=table.weight,
        health_path=_health_path(table, settings),
        max_attempts=table.max_attempts or 0,
        native_responses=table.native_responses or settings.native_responses,
        wake_sleeping=_wakes(table, settings),
        timeouts=_timeouts(table, settings),
        tls=_tls(table),
        merge_within_s=_merge_within_s(table, settings),
        max_connections=table.max_connections or settings.max_connections,
        max_upload_bytes=settings.max_upload_bytes,
        max_answer_bytes=max(_LEAST_ANSWER_BYTES, _JSON_PER_MESSAGE * settings.max_message_bytes),
    )


def _api_key(table: UpstreamTable, settings: Settings) -> str:
    if table.api_key_file:
        return table.api_key_file.content.decode()
    if table.api_key is not None:
        return table.api_key
    if not settings.upstream_api_key_file:
        return settings.upstream_api_key
    if settings.upstream_api_key:
        raise SettingsError("upstream_api_key_file excludes upstream_api_key")
    return settings.upstream_api_key_file.content.decode()


def _health_path(table: UpstreamTable, settings: Settings) -> str:
    return settings.health_path if table.health_path is None else table.health_path


def _wakes(table: UpstreamTable, settings: Settings) -> bool:
    return settings.wake_sleeping if table.wake_sleeping is None else table.wake_sleeping


def _timeouts(table: UpstreamTable, settings: Settings) -> Timeouts:
    # A table can set 0, no limit, instead of the general limit.
    total = settings.total_timeout if table.total_timeout is None else table.total_timeout
    return Timeouts(
        table.connect_timeout or settings.connect_timeout,
        table.first_byte_timeout or settings.first_byte_timeout,
        table.idle_timeout or settings.idle_timeout,
        total or math.inf,
    )


def _merge_within_s(table: UpstreamTable, settings: Settings) -> float:
    given = table.merge_deltas_within
    return (settings.merge_deltas_within if given is None else given) / 1000


def _tls(table: UpstreamTable) -> Tls:
    files = (table.ca_file, table.client_certificate_file, table.client_key_file)
    if not any(files):
        return Tls()
    ca, certificate, key = (f.path if f else "" for f in files)
    digest = sha256(b"".join(sha256(f.content).digest() for f in files if f))
    return Tls(ca, certificate, key, digest.hexdigest())
