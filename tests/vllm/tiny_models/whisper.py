"""The transcription model: a small Whisper that hears the same sentence in any audio."""

# mypy: disable-error-code="import-not-found"
# What is not found is in the vLLM environment, which the type checker does not look at.

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
import transformers
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    GenerationConfig,
    PreTrainedTokenizerFast,
    WhisperConfig,
    WhisperFeatureExtractor,
    WhisperForConditionalGeneration,
)
from transformers.models.whisper.tokenization_whisper import LANGUAGES

from .corpus import paragraphs
from .training import IGNORED, NotLearnedError, answer_log_probs, pad, train

END = "<|endoftext|>"
START = "<|startoftranscript|>"
NO_TIMESTAMPS = "<|notimestamps|>"
TASKS = ["translate", "transcribe"]
TRAINED_LANGUAGES = ["en", "fr", "de"]
# The name of the option changed in transformers 5.
_EXTRA_TOKENS = (
    "additional_special_tokens" if transformers.__version__ < "5" else "extra_special_tokens"
)
CONTEXT = 448
MEL_BINS = 80
FRAMES = 3000
# The two parts are the two segments, half a second each, of a transcript with timestamps.
SENTENCES = {
    "transcribe": (" Hello world, this is a", " test. The quick brown fox — café."),
    "translate": (" This is the", " English translation."),
}


@dataclass(frozen=True)
class Lesson:
    """The tokens that the decoder is given and those that it must go on with."""

    prompt: list[str]
    answer: list[str]


def make(folder: Path) -> None:
    """Write a Whisper model that transcribes, translates and sets timestamps."""
    torch.manual_seed(3)
    byte_pairs = _train_byte_pairs()
    tokenizer = _make_tokenizer(byte_pairs)
    model = _make_model(tokenizer)
    _teach(model, tokenizer)
    tokenizer.save_pretrained(folder)
    _become_whisper_tokenizer(folder, byte_pairs)
    WhisperFeatureExtractor(feature_size=MEL_BINS).save_pretrained(folder)
    model.save_pretrained(folder)


def _train_byte_pairs() -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=1500,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    sentences = ["".join(parts) for parts in SENTENCES.values()]
    tokenizer.train_from_iterator([*paragraphs(), *sentences * 20], trainer)
    return tokenizer


