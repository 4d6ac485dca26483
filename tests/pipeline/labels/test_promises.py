import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import InputError
from pipeline.files.manifest import Manifest
from pipeline.labels.decoding import Decoder, DecodingPolicy
from pipeline.labels.hierarchy import LabelHierarchy
from pipeline.labels.promises import Promise, highest_promised
from pipeline.labels.request_options import DecoderChoice
from pipeline.text.words import TokeniserSettings

HIERARCHY = LabelHierarchy(("a", "a##x", "a##x##1", "a##y", "b"))
PROMISES = (Promise(0.9, (0.4, 0.6)), Promise(0.95, (0.7,)))
DECODER = Decoder(HIERARCHY, 0.05, promises=PROMISES)
LEADING = Decoder(HIERARCHY, 0.05, DecodingPolicy(leading=("a##y",)), promises=PROMISES)


def logits(*scores):
    return np.log(np.array(scores) / (1 - np.array(scores)))


def labels(decoder, *scores):
    return [prediction.label for prediction in decoder.decode(logits(scores)).predictions()[0]]


def test_the_deepest_promised_labels_are_answered_with_their_parents():
    asked = DECODER.promising(0.9)
    assert labels(asked, 0.8, 0.7, 0.999, 0.5, 0.45) == ["a", "a##x", "b"]
    assert labels(asked, 0.5, 0.59, 0.1, 0.5, 0.1) == ["a"]
    assert labels(asked, 0.3, 0.9, 0.1, 0.9, 0.1) == []  # unsure: what the parent is, is not sure enough
    assert labels(DECODER.promising(0.95), 0.8, 1 - 1e-9, 1 - 1e-9, 0.5, 0.69) == ["a"]


def test_a_label_that_leads_brings_its_parents_along():
    """They have not learnt of its texts; what is right of it is right of them."""
    assert labels(LEADING, 0.01, 0.01, 0.01, 0.7, 0.01) == ["a", "a##y"]  # the plain answer
    assert labels(LEADING.promising(0.9), 0.1, 0.1, 0.1, 0.7, 0.1) == ["a", "a##y"]
    assert labels(LEADING.promising(0.9), 0.1, 0.1, 0.1, 0.55, 0.1) == ["a"]  # its parent alone is sure enough
    assert labels(LEADING.promising(0.95), 0.1, 0.1, 0.1, 0.7, 0.1) == ["a"]
    assert labels(DECODER.promising(0.9), 0.1, 0.1, 0.1, 0.7, 0.1) == []
    strict = Decoder(HIERARCHY, 0.75, DecodingPolicy(leading=("a##y",)), promises=PROMISES)
    assert labels(strict.promising(0.9), 0.1, 0.1, 0.1, 0.7, 0.1) == []  # below the model's own threshold nothing leads
    confidences = [
        each.confidence for each in LEADING.promising(0.9).decode(logits([0.1] * 3 + [0.7, 0.1])).predictions()[0]
    ]
    assert confidences == pytest.approx([0.7, 0.7])


@given(
    st.sampled_from([DECODER, LEADING]),
    st.lists(st.lists(st.floats(0.001, 0.999), min_size=5, max_size=5), min_size=1, max_size=4),
)
def test_each_label_is_told_with_the_highest_promise_that_a_request_could_have_asked_for(decoder, scores):
    decoded = decoder.decode(logits(*scores))
    found = highest_promised(PROMISES, HIERARCHY, decoder.credited(decoded))
    for promise in PROMISES:
        selected = decoder.promising(promise.precision).decode(logits(*scores)).selected
        assert HIERARCHY.consistent_rows(selected).all()
        assert (found[selected] >= np.float32(promise.precision)).all()
        assert (found[~selected] < np.float32(promise.precision)).all()
    answers = decoder.answers(logits(*scores), [False] * len(scores))
    for answer, row in zip(answers, found):
        assert answer.promised == [pytest.approx(row[HIERARCHY.index[label]]) for label, _ in answer]


def test_a_request_asks_for_a_promise_alone():
    choose = DecoderChoice(DECODER)
    assert choose({"promise": "0.95"}) is choose({"promise": 0.95})
    assert choose({"promise": 0.9}).thresholds.tolist()[:2] == pytest.approx([0.4, 0.6])
    for parameters, said in (
        ({"promise": 0.8}, "promise is 0.8; this model can promise 0.9, 0.95"),
        ({"promise": 0.90000001}, "promise is 0.90000001; this model can promise 0.9, 0.95"),
        ({"promise": 0.9, "threshold": 0.5}, "promise has cut-offs of its own; leave out threshold"),
        ({"promise": 0.9, "top_k": 1, "policy": "top_down"}, "leave out policy and top_k"),
        ({"promise": "much"}, "request parameter promise is 'much'; give a number"),
        ({"promis": 0.9}, "did you mean 'promise'"),
        ({"promise": "nan"}, "promise is nan"),
    ):
        with pytest.raises(InputError, match=said):
            choose(parameters)
    with pytest.raises(InputError, match="promises nothing; export it with --promise"):
        DecoderChoice(Decoder(HIERARCHY))({"promise": 0.9})
    assert Decoder(HIERARCHY).answers(logits([0.9] * 5), [False])[0].promised is None


def test_a_bundle_holds_promises_beside_its_thresholds():
    plain = Manifest(HIERARCHY.labels, (0.5,) * 5, DecodingPolicy(), 7, 16, "none", TokeniserSettings())
    assert "promises" not in plain.to_json()
    stated = replace(plain, promises=PROMISES).to_json()
    assert stated["format_version"] == 7
    assert Manifest.from_json(json.loads(json.dumps(stated))).promises == PROMISES
    leading = replace(plain, promises=PROMISES, decoding=DecodingPolicy(leading=("a##y",))).to_json()
    assert leading["format_version"] == 8 and Manifest.from_json(json.loads(json.dumps(leading))).promises == PROMISES
    with pytest.raises(InputError, match="found as though no label led"):
        Manifest.from_json(json.loads(json.dumps({**leading, "format_version": 7})))
    good = PROMISES[0].to_json()
    for wrong, said in (
        ([{**good, "cutoffs": [0.5, 1.5]}], "cutoffs of a promise must lie between 0 and 1"),
        ([{**good, "cutoffs": []}], "cutoffs of a promise must lie between 0 and 1"),
        ([{**good, "precision": 0}], "precision of a promise must lie between 0 and 1"),
        ([good, good], "give each precision once, the lowest first"),
        ([0.9], r"promises\[0\]: a JSON object is needed"),
    ):
        with pytest.raises(InputError, match=said):
            Manifest.from_json(json.loads(json.dumps({**stated, "promises": wrong})))
    with pytest.raises(InputError, match="cut-offs of more levels than the 3 that there are"):
        Decoder(HIERARCHY, promises=[Promise(0.9, (0.5,) * 4)])
