"""Triton's model repository on disk: what is in it, and what is not counted."""

from __future__ import annotations

import os
import shutil

import pytest

from pipeline.errors import BundleError, InputError
from serving.triton.deployment import TritonDeployment
from serving.triton.options import ServingOptions
from serving.triton.repository import ModelRepository

OPTIONS = ServingOptions(queue_size=512)


@pytest.fixture
def repository(bundle, tmp_path):
    repository = ModelRepository(tmp_path / "repository")
    TritonDeployment(repository).publish(bundle, OPTIONS)
    return repository


def test_other_models_in_the_folder_are_left_alone(bundle, tmp_path):
    path = tmp_path / "repository"
    (path / "another_model" / "1").mkdir(parents=True)
    (path / "another_model" / "dangling").symlink_to("nowhere")
    (path / "tokenizer" / ".notes").mkdir(parents=True)
    for _ in range(3):
        TritonDeployment(ModelRepository(path)).publish(bundle, OPTIONS, kept=1)
    assert (path / "another_model" / "dangling").is_symlink()
    assert sorted(child.name for child in (path / "tokenizer").iterdir() if child.is_dir()) == [".notes", "3"]


@pytest.mark.parametrize(
    "foreign",
    ["tokenizer/1/model.py", "seqcls_model/1/model.onnx", "seqcls/config.pbtxt", "seqcls_postprocess/config.pbtxt"],
)
def test_models_of_others_under_the_same_names_are_not_replaced(foreign, bundle, tmp_path):
    """The original application's models have these names."""
    file = tmp_path / "models" / foreign
    file.parent.mkdir(parents=True)
    file.write_text('name: "theirs"')
    with pytest.raises(InputError, match=r"was not written by publishing.*move it away, or give --model_repository"):
        TritonDeployment(ModelRepository(tmp_path / "models")).publish(bundle, OPTIONS)
    assert file.read_text() == 'name: "theirs"'
    assert [path for path in (tmp_path / "models").rglob("*") if path.is_file()] == [file]


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
        assert repository.versions() == []
        with pytest.raises(BundleError, match=r"version\.json is damaged.*is live: remove .*config\.pbtxt, and"):
            repository.live()


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
