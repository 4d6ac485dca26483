"""What programs send to the console and are answered, as OpenAPI describes it."""

from __future__ import annotations

from itertools import repeat
from typing import Annotated, Any, Literal, Union

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag

from pipeline.labels.decoding import POLICIES, Answer
from pipeline.text.normalisation import MAX_TEXT_CHARACTERS
from serving.console.answering import MOST_TEXTS

MOST_LABELS = 1024
"""Of a judgement."""
Policy = Literal[POLICIES]  # type: ignore[valid-type]


class Strict(BaseModel):
    """Fields that nobody knows are refused: they were meant to do something. So is `true` for 1, and "yes" for true."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Texts(Strict):
    """Texts alone."""

    texts: list[str] = Field(
        min_length=1, max_length=MOST_TEXTS, description=f"of at most {MAX_TEXT_CHARACTERS:,} characters each"
    )


class Classify(Texts):
    """Texts, and what of the decoding is chosen for them."""

    threshold: float | None = Field(None, gt=0, lt=1, description="for all labels; as the model says where absent")
    policy: Policy | None = Field(None, description="how label sets are made consistent")
    top_k: int | None = Field(None, ge=1, description="at most so many labels of each text")
    promise: float | None = Field(
        None, gt=0, lt=1, description="only labels of this precision, one that the model promises; without the three"
    )
    explain: bool = Field(False, description="also say which words carry each label; costs up to 25 answers of a text")


class Label(BaseModel):
    """A label path and its confidence."""

    label: str
    confidence: float
    promised: float | None = Field(None, description="the highest precision that is promised for it, 0 for none")


class TextAnswer(BaseModel):
    """What one text is answered, most confident first."""

    labels: list[Label]
    truncated: bool | None = Field(description="whether the model read only a part of the text")
    explanation: dict[str, Any] | None = Field(
        None, description="which words carry each label, and training rows like it, where asked"
    )

    @classmethod
    def of(cls, answer: Answer) -> TextAnswer:
        return cls(**answer_fields(answer))


def answer_fields(answer: Answer) -> dict[str, Any]:
    """Of a `TextAnswer`."""
    labels = [
        {"label": label, "confidence": round(confidence, 6), "promised": promised}
        for (label, confidence), promised in zip(answer, answer.promised or repeat(None))
    ]
    truncated = None if answer.truncated is None else bool(answer.truncated)
    return {"labels": labels, "truncated": truncated, "explanation": answer.why.fields() if answer.why else None}


class Answers(BaseModel):
    """An answer for each text, in their order, and the bundle that gave them."""

    answers: list[TextAnswer]
    bundle: str


class Scored(TextAnswer):
    """An answer, and of the labels that score at least as much as the page's lowest threshold, number and score."""

    columns: list[int]
    scores: list[float]
    bins: dict[str, str] = Field(description="where it lies among the texts that /model expects, by feature")


class ScoredAnswers(BaseModel):
    """As `Answers`."""

    answers: list[Scored]
    bundle: str


class Judgement(Strict):
    """What somebody says of an answer."""

    who: str | None = Field(
        None, description="a name, by which several people are told apart; left out where a proxy says who asks"
    )
    text: str
    answered: list[str] = Field(max_length=MOST_LABELS, description="the label paths that were answered")
    labels: list[str] | None = Field(
        max_length=MOST_LABELS,
        description="what is right, none for a text that belongs nowhere; null: only that this is wrong",
    )
    bundle: str = Field(max_length=64, description="of the answer")


class Caller(BaseModel):
    """Who asks."""

    name: str | None = Field(description="as the proxy says; null where it says none")
    by_proxy: bool = Field(description="whether corrections are kept by that name alone")
    kept: int | None = Field(description="of the texts that programs send at most so many are kept; null: none")


class Kept(BaseModel):
    """Whether it was kept, or had been said before."""

    kept: bool
    bundle: str = Field(description="what answers now; texts that another one answered may be asked anew")


class KeptSample(BaseModel):
    """Texts that programs have sent; of those that differ a sample, more of those that the model is unsure of."""

    texts: list[str]


class VllmClassify(BaseModel):
    """A request as vLLM takes it."""

    model_config = ConfigDict(extra="ignore", strict=True)
    input: str | list[str]
    model: str | None = None


FORMS = OWN, VLLM = ("own form", "vLLM's form")


def _form(request: Any) -> str:
    return VLLM if isinstance(request, dict) and "input" in request and "texts" not in request else OWN


ClassifyForms = Annotated[
    Union[Annotated[Classify, Tag(OWN)], Annotated[VllmClassify, Tag(VLLM)]], Discriminator(_form)
]


class TeiPredict(BaseModel):
    """A request as text-embeddings-inference takes it; a list of texts is [["first"], ["second"]]."""

    model_config = ConfigDict(extra="ignore", strict=True)
    inputs: str | list[Any]
    raw_scores: bool = False
    truncate: bool = False


class Prediction(BaseModel):
    """A label and its score."""

    label: str
    score: float


class Refusal(BaseModel):
    """Why a request was not answered."""

    error: str
