"""From what is asked of Triton to how it serves a bundle."""

from __future__ import annotations

from dataclasses import fields

from pipeline.compute.batching import TOKEN_BUDGET
from pipeline.compute.runtimes import AUTO, resolve
from pipeline.errors import InputError
from pipeline.files.bundle import Bundle
from pipeline.text.long_texts import WINDOWS
from serving.options import GPU, GPU_TOKEN_BUDGET, MAX_BATCH_SIZE, NATIVE_MAX_BATCH_SIZE
from serving.triton.configs.native import native_choice
from serving.triton.options import NATIVE, ServingOptions, TritonWishes


def serving_options(bundle: Bundle, wishes: TritonWishes) -> ServingOptions:
    """What is asked, and what is chosen where it was left open.

    Raises:
        InputError: as `ServingOptions` does, or Triton's own backend is asked for what it cannot do.
    """
    if wishes.backend == NATIVE and bundle.manifest.long_texts.way == WINDOWS:
        raise InputError(
            f"{bundle.path} reads long texts in windows, which Triton's own backends cannot; leave out --backend "
            f"{NATIVE}, or train with another --long_texts"
        )
    chosen = {each.name: getattr(wishes, each.name) for each in fields(TritonWishes)}
    precision = "float16" if wishes.tensorrt and wishes.precision == AUTO else wishes.precision
    # What serves on a GPU need not be this machine.
    pick = native_choice if wishes.backend == NATIVE or wishes.device == GPU else resolve
    chosen["runtime"], chosen["precision"] = pick(bundle, wishes.runtime, precision, wishes.device)
    if wishes.token_budget is None:
        chosen["token_budget"] = GPU_TOKEN_BUDGET if wishes.device == GPU else TOKEN_BUDGET
    if wishes.max_batch_size is None:
        chosen["max_batch_size"] = NATIVE_MAX_BATCH_SIZE if wishes.backend == NATIVE else MAX_BATCH_SIZE
    return ServingOptions(**chosen)
