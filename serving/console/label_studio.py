"""What Label Studio asks of an ML backend: predictions for tasks; and what it tells of annotations.

It waits 1 s for /health and /webhook, 3 s for /setup and 100 s for /predict, and tries none again.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Sequence
from datetime import datetime, timezone
from typing import Any

from fastapi import FastAPI, HTTPException
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from pipeline.errors import InputError
from pipeline.files.chunks import CHARACTERS_PER_CHUNK, chunks
from pipeline.files.feedback import Correction, FeedbackFile
from pipeline.labels.hierarchy import SEPARATOR, composed
from pipeline.labels.label_studio import RESULT, VERSION, Control, chosen, predictions, read_configuration
from pipeline.served import ServedModel
from pipeline.text.normalisation import surrogate_fault, text_fault
from serving.console import forms
from serving.console.asking import Asking
from serving.console.schemas import Judgement, Refusal

PREFIX = "/label-studio"
PREDICT_SECONDS, TEXTS_AT_ONCE = 60.0, 64
"""After which a request for predictions goes no further, and texts between two looks at the clock."""
CREATED, UPDATED, SEVERAL_CREATED = "ANNOTATION_CREATED", "ANNOTATION_UPDATED", "ANNOTATIONS_CREATED"
TRAIN = "START_TRAINING"
EARLIEST = datetime(2000, 1, 1, tzinfo=timezone.utc)
"""That an annotation can be of."""


class Told(BaseModel):
    """What Label Studio tells; it tells more, which is passed over."""

    model_config = ConfigDict(strict=True, extra="ignore")


class Task(Told):
    """A task."""

    id: int
    data: dict[str, Any]


class Setup(Told):
    """What a project tells when it is connected; the key to Label Studio that comes along is passed over."""

    configuration: str = Field(alias="schema")


class Ready(BaseModel):
    """What answers a project."""

    model_version: str


class Health(BaseModel):
    """That somebody is there."""

    status: str = "UP"


class Tasks(Told):
    """Tasks to predict."""

    tasks: list[Task]
    label_config: str


class Unanswered(BaseModel):
    """A task without a prediction."""

    task: int
    reason: str


class Predicted(BaseModel):
    """A prediction for each task, in their order; none where the list is empty."""

    results: list[list[dict[str, Any]]]
    unanswered: list[Unanswered]


class Annotation(Told):
    """What somebody says of a task, and the prediction that was shown."""

    task: int
    result: list[dict[str, Any]]
    was_cancelled: bool = False
    completed_by: int
    updated_at: AwareDatetime | None = Field(None, strict=False, ge=EARLIEST)
    prediction: dict[str, Any] | None = None


class Project(Told):
    """A project's labelling configuration."""

    label_config: str


class Event(Told):
    """Something that happened in a project."""

    action: str
    annotation: Annotation | list[Annotation] | None = None
    task: Task | list[Task] | None = None
    project: Project | None = None


class CountKept(BaseModel):
    """How many corrections were new."""

    kept: int


def add_label_studio(app: FastAPI, asking: Asking, feedback: FeedbackFile, by_proxy: bool) -> None:
    """Add the routes of an ML backend, whose address in Label Studio ends with PREFIX.

    Args:
        by_proxy: whether corrections are kept only by names that a proxy says, so that none comes from here.
    """

    @app.get(f"{PREFIX}/health")
    def health() -> Health:
        """Whether the model is there."""
        asking.answering.describe()
        return Health()

    @app.post(f"{PREFIX}/setup")
    def setup(request: Setup) -> Ready:
        """Whether the project's labelling configuration has the model's labels."""
        served = asking.answering.describe().model
        read_configuration(request.configuration).check(served.hierarchy)
        return Ready(model_version=served.bundle)

    @app.post(f"{PREFIX}/predict")
    def predict(request: Tasks) -> Predicted:
        """Predictions for tasks, the least sure with the lowest score."""
        return predict_tasks(asking, read_configuration(request.label_config), request.tasks)

    @app.post(f"{PREFIX}/webhook", responses={501: {"model": Refusal, "description": "nothing is trained here"}})
    def webhook(event: Event) -> CountKept:
        """Keep what somebody annotated as a correction, for training/feedback.py."""
        if event.action == TRAIN:
            raise HTTPException(501, "nothing is trained here: make retrain does so with what was annotated")
        if event.action not in (CREATED, UPDATED, SEVERAL_CREATED):
            return CountKept(kept=0)
        if by_proxy:
            raise HTTPException(401, "corrections are kept by the name that the proxy says, and Label Studio has none")
        return CountKept(kept=feedback.add_all(_corrections(asking, event)))


