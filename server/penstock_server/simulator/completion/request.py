"""A checked text completion request, and the values derived from it."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from penstock_server.simulator.completion import checks
from penstock_server.simulator.faults.table import without_directives
from penstock_server.simulator.generation.compose import continuation
from penstock_server.simulator.generation.generation import Generation, Limits, generate
from penstock_server.simulator.http.answers import Json
from penstock_server.simulator.http.errors import ApiError
from penstock_server.simulator.http.requests import Request
from penstock_server.simulator.prompts.context import fitting, tokens_of
from penstock_server.simulator.prompts.tokens import VOCABULARY, Token
from penstock_server.simulator.state import State
from penstock_server.simulator.vllm_settings import SimulatorSettings

_DEFAULT_MAX_TOKENS = 16
_NOTHING = Generation((), "length", None, ())


@dataclass(frozen=True, slots=True)
class Prompt:
    """One prompt."""

    text: str
    tokens: Sequence[Token]


@dataclass(slots=True)
class Completion:
    """One checked request."""

    values: dict[str, Json]
    """The body without nulls, its values converted."""
    settings: SimulatorSettings
    name: str
    """The part of the ids that is the request's own."""
    prompts: list[Prompt]
    cached: int
    """Tokens of the prompts that were in the prefix cache."""
    created: int = field(default_factory=lambda: int(time.time()))

    @property
    def id(self) -> str:
        """The id of the answer."""
        return f"cmpl-{self.name}"

    @property
    def choices(self) -> int:
        """The number of answers requested per prompt."""
        return int(self.values.get("n", 1))

    @property
    def include_usage(self) -> bool:
        """Whether a stream reports usage at its end."""
        return bool(self.values.get("stream_options", {}).get("include_usage"))

    @property
    def continuous_usage(self) -> bool:
        """Whether a stream reports usage in every event."""
        options = self.values.get("stream_options", {})
        return self.include_usage and bool(options.get("continuous_usage_stats"))

    @property
    def prompt_tokens(self) -> int:
        """Tokens of all prompts."""
        return sum(len(prompt.tokens) for prompt in self.prompts)

    def flag(self, name: str) -> bool:
        """Returns a boolean of the body."""
        return bool(self.values.get(name))

    def generate(self) -> list[Generation]:
        """Returns the tokens of each prompt's choices, all equal; raises engine errors."""
        checks.check_engine(self.values, self.settings)
        if checks.scores_only(self.values):
            return [_NOTHING] * len(self.prompts)
        return [self._generate(prompt) for prompt in self.prompts]

    def _generate(self, prompt: Prompt) -> Generation:
        script = continuation(prompt.text, self.values, self.settings)
        room = self.settings.max_model_len - len(prompt.tokens)
        limits = Limits(
            max_tokens=min(room, self.values.get("max_tokens", _DEFAULT_MAX_TOKENS)),
            min_tokens=self.values.get("min_tokens", 0),
            stop=tuple(self.values.get("stop", ())),
            stop_token_ids=frozenset(self.values.get("stop_token_ids", ())),
            include_stop=self.flag("include_stop_str_in_output"),
            ignore_eos=self.flag("ignore_eos"),
        )
        return generate(script, limits)


def prepare(request: Request, body: dict[str, Json], state: State) -> Completion:
    """Checks a request as vLLM does before it sends a status; raises ApiError."""
    values = checks.check(body, state.settings, state.adapters)
    prompts = [_prompt(item, values, state) for item in _items(values["prompt"])]
    salt = values.get("cache_salt", "")
    cached = sum(state.cache(list(prompt.tokens), salt)[0] for prompt in prompts)
    name = request.headers.get("x-request-id") or values.get("request_id") or state.new_id()
    return Completion(values, state.settings, name, prompts, cached)


def _items(prompt: Json) -> list[Json]:
    several = isinstance(prompt, list) and not isinstance(prompt[0], int)
    return prompt if several else [prompt]


def _prompt(item: str | list[int], values: dict[str, Json], state: State) -> Prompt:
    if isinstance(item, str):
        text = without_directives(item)
        tokens = tokens_of(text)
    else:
        outside = [one for one in item if one >= VOCABULARY]
        if outside:
            raise ApiError(f"Token id {outside[0]} is out of vocabulary")
        tokens = [Token(state.spoken.text([one]), one) for one in item]
        text = state.spoken.text(item)
    if not tokens:
        raise ApiError("The decoder prompt cannot be empty")
    return Prompt(text, fitting(tokens, values, state.settings))
