"""What the page tells of the model and of its labels."""

import shutil
from dataclasses import replace

import pytest

from pipeline.files.bundle import Bundle, seal
from pipeline.metrics.sets import LABEL_COUNTS
from serving.triton.repository import ModelRepository
from tests.serving.console.running import Console


@pytest.fixture(scope="module")
def published(bundle_path, model_repository):
    with Console("--bundle", bundle_path, "--model_repository", model_repository) as running:
        yield running


def test_a_card_has_the_figures_of_the_bundle_and_the_versions_of_its_repository(
    published, bundle_path, model_repository
):
    manifest, (version,) = Bundle(bundle_path).manifest, ModelRepository(model_repository).versions()
    card = published.ask("/card")[1]
    assert card["metrics"] == manifest.metrics["dev"]
    assert card["label_rows"] == manifest.training["data"]["label_rows"]
    (told,) = card["versions"]
    assert (told["number"], told["published"], told["live"]) == (1, version.published, True)


def test_what_a_server_does_not_tell_its_repository_does(triton, model_repository, tmp_path):
    url = ("--url", f"127.0.0.1:{triton.ports.grpc}", "--model_repository")
    with Console(*url, model_repository) as here, Console(*url, tmp_path) as elsewhere:
        assert here.ask("/card")[1]["metrics"] == ModelRepository(model_repository).manifest(1).metrics["dev"]
        assert elsewhere.ask("/card")[1] == {"tokens": 128, "versions": []}


def test_labels_are_opened_branch_by_branch_and_found_by_searching(browser, published, bundle_path):
    manifest = Bundle(bundle_path).manifest
    rows = dict(zip(manifest.labels, manifest.training["data"]["label_rows"]))
    browser.open(published.url)
    browser.wait_for("!!document.getElementById('card-fold')")
    browser.evaluate("document.getElementById('card-fold').open = true")
    browser.wait_for("!!document.getElementById('label-browser')")
    assert f"{100 * manifest.metrics['dev']['micro_f1']:.1f}" in browser.texts("#card .score")
    tops = [label for label in manifest.labels if "##" not in label]
    assert browser.texts("#label-browser > div > ul > li > details > summary .leaf") == tops
    browser.evaluate("document.querySelector('#label-browser details').open = true")
    browser.wait_for("!!document.querySelector('#label-browser details details, #label-browser details ul')")
    inner = [label.split("##")[1] for label in manifest.labels if label.startswith(f"{tops[0]}##")]
    assert browser.texts("#label-browser details ul .leaf") == inner
    browser.type("#label-search", "裁员")
    browser.wait_for("document.querySelectorAll('#label-browser li').length === 1")
    assert f"{rows['组织关系##裁员']} rows" in browser.texts("#label-browser li")[0]
    browser.resize(390, 900)
    assert browser.fits(390)
    assert browser.faults == []


def test_each_label_has_its_f1_where_that_is_known(browser, bundle_path, tmp_path):
    """Of a label that few texts have it is told to be unsure; a bundle of before knows none."""
    bundle = Bundle(bundle_path)
    count, tops = len(bundle.hierarchy), [label for label in bundle.manifest.labels if "##" not in label]
    rows, answered, right = ([20] * count, [30] * count, [10] * count)
    first, second, third, fourth = (bundle.hierarchy.index[label] for label in tops[:4])
    rows[second], answered[third], rows[fourth] = 9, None, 0
    line = "#label-browser > div > ul > li > details > summary .label-line"
    for counts, shown in (
        ({"rows": rows, "answered": answered, "right": right}, ["F140.0", "F151.3", "F1—", "F1—"]),
        (None, ["F1—"] * 4),
    ):
        folder = tmp_path / f"{len(shown[0])}"
        shutil.copytree(bundle_path, folder)
        training = bundle.manifest.training
        seal(
            folder, replace(bundle.manifest, training={**training, "data": {**training["data"], LABEL_COUNTS: counts}})
        )
        with Console("--bundle", folder) as console:
            browser.open(console.url)
            browser.wait_for("!!document.getElementById('card-fold')")
            browser.evaluate("document.getElementById('card-fold').open = true")
            browser.wait_for("!!document.getElementById('label-browser')")
            lines = browser.texts(line)[:4]
            assert [each[each.rindex("F1") :] for each in lines] == shown
            assert ["few texts: unsure" in each for each in lines] == [False, bool(counts), False, False]
            if counts:
                assert "precision 33.3 · recall 50.0 · 20 development texts" in lines[0]
            assert browser.faults == []
            for width in (1280, 390):
                browser.resize(width, 900)
                browser.settle()
                assert browser.fits(width)
