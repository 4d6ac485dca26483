"""`seqcls_model` for Triton's own `onnxruntime` and `openvino` backends, as NVIDIA's container has them.

What release 24.10 of these backends does decides what stands here: both answer to a wrong tensor with a refusal to
load, and to a misspelt parameter with silence.

onnxruntime joins only requests of equal shape to a batch, so the tokeniser pads to a few lengths, and its output must
be configured with the graph's own dimension, so all versions that are loaded together have as many labels.

openvino cannot join requests to batches of varying size. It is configured without a batch dimension and computes
each request by itself, in an ensemble that has one: Triton allows that where the full shapes agree. On a processor with
AMX it computes in bfloat16, which no parameter changes.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from itertools import product
from pathlib import Path

from tritonclient.grpc import model_config_pb2 as triton

from pipeline.compute.graph_precision import onnx_graph
from pipeline.compute.runtimes import AUTO
from pipeline.errors import BundleError, EnvironmentFault, InputError
from pipeline.files.bundle import ONNX_FILE, Bundle
from pipeline.tensors import INPUT_IDS, LOGITS, TOKEN_TYPE_IDS
from serving.triton.configs.parts import input_tensor, output_tensor
from serving.triton.options import GPU, NATIVE_PRECISIONS, ServingOptions

PARAMETERS = {
    "onnxruntime": {
        "intra_op_thread_count",
        "inter_op_thread_count",
        "execution_mode",
        "enable_mem_arena",
        "enable_mem_pattern",
        "memory.enable_memory_arena_shrinkage",
    },
    "openvino": {"INFERENCE_NUM_THREADS", "NUM_STREAMS", "PERFORMANCE_HINT"},
}
"""The parameters that each backend knows; it ignores all others without a word."""
TENSORRT_PARAMETERS = {
    "precision_mode",
    "max_workspace_size_bytes",
    "trt_engine_cache_enable",
    "trt_engine_cache_path",
    "trt_timing_cache_enable",
    "trt_timing_cache_path",
    "trt_profile_min_shapes",
    "trt_profile_opt_shapes",
    "trt_profile_max_shapes",
}
"""Those of its TensorRT accelerator that are of use here."""
MAXIMUM_IR_VERSION, MAXIMUM_OPSET = 10, 21
"""Of the ONNX files that these backends read: ONNX Runtime 1.19's."""
INPUTS = (INPUT_IDS, TOKEN_TYPE_IDS)


def native_choice(bundle: Bundle, runtime: str, precision: str, device: str) -> tuple[str, str]:
    """Runtime and precision of a native backend where either may be AUTO: onnxruntime, in what the gate released.

    Of a bundle that went through no gate, float32.
    """
    runtime = "onnxruntime" if runtime == AUTO else runtime
    if precision != AUTO:
        return runtime, precision
    known = NATIVE_PRECISIONS.get((runtime, device), ())
    choices = bundle.manifest.gate.get("choices", ())
    released = [each["precision"] for each in choices if each["runtime"] == runtime and each["precision"] in known]
    if device == GPU:
        released.sort(key=known.index, reverse=True)  # the gate orders them by their speed on a CPU
    return runtime, next(iter([*released, "float32"]))


def native_model(name: str, options: ServingOptions, labels: int) -> triton.ModelConfig:
    """The configuration of the model with so many labels, without its versions."""
    batching = options.runtime == "onnxruntime"
    rows = [] if batching else [-1]
    config = triton.ModelConfig(
        name=name,
        backend=options.runtime,
        max_batch_size=options.max_batch_size if batching else 0,
        default_model_filename=ONNX_FILE,
        input=[input_tensor(tensor, triton.TYPE_INT64, *rows, -1) for tensor in INPUTS],
        output=[output_tensor(LOGITS, triton.TYPE_FP32, *rows, labels)],
        # Without a group there would be two instances on a CPU, each with the whole model and a thread per core.
        instance_group=[_instances(options)],
        model_warmup=_warmups(options, batching),
    )
    config.dynamic_batching.SetInParent()
    if batching:
        # Without it a request would wait for the whole queue delay, if one were set; the largest is what is joined.
        config.dynamic_batching.preferred_batch_size.append(joined_rows(options))
    for key, value in _parameters(options).items():
        config.parameters[key].string_value = value
    if options.tensorrt:
        accelerator = config.optimization.execution_accelerators.gpu_execution_accelerator.add(name="tensorrt")
        accelerator.parameters.update(_known(_tensorrt_parameters(options), TENSORRT_PARAMETERS, "TensorRT"))
    return config


