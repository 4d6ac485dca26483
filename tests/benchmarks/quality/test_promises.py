from benchmarks.quality.promises import PromiseOptions, measure


def test_a_model_is_measured_on_rows_that_chose_nothing(checkpoint, sample_dataset):
    record = measure(PromiseOptions(dataset_dir=sample_dataset, params_path=checkpoint, promise=(0.7, 0.999)))
    (model,) = record["models"]
    assert record["rows"] == 200 and record["partings"] == 100
    for errors in model["calibration_error"].values():
        assert 0 < errors["all"] < errors["from 0.05"] < 1  # nearly all pairs of a text and a label are surely wrong
    levels = model["promises"]["0.7"]  # 0.999 takes more rows than there are
    assert list(model["promises"]) == ["0.7"] and levels[0]["precision"] > 0.7
    for level, mean in zip(levels, record["mean"]["promises"]["0.7"]):
        assert 0 <= level["kept_coverage"] <= 1 and 0 <= level["kept"] <= 1
        assert mean["kept"] == round(level["kept"], 4)
