import json
import shutil
import subprocess
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.errors import BundleError, ClassifierError, InputError
from pipeline.files.bundle import CHECKPOINT_FILE, Bundle, seal, stage
from pipeline.files.checksums import check_replaceable, write_all_checksums, write_checksums
from pipeline.files.manifest import FORMAT_VERSION, Golden, Manifest
from pipeline.labels.decoding import DecodingPolicy
from pipeline.text.long_texts import LongTexts
from pipeline.text.words import TokeniserSettings
from training.checkpoint.model_card import model_card


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
        metrics={"dev": {"micro_f1": 0.5, "levels": {"1": {"micro_f1": 0.5}}, "consistent_share": 1.0}},
        goldens=(Golden("裁员", ("组织关系", "组织关系##裁员")),),
        gate={"choices": [{"runtime": "onnxruntime", "precision": "float32"}]},
        training={"license": "MIT", "encoder": {"layers": 1, "hidden_size": 8, "heads": 2}, "data": {}},
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


def test_a_notebook_shows_it_in_a_line(folder):
    bundle = Bundle(folder)
    assert repr(bundle) == f"Bundle({str(folder)!r}, identity={bundle.identity!r}, labels=2)"


def test_a_checkpoint_is_told_from_a_damaged_bundle(tmp_path):
    (tmp_path / CHECKPOINT_FILE).write_text("{}", encoding="utf-8")
    write_all_checksums(tmp_path)
    with pytest.raises(BundleError, match=r"is a checkpoint and no bundle; export it first: training/export_model\.py"):
        Bundle(tmp_path)


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
    rewrite(folder, format_version=FORMAT_VERSION + 1)
    newer = f"bundle format {FORMAT_VERSION + 1}, and this version reads formats up to {FORMAT_VERSION}; update"
    with pytest.raises(BundleError, match=newer):
        Bundle(folder)


def test_a_bundle_states_the_oldest_format_that_says_how_long_texts_are_read(folder):
    manifest = Bundle(folder).manifest
    assert manifest.to_json()["format_version"] == 1
    for way, read in (("head_tail", 16), ("windows", 16 + 3 * 11)):
        other = replace(manifest, long_texts=LongTexts(way, "mean", 4))
        assert other.to_json()["format_version"] == 3
        bundle = seal(folder, other)
        assert (bundle.manifest, bundle.manifest.most_tokens) == (other, read)
        assert len(bundle.encoder().encode(["裁" * 100])[0]) == read
        assert len(bundle.encoder(8).encode(["裁" * 100])[0]) == (8 if way == "head_tail" else 8 + 3 * 5)


def test_an_older_bundle_reads_the_first_tokens(folder):
    rewrite(folder)
    fields = json.loads((folder / "bundle.json").read_text())
    assert "long_texts" not in fields
    assert Bundle(folder).manifest.long_texts == LongTexts()


def test_an_unknown_way_with_long_texts_is_refused(folder):
    rewrite(folder, long_texts={"way": "summary", "pool": "max", "most_windows": 32})
    with pytest.raises(BundleError, match="long_texts: unknown way 'summary'; this version knows first, head_tail"):
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


WRONG = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(),
    st.lists(st.none() | st.integers() | st.text() | st.dictionaries(st.text(), st.text()), max_size=3),
    st.dictionaries(st.text(), st.none() | st.integers() | st.lists(st.text()), max_size=3),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=100)
