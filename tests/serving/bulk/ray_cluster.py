"""Run by the Python of `.venv-ray`: a cluster of two nodes, of which one is killed while it scores.

python -m tests.serving.bulk.ray_cluster INPUT BUNDLE OUTPUT
"""

from __future__ import annotations

import os
import secrets
import signal
import sys
import threading
import time
from pathlib import Path

from serving.bulk.clusters.on_ray import ON_LOOPBACK
from serving.bulk.clusters.tasks import LOOPBACK
from serving.bulk.options import BulkOptions
from serving.bulk.running import score

PARTS_BEFORE_THE_KILL = 4


def kill_after_some_parts(output: Path, raylet: int) -> None:
    parts = output / "parts"
    while not parts.exists() or sum(1 for _ in parts.iterdir()) < PARTS_BEFORE_THE_KILL:
        time.sleep(0.05)
    os.kill(raylet, signal.SIGKILL)
    print(f"killed after {sum(1 for _ in parts.iterdir())} parts")


def main(source: str, bundle: str, output: str) -> None:
    os.environ |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(), "RAY_USAGE_STATS_ENABLED": "0"}
    os.environ |= ON_LOOPBACK
    from ray.cluster_utils import Cluster

    nodes = {"node_ip_address": LOOPBACK, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, **nodes})
    try:
        node, _ = (cluster.add_node(num_cpus=1, **nodes) for _ in range(2))
        raylet = node.all_processes["raylet"][0].process.pid
        threading.Thread(target=kill_after_some_parts, args=(Path(output), raylet), daemon=True).start()
        options = {"engine": "ray", "address": cluster.address, "processes": 2, "shard_bytes": 1 << 13}
        score(BulkOptions(input=(source,), bundle=bundle, output_dir=output, **options))
    finally:
        cluster.shutdown()


if __name__ == "__main__":
    main(*sys.argv[1:])
