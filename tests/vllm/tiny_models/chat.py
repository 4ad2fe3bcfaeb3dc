"""The chat model: a small Llama that knows the simulator's dialogues by heart.

Its tool calls and thoughts come out as text, in the formats of the hermes tool call parser and
the qwen3 reasoning parser, so that vLLM's own parsers have real work to do.
"""

# mypy: disable-error-code="import-not-found"
# What is not found is in the vLLM environment, which the type checker does not look at.

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    GenerationConfig,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
)

from .corpus import paragraphs
from .training import IGNORED, NotLearnedError, answer_log_probs, pad, train

END_OF_TURN = "<|im_end|>"
PADDING = "<|endoftext|>"
# Single tokens, because the parsers look for their ids, but not special ones: those would be
# dropped from the text.
MARKS = ["<think>", "</think>", "<tool_call>", "</tool_call>"]
CONTEXT = 1024
VOCABULARY = 2048
TEMPLATE = Path(__file__).with_name("chat_template.jinja")


@dataclass(frozen=True)
class Lesson:
    """One prompt and the text that the model must answer with."""

    messages: list[dict[str, Any]]
    tools: list[str]
    thinking: bool
    answer: str


def make(folder: Path, dialogues: Path) -> None:
    """Write a chat model that gives every answer of the dialogues to the folder."""
    torch.manual_seed(0)
    lessons = list(_read_lessons(dialogues))
    tokenizer = _make_tokenizer(lessons)
    model = _make_model(tokenizer)
    _teach(model, tokenizer, lessons)
    for lesson in lessons:
        _verify(model, tokenizer, lesson)
    tokenizer.save_pretrained(folder)
    model.save_pretrained(folder)


def _read_lessons(dialogues: Path) -> Iterator[Lesson]:
    for dialogue in json.loads(dialogues.read_text(encoding="utf-8")):
        answer = _answer_text(dialogue)
        yield Lesson(dialogue["messages"], dialogue.get("tools", []), False, answer)
        if reasoning := dialogue.get("reasoning"):
            thought = f"<think>\n{reasoning}\n</think>\n\n{answer}"
            yield Lesson(dialogue["messages"], dialogue.get("tools", []), True, thought)


def _answer_text(dialogue: dict[str, Any]) -> str:
    content = [dialogue["content"]] if dialogue.get("content") else []
    return "\n".join(content + [_call_text(call) for call in dialogue.get("tool_calls", [])])


def _call_text(call: dict[str, str]) -> str:
    name = json.dumps(call["name"])
    return f'<tool_call>\n{{"name": {name}, "arguments": {call["arguments"]}}}\n</tool_call>'


def _make_tokenizer(lessons: list[Lesson]) -> PreTrainedTokenizerFast:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=2000,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
        special_tokens=[PADDING, "<|im_start|>", END_OF_TURN],
    )
    # Answers count three times, so that their words become tokens.
    tokenizer.train_from_iterator(
        [*paragraphs(), *(lesson.answer for lesson in lessons for _ in range(3))], trainer
    )
    tokenizer.add_tokens([AddedToken(mark, special=False, normalized=False) for mark in MARKS])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token=END_OF_TURN,
        pad_token=PADDING,
        chat_template=TEMPLATE.read_text(encoding="utf-8").strip(),
        model_max_length=CONTEXT,
        clean_up_tokenization_spaces=False,
    )


def _make_model(tokenizer: PreTrainedTokenizerFast) -> LlamaForCausalLM:
    config = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=128,
        intermediate_size=384,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=32,
        max_position_embeddings=CONTEXT,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    model = LlamaForCausalLM(config)
    model.generation_config = GenerationConfig(
        eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id
    )
    return model


def _teach(
    model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, lessons: list[Lesson]
) -> None:
    prompts = [_prompt_ids(tokenizer, lesson) for lesson in lessons]
    answers = [tokenizer(lesson.answer + END_OF_TURN)["input_ids"] for lesson in lessons]
    rows = [prompt + answer for prompt, answer in zip(prompts, answers, strict=True)]
    ids = pad(rows, tokenizer.pad_token_id)
    mask = pad([[1] * len(row) for row in rows], 0)
    labels = pad([[IGNORED] * len(p) + a for p, a in zip(prompts, answers, strict=True)], IGNORED)

    def log_probs() -> torch.Tensor:
        logits = model(input_ids=ids, attention_mask=mask).logits
        return answer_log_probs(logits[:, :-1], labels[:, 1:])

    train(model, log_probs, learning_rate=3e-3, max_steps=600)


def _prompt_ids(tokenizer: PreTrainedTokenizerFast, lesson: Lesson) -> list[int]:
    prompt = tokenizer.apply_chat_template(
        lesson.messages,
        # The template prints nothing of a tool but its name.
        tools=[{"type": "function", "function": {"name": name}} for name in lesson.tools] or None,
        tokenize=False,
        add_generation_prompt=True,
        enable_thinking=lesson.thinking,
    )
    ids: list[int] = tokenizer(prompt)["input_ids"]
    return ids


def _verify(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, lesson: Lesson) -> None:
    prompt = torch.tensor([_prompt_ids(tokenizer, lesson)])
    output = model.generate(
        prompt, attention_mask=torch.ones_like(prompt), max_new_tokens=400, do_sample=False
    )
    answer = tokenizer.decode(output[0, prompt.shape[1] :]).removesuffix(END_OF_TURN)
    if answer != lesson.answer:
        raise NotLearnedError(f"answered {answer!r} instead of {lesson.answer!r}")
