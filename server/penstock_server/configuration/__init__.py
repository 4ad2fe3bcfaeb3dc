"""The configuration of the service: the list of its options, its upstreams, its callers.

Other packages import from here.
"""

from penstock_server.configuration.callers import Caller, CallerTable, read_callers
from penstock_server.configuration.exposed_files import exposed, files
from penstock_server.configuration.identities import UNIX_PEERS
from penstock_server.configuration.settings import Settings
from penstock_server.configuration.upstream_table import File, UpstreamTable
from penstock_server.configuration.upstreams import policy, upstream_configs

__all__ = [
    "UNIX_PEERS",
    "Caller",
    "CallerTable",
    "File",
    "Settings",
    "UpstreamTable",
    "exposed",
    "files",
    "policy",
    "read_callers",
    "upstream_configs",
]
