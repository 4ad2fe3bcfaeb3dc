"""Settings of a simulator; the defaults are a small, fast vLLM without faults."""

from dataclasses import dataclass

from penstock_server.options import (
    address,
    natural,
    one_of,
    option,
    positive,
    seconds,
    switch,
    text,
)
from penstock_server.simulator.dialects import versions

KINDS = ("chat", "embed", "rerank", "classify", "whisper", "realtime")
"""Kinds of models, which determine the routes of vLLM."""


@dataclass(frozen=True, slots=True)
class SimulatorSettings:
    """Options of one simulator."""

    listen: str = option(
        "127.0.0.1:8000",
        "Address to serve HTTP on, or unix:/PATH; port 0 selects a free port.",
        address,
        "HOST:PORT",
        heading="server",
    )
    api_key: str = option(
        "", "Key that guarded paths require; empty for none.", text, "KEY", secret=True
    )
    dialect: str = option(
        versions.NEWEST,
        "vLLM version to imitate and to report; 0.10 or newer.",
        versions.version,
        "VERSION",
    )
    startup_duration: float = option(
        0.0, "Time after the start in which /health answers 503.", seconds, "SECONDS"
    )
    keep_alive_timeout: float = option(
        5.0, "Time after which an idle connection is closed.", seconds, "SECONDS"
    )
    remembered_requests: int = option(
        1000, "Number of recent requests to keep for inspection.", positive, "NUMBER"
    )
    models: tuple[str, ...] = option(
        ("tiny-chat", "tiny-chat-alias"),
        "Name to serve; may be given more than once. Requests without a model get the first.",
        text,
        "NAME",
        flag="--model",
        many=True,
        heading="model",
    )
    kind: str = option(
        "chat",
        "Kind of the model, which determines the routes, as in vLLM; `all` serves every route.",
        one_of(*KINDS, "all"),
        "|".join((*KINDS, "all")),
    )
    max_model_len: int = option(
        512, "Context length in tokens, prompt and answer together.", positive, "TOKENS"
    )
    max_logprobs: int = option(
        20,
        "Maximum number of alternatives per token that a request may ask for.",
        positive,
        "NUMBER",
    )
    max_audio_megabytes: int = option(
        25, "Largest audio file, in units of 2^20 bytes.", positive, "NUMBER"
    )
    reasoning: bool = option(
        False,
        "Reason before answering unless a request disables it, instead of only on request.",
        switch,
        "true|false",
    )
    response_store: bool = option(
        False,
        "Store responses, as a vLLM with VLLM_ENABLE_RESPONSES_API_STORE=1 does.",
        switch,
        "true|false",
    )
    development_mode: bool = option(
        False,
        "Serve the routes of vLLM's development mode, as with VLLM_SERVER_DEV_MODE=1.",
        switch,
        "true|false",
    )
    scale_out: bool = option(
        True,
        "Serve generation from token ids, as with --enable-scale-out.",
        switch,
        "true|false",
    )
    runtime_lora_updating: bool = option(
        False,
        "Serve the routes that load and unload LoRA adapters, as a vLLM with --enable-lora and "
        "VLLM_ALLOW_RUNTIME_LORA_UPDATING=1 does.",
        switch,
        "true|false",
    )
    multimodal: bool = option(
        False,
        "Accept images, audio and video, and describe them in the answer.",
        switch,
        "true|false",
    )
    matryoshka: bool = option(
        False, "Accept 16, 32 or 64 as the `dimensions` of embeddings.", switch, "true|false"
    )
    pooling_task: str = option(
        "",
        "Task that /pooling is loaded for; empty for embed or classify, depending on the kind.",
        one_of("", "embed", "classify", "token_embed", "token_classify"),
        "embed|classify|token_embed|token_classify",
    )
    fallback: str = option(
        "echo",
        "Answer to an unknown conversation: its last words, or words drawn from a seed.",
        one_of("echo", "random"),
        "echo|random",
        heading="answers",
    )
    seed: int = option(
        0,
        "Seed of ids and of random answers; a request's own seed overrides it for its words.",
        natural,
        "NUMBER",
    )
    time_to_first_token: float = option(
        0.0, "Wait before the first token of an answer.", seconds, "SECONDS"
    )
    inter_token_latency: float = option(
        0.0, "Wait between two tokens of an answer.", seconds, "SECONDS"
    )
    faults: str = option(
        "",
        "Faults for every request that names none itself, as in the X-Simulate header.",
        text,
        "FAULTS",
    )

    def answering(self, requested: str) -> str:
        """Returns the name that an answer reports: of an adapter its own, else the first name."""
        return requested if requested and requested not in self.models else self.models[0]

    @property
    def fingerprint(self) -> str:
        """The system fingerprint, which contains the version."""
        return f"vllm-{self.dialect}-5ca1ab1e"

    @property
    def socket_path(self) -> str:
        """The path of the socket to listen on; empty for a host and a port."""
        return self.listen.removeprefix("unix:") if self.listen.startswith("unix:") else ""

    @property
    def host(self) -> str:
        """The host of `listen`, without the brackets of an IPv6 address."""
        return self.listen.rpartition(":")[0].strip("[]")

    @property
    def port(self) -> int:
        """The port of `listen`."""
        return int(self.listen.rpartition(":")[2])
