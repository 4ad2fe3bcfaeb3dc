"""Reports to the service manager that started the process, such as systemd."""

import os
import socket
from contextlib import suppress


def report(state: str) -> None:
    """Reports a state, such as "READY=1", if a service manager requested reports.

    It did if `NOTIFY_SOCKET` names its socket: see sd_notify(3).
    """
    place = os.environ.get("NOTIFY_SOCKET", "")
    if not place:
        return
    if place.startswith("@"):
        place = "\0" + place[1:]  # an abstract socket
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender, suppress(OSError):
        sender.sendto(state.encode(), place)
