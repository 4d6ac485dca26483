"""Triton's model repository on disk: what is in it, and what is not counted."""

from __future__ import annotations

import os
import shutil

import pytest

from pipeline.errors import BundleError, InputError
from pipeline.files.bundle import Bundle
from serving.triton.deployment import TritonDeployment
from serving.triton.options import ServingOptions
from serving.triton.repository import ModelRepository

OPTIONS = ServingOptions(queue_size=512)


@pytest.fixture
def bundle(bundle_path):
    return Bundle(bundle_path)


@pytest.fixture
def repository(bundle, tmp_path):
    repository = ModelRepository(tmp_path / "repository")
    TritonDeployment(repository).publish(bundle, OPTIONS)
    return repository


def test_other_models_in_the_folder_are_left_alone(bundle, tmp_path):
    path = tmp_path / "repository"
    (path / "another_model" / "1").mkdir(parents=True)
    (path / "another_model" / "dangling").symlink_to("nowhere")
    (path / "tokenizer" / "1").mkdir(parents=True)
    (path / "tokenizer" / "1" / "stale.txt").touch()
    for _ in range(3):
        TritonDeployment(ModelRepository(path)).publish(bundle, OPTIONS, kept=1)
    assert (path / "another_model" / "dangling").is_symlink()
    assert not list(path.glob("tokenizer/*/stale.txt"))
    assert [child.name for child in (path / "tokenizer").iterdir() if child.is_dir()] == ["3"]


def test_damaged_records_are_named(repository):
    config = repository.path / "seqcls" / "config.pbtxt"
    whole = config.read_text()
    config.write_text(whole[: len(whole) // 2])
    with pytest.raises(InputError, match=r"config\.pbtxt is damaged .*remove it and publish"):
        repository.live()
    config.write_text(whole)
    record = repository.path / "seqcls_model" / "1" / "version.json"
    for content in ("", "[]", "{}", '{"expected": 1}'):
        record.write_text(content)
        with pytest.raises(BundleError, match=r"version\.json is damaged"):
            repository.versions()


def test_a_repository_that_is_a_file(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="file is a file; give --model_repository a folder"):
        ModelRepository(tmp_path / "file")


def test_files_that_killed_writers_leave_are_no_versions(repository, bundle):
    (repository.path / "tokenizer" / "7").mkdir()
    shutil.copyfile(
        repository.path / "tokenizer" / "1" / "version.json", repository.path / "tokenizer" / "7" / "version.json"
    )
    (repository.path / "seqcls_model" / ".8.abcdefgh").mkdir()
    assert [version.number for version in repository.versions()] == [1]
    TritonDeployment(repository).publish(bundle, OPTIONS)
    assert sorted(os.listdir(repository.path / "tokenizer")) == ["1", "2", "config.pbtxt"]
    assert sorted(os.listdir(repository.path / "seqcls_model")) == ["1", "2", "config.pbtxt"]
