import re
import shutil
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.errors import BundleError
from pipeline.files.bundle import ONNX_FILE, Bundle, seal
from pipeline.files.manifest import Golden
from pipeline.labels.decoding import POLICIES, Decoder, DecodingPolicy
from pipeline.labels.hierarchy import LabelHierarchy
from pipeline.predictor import Predictor
from pipeline.text.wordpiece import VOCABULARY_FILE
from serving.golden import MARGIN, expected_answers, label_sets, unexplained

HIERARCHY = LabelHierarchy(("a", "a##b", "a##b##c", "a##d", "e", "e##f"))
THRESHOLDS = (0.5, 0.3, 0.7, 0.5, 0.9, 0.1)
SCORES = st.lists(st.floats(0.001, 0.999), min_size=6, max_size=6)


def decode(decoder, scores):
    scores = np.asarray([scores], np.float32)
    return label_sets(decoder.decode(np.log(scores / (1 - scores))))


@pytest.fixture
def copy(bundle_path, tmp_path):
    shutil.copytree(bundle_path, tmp_path / "bundle")
    return Bundle(tmp_path / "bundle")


def shifted(bundle, by):
    """The bundle with all its logits moved."""
    import onnx

    graph = onnx.load(bundle.file(ONNX_FILE))
    (output,) = graph.graph.output
    (source,) = [node for node in graph.graph.node if output.name in node.output]
    source.output[list(source.output).index(output.name)] = "unmoved"
    graph.graph.initializer.append(onnx.numpy_helper.from_array(np.float32(by), "by"))
    graph.graph.node.append(onnx.helper.make_node("Add", ["unmoved", "by"], [output.name]))
    onnx.save(graph, bundle.path / ONNX_FILE)
    return seal(bundle.path, bundle.manifest)


def test_a_bundle_that_answers_as_it_states_is_asked_for_that(bundle_path):
    bundle = Bundle(bundle_path)
    expected = expected_answers(Predictor(bundle))
    known = {golden.text: golden.labels for golden in bundle.manifest.goldens}
    assert len(expected) > 1 and all(answer.labels == known[answer.text] != () for answer in expected)


def test_a_runtime_whose_logits_are_low_everywhere_is_refused(copy):
    low = shifted(copy, -30)
    low = seal(low.path, replace(low.manifest, decoding=DecodingPolicy()))
    with pytest.raises(BundleError, match=r"gives golden text \d+ the labels none in onnxruntime float32, and states "):
        expected_answers(Predictor(low))


def test_rounding_is_not_refused(copy):
    assert expected_answers(Predictor(shifted(copy, -0.01)))


@pytest.mark.parametrize("says_so", [True, False])
def test_a_vocabulary_cut_to_its_special_tokens_is_refused(copy, says_so):
    tokens = copy.manifest.tokeniser.special_tokens
    (copy.path / VOCABULARY_FILE).write_text("\n".join(tokens) + "\n")
    size = len(tokens) if says_so else copy.manifest.vocabulary_size
    reason = "gives golden text .* and states" if says_so else r"vocab\.txt has 5 tokens, and bundle\.json says"
    with pytest.raises(BundleError, match=reason):
        expected_answers(Predictor(seal(copy.path, replace(copy.manifest, vocabulary_size=size))))


def test_a_bundle_that_answers_nothing_is_refused(copy):
    texts = (golden.text for golden in copy.manifest.goldens)
    silent = shifted(copy, -30)
    manifest = replace(silent.manifest, goldens=tuple(Golden(text, ()) for text in texts))
    with pytest.raises(BundleError, match="gives none of its .* golden texts a label.*train longer"):
        expected_answers(Predictor(seal(copy.path, manifest)))


@given(
    SCORES,
    st.lists(st.floats(-MARGIN * 0.99, MARGIN * 0.99), min_size=6, max_size=6),
    st.sampled_from(POLICIES),
    st.booleans(),
    st.none() | st.integers(1, 3),
)
@example([0.125, 0.0625, 0.25, 0.125, 0.25, 0.03125], [0.0] * 6, "ancestors", True, 1)
@example([0.5, 0.5, 0.5, 0.5, 0.5, 0.125], [0.0, 0.0, 0.0, 0.03125, 0.0, 0.0], "ancestors", False, 2)
def test_what_rounding_explains_is_never_refused(scores, rounding, policy, at_least_one, top_k):
    decoder = Decoder(HIERARCHY, THRESHOLDS, DecodingPolicy(policy, at_least_one, top_k))
    stated = decode(decoder, scores)
    rounded = np.clip(np.asarray([scores]) + rounding, 0.001, 0.999).astype(np.float32)
    assert unexplained(decoder, rounded, stated) == []


def test_a_label_that_top_k_cannot_have_cut_off_is_refused():
    decoder = Decoder(HIERARCHY, THRESHOLDS, DecodingPolicy("threshold", top_k=1))
    scores = np.asarray([[0.99, 0.01, 0.01, 0.01, 0.01, THRESHOLDS[5] + 0.01]], np.float32)
    assert unexplained(decoder, scores, [{0}]) == []
    assert unexplained(decoder, scores, [{5}]) == [0]
    assert unexplained(decoder, scores, [{1}]) == [0]


@given(SCORES, st.integers(0, 5))
def test_a_label_that_is_clearly_missed_is_refused(scores, position):
    """Whatever the other labels' scores are, near their thresholds or not."""
    decoder = Decoder(HIERARCHY, THRESHOLDS, DecodingPolicy("ancestors"))
    family = [place for place, path in enumerate(HIERARCHY.labels) if re.match(HIERARCHY.labels[position], path)]
    high = np.asarray(scores)
    high[position] = THRESHOLDS[position] + 0.01
    (stated,) = decode(decoder, high)
    low = np.asarray([scores], np.float32)
    low[0, family] = np.maximum(0.001, np.asarray(THRESHOLDS)[family] - 2 * MARGIN)
    assert unexplained(decoder, low, [stated]) == [0]
