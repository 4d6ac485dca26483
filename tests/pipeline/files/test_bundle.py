import json
import shutil
import subprocess

import pytest

from pipeline.errors import BundleError, InputError
from pipeline.files.bundle import Bundle, Golden, Manifest, seal, stage
from pipeline.files.checksums import check_replaceable
from pipeline.labels.decoding import DecodingPolicy
from pipeline.text.tokenisation import TokeniserSettings


@pytest.fixture
def folder(tmp_path):
    """A bundle without a graph."""
    folder = tmp_path / "bundle"
    folder.mkdir()
    (folder / "vocab.txt").write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "裁", "员"]) + "\n")
    manifest = Manifest(
        labels=("组织关系", "组织关系##裁员"),
        thresholds=(0.5, 0.25),
        decoding=DecodingPolicy("ancestors", at_least_one=True),
        vocabulary_size=7,
        max_seq_length=16,
        normalisation="half_width",
        tokeniser=TokeniserSettings(),
        goldens=(Golden("裁员", ("组织关系", "组织关系##裁员")),),
    )
    seal(folder, manifest)
    return folder


def rewrite(folder, **changes):
    """Change bundle.json and sign it anew, as another version of this software would have written it."""
    fields = json.loads((folder / "bundle.json").read_text())
    fields.update(changes)
    (folder / "bundle.json").write_text(json.dumps(fields))
    sums = subprocess.run(["sha256sum", "bundle.json", "vocab.txt"], cwd=folder, capture_output=True, check=True)
    (folder / "SHA256SUMS").write_bytes(sums.stdout)


def test_a_bundle_says_all_that_serving_needs(folder):
    bundle = Bundle(folder)
    assert bundle.manifest.goldens[0].labels == ("组织关系", "组织关系##裁员")
    assert bundle.decoder().thresholds.tolist() == [0.5, 0.25]
    assert bundle.decoder().policy.at_least_one
    assert bundle.encoder().encode(["裁 员"])[0].tolist() == [2, 5, 6, 3]


def test_its_checksums_are_those_of_sha256sum(folder):
    subprocess.run(["sha256sum", "--check", "--quiet", "SHA256SUMS"], cwd=folder, check=True)


def test_any_flipped_byte_is_noticed(folder, tmp_path):
    for name in ("bundle.json", "vocab.txt", "SHA256SUMS"):
        for place in range(0, (folder / name).stat().st_size, 7):
            copy = tmp_path / "copy"
            shutil.copytree(folder, copy)
            content = bytearray((copy / name).read_bytes())
            content[place] ^= 0x20
            (copy / name).write_bytes(content)
            with pytest.raises(BundleError, match=r"copy the folder again$"):
                Bundle(copy)
            shutil.rmtree(copy)


def test_a_field_that_only_people_read_may_come_from_a_newer_version(folder):
    rewrite(folder, colour="green")
    assert Bundle(folder).manifest.labels == ("组织关系", "组织关系##裁员")


def test_a_decoding_that_this_version_does_not_know_is_refused(folder):
    rewrite(folder, decoding={"policy": "ancestors", "at_least_one": True, "top_k": None, "beam": 4})
    with pytest.raises(BundleError, match="beam"):
        Bundle(folder)


def test_an_absent_bundle_is_named(tmp_path):
    with pytest.raises(BundleError, match="there is no bundle at .*nowhere; make one with"):
        Bundle(tmp_path / "nowhere")


def test_a_folder_that_is_no_bundle_is_named(tmp_path):
    with pytest.raises(BundleError, match="has no SHA256SUMS: it is no folder that this software wrote"):
        Bundle(tmp_path)


def test_a_missing_file_is_named(folder):
    (folder / "vocab.txt").unlink()
    with pytest.raises(BundleError, match=r"vocab\.txt is missing"):
        Bundle(folder)


def test_a_newer_format_is_refused_with_what_to_do(folder):
    rewrite(folder, format_version=2)
    with pytest.raises(BundleError, match="bundle format 2, and this version reads formats up to 1; update"):
        Bundle(folder)


def test_a_manifest_that_is_no_json_is_refused(folder):
    rewrite(folder)
    (folder / "bundle.json").write_text("{")
    sums = subprocess.run(["sha256sum", "bundle.json", "vocab.txt"], cwd=folder, capture_output=True, check=True)
    (folder / "SHA256SUMS").write_bytes(sums.stdout)
    with pytest.raises(BundleError, match=r"bundle\.json: Expecting property name"):
        Bundle(folder)


def test_contradictory_content_is_refused(folder):
    rewrite(folder, thresholds=[0.5])
    with pytest.raises(BundleError, match="1 thresholds for 2 labels"):
        Bundle(folder)


def test_a_part_holds_only_what_was_asked_for(folder, tmp_path):
    part = tmp_path / "part"
    part.mkdir()
    stage(Bundle(folder), (), part)
    assert Bundle(part).hierarchy.labels == ("组织关系", "组织关系##裁员")
    with pytest.raises(BundleError, match=r"holds no vocab\.txt; it holds bundle\.json"):
        Bundle(part).encoder()


def test_a_folder_with_foreign_files_is_not_replaced(folder, tmp_path):
    check_replaceable(folder, "--output_path")
    check_replaceable(tmp_path / "new", "--output_path")
    (folder / "thesis.tex").touch()
    with pytest.raises(InputError, match=r"holds 'thesis\.tex', which would be lost; give --output_path a new"):
        check_replaceable(folder, "--output_path")
    with pytest.raises(InputError, match=r"vocab\.txt is a file"):
        check_replaceable(folder / "vocab.txt", "--output_path")


def test_an_unknown_normalisation_is_refused(folder):
    with pytest.raises(InputError, match="unknown normalisation 'upside_down'"):
        Manifest(("a",), (0.5,), DecodingPolicy(), 7, 16, "upside_down", TokeniserSettings())
