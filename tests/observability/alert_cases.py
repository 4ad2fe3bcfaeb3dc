"""Series for each alert, with which it fires, and with which it does not."""

from collections.abc import Mapping
from dataclasses import dataclass, field

_INSTANCE = 'job="penstock", instance="a:9464"'
_HANDLED = f"grpc_server_handled_total{{{_INSTANCE}, "
_SERVED = 'grpc_type="unary", grpc_service="s", grpc_method="m", grpc_code='
_REPLICA = f'{_INSTANCE}, upstream="chat", address="gpu-1:8000"'
_STATE = f"penstock_upstream_state{{{_REPLICA}, state="
_ASLEEP = f'penstock_upstream_state{{{_INSTANCE}, upstream="night", address="gpu-3:8000"'
_OTHER = 'job="penstock", instance="a:9464", upstream="chat", address="gpu-2:8000"'


@dataclass(frozen=True, slots=True)
class Case:
    """One alert.

    Attributes:
        firing: values by series, one a minute, with which it fires.
        quiet: values with which it does not.
        minutes: when both are looked at.
        labels: its labels, except those of the rule.
        summary: its summary.
        description: its description.
        too_early: the minute at which it does not fire yet; 0 if it fires at once.
    """

    firing: dict[str, str]
    quiet: dict[str, str]
    minutes: int
    labels: dict[str, str] = field(default_factory=dict)
    summary: str = ""
    description: str = ""
    too_early: int = 0


def _handled(code: str) -> str:
    return f'{_HANDLED}{_SERVED}"{code}"}}'


def _codes(rates: Mapping[str, int], minutes: int) -> dict[str, str]:
    """Returns counters of calls by code, from their rates per minute."""
    return {_handled(code): f"0+{rate}x{minutes}" for code, rate in rates.items()}


def _requests(counter: str, errors: int, labels: str) -> dict[str, str]:
    """Returns counters of 100 requests a minute, and of something else that is counted."""
    return {
        f"penstock_upstream_requests_total{{{_REPLICA}}}": "0+100x40",
        f"penstock_upstream_{counter}_total{{{labels}}}": f"0+{errors}x40",
    }


_AT = {"job": "penstock", "instance": "a:9464"}
_CHAT = {"job": "penstock", "upstream": "chat"}
_GPU_1 = _CHAT | {"address": "gpu-1:8000"}

