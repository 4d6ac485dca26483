import hashlib
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import ClassifierError, InputError
from pipeline.labels.decoded import Decoded
from pipeline.labels.decoding import POLICIES, Decoder, DecodingPolicy, sigmoid
from pipeline.labels.hierarchy import LabelHierarchy, ancestor_paths

LABELS = LabelHierarchy(["人生", "人生##死亡", "人生##死亡##意外", "灾害", "灾害##车祸"])


def logits(*scores):
    scores = np.array(scores)
    return np.log(scores / (1 - scores))[None]


def decode(policy, scores, thresholds=0.5, **options):
    decoded = Decoder(LABELS, thresholds, DecodingPolicy(policy, **options)).decode(logits(*scores))
    return {prediction.label: round(prediction.confidence, 3) for prediction in decoded.predictions()[0]}


def test_threshold_keeps_what_reaches_its_threshold_even_without_parents():
    assert decode("threshold", [0.2, 0.9, 0.1, 0.6, 0.4]) == {"人生##死亡": 0.9, "灾害": 0.6}


def test_ancestors_brings_the_parents_at_no_lower_confidence():
    assert decode("ancestors", [0.2, 0.9, 0.1, 0.6, 0.4]) == {"人生": 0.9, "人生##死亡": 0.9, "灾害": 0.6}


def test_top_down_needs_the_parents_and_caps_the_child():
    assert decode("top_down", [0.2, 0.9, 0.1, 0.6, 0.7]) == {"灾害": 0.6, "灾害##车祸": 0.6}


def test_single_path_takes_the_path_with_the_best_geometric_mean():
    assert decode("single_path", [0.9, 0.9, 0.3, 0.8, 0.9]) == {"人生": 0.9, "人生##死亡": 0.9}
    assert decode("single_path", [0.1, 0.2, 0.3, 0.2, 0.1]) == {}


def test_a_leading_label_brings_ancestors_that_know_nothing_of_it():
    scores = [0.1, 0.9, 0.2, 0.6, 0.4]
    assert decode("top_down", scores) == {"灾害": 0.6}
    assert decode("top_down", scores, leading=("人生##死亡",)) == {"人生": 0.9, "人生##死亡": 0.9, "灾害": 0.6}
    assert decode("top_down", [0.1, 0.4, 0.2, 0.6, 0.4], leading=("人生##死亡",)) == {"灾害": 0.6}
    assert decode("threshold", scores, leading=("人生##死亡",)) == {"人生##死亡": 0.9, "灾害": 0.6}
    # Of thresholds apart, what is lent is how far a score lies above its own.
    lent = decode("top_down", [0.1, 0.31, 0.2, 0.1, 0.1], [0.8, 0.3, 0.5, 0.5, 0.5], leading=("人生##死亡",))
    assert lent == {"人生": 0.807, "人生##死亡": 0.31}


def test_single_path_takes_a_leading_label_before_what_is_more_certain():
    scores = [0.1, 0.6, 0.2, 0.99, 0.99]
    assert decode("single_path", scores) == {"灾害": 0.99, "灾害##车祸": 0.99}
    assert decode("single_path", scores, leading=("人生##死亡",)) == {"人生": 0.6, "人生##死亡": 0.6}
    assert decode("single_path", [0.1, 0.4, *scores[2:]], leading=("人生##死亡",)) == {"灾害": 0.99, "灾害##车祸": 0.99}


def test_a_label_leads_from_the_models_own_threshold_on_whatever_a_request_asks_for():
    model = Decoder(LABELS, 0.5, DecodingPolicy("single_path", leading=("人生##死亡",)))

    def labels(decoder, *scores):
        return [label for label, _ in decoder.decode(logits(*scores)).predictions()[0]]

    unsure, sure = (0.1, 0.4, 0.2, 0.99, 0.98), (0.1, 0.6, 0.2, 0.99, 0.98)
    assert labels(model.changed(0.01), *unsure) == labels(model, *unsure) == ["灾害", "灾害##车祸"]
    assert labels(model, *sure) == ["人生", "人生##死亡"]
    assert labels(model.changed(0.01), *sure) == ["人生", "人生##死亡", "人生##死亡##意外"]
    assert labels(model.changed(0.7), *sure) == ["灾害", "灾害##车祸"]
    assert labels(model.changed(0.2, policy="top_down"), *unsure) == ["灾害", "灾害##车祸"]
    # What an export is given is its own.
    assert labels(model.changed(0.01).as_own(), *unsure) == ["人生", "人生##死亡", "人生##死亡##意外"]


