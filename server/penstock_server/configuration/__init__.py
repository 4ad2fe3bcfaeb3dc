"""The configuration of the service: the list of its options, its upstreams, the keys of callers.

Other packages import from here.
"""

from penstock_server.configuration.exposed_files import exposed, files
from penstock_server.configuration.keys import Key, read_keys
from penstock_server.configuration.settings import Settings
from penstock_server.configuration.upstream_table import File, UpstreamTable
from penstock_server.configuration.upstreams import policy, upstream_configs

__all__ = [
    "File",
    "Key",
    "Settings",
    "UpstreamTable",
    "exposed",
    "files",
    "policy",
    "read_keys",
    "upstream_configs",
]
