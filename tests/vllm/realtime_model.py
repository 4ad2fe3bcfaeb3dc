"""Build the model of the realtime server: a small Qwen3-ASR that hears the same words in any audio.

    ~/.cache/penstock/vllm/bin/python tests/vllm/realtime_model.py FOLDER

Nothing is trained: the embeddings are orthogonal, and the only layer leads from each token of the
words to the next one. The audio passes through the whole encoder, but does not change the answer.
Runs with the Python of the vLLM environment, which has torch and transformers.
"""

# mypy: disable-error-code="import-not-found"
# What is not found is in the vLLM environment, which the type checker does not look at.

import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from tokenizers import AddedToken, pre_tokenizers
from transformers import GenerationConfig, Qwen2Tokenizer
from transformers.models.qwen3_asr import (
    Qwen3ASRConfig,
    Qwen3ASRFeatureExtractor,
    Qwen3ASRForConditionalGeneration,
    Qwen3ASRProcessor,
)

WORDS = (" Hello", " world", ",", " this", " is", " a", " test", ".")
BEFORE_ANSWER = "Ċ"  # the line break at the end of every prompt
END = "<|im_end|>"
AUDIO = {
    "audio_bos_token": "<|audio_start|>",
    "audio_token": "<|audio_pad|>",
    "audio_eos_token": "<|audio_end|>",
}
PADDING = "<|endoftext|>"
CONTEXT = 16384
HIDDEN = 64
MEL_BINS = 16


def make(folder: Path) -> None:
    """Write the model to a folder."""
    torch.manual_seed(0)
    tokenizer = _make_tokenizer()
    model = _make_model(tokenizer)
    _lead(model, tokenizer.convert_tokens_to_ids([BEFORE_ANSWER, *WORDS, END]))
    extractor = Qwen3ASRFeatureExtractor(feature_size=MEL_BINS)
    Qwen3ASRProcessor(extractor, tokenizer).save_pretrained(folder)
    model.save_pretrained(folder)


def _make_tokenizer() -> Qwen2Tokenizer:
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Qwen2Tokenizer(
        vocab={letter: number for number, letter in enumerate(alphabet)},
        merges=[],
        unk_token=PADDING,
        pad_token=PADDING,
        eos_token=END,
        extra_special_tokens=AUDIO,
        model_max_length=CONTEXT,
    )
    special = [PADDING, "<|im_start|>", END, *AUDIO.values()]
    tokenizer.add_tokens([AddedToken(mark, special=True, normalized=False) for mark in special])
    tokenizer.add_tokens([AddedToken(word, normalized=False) for word in WORDS])
    return tokenizer


def _make_model(tokenizer: Qwen2Tokenizer) -> Qwen3ASRForConditionalGeneration:
    marks = {"eos_token_id": tokenizer.eos_token_id, "pad_token_id": tokenizer.pad_token_id}
    config = Qwen3ASRConfig(
        audio_config={
            "num_mel_bins": MEL_BINS,
            "encoder_layers": 1,
            "encoder_attention_heads": 1,
            "encoder_ffn_dim": 32,
            "d_model": 32,
            "output_dim": HIDDEN,
            "downsample_hidden_size": 8,
        },
        text_config={
            "vocab_size": len(tokenizer),
            "hidden_size": HIDDEN,
            "intermediate_size": HIDDEN,
            "num_hidden_layers": 1,
            "num_attention_heads": 2,
            "num_key_value_heads": 1,
            "head_dim": 32,
            "max_position_embeddings": CONTEXT,
            "tie_word_embeddings": True,
            **marks,
        },
        audio_token_id=tokenizer.convert_tokens_to_ids(AUDIO["audio_token"]),
        **marks,
    )
    model = Qwen3ASRForConditionalGeneration(config)
    model.generation_config = GenerationConfig(**marks)
    return model


def _lead(model: Qwen3ASRForConditionalGeneration, tokens: Sequence[int]) -> None:
    """Set the weights such that each token is followed by the next one."""
    text = model.model.language_model
    layer, dimensions = text.layers[0], torch.eye(HIDDEN)
    with torch.no_grad():
        text.embed_tokens.weight.zero_()
        text.embed_tokens.weight[torch.tensor(tokens)] = dimensions[: len(tokens)]
        layer.self_attn.o_proj.weight.zero_()
        layer.mlp.gate_proj.weight.copy_(dimensions)
        layer.mlp.up_proj.weight.copy_(dimensions)
        layer.mlp.down_proj.weight.copy_(dimensions.roll(1, dims=0))


if __name__ == "__main__":
    make(Path(sys.argv[1]))