def _make_tokenizer(byte_pairs: Tokenizer) -> PreTrainedTokenizerFast:
    special = _special_tokens()
    # Whisper's ids have an order: text, special tokens, then the timestamps in steps of 20 ms.
    tokenizer = Tokenizer.from_str(byte_pairs.to_str())
    tokenizer.add_special_tokens([AddedToken(t, special=True, normalized=False) for t in special])
    tokenizer.add_tokens(
        [AddedToken(_timestamp(step * 0.02), normalized=False) for step in range(1501)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=END,
        eos_token=END,
        unk_token=END,
        pad_token=END,
        model_max_length=CONTEXT,
        clean_up_tokenization_spaces=False,
        **{_EXTRA_TOKENS: [token for token in special if token != END]},
    )


def _special_tokens() -> list[str]:
    languages = [f"<|{language}|>" for language in LANGUAGES]
    tasks = [f"<|{task}|>" for task in TASKS]
    rest = ["<|startoflm|>", "<|startofprev|>", "<|nospeech|>", NO_TIMESTAMPS]
    return [END, START, *languages, *tasks, *rest]


def _timestamp(seconds: float) -> str:
    return f"<|{seconds:.2f}|>"


def _make_model(tokenizer: PreTrainedTokenizerFast) -> WhisperForConditionalGeneration:
    end, start = tokenizer.convert_tokens_to_ids([END, START])
    config = WhisperConfig(
        vocab_size=len(tokenizer),
        num_mel_bins=MEL_BINS,
        d_model=64,
        encoder_layers=2,
        decoder_layers=2,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=128,
        decoder_ffn_dim=128,
        max_source_positions=FRAMES // 2,
        max_target_positions=CONTEXT,
        bos_token_id=end,
        eos_token_id=end,
        pad_token_id=end,
        decoder_start_token_id=start,
    )
    model = WhisperForConditionalGeneration(config)
    model.generation_config = _generation_config(tokenizer, end, start)
    return model


def _generation_config(
    tokenizer: PreTrainedTokenizerFast, end: int, start: int
) -> GenerationConfig:
    def ids(names: list[str]) -> dict[str, int]:
        return {name: tokenizer.convert_tokens_to_ids(f"<|{name}|>") for name in names}

    return GenerationConfig(
        bos_token_id=end,
        eos_token_id=end,
        pad_token_id=end,
        decoder_start_token_id=start,
        is_multilingual=True,
        lang_to_id={f"<|{name}|>": number for name, number in ids([*LANGUAGES]).items()},
        task_to_id=ids(TASKS),
        no_timestamps_token_id=tokenizer.convert_tokens_to_ids(NO_TIMESTAMPS),
        max_length=CONTEXT,
    )


def _teach(model: WhisperForConditionalGeneration, tokenizer: PreTrainedTokenizerFast) -> None:
    lessons = list(_lessons(tokenizer))
    prompts = [tokenizer.convert_tokens_to_ids(lesson.prompt) for lesson in lessons]
    answers = [tokenizer.convert_tokens_to_ids(lesson.answer) for lesson in lessons]
    both = [prompt + answer for prompt, answer in zip(prompts, answers, strict=True)]
    inputs = pad([row[:-1] for row in both], tokenizer.eos_token_id)
    ignored = [[IGNORED] * (len(prompt) - 1) for prompt in prompts]
    labels = pad([i + answer for i, answer in zip(ignored, answers, strict=True)], IGNORED)
    # Noise in place of speech: the answer must not depend on what is heard.
    sound = torch.randn(len(lessons), MEL_BINS, FRAMES) * 0.3

    def log_probs() -> torch.Tensor:
        logits = model(input_features=sound, decoder_input_ids=inputs).logits
        return answer_log_probs(logits, labels)

    train(model, log_probs, learning_rate=4e-3, max_steps=400)
    _verify(model, inputs, labels, torch.randn_like(sound))


def _lessons(tokenizer: PreTrainedTokenizerFast) -> Iterator[Lesson]:
    yield Lesson([START], ["<|en|>"])
    for language in TRAINED_LANGUAGES:
        for task, parts in SENTENCES.items():
            first, second = (tokenizer.tokenize(part) for part in parts)
            begin, middle, end = (_timestamp(seconds) for seconds in (0, 0.5, 1))
            prompt = [START, f"<|{language}|>", f"<|{task}|>"]
            yield Lesson([*prompt, NO_TIMESTAMPS], [*first, *second, END])
            yield Lesson(prompt, [begin, *first, middle, middle, *second, end, END])


def _verify(
    model: WhisperForConditionalGeneration,
    inputs: torch.Tensor,
    labels: torch.Tensor,
    sound: torch.Tensor,
) -> None:
    with torch.no_grad():
        chosen = model(input_features=sound, decoder_input_ids=inputs).logits.argmax(-1)
    if not torch.equal(chosen[labels != IGNORED], labels[labels != IGNORED]):
        raise NotLearnedError("the transcription depends on what is heard")


def _become_whisper_tokenizer(folder: Path, byte_pairs: Tokenizer) -> None:
    """Turn the saved tokenizer into one of Whisper's class, which brings its own vocabulary files.

    The class itself cannot be asked to make one: it would put its special tokens elsewhere.
    """
    model = json.loads(byte_pairs.to_str())["model"]
    merges = [pair if isinstance(pair, str) else " ".join(pair) for pair in model["merges"]]
    vocabulary = json.dumps(model["vocab"], ensure_ascii=False)
    (folder / "vocab.json").write_text(vocabulary, encoding="utf-8")
    (folder / "merges.txt").write_text("\n".join(["#version: 0.2", *merges, ""]), encoding="utf-8")
    path = folder / "tokenizer_config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    config |= {"tokenizer_class": "WhisperTokenizer", "processor_class": "WhisperProcessor"}
    path.write_text(json.dumps(config, indent=1), encoding="utf-8")
