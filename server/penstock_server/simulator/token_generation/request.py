"""A checked request with token ids, and the values derived from it."""

import time
from dataclasses import dataclass, field

from penstock_server.simulator.generation import dialogues
from penstock_server.simulator.generation.compose import continuation
from penstock_server.simulator.generation.generation import Generation, Limits, generate
from penstock_server.simulator.http.answers import Json
from penstock_server.simulator.http.requests import Request
from penstock_server.simulator.prompts.tokens import Token
from penstock_server.simulator.state import State
from penstock_server.simulator.structured.outputs import constrained_text
from penstock_server.simulator.token_generation import checks
from penstock_server.simulator.vllm_settings import SimulatorSettings


@dataclass(slots=True)
class TokenGeneration:
    """One checked request."""

    values: dict[str, Json]
    """The body without nulls, its values converted."""
    settings: SimulatorSettings
    id: str
    """The id of the answer."""
    text: str
    """The text of the prompt."""
    prompt: list[Token]
    cached: int
    """Tokens of the prompt that were in the prefix cache."""
    created: int = field(default_factory=lambda: int(time.time()))

    @property
    def sampling(self) -> dict[str, Json]:
        """The sampling parameters."""
        sampling: dict[str, Json] = self.values["sampling_params"]
        return sampling

    @property
    def mode(self) -> str:
        """The level of the answer: tokens, text or derender."""
        return str(self.values.get("output_mode", "tokens"))

    @property
    def choices(self) -> int:
        """The number of requested choices."""
        return int(self.sampling.get("n", 1))

    @property
    def include_usage(self) -> bool:
        """Whether a stream reports usage at its end."""
        return bool(self.values.get("stream_options", {}).get("include_usage"))

    @property
    def continuous_usage(self) -> bool:
        """Whether a stream reports usage in every event."""
        options = self.values.get("stream_options", {})
        return self.include_usage and bool(options.get("continuous_usage_stats"))

    def flag(self, name: str) -> bool:
        """Returns a boolean of the body."""
        return bool(self.values.get(name))

    def generate(self) -> Generation:
        """Returns the tokens of each choice, all equal; raises engine errors."""
        checks.check_engine(self.values, self.settings)
        sampling = self.sampling
        known = dialogues.of_prompt(self.text) if constrained_text(sampling) is None else None
        room = self.settings.max_model_len - len(self.prompt)
        limits = Limits(
            max_tokens=max(1, min(room, sampling.get("max_tokens", room))),
            min_tokens=sampling.get("min_tokens", 0),
            stop=tuple(sampling.get("stop", ())),
            stop_token_ids=frozenset(sampling.get("stop_token_ids", ())),
            include_stop=bool(sampling.get("include_stop_str_in_output")),
            ignore_eos=bool(sampling.get("ignore_eos")),
        )
        script = known or continuation(self.text, sampling, self.settings)
        return generate(script, limits)


def prepare(request: Request, body: dict[str, Json], state: State) -> TokenGeneration:
    """Checks a request as vLLM does before it sends a status; raises ApiError."""
    values = checks.check(body, state.settings)
    ids = values["token_ids"]
    prompt = [Token(state.spoken.text([one]), one) for one in ids]
    cached = state.cache(prompt, values.get("cache_salt", ""))[0]
    name = request.headers.get("x-request-id") or values.get("request_id") or state.new_id()
    text = state.spoken.text(ids)
    return TokenGeneration(values, state.settings, f"generate-tokens-{name}", text, prompt, cached)
