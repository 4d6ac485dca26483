"""Triton's config.pbtxt files, made from a bundle."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from google.protobuf import json_format, text_format
from tritonclient.grpc import model_config_pb2 as triton

from pipeline.errors import InputError
from pipeline.tensors import (
    ABOUT,
    ADMISSION,
    CONFIDENCE,
    ENSEMBLE,
    EXPLANATION,
    INPUT_IDS,
    LABEL,
    LINEAR,
    LOGITS,
    PIECES,
    PROMISED,
    SCORES,
    TEXT,
    TOKEN_TYPE_IDS,
    TRUNCATED,
)
from serving.options import GPU
from serving.published import PublishedVersion
from serving.triton.configs.native import native_model
from serving.triton.configs.parts import admission_tensor, input_tensor, output_tensor
from serving.triton.options import NATIVE, PYTHON, ServingOptions

TOKENISER, MODEL, POSTPROCESS = "tokenizer", "seqcls_model", "seqcls_postprocess"
COMPONENTS = (TOKENISER, MODEL, POSTPROCESS)
ENSEMBLE_VERSION = 1
"""Of the ensemble, always: callers name it. The versions of the components are the bundles that were published."""


def component_configs(options: ServingOptions, versions: Sequence[int], labels: int = 0) -> dict[str, str]:
    """The text of each component's config.pbtxt, by model name, with the versions that are to be loaded.

    The number of labels is stated for a native backend alone, which wants it: otherwise bundles that follow each other
    may have different ones.
    """
    model = native_model(MODEL, options, labels) if options.backend == NATIVE else _model(options)
    configs = [_tokeniser(options), model, _postprocess(options)]
    for config in configs:
        config.version_policy.specific.versions.extend(sorted(versions))
    return {config.name: _text(config) for config in configs}


def ensemble_config(version: PublishedVersion[ServingOptions], about: str = "") -> str:
    """The text of the ensemble's config.pbtxt, every step pinned to one version of its component.

    Args:
        version: which one.
        about: `pipeline.served.ServedModel.to_json` of it, for callers.
    """
    options, truncated, linear = version.options, (TRUNCATED,) * version.tells_truncated, (LINEAR,) * version.linear
    pieces, explanation = (PIECES,) * version.explains, (EXPLANATION,) * version.explains
    promised = (PROMISED,) * version.tells_promised

    def step(model: str, takes: tuple[str, ...], gives: tuple[str, ...]) -> triton.ModelEnsembling.Step:
        inputs, outputs = ({name: name for name in side} for side in (takes, gives))
        return triton.ModelEnsembling.Step(
            model_name=model, model_version=version.number, input_map=inputs, output_map=outputs
        )

    steps = [
        step(TOKENISER, (TEXT,), (INPUT_IDS, TOKEN_TYPE_IDS, ADMISSION, *truncated, *linear, *pieces)),
        step(MODEL, (INPUT_IDS, TOKEN_TYPE_IDS) + (ADMISSION,) * (options.backend == PYTHON), (LOGITS,)),
        step(POSTPROCESS, (LOGITS, ADMISSION, *linear, *pieces), (LABEL, CONFIDENCE, SCORES, *explanation, *promised)),
    ]
    config = triton.ModelConfig(
        name=ENSEMBLE,
        platform="ensemble",
        max_batch_size=options.max_batch_size,
        input=[input_tensor(TEXT, triton.TYPE_STRING, 1)],
        output=[
            *_answers(),
            *(_truncated() for _ in truncated),
            *(_text_of_each(name) for name in explanation),
            *(_promised() for _ in promised),
        ],
        ensemble_scheduling=triton.ModelEnsembling(step=steps),
    )
    if about:
        config.parameters[ABOUT].string_value = about
    return _text(config)


def pinned_version(config: str) -> int | None:
    """The version of the components that an ensemble's config.pbtxt is pinned to; None if it is not.

    Raises:
        InputError: it is no model configuration.
    """
    try:
        parsed = text_format.Parse(config, triton.ModelConfig())
    except text_format.ParseError as error:
        raise InputError(
            f"the ensemble's config.pbtxt is damaged ({error}); remove it and publish a bundle again"
        ) from None
    return common_version(step.model_version for step in parsed.ensemble_scheduling.step)


def as_json(config: str) -> str:
    """A config.pbtxt in JSON, as a server takes one with a call to load the model."""
    parsed = text_format.Parse(config, triton.ModelConfig())
    return json_format.MessageToJson(parsed, preserving_proto_field_name=True)


def names_versions(config: str) -> bool:
    """Whether a config.pbtxt names the versions to load or to ask, as all that are written here do."""
    try:
        parsed = text_format.Parse(config, triton.ModelConfig())
    except text_format.ParseError:
        return False
    pinned = common_version(step.model_version for step in parsed.ensemble_scheduling.step)
    return pinned is not None or bool(parsed.version_policy.specific.versions)


def is_damaged(config: str) -> bool:
    """Whether a config.pbtxt is empty, or cannot be read."""
    try:
        return not text_format.Parse(config, triton.ModelConfig()).ListFields()
    except text_format.ParseError:
        return True


def common_version(steps: Iterable[int]) -> int | None:
    """The version that all steps of an ensemble ask for; None where they differ, or ask for the latest (-1)."""
    versions = set(steps)
    return versions.pop() if len(versions) == 1 and min(versions) > 0 else None


def _tokeniser(options: ServingOptions) -> triton.ModelConfig:
    dimensions = {INPUT_IDS: -1, TOKEN_TYPE_IDS: -1, ADMISSION: 3}
    outputs = [output_tensor(name, triton.TYPE_INT64, dimension) for name, dimension in dimensions.items()]
    outputs += [_truncated(), output_tensor(LINEAR, triton.TYPE_FP32, -1), _text_of_each(PIECES)]
    return _python_model(TOKENISER, options, [input_tensor(TEXT, triton.TYPE_STRING, 1)], outputs)


def _model(options: ServingOptions) -> triton.ModelConfig:
    inputs = [input_tensor(name, triton.TYPE_INT64, -1) for name in (INPUT_IDS, TOKEN_TYPE_IDS)]
    for tensor in inputs:
        # Without it only requests of equal length would be joined to a batch.
        tensor.allow_ragged_batch = True
    inputs.append(admission_tensor())
    config = _python_model(MODEL, options, inputs, [output_tensor(LOGITS, triton.TYPE_FP32, -1)])
    group = config.instance_group[0]
    group.count = options.instances
    if options.device == GPU:
        group.kind = triton.ModelInstanceGroup.KIND_GPU
        group.gpus.extend(options.gpus)  # so many on each
    return config


def _postprocess(options: ServingOptions) -> triton.ModelConfig:
    inputs = [
        input_tensor(LOGITS, triton.TYPE_FP32, -1),
        admission_tensor(),
        input_tensor(LINEAR, triton.TYPE_FP32, -1),
        input_tensor(PIECES, triton.TYPE_STRING, 1),
    ]
    for tensor in inputs[-2:]:
        tensor.optional = True  # of versions with a linear part, and of those that explain
    return _python_model(POSTPROCESS, options, inputs, [*_answers(), _text_of_each(EXPLANATION), _promised()])


def _answers() -> list[triton.ModelOutput]:
    types = {LABEL: triton.TYPE_STRING, CONFIDENCE: triton.TYPE_FP32, SCORES: triton.TYPE_FP32}
    return [output_tensor(name, data_type, -1) for name, data_type in types.items()]


def _promised() -> triton.ModelOutput:
    return output_tensor(PROMISED, triton.TYPE_FP32, -1)


def _truncated() -> triton.ModelOutput:
    return output_tensor(TRUNCATED, triton.TYPE_BOOL, 1)


def _text_of_each(name: str) -> triton.ModelOutput:
    return output_tensor(name, triton.TYPE_STRING, 1)


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


def _text(config: triton.ModelConfig) -> str:
    return text_format.MessageToString(config, as_utf8=True)
