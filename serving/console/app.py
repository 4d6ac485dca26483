"""The console's routes."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Annotated, Any, Union

from fastapi import APIRouter, Body, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse
from fastapi.routing import APIRoute
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.exceptions import HTTPException

from pipeline.errors import ClassifierError, InputError, ServerError
from pipeline.files.feedback import FeedbackFile
from pipeline.metrics.traffic import answer_bins
from pipeline.records import unique_keys
from serving.console import forms
from serving.console.answering import Answering
from serving.console.asking import Asking, Metrics
from serving.console.card import card, expected
from serving.console.door import CALLER, COOKIE, ICON, SIGN_IN
from serving.console.files.routes import add_files
from serving.console.kept import KeptTexts
from serving.console.label_studio import add_label_studio
from serving.console.schemas import (
    FORMS,
    Answers,
    Caller,
    ClassifyForms,
    Judgement,
    Kept,
    KeptSample,
    Prediction,
    Refusal,
    ScoredAnswers,
    TeiPredict,
    TextAnswer,
    Texts,
    VllmClassify,
)
from serving.console.traffic import figures
from serving.triton.repository import ModelRepository

_ROW = re.compile(r"\brow (\d+)(?=: )")
COMPARED = "/compared"
REFUSALS: dict[int | str, dict[str, Any]] = {
    status: {"model": Refusal, "description": said}
    for status, said in {
        400: "a text or an option cannot be used",
        401: "a token is needed",
        403: "a page of another site asks",
        405: "the path knows no such method",
        408: "the request took too long to arrive",
        413: "the request is too large",
        415: "the body is no JSON",
        421: "the console is not asked by this name",
        422: "the request is none that OpenAPI describes",
        503: "the server of the model does not answer, or is overloaded",
    }.items()
}


class _Request(Request):
    """One whose JSON has each key once: of two no reader can tell which was meant."""

    async def json(self) -> Any:
        try:
            return json.loads(await self.body(), object_pairs_hook=unique_keys)
        except json.JSONDecodeError:
            raise
        except ValueError as error:
            raise HTTPException(400, f"the body is no JSON that can be used: {error}") from None


class _Route(APIRoute):
    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        answer = super().get_route_handler()

        async def own(request: Request) -> Response:
            return await answer(_Request(request.scope, request.receive))

        return own


def create_app(
    answering: Answering,
    page: str,
    is_token: Callable[[str], bool],
    feedback: FeedbackFile,
    by_proxy: bool,
    repository: ModelRepository,
    compared: Answering | None = None,
    kept: KeptTexts | None = None,
) -> FastAPI:
    """The application.

    Args:
        answering: what answers.
        page: HTML.
        is_token: tells whether a string is the token that callers need.
        feedback: keeps what people say of answers.
        by_proxy: whether a proxy says who does.
        repository: where versions are published.
        compared: what answers beside it, by the same routes below /compared.
        kept: the sample of texts that programs send; None where none is kept.
    """
    app = FastAPI(title="Hierarchical text classifier", docs_url=None, redoc_url=None, responses=REFUSALS)
    app.router.route_class = _Route
    metrics = Metrics()
    asking = Asking(answering, metrics, kept)
    app.add_exception_handler(ClassifierError, lambda _, error: _failure(metrics, _status(error), str(error)))
    app.add_exception_handler(
        HTTPException, lambda _, error: _failure(metrics, error.status_code, error.detail, error.headers)
    )
    app.add_exception_handler(
        RequestValidationError,
        lambda _, error: _failure(metrics, 422, _in_words(error.errors())),
    )
    _add_page(app, page, is_token)
    _add_answers(app.router, asking, compared is not None, repository)
    if compared:
        beside = APIRouter(prefix=COMPARED, route_class=_Route)
        _add_answers(beside, Asking(compared, Metrics()), False, repository)
        app.include_router(beside)
    _add_feedback(app, answering, feedback, by_proxy, kept)
    add_files(app)
    _add_figures(app, answering, metrics, repository)
    add_label_studio(app, asking, feedback, by_proxy)
    return app


def _add_figures(app: FastAPI, answering: Answering, metrics: Metrics, repository: ModelRepository) -> None:
    @app.get("/card")
    def card_of_model() -> dict[str, Any]:
        """Figures of the model, training rows by label, and the versions that there are, as far as they are known."""
        return card(answering.describe(), repository)

    @app.get("/health", response_class=PlainTextResponse)
    def health() -> str:
        """Whether the model is there."""
        answering.describe()
        return "ok\n"

    @app.get("/metrics", response_class=PlainTextResponse)
    def metrics_of_console() -> Response:
        """For Prometheus."""
        return Response(generate_latest(metrics.registry), media_type=CONTENT_TYPE_LATEST)

    @app.get("/traffic")
    def traffic() -> dict[str, Any]:
        """What the server that answers has counted since it started; of a bundle, what the console has."""
        version = answering.describe().model.version
        return figures(answering.metrics() or generate_latest(metrics.registry).decode(), version)


def _add_feedback(
    app: FastAPI, answering: Answering, feedback: FeedbackFile, by_proxy: bool, kept: KeptTexts | None
) -> None:
    def check_signed_in(request: Request, why: str) -> None:
        if by_proxy and not request.scope.get(CALLER):
            raise HTTPException(401, f"sign in first: {why}")

    @app.get("/caller")
    def caller(request: Request) -> Caller:
        """Who asks, as the proxy says, and what is kept."""
        return Caller(name=request.scope.get(CALLER), by_proxy=by_proxy, kept=kept.most if kept else None)

    @app.post("/feedback")
    def judge(request: Request, judgement: Judgement) -> Kept:
        """Keep what somebody says of an answer, for training/feedback.py."""
        check_signed_in(request, "corrections are kept by the name that the proxy says")
        who = forms.who_judges(judgement, request.scope.get(CALLER))
        served = answering.describe().model
        return Kept(kept=feedback.add(forms.correction(judgement, who, served)), bundle=served.bundle)

    if kept:

        @app.get("/kept")
        def sample(request: Request) -> KeptSample:
            """A sample of the texts that programs have sent."""
            check_signed_in(request, "texts of others are shown to whom the proxy names")
            return KeptSample(texts=kept.texts())


def _add_page(app: FastAPI, page: str, is_token: Callable[[str], bool]) -> None:
    @app.get("/", response_class=HTMLResponse, include_in_schema=False)
    def index() -> str:
        return page

    @app.get(ICON, include_in_schema=False)
    def icon() -> Response:
        """None: browsers ask for it, and would complain."""
        return Response(status_code=204)

    @app.post(SIGN_IN, include_in_schema=False)
    def sign_in(request: Request, token: str = Body(embed=True)) -> Response:
        if not is_token(token):
            return JSONResponse({"error": "this is not the token"}, 401)
        response = JSONResponse({})
        secure = request.url.scheme == "https"
        response.set_cookie(COOKIE, token, httponly=True, samesite="strict", secure=secure)
        return response


def _add_answers(app: APIRouter, asking: Asking, is_compared: bool, repository: ModelRepository) -> None:
    answering, by_one_version = asking.answering, asking.by_one_version

    @app.get("/model")
    def model() -> dict[str, Any]:
        """The model that answers: labels, the numbers of their parents, their other paths, thresholds, decoding; and by
        feature and bin, how many texts of the development set lie there."""
        described = answering.describe()
        return {**forms.describe(described), "expected": expected(described, repository), "compared": is_compared}

    @app.post("/classify", response_model=Union[Answers, dict[str, Any]])
    def classify(request: Request, asked: Annotated[ClassifyForms, Body()]) -> Any:
        """Labels of texts. A request of vLLM, with `input` in place of `texts`, is answered as vLLM does."""
        if isinstance(asked, VllmClassify):
            texts = forms.vllm_texts(asked)
            forms.check_size(texts, answering.describe().model)
            (answers, scores), served = by_one_version(lambda: answering.answers_and_scores(texts), texts)
            asking.keep(request, texts, answers, served)
            return JSONResponse(forms.as_vllm(scores, served))
        texts = forms.texts_to_classify(asked)
        options = asked.model_dump(exclude={"texts"})
        answers, served = by_one_version(lambda: answering.classify(texts, options), texts)
        asking.keep(request, texts, answers, served)
        asking.metrics.empty.inc(sum(not answer for answer in answers))
        return Answers(answers=list(map(TextAnswer.of, answers)), bundle=served.bundle)

    @app.post("/scores", response_model=ScoredAnswers)
    def scores(request: Texts) -> Response:
        """Labels of texts, and the scores of those that a lower threshold would give."""
        texts = forms.readable(request.texts)
        (answers, found), served = by_one_version(lambda: answering.answers_and_scores(texts), texts)
        asking.metrics.empty.inc(sum(not answer for answer in answers))
        bins = {**answering.text_bins(texts), **answer_bins(answers, found)}
        return JSONResponse(forms.as_scored(answers, found, served, bins))

    @app.post("/predict", response_model=Union[list[Prediction], list[list[Prediction]]])
    def predict(request: Request, asked: TeiPredict) -> Any:
        """The score of every label, highest first, as text-embeddings-inference answers."""
        texts, single = forms.tei_texts(asked)
        forms.check_size(texts, answering.describe().model)
        (answers, found), served = by_one_version(lambda: answering.answers_and_scores(texts), texts)
        asking.keep(request, texts, answers, served)
        rows = forms.as_tei(found, served, asked.raw_scores)
        return JSONResponse(rows[0] if single else rows)


def _status(error: Exception) -> int:
    return 400 if isinstance(error, InputError) else 503 if isinstance(error, ServerError) else 500


def _failure(metrics: Metrics, status: int, said: str, headers: Mapping[str, str] | None = None) -> Response:
    metrics.refused.labels(status).inc()
    row = _ROW.search(said)
    # A server may say before it which of its steps refused.
    content = {"error": said[row.start() :], "row": int(row[1])} if row else {"error": said}
    return JSONResponse(content, status, headers)


def _in_words(errors: Sequence[Any]) -> str:
    """What does not fit, the first few places; nothing of what was sent, which may be a text."""
    if errors and errors[0]["type"] == "json_invalid":
        return f"the body is no JSON: {errors[0]['ctx']['error']} at character {errors[0]['loc'][-1]}"
    places = [([part for part in error["loc"][1:] if part not in FORMS], error["msg"]) for error in errors[:3]]
    return "; ".join(f"{'.'.join(map(str, place))}: {said}" if place else said for place, said in places)
