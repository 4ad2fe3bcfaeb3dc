"""The ids of requests: each request has its own, and its answer must not name another one."""

import re
from itertools import count
from random import SystemRandom

# Letters that hexadecimal ids lack: no other id contains ours by chance.
_PROCESS = "".join(SystemRandom().choices("ghjkmnpqrstvwxyz", k=8))
_OURS = re.compile(f"{_PROCESS}[0-9a-f]{{6,}}")
_numbers = count()


def unique(name: str) -> str:
    """Returns a unique id that contains the name, so that a search for the name finds it."""
    return f"{name}-{_PROCESS}{next(_numbers):06x}"


def is_of_another(sent: str, named: str) -> bool:
    """Returns whether an id in an answer belongs to another request than the one sent.

    Upstreams embed the id of a request in other text, and routers replace it by their own. Only an
    id of another request of this process is certain.
    """
    if sent in named or _PROCESS not in named:
        return False
    return any(ours not in sent for ours in _OURS.findall(named))
