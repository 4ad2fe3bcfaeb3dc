"""A LoRA adapter of the chat model, written to a folder in the form that vLLM loads."""

import json
from array import array
from pathlib import Path
from random import Random

_RANK = 8
_HIDDEN = 128
_LAYERS = 2
_PEFT = {
    "peft_type": "LORA",
    "task_type": "CAUSAL_LM",
    "r": _RANK,
    "lora_alpha": 64,
    "target_modules": ["q_proj"],
    "bias": "none",
}


def write_adapter(folder: Path) -> str:
    """Writes an adapter that changes what the model answers; returns its path."""
    folder.mkdir()
    (folder / "adapter_config.json").write_text(json.dumps(_PEFT))
    random = Random(1)
    (folder / "adapter_model.safetensors").write_bytes(
        _safetensors(
            {
                f"base_model.model.model.layers.{layer}.self_attn.q_proj.{name}.weight": (
                    shape,
                    array("f", (random.gauss(0, 1) for _ in range(_RANK * _HIDDEN))),
                )
                for layer in range(_LAYERS)
                for name, shape in (("lora_A", (_RANK, _HIDDEN)), ("lora_B", (_HIDDEN, _RANK)))
            }
        )
    )
    return str(folder)


def _safetensors(tensors: dict[str, tuple[tuple[int, int], "array[float]"]]) -> bytes:
    """Returns the bytes of a file: the size of its header, the header, and the values."""
    header, values = {}, b""
    for name, (shape, weights) in tensors.items():
        end = len(values) + len(weights) * weights.itemsize
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": (len(values), end)}
        values += weights.tobytes()
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + values
