"""Converts an output of the model to tokens, within the limits of the request."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import Enum, auto

from penstock_server.simulator.generation.dialogues import Call, Script
from penstock_server.simulator.prompts.tokens import END, Token, tokenize


class Channel(Enum):
    """The part of the answer to which the text of a token belongs."""

    CONTENT = auto()
    REASONING = auto()
    TOOL_NAME = auto()
    TOOL_ARGUMENTS = auto()
    MARKUP = auto()
    """Tool call markup, which is visible only if the call is truncated."""
    NONE = auto()


@dataclass(frozen=True, slots=True)
class Step:
    """One token, and what it adds to the answer."""

    token: Token
    channel: Channel
    raw: str
    """Its text in the answer as the model writes it, calls as markup."""
    text: str = ""
    """Its text in its channel."""
    call: int = 0
    """Which call it belongs to."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Conditions that end an answer."""

    max_tokens: int
    min_tokens: int = 0
    stop: tuple[str, ...] = ()
    stop_token_ids: frozenset[int] = frozenset()
    include_stop: bool = False
    ignore_eos: bool = False


@dataclass(frozen=True, slots=True)
class Generation:
    """The tokens of one choice, and its finish reason."""

    steps: tuple[Step, ...]
    finish_reason: str
    stop_reason: str | int | None
    calls: tuple[Call, ...]
    """The calls of a unary answer; a truncated answer has none."""

    @property
    def reasoning_tokens(self) -> int:
        """The number of reasoning tokens."""
        return sum(step.channel is Channel.REASONING for step in self.steps)

    def text(self, channel: Channel) -> str:
        """Returns the whole text of a channel."""
        return "".join(step.text for step in self.steps if step.channel is channel)

    @property
    def raw(self) -> str:
        """The answer without its reasoning, with calls as markup."""
        return "".join(step.raw for step in self.steps if step.channel is not Channel.REASONING)


def generate(script: Script, limits: Limits) -> Generation:
    """Produces the tokens of a script up to the limits."""
    steps = _endless(script, limits) if limits.ignore_eos else _ending(script, limits)
    taken = list(itertools.islice(steps, limits.max_tokens))
    found = _at_stop_token(taken, limits) or _at_stop_string(taken, limits)
    if found:
        return found
    whole = taken[-1].token is END
    reason = "stop" if whole else "length"
    held = _held_back(taken, limits) if limits.stop else taken
    return Generation(tuple(held), reason, None, script.calls if whole else ())


def _ending(script: Script, limits: Limits) -> Iterator[Step]:
    said = list(_steps(script))
    yield from said
    if len(said) < limits.min_tokens - 1:
        yield from itertools.islice(_filler(script), limits.min_tokens - 1 - len(said))
    yield Step(END, Channel.NONE, "")


def _endless(script: Script, limits: Limits) -> Iterator[Step]:
    yield from _steps(script)
    yield from _filler(script)


def _filler(script: Script) -> Iterator[Step]:
    """Yields the words repeatedly, for requests that ignore the end of sequence."""
    return itertools.cycle(_shown(f" {script.content or 'And so on.'}", Channel.CONTENT))


def _steps(script: Script) -> Iterator[Step]:
    if script.reasoning is not None:
        # vLLM removes the tags but keeps the line breaks around them in reasoning and text.
        yield from _unseen("<think>")
        yield from _shown(f"\n{script.reasoning}\n", Channel.REASONING)
        yield from _unseen("</think>")
        yield from _shown("\n\n", Channel.CONTENT)
    separator = "\n" if script.content and script.calls else ""
    yield from _shown(script.content + separator, Channel.CONTENT)
    for index, call in enumerate(script.calls):
        yield from _call_steps(index, call)


def _call_steps(index: int, call: Call) -> Iterator[Step]:
    between = "\n" if index else ""
    yield from _markup(between + '<tool_call>\n{"name": "')
    *begun, named = _markup(call.name)
    yield from begun
    yield replace(named, channel=Channel.TOOL_NAME, text=call.name, call=index)
    yield from _markup('", "arguments": ')
    for step in _shown(call.arguments, Channel.TOOL_ARGUMENTS):
        yield replace(step, call=index)
    yield from _markup("}\n</tool_call>")


def _shown(text: str, channel: Channel) -> list[Step]:
    return [Step(token, channel, token.text, token.text) for token in tokenize(text)]


def _markup(text: str) -> list[Step]:
    return [Step(token, Channel.MARKUP, token.text) for token in tokenize(text)]


def _unseen(text: str) -> list[Step]:
    return [Step(token, Channel.NONE, "") for token in tokenize(text)]


def _at_stop_token(steps: list[Step], limits: Limits) -> Generation | None:
    for count, step in enumerate(steps, 1):
        if step.token.id in limits.stop_token_ids and step.token is not END:
            last = Step(step.token, Channel.NONE, "")
            return Generation((*steps[: count - 1], last), "stop", step.token.id, ())
    return None


def _at_stop_string(steps: list[Step], limits: Limits) -> Generation | None:
    raw = ""
    for count, step in enumerate(steps if limits.stop else (), 1):
        raw += step.raw
        found = [(raw.index(stop), stop) for stop in limits.stop if stop in raw]
        if found:
            start, stop = min(found)
            length = start + len(stop) if limits.include_stop else start
            kept = _held_back(list(_trimmed(steps[:count], length)), limits)
            return Generation(tuple(kept), "stop", stop, ())
    return None


def _trimmed(steps: list[Step], length: int) -> Iterator[Step]:
    """Returns the steps, trimmed to a length of raw text."""
    for step in steps:
        raw = step.raw[:length]
        length -= len(raw)
        yield replace(step, raw=raw, text=step.text[: len(raw)])


def _held_back(steps: list[Step], limits: Limits) -> list[Step]:
    """Delays text by the longest stop string, as vLLM does, so that no part of it is emitted."""
    width = 0 if limits.include_stop else max(map(len, limits.stop)) - 1
    if not width or {step.channel for step in steps} - {Channel.CONTENT, Channel.NONE}:
        return steps
    held, pending = [], ""
    for step in steps:
        pending += step.text
        shown = max(0, len(pending) - width) if step is not steps[-1] else len(pending)
        held.append(replace(step, channel=Channel.CONTENT, text=pending[:shown]))
        pending = pending[shown:]
    return held
