"""The ids of requests: each has its own, and an answer that names another one is not its answer."""

import re
from itertools import count
from random import SystemRandom

# Letters that hexadecimal ids do not have: no other id has ours in it by chance.
_PROCESS = "".join(SystemRandom().choices("ghjkmnpqrstvwxyz", k=8))
_OURS = re.compile(f"{_PROCESS}[0-9a-f]{{6,}}")
_numbers = count()


def unique(name: str) -> str:
    """Returns an id that no other request has, by which a search for the name finds it."""
    return f"{name}-{_PROCESS}{next(_numbers):06x}"


def is_of_another(sent: str, named: str) -> bool:
    """Whether an id in an answer is that of another request than the one it answers.

    Upstreams put the id of a request into other text, and routers put their own in its place.
    Only what has another id of this process in it is certain.
    """
    return sent not in named and any(ours not in sent for ours in _OURS.findall(named))
