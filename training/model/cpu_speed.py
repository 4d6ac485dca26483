"""Settings under which paddle trains faster on a CPU; results do not change."""

from __future__ import annotations

import ctypes
import os

import paddle

from training import CHOSEN_THREADS

# Parameters of glibc's mallopt(), from malloc.h.
_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_MAX = -1, -2, -4
_KEPT_BYTES = 1 << 30
_GROWN_BYTES = 1 << 28


def speed_up_cpu() -> None:
    """Use all cores, keep freed memory in the process, and skip paddle's strided kernels.

    By default paddle computes with one thread. A launcher of several processes has each take its share of the cores.

    A training step frees and takes the same large tensors again and again. By default glibc hands each back to the
    kernel, and touching the pages anew costs a third of the step.
    """
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):
        libc.mallopt(_M_MMAP_MAX, 0)
        libc.mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)
        libc.mallopt(_M_TOP_PAD, _GROWN_BYTES)
    if CHOSEN_THREADS is None:
        cores, processes = len(os.sched_getaffinity(0)), int(os.environ.get("PADDLE_TRAINERS_NUM", "1"))
        paddle.base.core.set_num_threads(max(1, cores // processes))
    paddle.set_flags({"FLAGS_use_stride_kernel": False})