def test_who_leads_is_told_only_where_someone_does():
    assert "leading" not in DecodingPolicy().to_json()
    policy = DecodingPolicy(leading=("人生",))
    assert DecodingPolicy.from_json(policy.to_json()) == policy
    for wrong in ("人生", [1], {"人生": 1}):
        with pytest.raises(InputError, match="leading is"):
            DecodingPolicy.from_json({"leading": wrong})
    with pytest.raises(InputError, match="leading names '生活', which is no label"):
        Decoder(LABELS, policy=DecodingPolicy(leading=("生活",)))


def test_thresholds_are_per_label():
    assert decode("threshold", [0.6, 0.3, 0.1, 0.6, 0.1], [0.7, 0.2, 0.5, 0.5, 0.5]) == {"人生##死亡": 0.3, "灾害": 0.6}


def test_at_least_one_takes_the_label_closest_to_its_threshold():
    assert decode("ancestors", [0.1, 0.4, 0.1, 0.45, 0.1], at_least_one=True) == {"灾害": 0.45}
    assert decode("ancestors", [0.1, 0.4, 0.1, 0.3, 0.1], at_least_one=True) == {"人生": 0.4, "人生##死亡": 0.4}
    assert decode("threshold", [0.1, 0.4, 0.1, 0.3, 0.1], at_least_one=True) == {"人生##死亡": 0.4}


def test_top_k_keeps_the_most_confident_and_never_a_child_alone():
    assert decode("ancestors", [0.6, 0.9, 0.8, 0.7, 0.2], top_k=2) == {"人生": 0.9, "人生##死亡": 0.9}


def test_ranked_pads_rows_with_fewer_labels():
    labels, confidences = (
        Decoder(LABELS).decode(np.vstack([logits(0.9, 0.1, 0.1, 0.8, 0.1), logits(*[0.1] * 5)])).ranked()
    )
    assert labels.tolist() == [["人生", "灾害"], ["", ""]]
    np.testing.assert_allclose(confidences, [[0.9, 0.8], [0, 0]], rtol=1e-5)


def test_batches_that_are_joined_are_the_whole_batch():
    whole = Decoder(LABELS).decode(np.vstack([logits(0.9, 0.1, 0.1, 0.8, 0.1), logits(*[0.1] * 5)]))
    joined = Decoded.joined([whole.part(slice(0, 1)), whole.part(slice(1, 1)), whole.part(slice(1, 2))])
    assert joined.hierarchy is LABELS
    for name in ("selected", "confidences", "scores"):
        np.testing.assert_array_equal(getattr(joined, name), getattr(whole, name))


def test_ranked_is_one_wide_where_nothing_is_selected():
    labels, confidences = Decoder(LABELS).decode(logits(*[0.1] * 5)).ranked()
    assert labels.tolist() == [[""]]
    assert confidences.tolist() == [[0]]


def test_an_empty_batch_decodes_to_nothing():
    assert Decoder(LABELS).decode(np.empty((0, 5))).predictions() == []


def test_sigmoid_does_not_overflow():
    with np.errstate(all="raise", under="ignore"):
        np.testing.assert_array_equal(sigmoid(np.array([-1000.0, 0.0, 1000.0])), np.float32([0, 0.5, 1]))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: DecodingPolicy("greedy"), "unknown decoding policy 'greedy'; choose one of threshold"),
        (lambda: DecodingPolicy(top_k=0), "top_k is 0"),
        (lambda: Decoder(LABELS, [0.5, 0.5]), "2 thresholds for 5 labels"),
        (lambda: Decoder(LABELS, 1.0), "threshold 1.0 lies outside"),
        (lambda: Decoder(LABELS).decode(np.zeros((1, 4))), r"shape \[1, 4\]; expected \[batch, 5\]"),
    ],
)
def test_wrong_options_are_refused(make, message):
    with pytest.raises(InputError, match=message):
        make()


def test_a_broken_model_is_noticed():
    with pytest.raises(ClassifierError, match="row 1: the model's logits are not finite"):
        Decoder(LABELS).decode(np.array([[0.0] * 5, [0, np.nan, 0, 0, 0]]))


