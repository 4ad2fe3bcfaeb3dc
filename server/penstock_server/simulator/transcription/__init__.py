"""The operations under /v1/audio: speech written down, or translated."""

from penstock_server.simulator.transcription.handler import prompt, transcribe, translate

__all__ = ["prompt", "transcribe", "translate"]
