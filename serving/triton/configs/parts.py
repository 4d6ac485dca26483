"""Parts that the configurations of several models share."""

from __future__ import annotations

from tritonclient.grpc import model_config_pb2 as triton

from pipeline.tensors import ADMISSION


def input_tensor(name: str, data_type: int, *dimensions: int) -> triton.ModelInput:
    return triton.ModelInput(name=name, data_type=data_type, dims=dimensions)


def output_tensor(name: str, data_type: int, *dimensions: int) -> triton.ModelOutput:
    return triton.ModelOutput(name=name, data_type=data_type, dims=dimensions)


def admission_tensor() -> triton.ModelInput:
    """Optional, because versions that were published before there was one go on beside it."""
    return triton.ModelInput(name=ADMISSION, data_type=triton.TYPE_INT64, dims=[3], optional=True)
