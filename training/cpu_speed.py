"""Settings under which paddle trains faster on a CPU; results do not change."""

from __future__ import annotations

import ctypes

import paddle

# Parameters of glibc's mallopt(), from malloc.h.
_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_MAX = -1, -2, -4
_KEPT_BYTES = 1 << 30
_GROWN_BYTES = 1 << 28


def speed_up_cpu() -> None:
    """Keep freed memory in the process and skip paddle's strided kernels.

    A training step frees and takes the same large tensors again and again. By default glibc hands each back to the
    kernel, and touching the pages anew costs a third of the step.
    """
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):
        libc.mallopt(_M_MMAP_MAX, 0)
        libc.mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)
        libc.mallopt(_M_TOP_PAD, _GROWN_BYTES)
    paddle.set_flags({"FLAGS_use_stride_kernel": False})
