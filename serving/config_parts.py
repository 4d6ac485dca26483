"""Parts that the configurations of several models share."""

from __future__ import annotations

from tritonclient.grpc import model_config_pb2 as triton

from serving.options import ServingOptions


def input_tensor(name: str, data_type: int, *dimensions: int) -> triton.ModelInput:
    return triton.ModelInput(name=name, data_type=data_type, dims=dimensions)


def output_tensor(name: str, data_type: int, *dimensions: int) -> triton.ModelOutput:
    return triton.ModelOutput(name=name, data_type=data_type, dims=dimensions)


def queue_policy(options: ServingOptions) -> triton.ModelQueuePolicy:
    return triton.ModelQueuePolicy(
        timeout_action=triton.ModelQueuePolicy.REJECT,
        default_timeout_microseconds=1000 * options.queue_milliseconds,
        allow_timeout_override=True,  # a caller that waits for less is told earlier
        max_queue_size=options.queue_size,
    )
