"""Triton's config.pbtxt files, made from a bundle."""

from __future__ import annotations

from dataclasses import dataclass

from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2 as triton

from pipeline.errors import InputError
from pipeline.runtimes import PRECISIONS, RUNTIMES
from pipeline.tensors import CONFIDENCE, ENSEMBLE, INPUT_IDS, LABEL, LOGITS, TEXT, TOKEN_TYPE_IDS

TOKENISER, MODEL, POSTPROCESS = "tokenizer", "seqcls_model", "seqcls_postprocess"
COMPONENTS = (TOKENISER, MODEL, POSTPROCESS)


@dataclass(frozen=True)
class ServingOptions:
    """How a bundle is served.

    Attributes:
        runtime: one of `pipeline.runtimes.RUNTIMES`.
        precision: one of `pipeline.runtimes.PRECISIONS`.
        threads: processor threads of the model; 0 takes one per core.
        max_batch_size: texts that one request may hold, and that Triton joins to one batch.

    Raises:
        InputError: a value outside those.
    """

    runtime: str = "onnxruntime"
    precision: str = "float32"
    threads: int = 0
    max_batch_size: int = 128

    def __post_init__(self) -> None:
        for name, value, known in (("runtime", self.runtime, RUNTIMES), ("precision", self.precision, PRECISIONS)):
            if value not in known:
                raise InputError(f"unknown {name} {value!r}; choose one of {', '.join(known)}")
        if self.threads < 0:
            raise InputError(f"threads is {self.threads}; give 0 for one per core, or a count")
        if self.max_batch_size < 1:
            raise InputError(f"max_batch_size is {self.max_batch_size}; give at least 1")


def model_configs(labels: int, options: ServingOptions) -> dict[str, str]:
    """The text of each model's config.pbtxt, by model name, for a bundle with that many labels."""
    configs = [_tokeniser(options), _model(labels, options), _postprocess(labels, options), _ensemble(options)]
    return {config.name: text_format.MessageToString(config, as_utf8=True) for config in configs}


def _tokeniser(options: ServingOptions) -> triton.ModelConfig:
    return _python_model(
        TOKENISER,
        options,
        [_input(TEXT, triton.TYPE_STRING, 1)],
        [_output(INPUT_IDS, triton.TYPE_INT64, -1), _output(TOKEN_TYPE_IDS, triton.TYPE_INT64, -1)],
    )


def _model(labels: int, options: ServingOptions) -> triton.ModelConfig:
    inputs = [_input(name, triton.TYPE_INT64, -1) for name in (INPUT_IDS, TOKEN_TYPE_IDS)]
    for tensor in inputs:
        # Without it only requests of equal length would be joined to a batch.
        tensor.allow_ragged_batch = True
    config = _python_model(MODEL, options, inputs, [_output(LOGITS, triton.TYPE_FP32, labels)])
    for name in ("runtime", "precision", "threads"):
        config.parameters[name].string_value = str(getattr(options, name))
    return config


def _postprocess(labels: int, options: ServingOptions) -> triton.ModelConfig:
    return _python_model(
        POSTPROCESS,
        options,
        [_input(LOGITS, triton.TYPE_FP32, labels)],
        [_output(LABEL, triton.TYPE_STRING, -1), _output(CONFIDENCE, triton.TYPE_FP32, -1)],
    )


def _ensemble(options: ServingOptions) -> triton.ModelConfig:
    def step(model: str, takes: tuple[str, ...], gives: tuple[str, ...]) -> triton.ModelEnsembling.Step:
        names = ({name: name for name in side} for side in (takes, gives))
        inputs, outputs = names
        return triton.ModelEnsembling.Step(model_name=model, model_version=-1, input_map=inputs, output_map=outputs)

    steps = [
        step(TOKENISER, (TEXT,), (INPUT_IDS, TOKEN_TYPE_IDS)),
        step(MODEL, (INPUT_IDS, TOKEN_TYPE_IDS), (LOGITS,)),
        step(POSTPROCESS, (LOGITS,), (LABEL, CONFIDENCE)),
    ]
    return triton.ModelConfig(
        name=ENSEMBLE,
        platform="ensemble",
        max_batch_size=options.max_batch_size,
        input=[_input(TEXT, triton.TYPE_STRING, 1)],
        output=[_output(LABEL, triton.TYPE_STRING, -1), _output(CONFIDENCE, triton.TYPE_FP32, -1)],
        ensemble_scheduling=triton.ModelEnsembling(step=steps),
    )


def _python_model(
    name: str, options: ServingOptions, inputs: list[triton.ModelInput], outputs: list[triton.ModelOutput]
) -> triton.ModelConfig:
    return triton.ModelConfig(
        name=name,
        backend="python",
        max_batch_size=options.max_batch_size,
        input=inputs,
        output=outputs,
        instance_group=[triton.ModelInstanceGroup(count=1, kind=triton.ModelInstanceGroup.KIND_CPU)],
        dynamic_batching=triton.ModelDynamicBatching(),
    )


def _input(name: str, data_type: int, dimension: int) -> triton.ModelInput:
    return triton.ModelInput(name=name, data_type=data_type, dims=[dimension])


def _output(name: str, data_type: int, dimension: int) -> triton.ModelOutput:
    return triton.ModelOutput(name=name, data_type=data_type, dims=[dimension])
