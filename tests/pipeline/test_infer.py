import os
import re
import threading
from dataclasses import replace

import pytest

from pipeline.compute.runtimes import resolve, unavailable
from pipeline.errors import InputError
from pipeline.files.bundle import Bundle, seal
from pipeline.files.dataset import read_examples
from pipeline.infer import InferOptions, find_bundle, main, measure, predict
from pipeline.metrics.sets import Metrics
from pipeline.output import as_levels
from pipeline.predictor import Predictor
from tests.conftest import run_command, run_in_process


@pytest.fixture
def texts(bundle_path):
    return [golden.text for golden in Bundle(bundle_path).manifest.goldens][:5]


@pytest.fixture
def data_file(tmp_path, texts):
    path = tmp_path / "data.txt"
    path.write_text("".join(f"{text}\n" for text in texts), encoding="utf-8")
    return path


def infer(bundle_path, *options):
    return run_in_process(main, "--model_path_prefix", bundle_path / "float32", *options)


def shown(predictor, texts):
    return "".join(f"{as_levels(*answer)}\n" for answer in zip(texts, predictor.predict(texts)))


def figures(output):
    return {name: float(number) for name, number in re.findall(r"^(.+?): ([\d.]+)", output, re.MULTILINE)}


def test_a_user_gets_each_text_with_its_labels(bundle_path, data_file, texts):
    prefix = ("--model_path_prefix", bundle_path / "float32")
    done = run_command("pipeline/infer.py", *prefix, "--dataset_dir", data_file.parent)
    assert done.stdout == shown(Predictor(bundle_path), texts)
    assert done.stderr == ""


def test_a_program_gets_the_same(bundle_path, sample_dataset):
    options = InferOptions(model_path_prefix=bundle_path, dataset_dir=sample_dataset, data_file="dev.txt")
    hierarchy = Bundle(bundle_path).hierarchy
    texts = [example.text for example in read_examples(sample_dataset / "dev.txt", hierarchy)]
    assert "".join(f"{as_levels(*answer)}\n" for answer in predict(options)) == shown(Predictor(bundle_path), texts)
    measured = measure(options)
    assert measured.samples == len(texts)
    assert 0 < measured.scores["micro_f1"] <= 1


def test_it_says_why(bundle_path, data_file, texts):
    done = infer(bundle_path, "--data_file", data_file, "--explain")
    answers = Predictor(bundle_path).explain(texts)
    assert done.stdout == "".join(f"{as_levels(*answer)}\n" for answer in zip(texts, answers))
    for text, answer, plain in zip(texts, answers, Predictor(bundle_path).predict(texts)):
        assert dict(answer) == pytest.approx(dict(plain), abs=1e-4)
        assert list(answer.why.labels) == [label for label, _ in answer]
        for reason in (reason for reasons in answer.why.labels.values() for reason in reasons):
            assert text[reason.start : reason.end] == reason.text
            assert reason.drop > 0
    assert any(reasons for answer in answers for reasons in answer.why.labels.values())


def test_importing_it_imports_numpy_alone():
    heavy = {"onnx", "onnxruntime", "openvino", "paddle", "tokenizers"}
    run_command("-c", f"import sys, pipeline.infer; assert not {heavy} & set(sys.modules)")


def test_labels_of_a_labelled_file_are_not_shown(bundle_path, sample_dataset):
    done = infer(bundle_path, "--dataset_dir", sample_dataset, "--data_file", "dev.txt")
    texts = [example.text for example in read_examples(sample_dataset / "dev.txt", Bundle(bundle_path).hierarchy)]
    assert done.stdout == shown(Predictor(bundle_path), texts)


@pytest.mark.parametrize("option", ["--use_quantize", "--use_fp16", "--precision=int8", "--precision=float16"])
def test_other_precisions_answer(bundle_path, data_file, texts, option):
    precision = "float16" if "16" in option else "int8"
    done = infer(bundle_path, "--data_file", data_file, option)
    assert (done.returncode, done.stdout) == (0, shown(Predictor(bundle_path, precision=precision), texts))
    assert ("note: float16 is meant for GPUs" in done.stderr) == (precision == "float16")


