"""A bundle can be made without texts of the development file, and servers can be checked all the same."""

import pytest

from pipeline.errors import InputError
from pipeline.predictor import Predictor
from serving.golden import expected_answers
from training.checkpoint.files import read_checkpoint
from training.export_model import ExportOptions, export, main

OWN = ["某公司宣布裁员两千人", "某地发生地震"]


def everything_in(folder):
    return b"".join(path.read_bytes() for path in folder.iterdir()).decode(errors="replace")


def dev_texts(checkpoint, held):
    return [text for text in read_checkpoint(checkpoint).record.sample_texts if text in held]


def test_texts_of_the_development_file_are_kept_and_it_is_said(bundle_path, checkpoint):
    assert dev_texts(checkpoint, everything_in(bundle_path))


def test_no_text_is_kept_and_servers_are_still_checked(checkpoint, tmp_path, capsys):
    main(["--params_path", str(checkpoint), "--output_path", str(tmp_path / "export"), "--no_texts"])
    assert "it holds no text of the development file" in capsys.readouterr().out
    assert dev_texts(checkpoint, everything_in(tmp_path / "export")) == []
    assert any(answer.labels for answer in expected_answers(Predictor(tmp_path / "export")))


def test_own_texts_are_kept_instead(checkpoint, tmp_path):
    (tmp_path / "own.txt").write_text("\n".join(OWN) + "\n")
    bundle = export(
        ExportOptions(params_path=checkpoint, output_path=tmp_path / "export", goldens=tmp_path / "own.txt")
    )
    assert [golden.text for golden in bundle.manifest.goldens] == OWN
    assert dev_texts(checkpoint, everything_in(tmp_path / "export")) == []


def test_texts_that_cannot_be_used_are_refused(checkpoint, tmp_path):
    (tmp_path / "own.txt").write_text("")
    with pytest.raises(InputError, match="has 0 texts; give 1 to"):
        export(ExportOptions(params_path=checkpoint, output_path=tmp_path / "export", goldens=tmp_path / "own.txt"))
    with pytest.raises(InputError, match="choose one"):
        ExportOptions(goldens=tmp_path / "own.txt", no_texts=True)
