"""A dataset folder through a Label Studio that runs, and back; and what that asks the console meanwhile."""

import json
import os
import shutil
from contextlib import contextmanager

import pytest

from pipeline.files.feedback import read_feedback
from pipeline.predictor import Predictor
from tests.doccano import lines
from tests.label_studio import RECORDED, LabelStudio, Recorder
from tests.made_up_project import annotate, check_export, write_folder
from tests.serving.console.running import Console
from training.label_studio import main

SECRET = "made-up-secret-of-16"
BACKEND = RECORDED / "backend.json"


@pytest.fixture(scope="module")
def studio(tmp_path_factory):
    with LabelStudio(tmp_path_factory.mktemp("studio")) as running:
        yield running


def configure(label_file, folder):
    main(["--config", str(folder / "labels.xml"), "--label_file", str(label_file)])
    return (folder / "labels.xml").read_text(encoding="utf-8")


@pytest.mark.slow
def test_what_people_annotate_comes_back_in_every_format(studio, tmp_path):
    folder = write_folder(tmp_path / "data")
    project = studio.project(configure(folder / "label.txt", tmp_path))
    main(["--export", str(tmp_path / "tasks.json"), "--dataset_dir", str(folder)])
    tasks = studio.tasks(project, json.loads((tmp_path / "tasks.json").read_text(encoding="utf-8")))
    annotate(studio, {task["data"]["text"]: task["id"] for task in tasks})
    files = studio.export(project, tmp_path)
    for name, file in files.items():
        check_export(file, tmp_path / name)
    if "RECORD_LABEL_STUDIO" in os.environ:
        RECORDED.mkdir(parents=True, exist_ok=True)
        for file in files.values():
            shutil.copy(file, RECORDED)


@contextmanager
def connected(studio, project, bundle_path, folder):
    """A recorder before a console that answers the project, its feedback file, what connects it, and what is made."""
    (folder / "token.txt").write_text(SECRET)
    feedback = folder / "feedback.jsonl"
    words = ("--bundle", bundle_path, "--token_file", folder / "token.txt", "--feedback_file", feedback)
    with Console(*words) as console, Recorder(console.port) as recorder:
        backend = {
            "project": project,
            "title": "console",
            "url": f"http://127.0.0.1:{recorder.port}/label-studio",
            "auth_method": "BASIC_AUTH",
            "basic_auth_user": "label-studio",
            "basic_auth_pass": SECRET,
        }
        made = studio.ask("POST", "/api/ml", backend)
        (hook,) = [hook for hook in studio.ask("GET", "/api/webhooks/") if hook["url"].startswith(backend["url"])]
        headers = {"headers": {"Authorization": f"Bearer {SECRET}"}}
        studio.ask("PATCH", f"/api/webhooks/{hook['id']}/", headers)
        yield recorder, feedback, backend, made


@pytest.mark.slow
def test_the_console_predicts_its_tasks_and_keeps_what_people_annotate(studio, tmp_path, bundle_path, sample_dataset):
    texts = lines(sample_dataset, "data.txt")[:8]
    project = studio.project(configure(sample_dataset / "label.txt", tmp_path))
    tasks = studio.tasks(project, [{"data": {"text": text}} for text in texts])
    places = {task["id"]: place for place, task in enumerate(tasks)}
    with connected(studio, project, bundle_path, tmp_path) as (recorder, feedback, asked, made):
        predictor = Predictor(bundle_path)
        assert made["readable_state"] == "Connected"
        assert made["model_version"] == predictor.bundle.identity
        action = f"/api/dm/actions?id=retrieve_tasks_predictions&project={project}"
        studio.ask("POST", action, {"selectedItems": {"all": True, "excluded": []}})
        predicted = {task: studio.ask("GET", f"/api/tasks/{task}")["predictions"] for task in places}
        assert all(len(each) == 1 for each in predicted.values())
        for task, (prediction,) in predicted.items():
            paths = ["##".join(names) for names in prediction["result"][0]["value"]["taxonomy"]]
            answer = {label for label, _ in predictor.predict([texts[places[task]]])[0]}
            hierarchy = predictor.bundle.hierarchy
            assert {hierarchy.labels[column] for column in hierarchy.with_ancestors(paths)} == answer
        by_sureness = sorted(predicted, key=lambda task: predicted[task][0]["score"])
        # It orders by predictions of the version that the project shows.
        studio.ask("PATCH", f"/api/projects/{project}", {"model_version": predictor.bundle.identity})
        ordering = ["tasks:predictions_score"]
        view = studio.ask("POST", "/api/dm/views", {"project": project, "data": {"ordering": ordering}})["id"]
        listed = studio.ask("GET", f"/api/tasks?view={view}&fields=all&page_size=100")["tasks"]
        assert [task["id"] for task in listed] == by_sureness
        following = f"/api/dm/actions?id=next_task&project={project}&tabID={view}"
        assert studio.ask("POST", following, {"project": project, "ordering": ordering})["id"] == by_sureness[0]

        label = predictor.bundle.hierarchy.labels[0]
        first, second, third = list(places)[:3]
        annotation = studio.annotate(first, label.split("##"))
        studio.annotate(second)
        studio.annotate(third, label.split("##"), was_cancelled=True)
        studio.ask("PATCH", f"/api/annotations/{annotation}/", {"lead_time": 3.0})
        kept = list(read_feedback(feedback))
        assert [(each.text, each.labels) for each in kept] == [(texts[0], (label,)), (texts[1], ())]
        assert {each.who for each in kept} == {"Label Studio user 1"}
        assert {each.bundle for each in kept} == {predictor.bundle.identity}
        assert set(kept[0].answered) == {name for name, _ in predictor.predict(texts[:1])[0]}
        studio.ask("POST", f"/api/ml/{made['id']}/train", {})
        hooks = recorder.of("/label-studio/webhook")
        told = [hook["answer"]["kept"] for hook in hooks if hook["body"]["action"].startswith("ANNOTATION_")]
        assert told == [1, 1, 0, 0]
        assert (hooks[-1]["body"]["action"], hooks[-1]["status"]) == ("START_TRAINING", 501)
        studio.answer("POST", "/api/ml", {**asked, "basic_auth_pass": "wrong"})
    if "RECORD_LABEL_STUDIO" in os.environ:
        recorded = ",\n".join(json.dumps(request, ensure_ascii=False) for request in recorder.requests)
        BACKEND.write_text(f"[\n{recorded}\n]\n", encoding="utf-8")
    assert 401 in {request["status"] for request in recorder.of("/label-studio/health")}
