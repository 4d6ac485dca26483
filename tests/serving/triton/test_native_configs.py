"""Configurations for Triton's own backends: parsed, and checked against the graph that is published with them."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, replace

import onnx
import pytest
from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2

from pipeline.errors import BundleError, InputError
from pipeline.files.bundle import seal
from pipeline.tensors import INPUT_IDS, TOKEN_TYPE_IDS
from serving.published import PublishedVersion
from serving.triton.configs.ensemble import component_configs
from serving.triton.configs.native import PARAMETERS, TENSORRT_PARAMETERS, graph_faults, native_model
from serving.triton.options import NATIVE_PRECISIONS, ServingOptions
from serving.triton.repository import ModelRepository
from tests.serving.native_stand_in import OPTIONS, published_config

KINDS = [
    replace(OPTIONS, runtime=runtime, precision=precision, device=device)
    for (runtime, device), precisions in NATIVE_PRECISIONS.items()
    for precision in precisions
] + [replace(OPTIONS, device="gpu", precision="float16", tensorrt=True)]


def name_of(options):
    return f"{options.engine} {options.precision}"


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_openvino_is_not_said_to_compute_in_what_nobody_can_choose(precision):
    options = ServingOptions(backend="native", runtime="openvino", precision=precision)
    assert options.precision_in_words == "bfloat16 where the processor has it, else float32"
    assert ServingOptions(backend="native").precision_in_words == "float32"


@pytest.mark.parametrize("options", KINDS, ids=name_of)
def test_every_configuration_fits_the_graph(options, bundle, tmp_path):
    repository = ModelRepository(tmp_path)
    version = PublishedVersion.now(1, bundle, options.fitted(bundle.manifest.max_seq_length), ())
    repository.add(bundle, version)
    repository.load_only(version)
    config, graph = published_config(repository), onnx.load(tmp_path / "seqcls_model" / "1" / "model.onnx").graph
    rows = [-1] if config.max_batch_size else []
    for tensors, configured in ((graph.input, config.input), (graph.output, config.output)):
        in_graph = {
            tensor.name: [dim.dim_value or -1 for dim in tensor.type.tensor_type.shape.dim] for tensor in tensors
        }
        assert {tensor.name: [*rows, *tensor.dims] for tensor in configured} == in_graph
    assert [tensor.data_type for tensor in config.input] == 2 * [model_config_pb2.TYPE_INT64]
    assert config.output[0].data_type == model_config_pb2.TYPE_FP32
    assert config.output[0].dims[-1] == len(bundle.manifest.labels)
    assert config.default_model_filename == "model.onnx"
    assert config.backend == options.runtime
    assert set(config.parameters) <= PARAMETERS[options.runtime]
    assert not any(tensor.allow_ragged_batch for tensor in config.input)
    (group,) = config.instance_group
    assert (group.count, model_config_pb2.ModelInstanceGroup.Kind.Name(group.kind)) == (
        1,
        "KIND_GPU" if options.device == "gpu" else "KIND_CPU",
    )
    assert config.HasField("dynamic_batching")
    assert not config.dynamic_batching.HasField("default_queue_policy")
    assert list(config.version_policy.specific.versions) == [1]
    assert not (tmp_path / "seqcls_model" / "1" / "float32.pdmodel").exists()


@pytest.mark.parametrize("options", KINDS, ids=name_of)
def test_warm_up_runs_the_padded_lengths(options, bundle):
    options = options.fitted(bundle.manifest.max_seq_length)
    config = native_model("seqcls_model", options, 75)
    assert len({warmup.name for warmup in config.model_warmup}) == len(config.model_warmup)
    shapes = set()
    for warmup in config.model_warmup:
        assert set(warmup.inputs) == {INPUT_IDS, TOKEN_TYPE_IDS}
        assert max(1, config.max_batch_size) >= warmup.batch_size >= 1
        for tensor in warmup.inputs.values():
            assert len(tensor.dims) == len(config.input[0].dims)
            shapes.add((warmup.batch_size, tensor.dims[-1]))
    assert {length for _, length in shapes} == set(options.padded_lengths)
    joined = set(config.dynamic_batching.preferred_batch_size)
    assert {rows for rows, _ in shapes} == {1} | joined


def test_tensorrt_builds_one_engine_for_all_shapes(bundle):
    options = ServingOptions(
        backend="native",
        device="gpu",
        precision="float16",
        tensorrt=True,
        engine_cache="/var/cache/text-classifier",
        token_budget=1024,
        max_batch_size=64,
    )
    config = native_model("seqcls_model", options.fitted(128), 75)
    (accelerator,) = config.optimization.execution_accelerators.gpu_execution_accelerator
    assert accelerator.name == "tensorrt"
    assert set(accelerator.parameters) <= TENSORRT_PARAMETERS
    assert accelerator.parameters["precision_mode"] == "FP16"
    assert accelerator.parameters["trt_profile_min_shapes"] == "input_ids:1x32,token_type_ids:1x32"
    assert accelerator.parameters["trt_profile_opt_shapes"] == "input_ids:8x128,token_type_ids:8x128"
    assert accelerator.parameters["trt_profile_max_shapes"] == "input_ids:64x128,token_type_ids:64x128"
    assert accelerator.parameters["trt_engine_cache_path"] == "/var/cache/text-classifier"
    assert options.graph_precision == "float32"


def test_threads_and_instances_reach_the_backends():
    options = replace(OPTIONS, threads=3, instances=2).fitted(128)
    config = native_model("seqcls_model", options, 75)
    assert {name: value.string_value for name, value in config.parameters.items()} == {"intra_op_thread_count": "3"}
    assert config.instance_group[0].count == 2
    config = native_model("seqcls_model", replace(options, runtime="openvino"), 75)
    assert {name: value.string_value for name, value in config.parameters.items()} == {
        "PERFORMANCE_HINT": "LATENCY",
        "NUM_STREAMS": "2",
        "INFERENCE_NUM_THREADS": "3",
    }


def test_a_misspelt_parameter_is_impossible(monkeypatch):
    monkeypatch.setitem(PARAMETERS, "onnxruntime", {"inter_op_thread_count"})
    with pytest.raises(InputError, match="onnxruntime knows no parameter intra_op_thread_count; it knows inter_op"):
        native_model("seqcls_model", replace(OPTIONS, threads=3).fitted(128), 75)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda model: setattr(model.graph.output[0], "name", "scores"), r"has the outputs scores TYPE_FP32 \[-1, "),
        (lambda model: setattr(model.graph.input[0].type.tensor_type, "elem_type", 6), "input_ids TYPE_INVALID"),
        (
            lambda model: setattr(model.graph.output[0].type.tensor_type.shape.dim[1], "dim_value", 7),
            r"has the outputs logits TYPE_FP32 \[-1, 7\], not logits TYPE_FP32 \[-1, ",
        ),
        (
            lambda model: setattr(model.graph.input[1].type.tensor_type.shape.dim[0], "dim_value", 1),
            r"token_type_ids TYPE_INT64 \[1, -1\], not",
        ),
        (lambda model: setattr(model, "ir_version", 11), "is of ONNX format 11 and operator set 17; the backends read"),
    ],
)
def test_a_graph_that_does_not_fit_is_not_published(bundle, tmp_path, spoil, message):
    model = onnx.load(bundle.file("model.onnx"))
    spoil(model)
    onnx.save(model, tmp_path / "model.onnx")
    config = native_model("seqcls_model", OPTIONS.fitted(128), len(bundle.manifest.labels))
    assert graph_faults(bundle.file("model.onnx"), config) == []
    shutil.copytree(bundle.path, tmp_path / "bundle")
    shutil.copyfile(tmp_path / "model.onnx", tmp_path / "bundle" / "model.onnx")
    spoilt = seal(tmp_path / "bundle", bundle.manifest)
    with pytest.raises(BundleError, match=message):
        ModelRepository(tmp_path / "repository").add(spoilt, PublishedVersion.now(1, spoilt, OPTIONS.fitted(128), ()))
    assert not list((tmp_path / "repository").glob("seqcls_model/*"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"backend": "tensorflow"}, "--backend is 'tensorflow'; give one of python, native"),
        ({"backend": "native", "device": "tpu"}, "--device is 'tpu'; give one of cpu, gpu"),
        (
            {"device": "gpu", "runtime": "openvino"},
            r"no openvino computes float32 on gpu; choose among onnxruntime on gpu",
        ),
        ({"device": "gpu", "precision": "int8"}, "no onnxruntime computes int8 on gpu"),
        ({"device": "gpu", "tensorrt": True, "engine_cache": "/tmp"}, "--engine_cache needs --backend native"),
        ({"device": "gpu", "devices": "0,"}, "--devices is '0,'; give numbers of GPUs"),
        (
            {"backend": "native", "precision": "bfloat16"},
            "no native onnxruntime computes bfloat16 on cpu; choose among",
        ),
        ({"backend": "native", "device": "gpu", "precision": "int8"}, "no native onnxruntime computes int8 on gpu"),
        ({"backend": "native", "device": "gpu", "runtime": "openvino"}, "no native openvino computes float32 on gpu"),
        ({"backend": "native", "tensorrt": True}, "--tensorrt needs --device gpu"),
        (
            {"backend": "native", "engine_cache": "/tmp/engines"},
            "--engine_cache is '/tmp/engines'; give an absolute path, and",
        ),
        ({"padded_lengths": (64, 32)}, "padded lengths 64, 32: give positive numbers in ascending order"),
        ({"padded_lengths": (0, 32)}, "padded lengths 0, 32"),
    ],
)
def test_wrong_options_are_refused(options, message):
    with pytest.raises(InputError, match=message):
        ServingOptions(**options)


@pytest.mark.parametrize(("devices", "numbers"), [("", []), ("0", [0]), ("1,3", [1, 3])])
def test_a_native_backend_takes_all_gpus_or_those_that_are_named(devices, numbers):
    config = native_model("m", replace(OPTIONS, device="gpu", devices=devices, instances=2).fitted(128), 5)
    (group,) = config.instance_group
    assert (group.count, list(group.gpus)) == (2, numbers)


@pytest.mark.parametrize(("devices", "numbers"), [("", [0]), ("1,3", [1, 3])])
def test_the_python_backend_has_its_processes_on_each_gpu(devices, numbers):
    options = ServingOptions(device="gpu", devices=devices, instances=2)
    texts = component_configs(options, [1])
    groups = {
        name: text_format.Parse(text, model_config_pb2.ModelConfig()).instance_group for name, text in texts.items()
    }
    kind = model_config_pb2.ModelInstanceGroup
    (group,) = groups["seqcls_model"]
    assert (group.kind, group.count, list(group.gpus)) == (kind.KIND_GPU, 2, numbers)
    assert options.model_processes == 2 * len(numbers)
    for name in ("tokenizer", "seqcls_postprocess"):
        assert [each.kind for each in groups[name]] == [kind.KIND_CPU]


def test_options_survive_being_written_down():
    options = OPTIONS.fitted(128)
    assert ServingOptions(**json.loads(json.dumps(asdict(options)))) == options
    assert options.model_processes == 0
    assert ServingOptions(instances=2).model_processes == 2
    older = {"runtime": "onnxruntime", "precision": "int8", "threads": 2}
    assert ServingOptions(**older) == ServingOptions(precision="int8", threads=2)


def test_padded_lengths_are_fitted_to_the_model():
    assert OPTIONS.fitted(100).padded_lengths == (16, 32, 48, 64, 96, 100)
    on_gpu = replace(OPTIONS, device="gpu", precision="float16")
    assert on_gpu.fitted(100).padded_lengths == (32, 64, 100)
    assert replace(OPTIONS, padded_lengths=(8, 500)).fitted(128).padded_lengths == (8, 128)
    assert ServingOptions().fitted(128) == ServingOptions()
    assert ServingOptions(padded_lengths=(8, 500)).fitted(128).padded_lengths == (8, 128)
