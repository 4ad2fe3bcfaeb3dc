"""An upload of 25 MB."""

from google.protobuf.message import Message

from bench.payloads.common import dump
from penstock.v1 import transcription_pb2

UPLOAD_MODEL = "bench-speech"
UPLOAD_BYTES = 25_000_000
UPLOAD_CHUNK = 64 * 1024
_PATTERN_SIZE = 65_521  # a prime, so that a lost or doubled block of any usual size is detected
_BOUNDARY = "bench-form-boundary"


def upload_pattern() -> bytes:
    """Returns the bytes that are repeated in the file of an upload."""
    return bytes((i * 7 + (i >> 8) * 13) & 255 for i in range(_PATTERN_SIZE))


def upload_file() -> bytes:
    """Returns the file: 25 MB."""
    pattern = upload_pattern()
    return (pattern * (UPLOAD_BYTES // len(pattern) + 1))[:UPLOAD_BYTES]


def upload_content_type() -> str:
    """Returns the content type of `upload_http`."""
    return f"multipart/form-data; boundary={_BOUNDARY}"


def upload_http() -> bytes:
    """Returns the file in a form."""
    part = f"--{_BOUNDARY}\r\nContent-Disposition: form-data; name="
    model = f'{part}"model"\r\n\r\n{UPLOAD_MODEL}\r\n'
    file = f'{part}"file"; filename="audio.wav"\r\nContent-Type: audio/wav\r\n\r\n'
    return (model + file).encode() + upload_file() + f"\r\n--{_BOUNDARY}--\r\n".encode()


def upload_grpc() -> list[bytes]:
    """Returns the messages of an upload, the file in chunks of 64 KiB."""
    request = transcription_pb2.UploadTranscribeRequest
    config = transcription_pb2.TranscriptionConfig(model=UPLOAD_MODEL, mime_type="audio/wav")
    file = upload_file()
    chunks = [
        request(audio_chunk=file[at : at + UPLOAD_CHUNK])
        for at in range(0, len(file), UPLOAD_CHUNK)
    ]
    return [message.SerializeToString() for message in (request(config=config), *chunks)]


def upload_answer() -> bytes:
    """Returns the upstream's answer if every byte arrived intact."""
    said = f"{UPLOAD_BYTES} bytes intact"
    return dump({"text": said, "usage": {"type": "duration", "seconds": 60}})


def upload_expected() -> Message:
    """Returns the expected message."""
    expected = transcription_pb2.UploadTranscribeResponse()
    expected.transcription.text = f"{UPLOAD_BYTES} bytes intact"
    expected.transcription.billed_duration.seconds = 60
    return expected
