"""Embedding, rerank and classification models: small BERTs with random weights."""

# mypy: disable-error-code="import-not-found"
# What is not found is in the vLLM environment, which the type checker does not look at.

import json
from pathlib import Path
from typing import Any

import torch
from tokenizers import (
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    BertModel,
    PreTrainedTokenizerFast,
)

from .corpus import paragraphs

CONTEXT = 256
DIMENSIONS = 64
MATRYOSHKA_DIMENSIONS = [16, 32, 64]
LABELS = ["NEGATIVE", "NEUTRAL", "POSITIVE"]
VOCABULARY = 2000


def make_embed(folder: Path) -> None:
    """Write an embedding model: mean pooling, normalised."""
    _make_embed(folder, _config())


def make_embed_mrl(folder: Path) -> None:
    """Write an embedding model whose vectors may be cut to a Matryoshka dimension."""
    config = _config(is_matryoshka=True, matryoshka_dimensions=MATRYOSHKA_DIMENSIONS)
    _make_embed(folder, config)


def make_rerank(folder: Path) -> None:
    """Write a cross-encoder with one output, the relevance of a document to a query."""
    _make_classifier(folder, _config(num_labels=1), seed=3)


def make_classify(folder: Path) -> None:
    """Write a classifier with three labels."""
    names = dict(enumerate(LABELS))
    ids = {label: index for index, label in names.items()}
    _make_classifier(folder, _config(id2label=names, label2id=ids), seed=5)


def _make_embed(folder: Path, config: BertConfig) -> None:
    torch.manual_seed(1)
    _make_tokenizer().save_pretrained(folder)
    BertModel(config).save_pretrained(folder)
    _write_sentence_transformers_files(folder)


def _make_classifier(folder: Path, config: BertConfig, seed: int) -> None:
    torch.manual_seed(seed)
    _make_tokenizer().save_pretrained(folder)
    model = BertForSequenceClassification(config)
    # The usual initialisation is so narrow that all scores would be nearly alike.
    torch.nn.init.normal_(model.classifier.weight, std=0.6)
    model.save_pretrained(folder)


def _config(**overrides: Any) -> BertConfig:
    return BertConfig(
        vocab_size=VOCABULARY,
        hidden_size=DIMENSIONS,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=128,
        max_position_embeddings=CONTEXT,
        initializer_range=0.2,
        pad_token_id=0,
        **overrides,
    )


def _make_tokenizer() -> PreTrainedTokenizerFast:
    return PreTrainedTokenizerFast(
        tokenizer_object=_train_word_pieces(),
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
        model_max_length=CONTEXT,
        model_input_names=["input_ids", "token_type_ids", "attention_mask"],
    )


def _train_word_pieces() -> Tokenizer:
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    special_tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    trainer = trainers.WordPieceTrainer(
        vocab_size=VOCABULARY, show_progress=False, special_tokens=special_tokens
    )
    tokenizer.train_from_iterator(paragraphs(), trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[(token, special_tokens.index(token)) for token in ("[CLS]", "[SEP]")],
    )
    return tokenizer


def _write_sentence_transformers_files(folder: Path) -> None:
    package = "sentence_transformers.models"
    paths = {"Transformer": "", "Pooling": "1_Pooling", "Normalize": "2_Normalize"}
    modules = [
        {"idx": index, "name": str(index), "path": path, "type": f"{package}.{name}"}
        for index, (name, path) in enumerate(paths.items())
    ]
    pooling = {
        "word_embedding_dimension": DIMENSIONS,
        "pooling_mode_cls_token": False,
        "pooling_mode_mean_tokens": True,
    }
    _write_json(folder / "modules.json", modules)
    _write_json(folder / "1_Pooling" / "config.json", pooling)
    _write_json(folder / "sentence_bert_config.json", {"max_seq_length": CONTEXT})


def _write_json(path: Path, value: object) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(value, indent=1), encoding="utf-8")
