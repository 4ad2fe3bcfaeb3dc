"""Durations of audio files, from their first bytes."""

import io
import wave

from penstock_server.simulator.http.errors import ApiError

_PART_S = 29.0
"""Where a long audio is split; a model hears at most 30 s at once."""
_LONGEST_PART_S = 30.0
_COMPRESSED_BYTES_PER_S = 8000
_MAGIC = ((0, b"fLaC"), (0, b"OggS"), (0, b"ID3"), (4, b"ftyp"), (0, b"\x1aE\xdf\xa3"))
_MPEG = (b"\xff\xfb", b"\xff\xf3", b"\xff\xf2", b"\xff\xf1")
_PICTURES = (b"\x89PNG", b"\xff\xd8\xff", b"GIF8")


def duration_of(data: bytes) -> float:
    """Returns the duration of a file in seconds, a guess unless it is a WAV.

    Raises:
        ApiError: the file is not audio.
    """
    if data.startswith(b"RIFF"):
        return _wav_duration(data)
    if data.startswith(_MPEG) or any(data[at:].startswith(mark) for at, mark in _MAGIC):
        return len(data) / _COMPRESSED_BYTES_PER_S
    if data.startswith(_PICTURES):
        raise ApiError("No audio stream found.")
    raise _corrupted()


def parts_of(duration: float) -> list[float]:
    """Returns the start of each part that a model processes at once, in seconds."""
    starts = [0.0]
    while duration - starts[-1] > _LONGEST_PART_S:
        starts.append(starts[-1] + _PART_S)
    return starts


def _wav_duration(data: bytes) -> float:
    try:
        with wave.open(io.BytesIO(data)) as file:
            frame = file.getnchannels() * file.getsampwidth()
            here = max(0, len(data) - 44) // frame
            # A truncated file is processed up to its end.
            frames: int = min(file.getnframes(), here)
            rate: int = file.getframerate()
            return frames / rate
    except (wave.Error, EOFError, ZeroDivisionError):
        raise _corrupted() from None


def _corrupted() -> ApiError:
    return ApiError(
        "Invalid or corrupted audio data. Ensure the input is a valid audio or video file "
        "(e.g. a complete WAV, MP3, or MP4)."
    )
