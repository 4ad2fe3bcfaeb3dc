"""Serves a model by Ray Serve LLM; runs in the environment of Ray.

ray_serve.py PORT METRICS_PORT REPLICAS MODEL_FOLDER [OPTION OF vllm serve...]
"""

import sys
from collections.abc import Sequence
from typing import Any

import ray
from ray import serve
from ray.serve.llm import LLMConfig, build_openai_app
from vllm.entrypoints.launchers.cli_args import make_arg_parser
from vllm.utils.argparse_utils import FlexibleArgumentParser

# Ray Serve sets these itself.
_RAYS_OWN = ("host", "served_model_name")


def main() -> None:
    """Serves until the process is stopped."""
    port, metrics_port, replicas = map(int, sys.argv[1:4])
    model, *options = sys.argv[4:]
    given = _parsed(options)
    [name, *_] = given["served_model_name"]
    ray.init(
        # Ray only counts processors: each replica asks for one, and so do its own actors.
        num_cpus=8,
        object_store_memory=100 << 20,
        include_dashboard=False,
        _node_ip_address=given["host"],
        _metrics_export_port=metrics_port,
        _system_config={"metrics_report_interval_ms": 200},
    )
    serve.start(http_options={"host": given["host"], "port": port})
    config = LLMConfig(
        model_loading_config={"model_id": name, "model_source": model},
        engine_kwargs={key: given[key] for key in given if key not in _RAYS_OWN},
        placement_group_config={"bundles": [{"CPU": 1}]},
        deployment_config={"num_replicas": replicas},
    )
    serve.run(build_openai_app({"llm_configs": [config]}), blocking=True)


def _parsed(options: Sequence[str]) -> dict[str, Any]:
    """Returns the options that differ from their defaults."""
    parser = make_arg_parser(FlexibleArgumentParser())
    default, given = vars(parser.parse_args([])), vars(parser.parse_args(list(options)))
    return {key: value for key, value in given.items() if value != default[key]}


if __name__ == "__main__":
    main()
