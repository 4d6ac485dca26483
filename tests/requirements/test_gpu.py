"""The packages for GPUs: the locks fit together and the others, and an environment keeps its device."""

import os
import re
import subprocess
import sys

import machine
import pytest
from gpu_links import link

from pipeline.compute.gpu import CUDA, KERNELS, ONNXRUNTIME
from tests.conftest import PROJECT

REQUIREMENTS = PROJECT / "requirements"
REQUIREMENT = re.compile(r"(?m)^([A-Za-z0-9][A-Za-z0-9._-]*)(?:\[[^\]]*\])?(?:==([^ ;\\\n]+))?")


def listed(name: str) -> dict[str, str]:
    """The version that a file of requirements states of each package."""
    return {
        match[1].lower(): match[2] for match in REQUIREMENT.finditer((REQUIREMENTS / name).read_text(encoding="utf-8"))
    }


LOCKS = [
    ("main", "gpu", {"onnxruntime": "onnxruntime-gpu", "paddlepaddle": "paddlepaddle-gpu"}),
    (
        "serving",
        "serving-gpu",
        {"paddle-serving-server": "paddle-serving-server-gpu", "paddlepaddle": "paddlepaddle-gpu"},
    ),
]


@pytest.mark.parametrize(("cpu", "gpu", "replaced"), LOCKS, ids=["main", "serving"])
def test_a_lock_for_gpus_differs_from_the_other_in_what_computes_alone(cpu, gpu, replaced):
    cpu_lock, gpu_lock, asked = listed(f"{cpu}.txt"), listed(f"{gpu}.txt"), listed(f"{gpu}.in")
    assert {name: version for name, version in gpu_lock.items() if name in cpu_lock} == {
        name: version for name, version in cpu_lock.items() if name not in replaced
    }
    assert gpu_lock.keys() - cpu_lock.keys() == asked.keys()
    assert {name: gpu_lock[name] for name in asked} == asked
    assert set(replaced.values()) <= asked.keys()
    assert listed(f"{gpu}-overrides.in").keys() == replaced.keys()


@pytest.mark.parametrize("name", ["gpu", "serving-gpu"])
def test_everything_is_locked_with_its_hashes(name):
    text = (REQUIREMENTS / f"{name}.txt").read_text(encoding="utf-8")
    entries = re.split(r"(?m)^(?=[A-Za-z0-9])", text)[1:]
    assert {re.split(r"[\[=]", entry)[0] for entry in entries} == set(listed(f"{name}.txt"))
    assert [entry.partition(" ")[0] for entry in entries if "--hash=sha256:" not in entry] == []


def test_all_is_of_one_cuda_version():
    gpu_lock, serving = listed("gpu.txt"), listed("serving-gpu.txt")
    libraries = {name: version for name, version in gpu_lock.items() if name.startswith("nvidia-") and "-cu" in name}
    assert {name.rpartition("-")[2] for name in libraries} == {f"cu{CUDA[0]}"}
    assert libraries["nvidia-cuda-runtime-cu11"].startswith("{}.{}.".format(*CUDA))
    of_serving = {name: version for name, version in serving.items() if name.startswith("nvidia-")}
    assert of_serving.items() <= libraries.items()
    assert {name: gpu_lock[name] for name in KERNELS} == {name: each.version for name, each in KERNELS.items()}
    assert ONNXRUNTIME not in serving


def test_libraries_are_linked_where_paddle_is_looked_through(tmp_path):
    for name in ("cublas/lib/libcublas.so.11", "cudnn/lib/libcudnn_ops_infer.so.8"):
        (tmp_path / "nvidia" / name).parent.mkdir(parents=True)
        (tmp_path / "nvidia" / name).write_text(name)
    libs = tmp_path / "paddle" / "libs"
    libs.mkdir(parents=True)
    (libs / "libphi.so").write_text("its own")
    (libs / "libgone.so").symlink_to("nowhere")
    for _ in range(2):
        link(tmp_path)
    assert {path.name: path.read_text() for path in libs.iterdir()} == {
        "libphi.so": "its own",
        "libcublas.so": "cublas/lib/libcublas.so.11",
        "libcublas.so.11": "cublas/lib/libcublas.so.11",
        "libcudnn_ops_infer.so": "cudnn/lib/libcudnn_ops_infer.so.8",
        "libcudnn_ops_infer.so.8": "cudnn/lib/libcudnn_ops_infer.so.8",
    }
    (tmp_path / "nvidia" / "cublas" / "lib" / "libcublas.so.11").unlink()
    link(tmp_path)
    assert "libcublas.so" not in {path.name for path in libs.iterdir()}


def test_the_room_for_another_device_is_what_it_takes_more(tmp_path):
    assert machine.needed_gb(tmp_path, "cpu") == pytest.approx(2.8)
    assert machine.needed_gb(tmp_path, "gpu") == pytest.approx(14.7)
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv" / ".ready").touch()
    assert machine.needed_gb(tmp_path, "gpu") == pytest.approx(14.7 - 1.85)
    (tmp_path / ".venv" / ".device").write_text("gpu\n")
    assert machine.needed_gb(tmp_path, "gpu") == pytest.approx(6.5)
    assert machine.needed_gb(tmp_path, "cpu") == pytest.approx(0.95)


@pytest.fixture
def copy(tmp_path):
    """A folder whose uv writes down what it is told, and installs nothing."""
    for name in ("Makefile", "pyproject.toml", "requirements", "pipeline"):
        (tmp_path / name).symlink_to(PROJECT / name)
    programs = tmp_path / ".tools" / "bin"
    programs.mkdir(parents=True)
    (programs / "python").symlink_to(sys.executable)
    (programs / "uv").write_text('#!/bin/sh\necho "$@" >> "$(dirname "$0")/../../asked"\n')
    (programs / "uv").chmod(0o755)
    for name in (".venv", ".venv-serving"):
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / name], check=True)
    return tmp_path


def test_an_environment_keeps_its_device_until_another_is_named(copy):
    def make(*words: str) -> list[str]:
        """The locks that were installed."""
        (copy / "asked").unlink(missing_ok=True)
        environment = {**os.environ, "FORCE": "1", "DEVICE": "tpu"}  # of others, in the environment: not meant for us
        subprocess.run(["make", *words], cwd=copy, env=environment, capture_output=True, check=True)
        asked = (copy / "asked").read_text() if (copy / "asked").exists() else ""
        return re.findall(r"requirements/(\S+)\.txt", asked)

    assert make("setup") == ["main"]
    assert make("setup") == make("setup", "DEVICE=cpu") == []
    assert make("setup", "DEVICE=gpu") == ["gpu"]
    assert make("setup") == make("setup", "DEVICE=gpu") == []
    assert make("setup-paddle") == ["serving-gpu"]  # as .venv
    assert make("setup-paddle", "DEVICE=cpu") == ["serving"]
    assert make("setup", "setup-paddle") == []
    assert make("setup", "setup-paddle", "DEVICE=cpu") == ["main"]


def test_another_device_is_refused(copy):
    done = subprocess.run(["make", "setup", "DEVICE=cuda"], cwd=copy, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert 'DEVICE is "cuda"; give cpu or gpu' in done.stderr
