"""More requests than are answered: each has an outcome, and answers are looked at."""

from benchmarks.endurance.overload import overload, send_arrivals
from benchmarks.serving.checked_load import FAILED, REFUSED, RIGHT, WRONG
from benchmarks.texts import shuffled_texts
from pipeline.files.bundle import Bundle
from pipeline.predictor import Predictor


def test_every_request_has_an_outcome(triton, bundle_path, sample_dataset):
    texts = shuffled_texts(sample_dataset / "test.txt")[:20]
    decoded = Predictor(Bundle(bundle_path)).decode(texts)
    labels = [frozenset(each.label for each in row) for row in decoded.predictions()]
    expected = {text: [wanted] for text, wanted in zip(texts, labels)}
    found = overload(triton.grpc_address, expected, factor=0.5, seconds=1.0)
    assert found[RIGHT] > 0
    assert found[WRONG] == found[FAILED] == 0
    assert found[RIGHT] + found[REFUSED] >= 0.4 * found["sent per second"]
    wrong = {text: [frozenset(["no such label"])] for text in expected}
    sent = send_arrivals(triton.grpc_address, wrong, rate=20, seconds=0.5, seed=0)
    assert (len(sent[RIGHT]), len(sent[WRONG])) == (0, 10)
