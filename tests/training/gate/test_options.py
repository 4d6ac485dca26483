from pathlib import Path

from training.gate.options import ReleaseOptions


def test_a_run_offers_its_export_and_what_was_pruned_from_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for width in ("0.75", "0.5"):
        folder = tmp_path / "runs" / "orders" / "prune" / width
        folder.mkdir(parents=True)
        (folder / "bundle.json").touch()
    (tmp_path / "runs" / "orders" / "prune" / "0.25").mkdir()  # not finished
    run = Path("runs") / "orders"
    bundles = ReleaseOptions(dataset_dir="data", run="orders").bundles
    assert bundles == (run / "export", run / "prune" / "0.5", run / "prune" / "0.75")
    assert ReleaseOptions(dataset_dir="data", run="orders", bundles=("one",)).bundles == (Path("one"),)
    assert ReleaseOptions(dataset_dir="data").bundles == (Path("export"),)
