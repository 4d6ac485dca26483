"""The console as an ML backend of Label Studio; what that asks was recorded, see test_label_studio_itself.py."""

import base64
import functools
import json
import subprocess

import pytest

from pipeline.files.feedback import read_feedback
from pipeline.labels.hierarchy import LabelHierarchy
from pipeline.labels.label_studio import configuration, read_configuration
from pipeline.predictor import Predictor
from tests.conftest import PROJECT
from tests.doccano import lines
from tests.label_studio import RECORDED, chance, result
from tests.serving.console.running import PYTHON, Console

TOKEN = "made-up-secret-of-16"
DEEP = (
    '<View><Text name="t" value="$t"/><Taxonomy name="a" toName="t">'
    + '<Choice value="x">' * 50_000
    + "</Choice>" * 50_000
    + "</Taxonomy></View>"
)


def taxonomy(above, levels, children):
    """A configuration of few bytes, whose paths would be very many."""
    opened, below = f'<Choice value="{above}">' * levels, '<Choice value="x"/>' * children
    text = '<View><Text name="t" value="$t"/><Taxonomy name="a" toName="t">'
    return f"{text}{opened}{below}{'</Choice>' * levels}</Taxonomy></View>"


NESTED = {
    "task": 1,
    "completed_by": 1,
    "result": [{"from_name": "labels", "value": functools.reduce(lambda inner, _: [inner], range(500), [])}],
}
BEARER = {"Authorization": f"Bearer {TOKEN}"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("label_studio")


@pytest.fixture(scope="module")
def backend(bundle_path, folder):
    (folder / "token.txt").write_text(TOKEN)
    words = ("--token_file", folder / "token.txt", "--feedback_file", folder / "feedback.jsonl")
    with Console("--bundle", bundle_path, *words) as running:
        yield running


@pytest.fixture(scope="module")
def predictor(bundle_path):
    return Predictor(bundle_path)


@pytest.fixture(scope="module")
def config(predictor):
    return configuration(predictor.bundle.hierarchy)


def tasks(*texts):
    return [{"id": number, "data": {"text": text}} for number, text in enumerate(texts, start=1)]


def event(config, text, results, **fields):
    annotation = {"id": 5, "task": 1, "result": results, "completed_by": 3, "prediction": {}, **fields}
    project = {"id": 1, "label_config": config}
    return {"action": "ANNOTATION_CREATED", "annotation": annotation, "task": tasks(text)[0], "project": project}


def test_what_a_label_studio_asked_is_answered_as_then(backend, folder, predictor, config):
    """The model is another one each time that tests run: what it predicts is left to the test below."""
    requests = json.loads((RECORDED / "backend.json").read_text("utf-8"))
    kept, seen = [], set()
    for request in requests:
        body, path = request["body"], request["path"]
        named = {"Authorization": request["authorization"]} if request["authorization"] else {}
        status, answer, _ = backend.ask(path, body, **named)
        assert status == request["status"], answer
        seen.add((path, status))
        if path.endswith("/predict"):
            assert [len(each) for each in answer["results"]] == [len(each) for each in request["answer"]["results"]]
        elif path.endswith("/setup") and status == 200:
            assert answer == {"model_version": predictor.bundle.identity}
        elif path.endswith(("/health", "/webhook")) and status == 200:
            assert answer == request["answer"]
            kept.append(answer.get("kept", 0))
    assert {path.rpartition("/")[2] for path, _ in seen} == {"health", "setup", "predict", "webhook"}
    assert {status for _, status in seen} == {200, 401, 501}
    assert len(list(read_feedback(folder / "feedback.jsonl"))) == sum(kept) == 2


def test_the_least_sure_prediction_has_the_lowest_score(backend, predictor, config, sample_dataset):
    texts = lines(sample_dataset, "data.txt")[:100]
    given = backend.ask("/label-studio/predict", {"tasks": tasks(*texts), "label_config": config}, **BEARER)[1]
    decoded = predictor.decode(texts)
    (scores, hierarchy), found = (decoded.scores, predictor.bundle.hierarchy), []
    for row, (prediction,) in enumerate(given["results"]):
        paths = ["##".join(names) for names in prediction["result"][0]["value"]["taxonomy"]]
        assert hierarchy.with_ancestors(paths) == set(decoded.selected[row].nonzero()[0])
        assert prediction["model_version"] == predictor.bundle.identity
        found.append(prediction["score"])
    assert found == pytest.approx([chance(*row) for row in zip(scores, decoded.selected)], rel=1e-4)
    assert 0 < min(found) < max(found) <= 1


def test_one_task_that_cannot_be_answered_does_not_stop_the_others(backend, config):
    given = [*tasks("地震", " ", "a" * 200_001), {"id": 4, "data": {"body": "x"}}, {"id": 5, "data": {"text": 5}}]
    answer = backend.ask("/label-studio/predict", {"tasks": given, "label_config": config}, **BEARER)[1]
    assert [len(each) for each in answer["results"]] == [1, 0, 0, 0, 0]
    assert [each["task"] for each in answer["unanswered"]] == [2, 3, 4, 5]
    assert "its data has no text 'text'" in answer["unanswered"][2]["reason"]
    status, refused, _ = backend.ask("/label-studio/predict", {"tasks": given[3:], "label_config": config}, **BEARER)
    assert (status, refused["error"]) == (
        400,
        "task 4: its data has no text 'text', which the labelling configuration shows",
    )


def test_what_people_say_is_kept_once_with_what_they_were_shown(backend, folder, config, predictor):
    def kept():
        file = folder / "feedback.jsonl"
        return list(read_feedback(file)) if file.exists() else []

    parent, child = next(
        (label.rpartition("##")[0], label) for label in predictor.bundle.hierarchy.labels if "##" in label
    )
    shown = {"result": result(parent.split("##")), "model_version": "0123456789ab"}
    said = event(config, "一条\n新闻", result(child.split("##")), prediction=shown)
    before = len(kept())
    for expected in (1, 0):
        assert backend.ask("/label-studio/webhook", said, **BEARER)[1] == {"kept": expected}
    last = kept()[-1]
    assert (last.who, last.bundle, last.text) == ("Label Studio user 3", "0123456789ab", "一条\n新闻")
    assert last.answered == (parent,)
    assert set(last.labels) == {parent, child}
    changed = {**said, "action": "ANNOTATION_UPDATED", "annotation": {**said["annotation"], "result": []}}
    assert backend.ask("/label-studio/webhook", changed, **BEARER)[1] == {"kept": 1}
    several = event(config, "又一条", [])
    several |= {"action": "ANNOTATIONS_CREATED", "annotation": [several["annotation"]], "task": [several["task"]]}
    assert backend.ask("/label-studio/webhook", several, **BEARER)[1] == {"kept": 1}
    for other in ("PROJECT_UPDATED", "ANNOTATIONS_DELETED", "TASKS_CREATED"):
        assert backend.ask("/label-studio/webhook", {"action": other}, **BEARER)[1] == {"kept": 0}
    assert len(kept()) == before + 3


def test_what_says_nothing_of_the_labels_or_comes_late_is_not_kept(backend, config):
    def kept(said):
        return backend.ask("/label-studio/webhook", said, **BEARER)[1]

    rated = [{"from_name": "quality", "to_name": "text", "type": "rating", "value": {"rating": 4}}]
    assert kept(event(config, "只有评分", rated)) == {"kept": 0}
    first = event(config, "先后", [], updated_at="2026-01-31T12:00:00.205074Z")
    label = next(iter(sorted(read_configuration(config).paths))).split("##")
    then = event(config, "先后", result(label), updated_at="2026-01-31T12:00:00.9Z")
    assert [kept(said) for said in (first, then, first)] == [{"kept": 1}, {"kept": 1}, {"kept": 0}]


def test_of_several_annotations_of_which_one_is_refused_none_is_kept(backend, folder, config):
    said = event(config, "甲", [])
    other = {**said["annotation"], "task": 9}
    several = {**said, "action": "ANNOTATIONS_CREATED", "annotation": [said["annotation"], other]}
    before = (folder / "feedback.jsonl").read_bytes()
    assert backend.ask("/label-studio/webhook", several, **BEARER)[0] == 400
    assert (folder / "feedback.jsonl").read_bytes() == before


def test_a_prediction_that_cannot_be_read_is_made_anew(backend, folder, config, predictor):
    said = event(config, "一条地震新闻", [], prediction={"model_version": "x", "result": [7]})
    assert backend.ask("/label-studio/webhook", said, **BEARER)[:2] == (200, {"kept": 1})
    assert list(read_feedback(folder / "feedback.jsonl"))[-1].bundle == predictor.bundle.identity


@pytest.mark.parametrize(
    ("path", "change", "status", "said"),
    [
        ("setup", {"schema": "<View"}, 400, "the labelling configuration is no XML"),
        ("setup", {"schema": "<View/>"}, 400, "has 0 Taxonomy or Choices tags of a text; one is needed"),
        ("setup", {"schema": '<!DOCTYPE x [<!ENTITY a "b">]><View/>'}, 400, "declares XML entities"),
        ("setup", {"schema": None}, 422, "schema"),
        pytest.param("setup", {"schema": DEEP}, 400, "choices in more than 32 levels", id="deep"),
        pytest.param("setup", {"schema": taxonomy("x" * 500_000, 1, 3000)}, 400, "with 500,000 characters", id="name"),
        pytest.param("setup", {"schema": taxonomy("x" * 990, 31, 9000)}, 400, "more than 20,000,000", id="paths"),
        pytest.param("setup", {"schema": "<a>" * 10**6 + "</a>" * 10**6}, 400, "7,000,000 characters", id="long"),
        ("setup", {"schema": "\ud800"}, 400, "the labelling configuration is no XML"),
        pytest.param("webhook", {"annotation": NESTED}, 400, "is no choice of labels", id="nested"),
        ("predict", {"tasks": 5}, 422, "tasks"),
        ("webhook", {"task": None}, 400, "the webhook sends no payload"),
        ("webhook", {"task": {"id": 9, "data": {}}}, 400, "annotation of task 1, which the webhook does not send"),
        ("webhook", {"task": {"id": 1, "data": {}}}, 400, "task 1: its data has no text 'text'"),
        (
            "webhook",
            {"annotation": {"task": 1, "result": result(["没有"]), "completed_by": 1}},
            400,
            "unknown label '没有'",
        ),
        (
            "webhook",
            {"annotation": {"task": 1, "result": result("ab"), "completed_by": 1}},
            400,
            "no path of a Taxonomy",
        ),
        ("webhook", {"annotation": {"task": 1, "result": []}}, 422, "completed_by"),
        ("webhook", {"action": "START_TRAINING"}, 501, "make retrain"),
    ],
)
def test_what_cannot_be_used_is_refused_with_a_reason(backend, config, path, change, status, said):
    bodies = {
        "setup": {"schema": config},
        "predict": {"tasks": tasks("地震"), "label_config": config},
        "webhook": event(config, "地震", []),
    }
    given, refused, _ = backend.ask(f"/label-studio/{path}", {**bodies[path], **change}, **BEARER)
    assert given == status
    assert said in refused["error"]


def test_a_project_with_other_labels_is_told_so(backend):
    others = configuration(LabelHierarchy(["别的", "别的##项目"]))
    for path, body in (
        ("setup", {"schema": others}),
        ("predict", {"tasks": tasks("地震"), "label_config": others}),
        ("webhook", event(others, "地震", [])),
    ):
        status, refused, _ = backend.ask(f"/label-studio/{path}", body, **BEARER)
        assert status == 400
        assert (
            "labels of the model are no choice of 'labels' in the project's labelling configuration" in refused["error"]
        )


def test_the_token_is_the_password_of_basic_authentication(backend, config):
    def basic(words):
        return {"Authorization": f"Basic {base64.b64encode(words.encode()).decode()}"}

    assert backend.ask("/label-studio/health", **basic(f"anybody:{TOKEN}"))[:2] == (200, {"status": "UP"})
    wrong = (basic(TOKEN), basic(f"{TOKEN}:"), basic(f"x:{TOKEN}x"), {"Authorization": "Basic %%%"}, {})
    for headers in wrong:
        for path, body in (("health", None), ("setup", {"schema": config}), ("webhook", event(config, "地震", []))):
            assert backend.ask(f"/label-studio/{path}", body, **headers)[0] == 401


HASTY = """
import json, sys
from pathlib import Path
from pipeline.labels.label_studio import read_configuration
from serving.console import label_studio
from serving.console.answering import FromBundle
from serving.console.asking import Asking, Metrics

label_studio.PREDICT_SECONDS, label_studio.TEXTS_AT_ONCE = 0.0, 2
config, tasks = json.load(sys.stdin)
asking = Asking(FromBundle(Path(sys.argv[1])), Metrics())
given = label_studio.predict_tasks(asking, read_configuration(config), [label_studio.Task(**task) for task in tasks])
print(given.model_dump_json())
"""


def test_a_request_for_very_many_tasks_is_answered_in_time_as_far_as_it_goes(bundle_path, config):
    if not PYTHON.exists():
        pytest.skip("there is no .venv-console; make setup-console prepares it")
    given = json.dumps([config, tasks("地震", "裁员", "罢工")])
    words = [str(PYTHON), "-c", HASTY, str(bundle_path)]
    done = subprocess.run(words, cwd=PROJECT, input=given, capture_output=True, text=True, check=True)
    answer = json.loads(done.stdout)
    assert [len(each) for each in answer["results"]] == [1, 1, 0]
    assert [each["task"] for each in answer["unanswered"]] == [3]
    assert answer["unanswered"][0]["reason"].startswith("not reached within 0 s; ask again")


def test_behind_a_proxy_that_names_people_nothing_is_kept_from_label_studio(bundle_path, config, tmp_path):
    words = ("--user_header", "X-Remote-User", "--trusted_proxy", "127.0.0.1", "--feedback_file", tmp_path / "feedback")
    with Console("--bundle", bundle_path, *words) as console:
        status, refused, _ = console.ask("/label-studio/webhook", event(config, "地震", []))
    assert (status, refused["error"]) == (
        401,
        "corrections are kept by the name that the proxy says, and Label Studio has none",
    )
    assert not (tmp_path / "feedback").exists()
