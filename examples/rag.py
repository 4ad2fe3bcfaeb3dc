"""Answers a question from documents: python examples/rag.py QUESTION [FILE ...].

Each paragraph of the files is a passage; without files, a few built-in ones are. The vectors find
candidates among all passages, the reranker orders the candidates, and the model answers from the
best of them. The models are those of the service, or EMBED_MODEL, RERANK_MODEL and CHAT_MODEL.
"""

import os
import sys
from collections.abc import Sequence
from math import sqrt
from pathlib import Path

from penstock import Client, system, user

PASSAGES = (
    "Paris is the capital of France. It lies on the Seine.",
    "Berlin is the capital of Germany. It lies on the Spree.",
    "The Danube flows through Vienna, Bratislava, Budapest and Belgrade.",
    "Penstocks are pipes that lead water from a reservoir to a turbine.",
)
CANDIDATES = 3
SOURCES = 2
INSTRUCTION = "Answer from the numbered passages only, and cite their numbers."


def main(question: str, files: Sequence[str]) -> None:
    """Prints the passages that the answer is based on, then the answer."""
    passages = paragraphs(files) or list(PASSAGES)
    with Client() as client:
        # A service with documents that change keeps the vectors in a database.
        vectors = client.embeddings.create(passages, model=os.environ.get("EMBED_MODEL")).tolist()
        (wanted,) = client.embeddings.create(question, model=os.environ.get("EMBED_MODEL")).tolist()
        similarities = [cosine(wanted, vector) for vector in vectors]
        best = sorted(range(len(passages)), key=similarities.__getitem__, reverse=True)
        candidates = [passages[index] for index in best[:CANDIDATES]]
        ranking = client.rerank(
            question, candidates, top_n=SOURCES, model=os.environ.get("RERANK_MODEL")
        )
        sources = [candidates[document.index] for document in ranking]
        numbered = "\n".join(f"[{number}] {one}" for number, one in enumerate(sources, 1))
        print(numbered)
        conversation = [system(INSTRUCTION), user(f"{numbered}\n\n{question}")]
        with client.chat.stream(conversation, model=os.environ.get("CHAT_MODEL")) as stream:
            for text in stream.text_stream:
                print(text, end="", flush=True)
        print()


def paragraphs(files: Sequence[str]) -> list[str]:
    """Returns the paragraphs of files."""
    texts = (Path(file).read_text("utf-8") for file in files)
    return [" ".join(part.split()) for text in texts for part in text.split("\n\n") if part.strip()]


def cosine(one: Sequence[float], other: Sequence[float]) -> float:
    """Returns the similarity of two vectors, from -1 to 1."""
    product = sum(a * b for a, b in zip(one, other, strict=True))
    return product / sqrt(sum(a * a for a in one) * sum(b * b for b in other))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
