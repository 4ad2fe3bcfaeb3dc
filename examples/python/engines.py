"""Changes the engines of an upstream, as an operator: python engines.py UPSTREAM [HOST:PORT]."""

import os
import sys
from collections.abc import Iterable

import grpc

from penstock.v1 import admin_pb2, admin_pb2_grpc

LIMIT_S = 60
"""Longest duration of a call. Engines may take a while."""


def show(action: str, results: Iterable[admin_pb2.ReplicaResult]) -> None:
    """Prints the result of each replica; a call succeeds if at least one of them did."""
    for result in results:
        failed = f"{result.reason}: {result.message}"
        print(f"{action}: {failed if result.reason else 'ok'}")


def change(admin: admin_pb2_grpc.AdminServiceStub, upstream: str) -> None:
    """Puts the engines to sleep, wakes them, and loads and unloads an adapter."""
    # The key of a caller with `admin = true`.
    metadata = [("authorization", f"Bearer {os.environ['PENSTOCK_API_KEY']}")]
    sleep = admin_pb2.SleepRequest(upstreams=[upstream])
    show("sleep", admin.Sleep(sleep, timeout=LIMIT_S, metadata=metadata).results)
    wake = admin_pb2.WakeUpRequest(upstreams=[upstream])
    show("wake", admin.WakeUp(wake, timeout=LIMIT_S, metadata=metadata).results)
    load = admin_pb2.LoadAdapterRequest(model="tiny-chat", name="jokes", path="/adapters/jokes")
    show("load", admin.LoadAdapter(load, timeout=LIMIT_S, metadata=metadata).results)
    listing = admin_pb2.ListAdaptersRequest()
    listed = admin.ListAdapters(listing, timeout=LIMIT_S, metadata=metadata)
    for adapter in listed.adapters:
        print(f"{adapter.name} of {adapter.model}: {len(adapter.replicas)} replica(s)")
    unload = admin_pb2.UnloadAdapterRequest(name="jokes")
    show("unload", admin.UnloadAdapter(unload, timeout=LIMIT_S, metadata=metadata).results)


if __name__ == "__main__":
    known = os.environ.get("PENSTOCK_ADMIN_TARGET", "127.0.0.1:50052")
    with grpc.insecure_channel(sys.argv[2] if len(sys.argv) > 2 else known) as channel:
        change(admin_pb2_grpc.AdminServiceStub(channel), sys.argv[1])
