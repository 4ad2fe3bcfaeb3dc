"""The operations under /v1/audio: transcription and translation."""

from penstock_server.simulator.transcription.handler import prompt, transcribe, translate

__all__ = ["prompt", "transcribe", "translate"]