def test_perf_gives_times_and_the_f1_of_labelled_rows(bundle_path, sample_dataset):
    done = infer(bundle_path, "--dataset_dir", sample_dataset, "--data_file", "dev.txt", "--perf")
    bundle = Bundle(bundle_path)
    examples = list(read_examples(sample_dataset / "dev.txt", bundle.hierarchy))
    metrics = Metrics(bundle.hierarchy)
    predicted = Predictor(bundle).decode([example.text for example in examples]).selected
    metrics.update(bundle.hierarchy.matrix([example.labels for example in examples]), predicted)
    found, expected = figures(done.stdout), metrics.result()
    assert list(found) == ["samples", "total time", "latency", "throughput", "micro F1", "macro F1"]
    assert found["samples"] == len(examples)
    assert found["micro F1"] == round(expected["micro_f1"], 4)
    assert found["macro F1"] == round(expected["macro_f1"], 4)
    assert found["latency"] == pytest.approx(1000 * found["total time"] / len(examples), abs=0.01)


def test_perf_of_texts_has_no_f1(bundle_path, data_file):
    done = infer(bundle_path, "--data_file", data_file, "--perf")
    assert "micro F1" not in figures(done.stdout)
    assert "no labels, so there is no F1" in done.stderr


def test_a_tab_before_what_are_no_labels_is_part_of_the_text(bundle_path, tmp_path):
    path = tmp_path / "tabs.txt"
    path.write_text("裁员\t三成\n", encoding="utf-8")
    done = infer(bundle_path, "--data_file", path)
    assert done.stdout.startswith("text: 裁员\t三成\n")
    assert "tabs.txt:1: what follows the tab are no labels of the model" in done.stderr


def test_a_file_with_a_slash_in_its_name_is_a_path(bundle_path, texts, sample_dataset, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.txt").write_text(f"{texts[0]}\n", encoding="utf-8")
    both = ("--dataset_dir", sample_dataset, "--data_file")
    assert infer(bundle_path, *both, "./mine.txt").stdout == shown(Predictor(bundle_path), texts[:1])
    done = infer(bundle_path, *both, "mine.txt")
    assert f"there is no {sample_dataset}/mine.txt; give ./mine.txt for the file in this folder" in done.stderr
    options = InferOptions(model_path_prefix=bundle_path, dataset_dir=sample_dataset, data_file=tmp_path / "mine.txt")
    assert [text for text, _ in predict(options)] == texts[:1]


def test_a_table_is_not_taken_for_texts_but_for_labelled_rows(bundle_path, sample_dataset, tmp_path):
    path = tmp_path / "tickets.csv"
    path.write_text("Text,Label\n裁员,组织关系\n", encoding="utf-8")
    done = infer(bundle_path, "--data_file", path)
    assert (done.returncode, done.stdout) == (2, "")
    assert f"serving.bulk --input {path} --text_column COLUMN reads it" in done.stderr
    rows = tmp_path / "rows.tsv"
    rows.write_bytes((sample_dataset / "dev.txt").read_bytes())
    assert "micro F1: " in infer(bundle_path, "--data_file", rows, "--perf").stdout


def test_more_tokens_than_the_model_reads_are_cut(bundle_path, data_file, texts):
    done = infer(bundle_path, "--data_file", data_file, "--max_seq_length", 100_000)
    assert "note: --max_seq_length 100000 is cut to the" in done.stderr
    assert done.stdout == shown(Predictor(bundle_path), texts)
    done = infer(bundle_path, "--data_file", data_file, "--max_seq_length", 4)
    assert done.stdout == shown(Predictor(bundle_path, max_seq_length=4), texts) != shown(Predictor(bundle_path), texts)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((), "there is nothing to predict; give --data_file, or --dataset_dir with a data.txt"),
        (("--data_file", "/nowhere/data.txt"), "cannot read /nowhere/data.txt"),
        (("--use_fp16", "--use_quantize"), "--use_fp16 and --use_quantize exclude each other"),
        (("--precision", "float32", "--use_quantize"), "--precision, --use_fp16 and --use_quantize exclude each other"),
        (("--data_file", __file__, "--perf", "--explain"), "--perf measures answers without reasons"),
        (("--data_file", __file__, "--batch_size", "0"), "--batch_size is 0; give a whole number, at least 1"),
        (("--data_file", __file__, "--max_seq_length", "2"), "--max_seq_length is 2; give a whole number, at least 3"),
        (("--data_file", __file__, "--num_threads", "0"), "--num_threads is 0; give a whole number, at least 1"),
    ],
)
def test_what_cannot_be_done_is_said(bundle_path, options, message):
    done = infer(bundle_path, *options)
    assert done.returncode == 2
    assert message in done.stderr
    assert done.stdout == ""


