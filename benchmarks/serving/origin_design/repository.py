"""Writes the baseline's model repository; see `benchmarks.serving.origin_design`."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2 as triton

from pipeline.files.bundle import ONNX_FILE, Bundle
from pipeline.tensors import CONFIDENCE, ENSEMBLE, INPUT_IDS, LABEL, LOGITS, TEXT, TOKEN_TYPE_IDS
from pipeline.text.wordpiece import VOCABULARY_FILE

TOKENISER, MODEL, POSTPROCESS = "tokenizer", "seqcls_model", "seqcls_postprocess"
VERSION = "1"
MAX_BATCH_SIZE = 64
LABELS_FILE = "labels.json"


def write_model_repository(bundle: Bundle, folder: Path) -> None:
    """Write the baseline for a bundle's model, labels and vocabulary to `folder`, which does not exist yet.

    paddle2onnx imports paddle, which changes the environment of the process: do this in one that starts no server.
    """
    from training.model.static_graph import raw_onnx

    places = {}
    for config in _configs(bundle):
        places[config.name] = folder / config.name / VERSION
        places[config.name].mkdir(parents=True)
        text = text_format.MessageToString(config, as_utf8=True)
        (folder / config.name / "config.pbtxt").write_text(text, encoding="utf-8")
    for name in (TOKENISER, MODEL, POSTPROCESS):
        shutil.copyfile(Path(__file__).parent / f"{name}.py", places[name] / "model.py")
    write_tokeniser(bundle, places[TOKENISER])
    (places[MODEL] / ONNX_FILE).write_bytes(raw_onnx(bundle.path))
    labels = json.dumps(bundle.manifest.labels, ensure_ascii=False)
    (places[POSTPROCESS] / LABELS_FILE).write_text(labels, encoding="utf-8")


def write_tokeniser(bundle: Bundle, folder: Path) -> None:
    """The folder of a paddlenlp tokeniser."""
    settings = bundle.manifest.tokeniser
    config = {
        "tokenizer_class": {"bert": "BertTokenizer", "ernie": "ErnieTokenizer"}[settings.kind],
        "do_lower_case": settings.lower_case,
        **{name: token for name, token in settings.to_json().items() if name.endswith("_token")},
    }
    if settings.kind == "bert":
        config.update(tokenize_chinese_chars=settings.split_cjk, strip_accents=settings.strip_accents)
    shutil.copyfile(bundle.file(VOCABULARY_FILE), folder / VOCABULARY_FILE)
    (folder / "tokenizer_config.json").write_text(json.dumps(config), encoding="utf-8")


def _configs(bundle: Bundle) -> list[triton.ModelConfig]:
    ids = [
        triton.ModelOutput(name=name, data_type=triton.TYPE_INT64, dims=[-1]) for name in (INPUT_IDS, TOKEN_TYPE_IDS)
    ]
    logits = [triton.ModelOutput(name=LOGITS, data_type=triton.TYPE_FP32, dims=[len(bundle.hierarchy)])]
    answers = [
        triton.ModelOutput(name=LABEL, data_type=triton.TYPE_STRING, dims=[-1]),
        triton.ModelOutput(name=CONFIDENCE, data_type=triton.TYPE_FP32, dims=[-1]),
    ]
    text = [triton.ModelInput(name=TEXT, data_type=triton.TYPE_STRING, dims=[1])]
    tokeniser = _python_model(TOKENISER, text, ids)
    tokeniser.parameters["max_length"].string_value = str(bundle.manifest.max_seq_length)
    steps = [tokeniser, _python_model(MODEL, _as_inputs(ids), logits)]
    steps.append(_python_model(POSTPROCESS, _as_inputs(logits), answers))
    ensemble = triton.ModelConfig(
        name=ENSEMBLE,
        platform="ensemble",
        max_batch_size=MAX_BATCH_SIZE,
        input=text,
        output=answers,
        ensemble_scheduling=triton.ModelEnsembling(step=[_step(model) for model in steps]),
    )
    return [*steps, ensemble]


def _python_model(name: str, inputs: list[triton.ModelInput], outputs: list[triton.ModelOutput]) -> triton.ModelConfig:
    """Without dynamic batching: Triton hands such a model one request at a time."""
    return triton.ModelConfig(
        name=name,
        backend="python",
        max_batch_size=MAX_BATCH_SIZE,
        input=inputs,
        output=outputs,
        instance_group=[triton.ModelInstanceGroup(count=1, kind=triton.ModelInstanceGroup.KIND_CPU)],
    )


def _as_inputs(outputs: list[triton.ModelOutput]) -> list[triton.ModelInput]:
    return [triton.ModelInput(name=tensor.name, data_type=tensor.data_type, dims=tensor.dims) for tensor in outputs]


def _step(model: triton.ModelConfig) -> triton.ModelEnsembling.Step:
    return triton.ModelEnsembling.Step(
        model_name=model.name,
        model_version=-1,
        input_map={tensor.name: tensor.name for tensor in model.input},
        output_map={tensor.name: tensor.name for tensor in model.output},
    )
