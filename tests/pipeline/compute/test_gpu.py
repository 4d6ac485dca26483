"""What a machine lacks to compute on a GPU is said at the door, by a driver library that answers as real ones do."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.compute import gpu
from tests.conftest import PROJECT

SOURCE = Path(__file__).with_name("libcuda.c")


@pytest.fixture(scope="module")
def driver_folder(tmp_path_factory) -> Path:
    """A folder with a libcuda.so.1 that is made here."""
    if not shutil.which("gcc"):
        pytest.skip("there is no gcc to make a driver library with")
    folder = tmp_path_factory.mktemp("driver")
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", folder / "libcuda.so.1", SOURCE], check=True)
    return folder


@pytest.fixture
def packages(tmp_path, monkeypatch):
    """Makes it look as if packages were installed, by their names and versions."""

    def install(**versions: str) -> Path:
        for stem, version in versions.items():
            name, folder = stem.replace("_", "-"), tmp_path / f"{stem}-{version}.dist-info"
            folder.mkdir()
            (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        return tmp_path

    return install


def ask(statement: str, folder: Path | None = None, installed: Path | None = None, **answers: object) -> str:
    """What a statement prints in a process of its own, where `folder` holds the driver's library."""
    environment = {**os.environ, **{f"FAKE_{name.upper()}": str(value) for name, value in answers.items()}}
    environment["LD_LIBRARY_PATH"] = str(folder or "")
    script = "from pipeline.compute import gpu\n"
    if installed:
        script += f"import importlib.metadata as m; place = {{'path': [{str(installed)!r}]}}\n"
        script += "gpu.distributions = lambda: m.distributions(**place)\n"
        script += "gpu.version = lambda name: next(m.distributions(name=name, **place)).version\n"
    done = subprocess.run(
        [sys.executable, "-c", script + statement],
        cwd=PROJECT,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


FAULT = "print(gpu.fault(gpu.{}, {}))"
ONNX, PADDLE = {"onnxruntime_gpu": "1.18.1"}, {"paddlepaddle_gpu": "2.6.2"}


@pytest.mark.skipif(Path("/proc/driver/nvidia/version").exists(), reason="this machine has a driver")
def test_no_driver_is_said_with_what_to_install(packages):
    said = ask(FAULT.format("ONNXRUNTIME", 0), installed=packages(**ONNX))
    assert said.startswith("there is no NVIDIA driver here: neither libcuda.so.1 nor /proc/driver/nvidia/version")
    assert "install 520.61.05 or newer" in said and said.endswith("or choose device cpu")


@pytest.mark.parametrize(
    ("package", "number", "answers", "said"),
    [
        (
            "ONNXRUNTIME",
            0,
            {"cuda": 11040},
            "knows CUDA 11.4, and onnxruntime-gpu 1.18.1 needs 11.8: install driver 520",
        ),
        (
            "ONNXRUNTIME",
            0,
            {"init": 100},
            "the NVIDIA driver sees no GPU; see CUDA_VISIBLE_DEVICES, or choose device cpu",
        ),
        ("ONNXRUNTIME", 0, {"init": 803}, "and its library are of different versions; start the machine again"),
        ("ONNXRUNTIME", 0, {"init": 999}, "does not start (its error 999)"),
        ("ONNXRUNTIME", 0, {"cards": 0}, "shows this program no GPU"),
        ("ONNXRUNTIME", 2, {"cards": 2}, "there is no GPU 2: the driver shows 2, numbered from 0"),
        (
            "ONNXRUNTIME",
            0,
            {"capability": 120},
            "Fake A100 of compute capability 12.0, and onnxruntime-gpu 1.18.1 comp",
        ),
        (
            "PADDLE",
            0,
            {"capability": 90},
            "of compute capability 9.0, and paddlepaddle-gpu 2.6.2 computes on 6.1 to 8.9",
        ),
        ("ONNXRUNTIME", 0, {"capability": 90}, "None"),
        ("PADDLE", 1, {"cards": 2, "cuda": 11080}, "None"),
    ],
)
def test_what_a_machine_lacks_is_said(driver_folder, packages, package, number, answers, said):
    installed = packages(**(ONNX if package == "ONNXRUNTIME" else PADDLE))
    assert said in ask(FAULT.format(package, number), driver_folder, installed, **answers)


def test_builds_of_ones_own_are_not_refused(driver_folder, packages):
    installed = packages(paddlepaddle_gpu="2.6.2.post120")
    assert ask(FAULT.format("PADDLE", 0), driver_folder, installed, capability=90, cuda=12000) == "None"


@pytest.mark.parametrize(
    ("installed", "said"),
    [
        (
            {"nvidia_cublas_cu11": "1", "nvidia_cudnn_cu12": "2"},
            "libraries of two CUDA versions are installed, nvidia-cudnn-cu12",
        ),
        ({"onnxruntime_gpu": "1.18.1", "onnxruntime": "1.22.1"}, "onnxruntime-gpu and onnxruntime are both installed"),
        (
            {"paddlepaddle_gpu": "2.6.2", "paddlepaddle": "2.6.2"},
            "paddlepaddle-gpu and paddlepaddle are both installed",
        ),
    ],
)
def test_packages_that_do_not_go_together_are_named(packages, installed, said):
    found = ask("print(gpu.mixed())", installed=packages(**installed))
    assert found.startswith(said) and "`make setup DEVICE=gpu`" in found


@pytest.mark.parametrize(
    "error",
    [
        "Failed to allocate memory for requested buffer of size 268435456",
        "CUDA failure 2: out of memory ; GPU=0 ; hostname=x",
        "CUBLAS failure 3: CUBLAS_STATUS_ALLOC_FAILED",
        "ResourceExhaustedError: Out of memory error on GPU 0. Cannot allocate 1.2GB memory on GPU 0",
    ],
)
def test_a_full_card_is_said_with_what_is_used(driver_folder, error):
    said = ask(f"print(gpu.full_card({error!r}, 0))", driver_folder, free=300_000_000)
    assert said.startswith(
        "GPU 0 has no room for the model: 39.7 of 40.0 GB are used, 0.3 free; end what else computes"
    )
    said = ask(f"print(gpu.full_card({error!r}, 0))", driver_folder, context=2)
    assert "40.0 of 40.0 GB are used, 0.0 free" in said


def test_another_error_is_no_full_card():
    assert gpu.full_card("CUDA failure 700: an illegal memory access was encountered", 0) is None
    assert gpu.full_card("CUDA error(209), no kernel image is available for execution on the device.", 0) is None


def command(folder: Path | None, *words: str, **answers: object) -> subprocess.CompletedProcess:
    environment = {**os.environ, **{f"FAKE_{name.upper()}": str(value) for name, value in answers.items()}}
    environment["LD_LIBRARY_PATH"] = str(folder or "")
    words = (sys.executable, "-m", "pipeline.compute.gpu", *words)
    return subprocess.run(words, cwd=PROJECT, env=environment, capture_output=True, text=True, check=False)


def test_the_command_lists_cards_and_leaves_with_what_is_lacking(driver_folder):
    done = command(driver_folder, cards=2)
    assert "GPU 1: Fake A100, compute capability 8.0, 39.0 of 40.0 GB free" in done.stdout
    assert done.returncode in (0, 3)
    done = command(driver_folder, init=100)
    assert done.returncode == 3
    assert done.stderr == "error: the NVIDIA driver sees no GPU; see CUDA_VISIBLE_DEVICES, or choose device cpu\n"


def test_asking_apart_tells_what_the_command_says(driver_folder, monkeypatch):
    monkeypatch.setenv("LD_LIBRARY_PATH", str(driver_folder))
    monkeypatch.chdir(PROJECT)
    said = gpu.fault_apart(gpu.PADDLE, [0])
    assert said is None or said.startswith(
        "paddlepaddle is installed, which is for CPUs alone: `make setup DEVICE=gpu`"
    )
