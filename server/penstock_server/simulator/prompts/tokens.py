"""A small deterministic tokenizer: word pieces, and bytes for wide characters."""

import re
import zlib
from dataclasses import dataclass
from functools import lru_cache

VOCABULARY = 2048
"""Number of token ids; ids from here on are out of the vocabulary."""

_WIDE = "\u2e80-\U0010ffff"
_PIECE = re.compile(
    r"<\|im_(?:start|end)\|>|</?(?:think|tool_call)>"
    rf"|[{_WIDE}]"
    rf"| ?(?:(?![{_WIDE}])[^\W\d_]){{1,6}}"
    rf"| ?[^\s{_WIDE}]"
    r"|\s"
)
_SPECIAL = {
    "<|im_start|>": 1,
    "<|im_end|>": 2,
    "\n": 201,
    "<think>": 2000,
    "</think>": 2001,
    "<tool_call>": 2002,
    "</tool_call>": 2003,
}
_TEXTS = {token_id: text for text, token_id in _SPECIAL.items()}


@dataclass(frozen=True, slots=True)
class Token:
    """One token; all but the last byte of a wide character are tokens without text."""

    text: str
    id: int


END = Token("<|im_end|>", 2)
"""The token with which a model ends its answer."""


def spelled(token: Token) -> str:
    """Returns the token in a byte-level vocabulary's form: a printable character per byte."""
    data = bytes([token.id]) if _is_byte(token) else token.text.encode()
    return "".join(_BYTE_NAMES[byte] for byte in data)


def piece_of(token_id: int) -> bytes:
    """Returns the text of an id without context, as bytes; empty for an unknown id."""
    if token_id in _TEXTS:
        return _TEXTS[token_id].encode()
    if ord("!") <= token_id + 30 <= ord("~"):
        return bytes([token_id + 30])
    return bytes([token_id]) if 0x80 <= token_id <= 0xFF else b""


@lru_cache(maxsize=1024)
def tokenize(text: str) -> tuple[Token, ...]:
    """Splits a text into tokens; their joined texts are the same text."""
    return tuple(token for piece in _PIECE.findall(text) for token in _tokens(piece))


def _tokens(piece: str) -> list[Token]:
    if piece < "\u2e80":
        return [Token(piece, _identity(piece))]
    *first, last = piece.encode()
    return [*(Token("", byte) for byte in first), Token(piece, last)]


def _is_byte(token: Token) -> bool:
    return not token.text or token.text >= "\u2e80"


def _byte_names() -> list[str]:
    shown = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    hidden = [byte for byte in range(256) if byte not in shown]
    names = {byte: chr(byte) for byte in shown}
    return [(names | {byte: chr(256 + i) for i, byte in enumerate(hidden)})[b] for b in range(256)]


_BYTE_NAMES = _byte_names()


def _identity(piece: str) -> int:
    if piece in _SPECIAL:
        return _SPECIAL[piece]
    # The first ids are the ASCII characters, as in byte-level vocabularies.
    if len(piece) == 1 and "!" <= piece <= "~":
        return ord(piece) - 30
    return 256 + zlib.crc32(piece.encode()) % 1744
