import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import InputError
from pipeline.files.manifest import Manifest
from pipeline.labels.calibration import Calibration
from pipeline.labels.decoding import Decoder, DecodingPolicy, sigmoid
from pipeline.labels.hierarchy import LabelHierarchy
from pipeline.text.words import TokeniserSettings

slopes, offsets = st.floats(0.01, 100), st.floats(-20, 20)


def test_equal_slopes_are_a_temperature_and_a_bias():
    logits = np.array([[-3.0, 0.0, 5.0]], np.float32)
    assert np.allclose(Calibration((2.0,) * 3, (2.0,) * 3, (0.5,) * 3)(logits), 2 * logits + 0.5)


def test_it_is_beta_calibration():
    chances = np.array([[0.01, 0.3, 0.5, 0.999]], np.float32)
    calibrated = Calibration((0.5,) * 4, (3.0,) * 4, (0.2,) * 4)(np.log(chances / (1 - chances)))
    # Kull, Silva Filho and Flach 2017, equation 3, with their a, b and c.
    expected = 1 / (1 + 1 / (np.exp(0.2) * chances**0.5 / (1 - chances) ** 3))
    assert np.allclose(sigmoid(calibrated), expected, atol=1e-5)


@given(slopes, slopes, offsets, st.lists(st.floats(-200, 200, width=32), min_size=2, unique=True))
def test_more_stays_more(low, high, offset, values):
    column = np.sort(np.array(values, np.float32))[:, None]
    calibrated = Calibration((low,), (high,), (offset,))(column)
    assert np.isfinite(calibrated).all()
    assert (np.diff(calibrated[:, 0]) >= -1e-5 * (1 + abs(calibrated).max())).all()


def test_each_row_is_calibrated_by_itself():
    """However many there are: a few are computed at once."""
    logits = np.random.default_rng(0).normal(0, 5, (70, 1000)).astype(np.float32)
    calibration = Calibration(*(tuple(np.linspace(low, 2, 1000)) for low in (0.5, 0.7, -1.0)))
    assert np.array_equal(calibration(logits), np.concatenate([calibration(row[None]) for row in logits]))


def test_a_decoder_asks_its_thresholds_of_calibrated_scores():
    hierarchy = LabelHierarchy(("组织", "组织##裁员"))
    decoder = Decoder(hierarchy, 0.5, calibration=Calibration((1.0, 1.0), (1.0, 1.0), (-2.0, 1.0)))
    for changed in (decoder, decoder.changed(top_k=2), decoder.changed(threshold=0.5)):
        decoded = changed.decode(np.array([[1.0, -3.0], [3.0, -0.5], [-5.0, -5.0]]))
        assert decoded.selected.tolist() == [[False, False], [True, True], [False, False]]
        assert decoded.scores[1] == pytest.approx(sigmoid(np.array([1.0, 0.5])))
    with pytest.raises(InputError, match="the calibration is of 1 labels, and there are 2"):
        Decoder(hierarchy, calibration=Calibration((1.0,), (1.0,), (0.0,)))


def test_a_bundle_states_it():
    calibration = Calibration((1.0, 2.0), (2.0, 2.0), (0.0, -1.0))
    plain = Manifest(("a", "b"), (0.5, 0.25), DecodingPolicy(), 7, 16, "none", TokeniserSettings())
    assert "calibration" not in plain.to_json() and plain.to_json()["format_version"] == 1
    stated = replace(plain, calibration=calibration).to_json()
    assert stated["format_version"] == 4
    assert Manifest.from_json(json.loads(json.dumps(stated))).calibration == calibration
    for wrong, said in (
        ({"low": [1.0], "high": [1.0], "offset": [0.0]}, "calibration is of 1 labels, and there are 2"),
        ({"low": [1.0, 1.0], "high": [1.0, 0.0], "offset": [0.0, 0.0]}, "low and high must be above 0"),
        ({"low": [1.0, 1.0], "high": [1.0], "offset": [0.0, 0.0]}, "low, high and offset have 1 and 2 numbers"),
        ([1.0], "calibration: a JSON object is needed"),
    ):
        with pytest.raises(InputError, match=said):
            Manifest.from_json(json.loads(json.dumps({**stated, "calibration": wrong})))