@pytest.mark.skipif(not unavailable("onnxruntime", device="gpu"), reason="this machine has a GPU")
def test_a_missing_gpu_is_the_machines_fault(bundle_path, data_file):
    done = infer(bundle_path, "--data_file", data_file, "--device", "gpu")
    assert done.returncode == 3
    assert "no CUDAExecutionProvider here" in done.stderr


@pytest.mark.parametrize("perf", [(), ("--perf",)])
def test_an_empty_file_is_an_error(bundle_path, tmp_path, perf):
    (tmp_path / "data.txt").touch()
    done = infer(bundle_path, "--dataset_dir", tmp_path, *perf)
    assert (done.returncode, done.stdout) == (2, "")
    assert "data.txt is empty; give a file with a text on each line" in done.stderr


def test_a_line_that_is_no_utf8_is_named_after_those_before_it(bundle_path, tmp_path, texts):
    (tmp_path / "data.txt").write_bytes(f"{texts[0]}\n".encode() + b"\xff\n")
    done = infer(bundle_path, "--dataset_dir", tmp_path)
    assert (done.returncode, done.stdout) == (2, shown(Predictor(bundle_path), texts[:1]))
    assert "data.txt:2: byte 1 (0xff) is not UTF-8" in done.stderr


def test_a_prefix_leads_to_the_bundle_that_its_graph_lies_in(bundle_path, checkpoint, tmp_path):
    for prefix in ("", "float32", "float32.pdmodel", "model", "model.onnx"):
        assert find_bundle(bundle_path / prefix).path == bundle_path
    with pytest.raises(
        InputError, match=r"holds no graph int4; give .* \(float32\.pdmodel, model\.onnx, packed\.pdmodel\)"
    ):
        find_bundle(bundle_path / "int4")
    for prefix in (tmp_path / "float32", tmp_path, checkpoint):
        with pytest.raises(InputError, match=r"leads to no exported model: .* make one with training/export_model\.py"):
            find_bundle(prefix)


def test_auto_takes_what_was_released_where_this_machine_can(bundle_path, data_file, texts, tmp_path):
    folder = tmp_path / "released"
    folder.mkdir()
    bundle = Bundle(bundle_path)
    for name in bundle.files:
        (folder / name).write_bytes(bundle.file(name).read_bytes())
    choices = [{"runtime": "openvino", "precision": "int8"}, {"runtime": "onnxruntime", "precision": "int8"}]
    released = seal(folder, replace(bundle.manifest, gate={"choices": choices}))
    assert resolve(released, "auto", "auto") == ("onnxruntime", "int8")
    newer = seal(
        folder, replace(bundle.manifest, gate={"choices": [{"runtime": "later", "precision": "int2"}, *choices]})
    )
    assert resolve(newer, "auto", "auto") == ("onnxruntime", "int8")
    with pytest.raises(InputError, match="names no runtime and precision"):
        replace(bundle.manifest, gate={"choices": [{"runtime": "openvino"}]})
    assert resolve(released, "openvino", "auto") == ("openvino", "float32")
    assert resolve(bundle, "auto", "auto") == ("onnxruntime", "float32")
    assert resolve(bundle, "openvino", "auto") == ("openvino", "float32")
    assert resolve(bundle, "auto", "int8") == ("onnxruntime", "int8")
    done = infer(folder, "--data_file", data_file, "--runtime", "auto", "--precision", "auto")
    assert done.stdout == shown(Predictor(bundle_path, precision="int8"), texts)


def test_a_pipe_is_read_once_and_whole(bundle_path, texts, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    content = "".join(f"{text}\n" for text in texts).encode()
    writer = threading.Thread(target=(tmp_path / "pipe").write_bytes, args=(content,))
    writer.start()
    done = infer(bundle_path, "--data_file", tmp_path / "pipe")
    writer.join()
    assert (done.returncode, done.stdout) == (0, shown(Predictor(bundle_path), texts))


def test_an_endless_line_is_not_read_to_its_end(bundle_path):
    done = infer(bundle_path, "--data_file", "/dev/zero")
    assert (done.returncode, done.stderr) == (
        2,
        "error: /dev/zero:1: the line is longer than 16,777,216 bytes; shorten it\n",
    )
