"""Two models side by side."""

import json
import shutil
from dataclasses import replace

import pytest

from pipeline.errors import BundleError, InputError
from pipeline.files.bundle import Bundle, seal
from pipeline.files.dataset import read_texts
from pipeline.labels.promises import Promise
from serving.console.opening import open_answering, open_compared
from serving.console.options import ConsoleOptions
from serving.triton.deployment import TritonDeployment
from serving.triton.repository import ModelRepository
from tests.serving.console.running import Console, classify


@pytest.fixture(scope="module")
def strict(bundle_path, tmp_path_factory):
    """The bundle with thresholds that few labels reach."""
    folder = tmp_path_factory.mktemp("strict") / "bundle"
    shutil.copytree(bundle_path, folder)
    manifest = Bundle(bundle_path).manifest
    decoding = replace(manifest.decoding, at_least_one=False)
    seal(folder, replace(manifest, thresholds=(0.9,) * len(manifest.labels), decoding=decoding))
    return folder


@pytest.fixture(scope="module")
def both(bundle_path, strict):
    with Console("--bundle", bundle_path, "--compare", strict) as running:
        yield running


def labels(console, texts, model=""):
    answers = console.ask(f"{model}/classify", {"texts": texts})[1]["answers"]
    return [{each["label"].replace("##", " › ") for each in answer["labels"]} for answer in answers]


def test_what_only_one_of_them_answers_is_shown(browser, both, sample_dataset):
    texts = list(read_texts(sample_dataset / "data.txt"))[:30]
    one, other = labels(both, texts), labels(both, texts, "/compared")
    assert f", beside {both.ask('/compared/model')[1]['source']}" in both.said
    browser.open(both.url)
    browser.wait_for("!!document.getElementById('input')")
    classify(browser, texts)
    differing = [mine != theirs for mine, theirs in zip(one, other)]
    assert 0 < sum(differing) < len(texts)
    assert browser.texts("#summary")[0].endswith(f", {sum(differing)} answered differently")

    def only(side):
        rows = f"[...item.querySelectorAll('.side')][{side}].querySelectorAll('.only')"
        return browser.evaluate(
            f"[...document.querySelectorAll('ol.answers > li')].map((item) => [...{rows}].map((each) =>"
            " each.parentNode.querySelector('.path').title))"
        )

    assert list(map(set, only(0))) == [mine - theirs for mine, theirs in zip(one, other)]
    assert list(map(set, only(1))) == [theirs - mine for mine, theirs in zip(one, other)]
    browser.click("#only-differing")
    assert len(browser.texts("ol.answers > li")) == sum(differing)
    browser.type("#threshold", "0.9")  # for both: what is left is the label that the first gives at least
    browser.wait_for(f"document.querySelectorAll('ol.answers > li').length < {sum(differing)}")
    browser.resize(390, 900)
    assert browser.fits(390)
    assert browser.faults == []


@pytest.mark.parametrize(("language", "said"), [("en", "does not promise 90 %"), ("zh-CN", "不承诺 90%")])
def test_a_promise_that_only_one_of_them_makes_compares_nothing(
    browser, bundle_path, strict, sample_dataset, tmp_path, language, said
):
    texts = list(read_texts(sample_dataset / "data.txt"))[:10]
    shutil.copytree(bundle_path, tmp_path / "promising")
    manifest = Bundle(bundle_path).manifest
    seal(tmp_path / "promising", replace(manifest, promises=(Promise(0.9, (0.6, 0.5)),)))
    with Console("--bundle", tmp_path / "promising", "--compare", strict) as console:
        browser.open(console.url, language=language)
        browser.wait_for("!!document.getElementById('promise')")
        classify(browser, texts)
        assert len(browser.texts(".sides")) == len(texts)
        browser.click("#only-differing")
        browser.evaluate("document.getElementById('promise').value = '0.9'")
        browser.evaluate("document.getElementById('promise').dispatchEvent(new Event('change'))")
        assert said in browser.texts("#summary")[0]
        assert (browser.texts(".sides"), browser.texts(".only")) == ([], [])
        assert len(browser.texts("ol.answers > li")) == len(texts)
        assert browser.faults == []


def test_a_version_that_was_published_is_compared_with_what_answers(bundle_path, model_repository):
    options = ("--bundle", bundle_path, "--model_repository", model_repository, "--compare", 1)
    with Console(*options) as console:
        assert console.ask("/compared/model")[1]["source"] == f"version 1 of {model_repository.name}"
        texts = ["某公司宣布裁员两千人", "地震"]
        assert labels(console, texts) == labels(console, texts, "/compared")


def test_two_versions_are_compared_whichever_is_live(strict, model_repository, tmp_path):
    shutil.copytree(model_repository, tmp_path / "repository")
    repository = ModelRepository(tmp_path / "repository")
    shutil.copytree(strict, tmp_path / "strict")
    seal(tmp_path / "strict", replace(Bundle(strict).manifest, goldens=()))  # those are of other thresholds
    second = TritonDeployment(repository).publish(Bundle(tmp_path / "strict"), repository.versions()[0].options)
    assert second.number == 2
    options = ("--bundle", 2, "--model_repository", repository.path, "--compare", 1)
    with Console(*options) as console:
        one, other = (console.ask(path)[1] for path in ("/model", "/compared/model"))
        assert [each["source"] for each in (one, other)] == [f"version {number} of repository" for number in (2, 1)]
        assert set(one["thresholds"]) == {0.9} != set(other["thresholds"])
        assert [version["live"] for version in console.ask("/card")[1]["versions"]] == [False, True]


@pytest.mark.parametrize(
    ("named", "said"),
    [
        ("absent", "--compare absent is no folder, no address with a port, and no number of a version"),
        ("7", "holds no version 7; it holds none"),
        ("host:http", "--compare host:http is no folder"),
    ],
)
def test_what_cannot_be_compared_with_is_said(tmp_path, named, said):
    with pytest.raises(InputError, match=said):
        open_compared(ConsoleOptions(compare=named, model_repository=tmp_path))


@pytest.mark.parametrize("option", ["bundle", "compare"])
@pytest.mark.parametrize("content", ["{", "[]", '{"number": 2}'])
def test_of_a_version_whose_record_is_damaged_that_is_said(model_repository, tmp_path, option, content):
    shutil.copytree(model_repository, tmp_path / "repository")
    record = tmp_path / "repository" / "seqcls_model" / "1" / "version.json"
    record.chmod(0o644)
    record.write_text(content)
    options = ConsoleOptions(**{option: "1"}, model_repository=tmp_path / "repository")
    opener = open_compared if option == "compare" else open_answering
    with pytest.raises(BundleError) as refused:
        opener(options)
    assert str(refused.value).startswith(f"{record} is damaged (")


def test_without_another_model_there_is_nothing_beside(console):
    assert console.ask("/model")[1]["compared"] is False
    assert console.ask("/compared/model")[0] == 404
    assert json.dumps(console.ask("/openapi.json")[1]).count("/compared") == 0
