"""Make the tiny models that the vLLM servers of the tests load.

    ~/.cache/penstock/vllm/bin/python tests/vllm/models.py [CACHE_FOLDER]

They are written to the folder models/ of the cache folder, all or none, and made again only when
what decides their weights has changed. Runs with the Python of the vLLM environment, which has
torch and transformers; nothing is downloaded.
"""

import hashlib
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from servers import cache_folder

HERE = Path(__file__).parent
SIMULATOR = HERE.parents[1] / "server" / "penstock_server" / "simulator"
DIALOGUES = SIMULATOR / "generation" / "dialogues.json"


def main() -> int:
    """Make the models unless the cache folder holds them already; returns the exit status."""
    cache = Path(sys.argv[1]) if len(sys.argv) > 1 else cache_folder()
    target = cache / "models"
    if _is_current(target):
        return 0
    os.environ["HF_HUB_OFFLINE"] = "1"
    os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    return _make_all(target)


def fingerprint() -> str:
    """Return a hash of everything that decides the models."""
    digest = hashlib.sha256()
    sources = sorted(path for path in (HERE / "tiny_models").iterdir() if path.is_file())
    for source in [Path(__file__), HERE / "requirements.lock", DIALOGUES, *sources]:
        digest.update(source.read_bytes())
    return digest.hexdigest()


def _is_current(target: Path) -> bool:
    stamp = target / "stamp"
    return stamp.is_file() and stamp.read_text() == fingerprint()


def _make_all(target: Path) -> int:
    from tiny_models.training import NotLearnedError

    print(f"making tiny models in {target} (a minute or two)", flush=True)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="models-", dir=target.parent) as scratch:
        new, old = Path(scratch, "new"), Path(scratch, "old")
        for name, make in _makers().items():
            try:
                _make_one(new / name, make)
            except NotLearnedError as error:
                print(f"models.py: {name}: {error}", file=sys.stderr)
                return 1
        (new / "stamp").write_text(fingerprint())
        if target.exists():
            target.rename(old)
        new.rename(target)
    return 0


def _makers() -> dict[str, Callable[[Path], None]]:
    # Imported late, so that finding everything in place does not wait for torch.
    from tiny_models import bert, chat, whisper

    return {
        "chat": lambda folder: chat.make(folder, DIALOGUES),
        "embed": bert.make_embed,
        "embed-mrl": bert.make_embed_mrl,
        "rerank": bert.make_rerank,
        "classify": bert.make_classify,
        "whisper": whisper.make,
    }


def _make_one(folder: Path, make: Callable[[Path], None]) -> None:
    print(folder.name, flush=True)
    start = time.monotonic()
    folder.mkdir(parents=True)
    make(folder)
    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    print(f"  {time.monotonic() - start:.0f} s, {size / 1e6:.1f} MB", flush=True)


if __name__ == "__main__":
    sys.exit(main())
