"""Over-fitting a small model on fixed answers until greedy decoding cannot miss them."""

# mypy: disable-error-code="import-not-found"
# What is not found is in the vLLM environment, which the type checker does not look at.

from collections.abc import Callable

import torch
from torch import Tensor

# A token that the model gives more than this probability is its first choice with room to spare,
# enough for the small differences between this arithmetic and vLLM's.
SURE = 0.9
IGNORED = -100


class NotLearnedError(Exception):
    """The model does not give the answers it was trained on."""


def answer_log_probs(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the log probability of each label; labels are IGNORED where nothing is learned."""
    log_probs = logits.log_softmax(-1)
    chosen = log_probs.gather(-1, labels.clamp(min=0)[..., None])[..., 0]
    return chosen[labels != IGNORED]


def train(
    model: torch.nn.Module, log_probs: Callable[[], Tensor], learning_rate: float, max_steps: int
) -> None:
    """Train until the least likely token of all answers is SURE."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=learning_rate, weight_decay=0.0)
    model.train()
    for step in range(max_steps):
        answers = log_probs()
        worst = answers.min().exp().item()
        if step % 50 == 0 or worst > SURE:
            print(f"  step {step}: least likely token {worst:.3f}", flush=True)
        if worst > SURE:
            model.eval()
            return
        _descend(model, optimizer, -answers.mean())
    raise NotLearnedError(f"not learned in {max_steps} steps")


def _descend(model: torch.nn.Module, optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
    optimizer.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()


def pad(rows: list[list[int]], value: int) -> Tensor:
    """Return the rows as one tensor, filled up at the end with value."""
    width = max(len(row) for row in rows)
    return torch.tensor([row + [value] * (width - len(row)) for row in rows])
