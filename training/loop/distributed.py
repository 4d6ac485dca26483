"""Training by several processes that `python -m paddle.distributed.launch` has started: one for each device, or several
on a CPU, which talk by gloo."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import paddle


@dataclass
class ProcessGroup:
    """The processes that train together.

    Attributes:
        rank: this process, from 0; 0 writes files and prints.
        size: how many there are.
    """

    rank: int = 0
    size: int = 1
    _meetings: int = field(default=0, init=False)

    @classmethod
    def join(cls) -> ProcessGroup:
        """Meet the other processes; alone where no launcher has started this one."""
        if int(os.environ.get("PADDLE_TRAINERS_NUM", "1")) == 1:
            return cls()
        paddle.distributed.init_parallel_env()
        return cls(paddle.distributed.get_rank(), paddle.distributed.get_world_size())

    @property
    def leads(self) -> bool:
        """Whether this process writes files and prints."""
        return self.rank == 0

    def share(self, model: paddle.nn.Layer) -> Any:
        """`model` such that each backward pass leaves the mean of all processes' gradients."""
        self.wait()
        return model if self.size == 1 else paddle.DataParallel(model)

    def gather_rows(self, rows: np.ndarray, total: int) -> np.ndarray:
        """All rows of a table, float32 [total, width], of which this process has every `size`-th from `rank` on."""
        if self.size == 1:
            return rows
        most = -(-total // self.size)
        padded = np.zeros((most, rows.shape[1]), rows.dtype)
        padded[: len(rows)] = rows
        parts: list[paddle.Tensor] = []
        paddle.distributed.all_gather(parts, paddle.to_tensor(padded))
        return np.stack([part.numpy() for part in parts], axis=1).reshape(most * self.size, -1)[:total]

    def gather(self, value: float) -> list[float]:
        """The value of each process, by rank."""
        return self.gather_rows(np.array([[value]], np.float32), self.size).ravel().tolist()

    def wait(self) -> None:
        """Return when all processes have come here, which may take a quarter of an hour.

        gloo gives up after half a minute, and one process may write files, or read slower, for longer: so they meet
        over the store that paddle's processes share before they exchange anything by gloo again.
        """
        if self.size == 1:
            return
        self._meetings += 1
        store = paddle.base.core.create_or_get_global_tcp_store()
        store.set(f"meeting/{self._meetings}/{self.rank}", "here")
        for rank in range(self.size):
            store.wait(f"meeting/{self._meetings}/{rank}")