def predict_tasks(asking: Asking, control: Control, tasks: Sequence[Task]) -> Predicted:
    """What the model predicts of tasks, as many as it reaches in time, of which it always does some.

    Raises:
        InputError: the project has other labels, or no task can be answered.
    """
    control.check(asking.answering.describe().model.hierarchy)
    faults = {place: fault for place, task in enumerate(tasks) if (fault := _fault(task, control))}
    if tasks and len(faults) == len(tasks):
        raise InputError(f"task {tasks[0].id}: {faults[0]}")
    places = [place for place in range(len(tasks)) if place not in faults]
    texts = {place: tasks[place].data[control.text_key] for place in places}
    results: list[list[dict[str, Any]]] = [[] for _ in tasks]
    end = time.monotonic() + PREDICT_SECONDS
    for some in chunks(places, TEXTS_AT_ONCE, CHARACTERS_PER_CHUNK, lambda place: len(texts[place])):
        asked = [texts[place] for place in some]
        ask = functools.partial(asking.answering.answers_and_scores, asked)
        (answers, scores), served = asking.by_one_version(ask, asked)
        control.check(served.hierarchy)
        labels = [[each.label for each in answer] for answer in answers]
        asking.metrics.empty.inc(sum(not each for each in labels))
        for place, found in zip(some, predictions(control, served.hierarchy, labels, scores, served.bundle)):
            results[place] = [found]
        if time.monotonic() > end:
            break
    late = f"not reached within {PREDICT_SECONDS:g} s; ask again for those that have no prediction"
    faults.update((place, late) for place in places if not results[place])
    unanswered = [Unanswered(task=tasks[place].id, reason=reason) for place, reason in sorted(faults.items())]
    return Predicted(results=results, unanswered=unanswered)


def _fault(task: Task, control: Control) -> str | None:
    text = task.data.get(control.text_key)
    if not isinstance(text, str):
        return f"its data has no text {control.text_key!r}, which the labelling configuration shows"
    return surrogate_fault(text) or text_fault(text)


def _corrections(asking: Asking, event: Event) -> list[Correction]:
    if event.project is None or event.annotation is None or event.task is None:
        raise InputError("the webhook sends no payload with its project and task; let it send the payload")
    control = read_configuration(event.project.label_config)
    control.check(asking.answering.describe().model.hierarchy)
    tasks = {task.id: task for task in (event.task if isinstance(event.task, list) else [event.task])}
    found = []
    for annotation in event.annotation if isinstance(event.annotation, list) else [event.annotation]:
        task = tasks.get(annotation.task)
        if task is None:
            raise InputError(f"annotation of task {annotation.task}, which the webhook does not send")
        if annotation.was_cancelled or not control.is_of(annotation.result):
            continue
        if fault := _fault(task, control):
            raise InputError(f"task {task.id}: {fault}")
        text, who = task.data[control.text_key], f"Label Studio user {annotation.completed_by}"
        answered, bundle, served = _answered(asking, control, annotation, text)
        labels = _closed(served, _labels(control, annotation.result))
        said = Judgement.model_construct(text=text, answered=answered, labels=labels, bundle=bundle)
        found.append(forms.correction(said, who, served, annotation.updated_at))
    return found


def _answered(
    asking: Asking, control: Control, annotation: Annotation, text: str
) -> tuple[list[str], str, ServedModel]:
    """The labels that the annotator was shown, and the version that predicted them; else what the model answers now."""
    shown = annotation.prediction or {}
    served = asking.answering.describe().model
    version, results = shown.get(VERSION), shown.get(RESULT)
    if isinstance(version, str) and isinstance(results, list) and all(isinstance(each, dict) for each in results):
        labels = _labels(control, results)
        if all(label in served.hierarchy for label in labels):
            return _closed(served, labels), version[:64], served
    answers, served = asking.by_one_version(lambda: asking.answering.classify([text], {}), [text])
    return _closed(served, [each.label for each in answers[0]]), served.bundle, served


def _labels(control: Control, results: Sequence[dict[str, Any]]) -> list[str]:
    own = (result.get("value") for result in results if result.get("from_name") == control.name)
    return [composed(SEPARATOR.join(names)) for value in own for names in chosen(value)]


def _closed(served: ServedModel, labels: Sequence[str]) -> list[str]:
    hierarchy = served.hierarchy
    return [hierarchy.labels[position] for position in sorted(hierarchy.with_ancestors(labels))]
