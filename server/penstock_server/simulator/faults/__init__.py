"""Faults on request: one table of faults, which requests select by name.

A fault is requested by the header `X-Simulate: cut;after=3`, by the words
`[[simulate: cut after=3]]` in the prompt, or for all operations by a setting.
Several are separated by commas. In a value, %XX is the character with that number: %2C is a
comma, %20 a space.

Some faults are harmless: they change the form of an answer but not its meaning, so a client that
accepts the forms of real servers and proxies does not notice them.
"""

from penstock_server.simulator.faults import (
    bodies,
    delays,
    documents,
    noise,
    results,
    spelling,
    streams,
    wire,
)
from penstock_server.simulator.faults.table import (
    FAULTS,
    Fault,
    FaultError,
    apply_faults,
    requested_faults,
    without_directives,
)

__all__ = [
    "FAULTS",
    "Fault",
    "FaultError",
    "apply_faults",
    "bodies",
    "delays",
    "documents",
    "noise",
    "requested_faults",
    "results",
    "spelling",
    "streams",
    "wire",
    "without_directives",
]
