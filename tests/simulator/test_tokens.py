"""The tokenizer loses nothing."""

import pytest

from penstock_server.simulator.prompts.tokens import VOCABULARY, tokenize

TEXTS = [
    "",
    "Hello! How can I help you today?",
    "  two  spaces\tand\r\nlines \n",
    "Bonjour 👋🌍 — café naïve, 你好!",
    "👩‍👩‍👧 e\u0301 \u3000 \u00a0\u2028 \U0010ffff",
    "<|im_start|>user\n<tool_call></think>",
    "a_b-c123.5,'\"\\",
]


@pytest.mark.parametrize("text", TEXTS)
def test_tokens_join_to_the_text(text: str) -> None:
    assert "".join(token.text for token in tokenize(text)) == text
    assert all(0 <= token.id < VOCABULARY for token in tokenize(text))


def test_wide_characters_take_one_token_per_byte() -> None:
    assert [token.text for token in tokenize("👋")] == ["", "", "", "👋"]