@given(st.data())
def test_whatever_a_field_holds_it_is_taken_or_named(folder, data):
    """Of bundle.json, and one level down; nothing but a BundleError comes out, and it says where and what."""
    fields = json.loads((folder / "bundle.json").read_text())
    name = data.draw(st.sampled_from(sorted(fields)))
    value = data.draw(WRONG)
    if isinstance(fields[name], dict) and fields[name] and data.draw(st.booleans()):
        inner = data.draw(st.sampled_from(sorted(fields[name])))
        value = {**fields[name], inner: value}
    try:
        rewrite(folder, **{name: value})
        bundle = Bundle(folder)
        bundle.decoder()
        bundle.encoder()
        model_card(bundle.manifest)
    except BundleError as error:
        assert "bundle.json" in str(error) or "has bundle format" in str(error)
    finally:
        rewrite(folder, **fields)


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("labels", "组织关系", "labels must be a list, not '组织关系'"),
        ("labels", ["a", 3], r"labels\[1\] must be a string, not 3"),
        ("thresholds", [0.5, float("nan")], "NaN is no number"),
        ("thresholds", [0.5, "0.5"], r"thresholds\[1\] must be a number, not '0.5'"),
        ("thresholds", [0.5, 10**400], "is too large a number"),
        ("max_seq_length", "128", "max_seq_length must be a whole number, not '128'"),
        ("max_seq_length", 2, "max_seq_length is 2; it lies between 3 and"),
        ("vocabulary_size", 7.0, "vocabulary_size must be a whole number, not 7.0"),
        ("vocabulary_size", 0, "vocabulary_size is 0"),
        ("normalisation", None, "normalisation must be a string, not None"),
        ("decoding", [], r"decoding: a JSON object is needed, not \[\]"),
        ("decoding", {"top_k": True}, "decoding: top_k is True"),
        ("decoding", {"at_least_one": "yes"}, "decoding: at_least_one is 'yes'"),
        ("tokeniser", 3, "tokeniser: a JSON object is needed, not 3"),
        ("metrics", [], r"metrics must be an object, not \[\]"),
        ("goldens", [{"text": "裁员", "labels": "组织关系"}], r"goldens\[0\]: labels must be a list, not '组织关系'"),
        ("goldens", [{"text": "裁员", "labels": ["离婚"]}], r"goldens\[0\]: '离婚' is no label of this bundle"),
        ("goldens", [{"text": " ", "labels": []}], r"goldens\[0\]: text ' ' has only white space"),
        ("goldens", [{"text": "a", "labels": []}] * 1025, "goldens are 1,025; at most 1,024"),
        ("width", "1e999999999", "width is '1e999999999'; give a share such as 2/3"),
        ("width", "3/2", "width is '3/2'"),
        ("gate", {"choices": [["onnxruntime", "float32"]]}, "gate.choices: .* names no runtime and precision"),
        ("gate", {"choices": {"runtime": "x"}}, "gate.choices must be a list"),
        ("format_version", True, "states no format_version"),
    ],
)
def test_a_wrong_field_is_named(folder, field, value, reason):
    rewrite(folder, **{field: value})
    with pytest.raises(BundleError, match=rf"bundle\.json:? .*{reason}|bundle\.json.*{reason}"):
        Bundle(folder)


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"[" * 200_000, "nested deeper than"), (b" " * (1 << 26) + b"{}", "larger than"), (b"\xff", "can't decode")],
    ids=["deep", "huge", "bytes"],
)
def test_a_manifest_beyond_bounds_is_refused(folder, content, reason):
    rewrite(folder)
    (folder / "bundle.json").write_bytes(content)
    write_checksums(folder, ("bundle.json", "vocab.txt"))
    with pytest.raises(BundleError, match=rf"bundle\.json: .*{reason}"):
        Bundle(folder)


def test_a_huge_list_of_checksums_is_refused(folder):
    with open(folder / "SHA256SUMS", "wb") as stream:
        stream.truncate(1 << 34)
    with pytest.raises(BundleError, match="SHA256SUMS is larger than"):
        Bundle(folder)


def test_a_vocabulary_of_another_size_is_refused(folder):
    rewrite(folder, vocabulary_size=8)
    with pytest.raises(BundleError, match=r"vocab\.txt has 7 tokens, and bundle\.json says 8"):
        Bundle(folder).encoder()


def test_a_part_holds_only_what_was_asked_for(folder, tmp_path):
    part = tmp_path / "part"
    part.mkdir()
    stage(Bundle(folder), (), part)
    assert Bundle(part).hierarchy.labels == ("组织关系", "组织关系##裁员")
    with pytest.raises(BundleError, match=r"holds no vocab\.txt; it holds bundle\.json"):
        Bundle(part).encoder()


def test_a_folder_with_foreign_files_is_not_replaced(folder, tmp_path):
    check_replaceable(folder, "--output_path", "bundle.json")
    check_replaceable(tmp_path / "new", "--output_path", "bundle.json")
    for other_kind in ({"kind": "training.json"}, {"kind": "bundle.json", "spared": "vocab.txt"}):
        with pytest.raises(InputError, match=r"holds '.*', which would be lost; give --output_path a new"):
            check_replaceable(folder, "--output_path", **other_kind)
    (tmp_path / "link").symlink_to(folder)
    with pytest.raises(InputError, match=r"is read, so that it cannot be replaced"):
        check_replaceable(tmp_path / "link", "--output_path", "bundle.json", inputs=[folder])
    (tmp_path / "nowhere").symlink_to("absent")
    with pytest.raises(InputError, match=r"--output_path .*/nowhere is a link to absent, which is not there; make it"):
        check_replaceable(tmp_path / "nowhere", "--output_path", "bundle.json")
    (folder / "thesis.tex").touch()
    with pytest.raises(InputError, match=r"holds 'thesis\.tex', which would be lost; give --output_path a new"):
        check_replaceable(folder, "--output_path", "bundle.json")
    with pytest.raises(InputError, match=r"vocab\.txt is a file"):
        check_replaceable(folder / "vocab.txt", "--output_path", "bundle.json")


def test_an_unknown_normalisation_is_refused(folder):
    with pytest.raises(InputError, match="unknown normalisation 'upside_down'"):
        Manifest(("a",), (0.5,), DecodingPolicy(), 7, 16, "upside_down", TokeniserSettings())


def test_logits_of_a_part_that_is_missing_are_not_passed_over(folder):
    manifest, logits = Bundle(folder).manifest, np.zeros((1, 2), np.float32)
    with pytest.raises(ClassifierError, match="has logits of a linear part, and the model has none"):
        manifest.combine(logits, logits)
    with pytest.raises(ClassifierError, match="lacks logits of a linear part, and the model has one"):
        replace(manifest, encoder_weight=0.5).combine(logits, None)