CASES: Mapping[str, Case] = {
    "PenstockGone": Case(
        {f"up{{{_INSTANCE}}}": "1 1 0 _x10", 'up{job="vllm", instance="b"}': "1x10"},
        {f"up{{{_INSTANCE}}}": "0x10", 'up{job="penstock", instance="b:9464"}': "1x10"},
        10,
        {},
        "No Penstock is up.",
        "Prometheus has reached the metrics of no instance for 2 minutes.",
        too_early=3,
    ),
    "PenstockDown": Case(
        {f"up{{{_INSTANCE}}}": "1 1 0x10"},
        {f"up{{{_INSTANCE}}}": "1 1 0 1x10", 'up{job="vllm", instance="b"}': "0x10"},
        6,
        _AT,
        "Penstock a:9464 is down.",
        "Prometheus has not reached the metrics of a:9464 for 2 minutes.",
        too_early=3,
    ),
    "PenstockRestarting": Case(
        {f"process_start_time_seconds{{{_INSTANCE}}}": "1 2 3 4x10"},
        {f"process_start_time_seconds{{{_INSTANCE}}}": "1 2 3x10"},
        8,
        _AT,
        "Penstock a:9464 restarts again and again.",
        "a:9464 has started 3 times within 30 minutes.",
    ),
    "PenstockWorkersMissing": Case(
        {f"penstock_workers{{{_INSTANCE}}}": "4x5 3x10"},
        {f"penstock_workers{{{_INSTANCE}}}": "4x5 3 4x10"},
        14,
        _AT,
        "Worker processes of Penstock a:9464 are missing.",
        "a:9464 has 1 worker processes less than within the last hour.",
        too_early=8,
    ),
    "PenstockFaults": Case(
        _codes({"OK": 90, "Internal": 10}, 20),
        _codes({"OK": 90, "InvalidArgument": 50, "Canceled": 50, "Internal": 4}, 20),
        15,
        {"job": "penstock"},
        "Many calls of penstock fail.",
        "10% of the calls have failed through no fault of their callers.",
        too_early=3,
    ),
    "PenstockFaultsLasting": Case(
        _codes({"OK": 98, "Unavailable": 2}, 90),
        _codes({"OK": 998, "Unavailable": 2}, 90),
        80,
        {"job": "penstock"},
        "Some calls of penstock have failed for an hour.",
        "2% of the calls of the last hour failed through no fault of their callers.",
        too_early=10,
    ),
    "PenstockOverloaded": Case(
        _codes({"OK": 90, "Unavailable": 10}, 20)
        | {f'penstock_calls_refused_total{{{_INSTANCE}, reason="OVERLOADED"}}': "0+10x20"},
        _codes({"OK": 90, "ResourceExhausted": 10}, 20)
        | {f'penstock_calls_refused_total{{{_INSTANCE}, reason="RATE_LIMITED"}}': "0+10x20"},
        15,
        {"job": "penstock", "reason": "OVERLOADED"},
        "penstock refuses calls.",
        "10% of the calls are refused because too many are running or pending.",
        too_early=3,
    ),
    "PenstockDeadlinesMissed": Case(
        _codes({"OK": 90, "DeadlineExceeded": 10}, 20),
        _codes({"OK": 97, "DeadlineExceeded": 3}, 20),
        18,
        {"job": "penstock"},
        "Calls of penstock take too long.",
        "10% of the calls end as DeadlineExceeded.",
        too_early=8,
    ),
    "PenstockOverheadHigh": Case(
        {
            f'penstock_overhead_seconds_bucket{{{_INSTANCE}, le="0.1"}}': "0+50x20",
            f'penstock_overhead_seconds_bucket{{{_INSTANCE}, le="0.25"}}': "0+100x20",
            f'penstock_overhead_seconds_bucket{{{_INSTANCE}, le="+Inf"}}': "0+100x20",
        },
        {
            f'penstock_overhead_seconds_bucket{{{_INSTANCE}, le="0.1"}}': "0+99x20",
            f'penstock_overhead_seconds_bucket{{{_INSTANCE}, le="0.25"}}': "0+100x20",
            f'penstock_overhead_seconds_bucket{{{_INSTANCE}, le="+Inf"}}': "0+100x20",
        },
        18,
        {"job": "penstock"},
        "penstock delays calls.",
        "The service adds more than 235ms to 5 % of the calls.",
        too_early=8,
    ),
    "PenstockFirstTokenSlow": Case(
        {
            "gen_ai_server_time_to_first_token_seconds_bucket"
            f'{{{_INSTANCE}, gen_ai_request_model="m", le="10"}}': "0+0x20",
            "gen_ai_server_time_to_first_token_seconds_bucket"
            f'{{{_INSTANCE}, gen_ai_request_model="m", le="20"}}': "0+100x20",
            "gen_ai_server_time_to_first_token_seconds_bucket"
            f'{{{_INSTANCE}, gen_ai_request_model="m", le="+Inf"}}': "0+100x20",
        },
        {
            "gen_ai_server_time_to_first_token_seconds_bucket"
            f'{{{_INSTANCE}, gen_ai_request_model="m", le="10"}}': "0+100x20",
            "gen_ai_server_time_to_first_token_seconds_bucket"
            f'{{{_INSTANCE}, gen_ai_request_model="m", le="+Inf"}}': "0+100x20",
        },
        18,
        {"job": "penstock", "gen_ai_request_model": "m"},
        "First tokens of m are slow.",
        "5 % of the streams of m wait longer than 19.5s for their first message.",
        too_early=8,
    ),
    "PenstockReloadRefused": Case(
        {f"penstock_configuration_reloads_refused_total{{{_INSTANCE}}}": "0x5 1x10"},
        {f"penstock_configuration_reloads_refused_total{{{_INSTANCE}}}": "3x20"},
        12,
        _AT,
        "Penstock a:9464 refused a configuration.",
        "a:9464 keeps its former configuration: the changed one cannot be used.",
    ),
    "PenstockCertificateExpires": Case(
        # 13 days, then 15 days after the time of the test.
        {f"penstock_certificate_expiry_timestamp_seconds{{{_INSTANCE}}}": "1123800x20"},
        {f"penstock_certificate_expiry_timestamp_seconds{{{_INSTANCE}}}": "1296600x20"},
        10,
        _AT,
        "The certificate of Penstock a:9464 expires soon.",
        "The certificate that callers of a:9464 see expires in 13d 0h 0m 0s.",
    ),
    "PenstockCertificateRefused": Case(
        {f"penstock_certificate_refused{{{_INSTANCE}}}": "1x20"},
        {f"penstock_certificate_refused{{{_INSTANCE}}}": "0x20"},
        10,
        _AT,
        "Penstock a:9464 cannot use a new certificate.",
        "a:9464 keeps an older certificate: the files of the new one cannot be used.",
        too_early=3,
    ),
    "PenstockLogLinesDropped": Case(
        {f"penstock_log_lines_dropped_total{{{_INSTANCE}}}": "0+10x20"},
        {f"penstock_log_lines_dropped_total{{{_INSTANCE}}}": "50x20"},
        15,
        _AT,
        "Penstock a:9464 drops log lines.",
        "100 log lines were dropped in 10 minutes: the reader of the log is too slow.",
    ),
    "PenstockFileDescriptors": Case(
        {
            f"process_open_fds{{{_INSTANCE}}}": "900x20",
            f"process_max_fds{{{_INSTANCE}}}": "1000x20",
        },
        {
            f"process_open_fds{{{_INSTANCE}}}": "700x20",
            f"process_max_fds{{{_INSTANCE}}}": "1000x20",
        },
        10,
        _AT,
        "Penstock a:9464 runs out of file descriptors.",
        "a:9464 uses 90% of its file descriptors.",
        too_early=3,
    ),
    "PenstockUpstreamDown": Case(
        {
            f'{_STATE}"down"}}': "1x10",
            f'{_STATE}"ready"}}': "0x10",
            f'penstock_upstream_state{{{_OTHER}, state="sleeping"}}': "1x10",
        },
        {
            f'{_STATE}"down"}}': "1x10",
            f'{_STATE}"ready"}}': "0x10",
            f'penstock_upstream_state{{{_OTHER}, state="ready"}}': "1x10",
            f'{_ASLEEP}, state="ready"}}': "0x10",
            f'{_ASLEEP}, state="sleeping"}}': "1x10",
        },
        5,
        _CHAT,
        "No replica of chat accepts calls.",
        "No instance of penstock has a ready replica of chat.",
    ),
    "PenstockReplicaDown": Case(
        {f'{_STATE}"down"}}': "1x10"},
        {f'{_STATE}"down"}}': "1x3 0x10", f'{_STATE}"ejected"}}': "1x10"},
        8,
        _GPU_1,
        "The replica gpu-1:8000 of chat is down.",
        "An instance of penstock does not reach gpu-1:8000, or it is not healthy.",
        too_early=3,
    ),
    "PenstockReplicaEjected": Case(
        {f"penstock_upstream_ejections_total{{{_REPLICA}}}": "0 1 2 3 4x20"},
        {f"penstock_upstream_ejections_total{{{_REPLICA}}}": "0 1 2x20"},
        15,
        _GPU_1,
        "The replica gpu-1:8000 of chat is ejected again and again.",
        "gpu-1:8000 was ejected 4 times in 15 minutes: its probes succeed and its calls fail.",
    ),
    "PenstockUpstreamErrors": Case(
        _requests("errors", 10, _REPLICA),
        _requests("errors", 3, _REPLICA),
        25,
        _GPU_1,
        "Requests to gpu-1:8000 of chat fail.",
        "10% of the requests to gpu-1:8000 fail through no fault of their callers.",
        too_early=8,
    ),
    "PenstockRetriesHigh": Case(
        _requests("retries", 20, f'{_INSTANCE}, upstream="chat"'),
        _requests("retries", 5, f'{_INSTANCE}, upstream="chat"'),
        25,
        _CHAT,
        "Many requests to chat are retries.",
        "20% of the requests to chat are retries of failed ones.",
        too_early=8,
    ),
}