@st.composite
def hierarchies(draw):
    """Random forests, and graphs in which a node name occurs under several parents."""
    paths = []
    for _ in range(draw(st.integers(1, 12))):
        parent = draw(st.sampled_from([None, *paths]))
        name = draw(st.sampled_from("abcdef"))
        paths.append(name if parent is None else f"{parent}##{name}")
    paths = list(dict.fromkeys(paths))
    return LabelHierarchy(draw(st.permutations(paths)))


@st.composite
def cases(draw):
    hierarchy = draw(hierarchies())
    rows = draw(st.integers(1, 4))
    number = st.floats(-6, 6, width=32)
    scores = draw(
        st.lists(st.lists(number, min_size=len(hierarchy), max_size=len(hierarchy)), min_size=rows, max_size=rows)
    )
    return hierarchy, np.array(scores, np.float32)


@settings(max_examples=200, deadline=None)
@given(cases(), st.sampled_from(POLICIES), st.booleans(), st.sampled_from([None, 1, 2, 3]))
def test_every_policy_keeps_its_promises(case, policy, at_least_one, top_k):
    hierarchy, values = case
    decoder = Decoder(hierarchy, 0.4, DecodingPolicy(policy, at_least_one, top_k))
    answers = decoder.decode(values).predictions()
    for row, predictions in zip(sigmoid(values), answers):
        confidences = dict(predictions)
        assert list(confidences.values()) == sorted(confidences.values(), reverse=True)
        if at_least_one:
            assert confidences
        if top_k is not None:
            assert len(confidences) <= top_k
        if policy != "threshold":
            for label, confidence in confidences.items():
                assert all(confidences[ancestor] >= confidence for ancestor in ancestor_paths(label))
        if policy == "single_path":
            assert len({hierarchy.levels[hierarchy.index[label]] for label in confidences}) == len(confidences)
        if not at_least_one and top_k is None:
            assert set(confidences) == reference(policy, hierarchy, row)


def test_answers_of_trees_stay_as_they_were():
    """What version 0.2 answered before labels could have several parents, by every policy; recorded from that code."""
    chance, answers = random.Random(0), hashlib.sha256()
    for _ in range(60):
        paths = []
        for number in range(chance.choice([1, 5, 30, 200])):
            parent = chance.choice([None, *paths])
            paths.append(f"{number}" if parent is None else f"{parent}##{number}")
        chance.shuffle(paths)
        hierarchy = LabelHierarchy(paths)
        values = np.array([[chance.gauss(-1, 2) for _ in paths] for _ in range(5)], np.float32)
        thresholds = [chance.uniform(0.05, 0.95) for _ in paths]
        for policy in POLICIES:
            for at_least_one, top_k in ((False, None), (True, 3)):
                decoder = Decoder(hierarchy, thresholds, DecodingPolicy(policy, at_least_one, top_k))
                answers.update(repr(decoder.decode(values).ranked()[0].tolist()).encode())
    assert answers.hexdigest()[:16] == "3374927c9b1808ce"


def reference(policy, hierarchy, scores):
    """The definitions of the policies, label by label."""
    score = dict(zip(hierarchy.labels, scores))
    over = {label for label in hierarchy.labels if score[label] >= np.float32(0.4)}
    if policy == "threshold":
        return over
    if policy == "top_down":
        return {label for label in over if all(ancestor in over for ancestor in ancestor_paths(label))}
    closed = over.union(*(set(ancestor_paths(label)) for label in over))
    if policy == "ancestors" or not closed:
        return closed

    def path(label):
        return [label, *ancestor_paths(label)]

    ends = [label for label in closed if not any(label in ancestor_paths(other) for other in closed)]
    mean = {end: np.mean([np.log(score[label], dtype=np.float64) for label in path(end)]) for end in ends}
    best = max(mean.values())
    ties = [end for end in ends if mean[end] > best - 1e-5]
    if len(ties) > 1:  # float32 sums may order near ties either way
        decoded = Decoder(hierarchy, 0.4, DecodingPolicy("single_path")).decode(np.log(scores / (1 - scores))[None])
        return next(s for s in (set(path(end)) for end in ties) if s == {p.label for p in decoded.predictions()[0]})
    return set(path(ties[0]))
