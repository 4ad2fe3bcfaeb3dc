"""A checked chat request, and the values derived from it."""

import time
from dataclasses import dataclass, field

from penstock_server.simulator.chat import checks
from penstock_server.simulator.generation.compose import compose
from penstock_server.simulator.generation.generation import Generation, Limits, generate
from penstock_server.simulator.generation.sampling import requested_tokens
from penstock_server.simulator.http.answers import Json
from penstock_server.simulator.http.errors import ApiError
from penstock_server.simulator.http.requests import Request
from penstock_server.simulator.prompts.context import fitting, tokens_of
from penstock_server.simulator.prompts.conversation import Conversation, conversation, render
from penstock_server.simulator.prompts.tokens import Token
from penstock_server.simulator.state import State, short_hash
from penstock_server.simulator.vllm_settings import SimulatorSettings


@dataclass(slots=True)
class Chat:
    """One checked request."""

    values: dict[str, Json]
    """The body without nulls, its values converted."""
    talk: Conversation
    settings: SimulatorSettings
    name: str
    """The part of the ids that is the request's own."""
    prompt_text: str
    prompt: list[Token]
    cached: tuple[int, int]
    """Tokens of the prompt that were in the prefix cache, and tokens put there."""
    created: int = field(default_factory=lambda: int(time.time()))

    @property
    def id(self) -> str:
        """The id of the answer."""
        return f"chatcmpl-{self.name}"

    @property
    def model(self) -> str:
        """The name of the model; an alias answers by the first name, an adapter by its own."""
        return self.settings.answering(self.values.get("model", ""))

    @property
    def fingerprint(self) -> str:
        """The system fingerprint, which contains the version."""
        return self.settings.fingerprint

    @property
    def choices(self) -> int:
        """The number of answers requested."""
        return int(self.values.get("n", 1))

    @property
    def thinking(self) -> bool:
        """Whether the model reasons before it answers."""
        usual = "medium" if self.settings.reasoning else "none"
        effort = self.values.get("reasoning_effort", usual)
        template = self.values.get("chat_template_kwargs", {})
        return bool(template.get("enable_thinking", effort != "none"))

    @property
    def hides_thought(self) -> bool:
        """Whether the model reasons and the request excludes the reasoning."""
        return self.thinking and not self.flag("include_reasoning", True)

    @property
    def role(self) -> str:
        """The role of the answer."""
        if self.values.get("add_generation_prompt", True):
            return "assistant"
        return str(self.talk.messages[-1]["role"])

    @property
    def echoed(self) -> str:
        """The last message, if the request asks to prepend it to the answer."""
        last = self.talk.messages[-1]
        wanted = self.values.get("echo") and last["role"] == self.role
        return str(last["content"]) if wanted else ""

    @property
    def forced_call(self) -> bool:
        """Whether the request makes the model call a tool."""
        return self.values.get("tool_choice", "auto") not in ("auto", "none")

    @property
    def named_call(self) -> bool:
        """Whether the request names the tool to call."""
        return isinstance(self.values.get("tool_choice"), dict)

    def flag(self, name: str, default: bool = False) -> bool:
        """Returns a boolean of the body."""
        return bool(self.values.get(name, default))

    def call_id(self, choice: int, call: int) -> str:
        """Returns the id of a call."""
        return f"chatcmpl-tool-{short_hash(f'{self.name}:{choice}:{call}')}"

    def generate(self) -> Generation:
        """Returns the tokens of each choice, all equal; raises the errors of the engine."""
        checks.check_engine(self.values, self.settings)
        script = compose(self.values, self.talk, self.thinking, self.settings)
        return generate(script, self._limits())

    def _limits(self) -> Limits:
        room = self.settings.max_model_len - len(self.prompt)
        return Limits(
            max_tokens=min(room, requested_tokens(self.values) or room),
            min_tokens=self.values.get("min_tokens", 0),
            stop=tuple(self.values.get("stop", ())),
            stop_token_ids=frozenset(self.values.get("stop_token_ids", ())),
            include_stop=self.flag("include_stop_str_in_output"),
            ignore_eos=self.flag("ignore_eos"),
        )


def prepare(request: Request, body: dict[str, Json], state: State) -> Chat:
    """Checks a request as vLLM does before it sends a status; raises ApiError."""
    values = checks.check(body, state.settings, state.adapters)
    talk = conversation(values)
    if talk.media and not state.settings.multimodal:
        raise ApiError(f"{state.settings.models[0]} is not a multimodal model")
    name = request.headers.get("x-request-id") or values.get("request_id") or state.new_id()
    chat = Chat(values, talk, state.settings, name, "", [], (0, 0))
    chat.prompt_text = render(talk, values, chat.thinking)
    chat.prompt = fitting(tokens_of(chat.prompt_text), values, state.settings)
    chat.cached = state.cache(chat.prompt, values.get("cache_salt", ""))
    return chat
