"""The servicers: a few lines for each RPC, between the conversions and the fleet."""

from penstock_server.rpc.services.admin import AdminServicer
from penstock_server.rpc.services.combined_admin import CombinedAdminServicer
from penstock_server.rpc.services.registry import SERVICES

__all__ = ["SERVICES", "AdminServicer", "CombinedAdminServicer"]