def joined_rows(options: ServingOptions) -> int:
    """Texts of several requests that are joined to a batch at most: what the token budget holds of the longest."""
    return max(1, min(options.max_batch_size, options.token_budget // options.padded_lengths[-1]))


def write_native_graph(bundle: Bundle, options: ServingOptions, folder: Path) -> None:
    """Write the bundle's graph to `folder` under the one name that all native versions have, and check it.

    Raises:
        EnvironmentFault: onnx is not installed.
        BundleError: the bundle has no such graph, or one that the backend or the configuration does not fit.
    """
    graph = onnx_graph(bundle, options.graph_precision)
    if isinstance(graph, bytes):
        (folder / ONNX_FILE).write_bytes(graph)
    else:
        shutil.copyfile(graph, folder / ONNX_FILE)
    config = native_model("", options, len(bundle.manifest.labels))
    for fault in graph_faults(folder / ONNX_FILE, config):
        raise BundleError(f"the {options.graph_precision} graph of {bundle.path} {fault}; export the bundle again")


def graph_faults(graph: Path, config: triton.ModelConfig) -> list[str]:
    """What of an ONNX file does not fit a configuration, or Triton's backends; empty if they would load it.

    Raises:
        EnvironmentFault: onnx is not installed.
        BundleError: it is no ONNX file.
    """
    try:
        import onnx
        from google.protobuf.message import DecodeError
    except ImportError as error:
        raise EnvironmentFault(f"checking a graph needs the package onnx ({error}); install it") from error
    try:
        model = onnx.load(graph)
    except DecodeError as error:
        raise BundleError(f"{graph} does not load in onnx: {error}; export the bundle again") from error
    types = {onnx.TensorProto.INT64: triton.TYPE_INT64, onnx.TensorProto.FLOAT: triton.TYPE_FP32}
    faults = []
    opset = max((each.version for each in model.opset_import if each.domain in ("", "ai.onnx")), default=0)
    if model.ir_version > MAXIMUM_IR_VERSION or opset > MAXIMUM_OPSET:
        faults.append(
            f"is of ONNX format {model.ir_version} and operator set {opset}; the backends read formats up to "
            f"{MAXIMUM_IR_VERSION} and sets up to {MAXIMUM_OPSET}"
        )
    for kind, tensors, configured in (
        ("inputs", model.graph.input, config.input),
        ("outputs", model.graph.output, config.output),
    ):
        rows = [-1] if config.max_batch_size else []
        wanted = {tensor.name: (tensor.data_type, [*rows, *tensor.dims]) for tensor in configured}
        found = {}
        for tensor in tensors:
            shape = tensor.type.tensor_type.shape.dim
            dims = [each.dim_value if each.HasField("dim_value") else -1 for each in shape]
            found[tensor.name] = (types.get(tensor.type.tensor_type.elem_type, triton.TYPE_INVALID), dims)
        if found != wanted:
            faults.append(f"has the {kind} {_in_words(found)}, not {_in_words(wanted)}")
    return faults


def _in_words(tensors: Mapping[str, tuple[int, list[int]]]) -> str:
    words = (f"{name} {triton.DataType.Name(kind)} {dims}" for name, (kind, dims) in sorted(tensors.items()))
    return ", ".join(words) or "none"


def _instances(options: ServingOptions) -> triton.ModelInstanceGroup:
    if options.device != GPU:
        return triton.ModelInstanceGroup(count=options.instances, kind=triton.ModelInstanceGroup.KIND_CPU)
    numbers = options.gpus if options.devices else ()  # none named: on each that is there
    return triton.ModelInstanceGroup(count=options.instances, kind=triton.ModelInstanceGroup.KIND_GPU, gpus=numbers)


def _parameters(options: ServingOptions) -> dict[str, str]:
    if options.runtime == "openvino":
        # All instances share one compiled model, which computes as many requests at a time as it has streams.
        parameters = {"PERFORMANCE_HINT": "LATENCY", "NUM_STREAMS": str(options.instances)}
        if options.threads:
            parameters["INFERENCE_NUM_THREADS"] = str(options.threads)
    else:
        parameters = {"intra_op_thread_count": str(options.threads)} if options.threads else {}
    return _known(parameters, PARAMETERS[options.runtime], options.runtime)


def _tensorrt_parameters(options: ServingOptions) -> dict[str, str]:
    """One engine for all shapes that occur; without these limits it is built again for every new largest one."""

    def shapes(rows: int, length: int) -> str:
        return ",".join(f"{tensor}:{rows}x{length}" for tensor in INPUTS)

    shortest, longest = options.padded_lengths[0], options.padded_lengths[-1]
    parameters = {
        "precision_mode": {"float16": "FP16", "float32": "FP32"}[options.precision],
        "trt_profile_min_shapes": shapes(1, shortest),
        "trt_profile_opt_shapes": shapes(joined_rows(options), longest),
        "trt_profile_max_shapes": shapes(options.max_batch_size, longest),
    }
    if options.engine_cache:
        for what in ("engine", "timing"):
            parameters |= {f"trt_{what}_cache_enable": "1", f"trt_{what}_cache_path": options.engine_cache}
    return parameters


def _known(parameters: dict[str, str], known: set[str], engine: str) -> dict[str, str]:
    if unknown := sorted(set(parameters) - known):
        raise InputError(f"{engine} knows no parameter {', '.join(unknown)}; it knows {', '.join(sorted(known))}")
    return parameters


def _warmups(options: ServingOptions, batching: bool) -> list[triton.ModelWarmup]:
    """A run of each shape that is usual; rows of padding alone are computed as all others are."""
    counts = sorted({1, joined_rows(options)}) if batching else [1]
    warmups = []
    for length, rows in product(options.padded_lengths, counts):
        tensor = triton.ModelWarmup.Input(
            data_type=triton.TYPE_INT64, dims=[length] if batching else [rows, length], zero_data=True
        )
        warmups.append(
            triton.ModelWarmup(name=f"{rows}x{length}", batch_size=rows, inputs=dict.fromkeys(INPUTS, tensor))
        )
    return warmups
