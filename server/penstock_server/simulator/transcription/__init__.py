"""The operations on speech: transcription, also while it is spoken, and translation."""

from penstock_server.simulator.transcription.handler import prompt, transcribe, translate
from penstock_server.simulator.transcription.live import converse

__all__ = ["converse", "prompt", "transcribe", "translate"]
