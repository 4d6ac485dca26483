"""Why a text got a label, of a model that looks for words and of one that reads the beginning of a text alone."""

import json
import time

import numpy as np
import pytest

from pipeline.errors import ClassifierError, InputError
from pipeline.explanation.pieces import MOST_COPIES, Pieces
from pipeline.explanation.reasons import explain, explained
from pipeline.labels.calibration import Calibration
from pipeline.labels.decoding import Decoder
from pipeline.labels.explanation import Explanation, Reason
from pipeline.labels.hierarchy import LabelHierarchy
from pipeline.text.encoding import TextEncoder
from pipeline.text.linear import MOST_CHARACTERS
from pipeline.text.long_texts import WAYS, LongTexts
from pipeline.text.normalisation import MAX_TEXT_CHARACTERS
from pipeline.text.vocabulary import build_vocabulary
from pipeline.text.wordpiece import WordPiece
from pipeline.text.words import TokeniserSettings

TEXT = "yesterday the bank fired 300 people and the shares fell"
DECODER = Decoder(LabelHierarchy(["jobs", "jobs##layoff", "sport"]))


def encoder(length=128, way="first"):
    settings = TokeniserSettings()
    return TextEncoder(
        "none", WordPiece(build_vocabulary([TEXT], 500, settings), settings, length), long_texts=LongTexts(way)
    )


def read(texts):
    """`fired` makes a layoff, `people` a little of it; jobs are what is fired or a bank."""
    logits = [
        [4 * ("fired" in text) + 4 * ("bank" in text) - 4, 3 * ("fired" in text) + ("people" in text) - 2, -5]
        for text in texts
    ]
    return np.array(logits, np.float32), [False] * len(texts)


def test_the_words_that_carry_a_label_are_named_the_first_first():
    (answer,) = explained([TEXT], encoder(), DECODER, read)
    assert [label for label, _ in answer] == ["jobs", "jobs##layoff"] and answer.truncated is False
    jobs, layoff = answer.why.labels["jobs"], answer.why.labels["jobs##layoff"]
    assert {each.text for each in jobs} == {"bank", "fired"}
    assert [each.text for each in layoff] == ["fired", "people"]
    assert all(TEXT[each.start : each.end] == each.text for each in (*jobs, *layoff))
    assert layoff[0].drop == pytest.approx(1 / (1 + np.exp(-2)) - 1 / (1 + np.exp(1)), abs=1e-6)
    assert (answer.why.words_at_once, answer.why.until) == (1, len(TEXT))


def test_a_fall_is_one_of_calibrated_scores():
    curve = Calibration(low=(1.0, 2.0, 1.0), high=(1.0, 2.0, 1.0), offset=(0.0, 1.0, 0.0))
    (answer,) = explained([TEXT], encoder(), Decoder(DECODER.hierarchy, calibration=curve), read)
    assert dict(answer)["jobs##layoff"] == pytest.approx(1 / (1 + np.exp(-5)), abs=1e-6)
    assert answer.why.labels["jobs##layoff"][0].drop == pytest.approx(
        1 / (1 + np.exp(-5)) - 1 / (1 + np.exp(1)), abs=1e-6
    )


def test_an_explanation_survives_the_way_over_the_network():
    (answer,) = explained([TEXT], encoder(), DECODER, read)
    sent = Explanation.from_json(answer.why.to_json())
    assert sent.labels["jobs##layoff"][0] == Reason("fired", 19, 24, pytest.approx(0.611856, abs=1e-6))
    assert Pieces.from_json(Pieces.of(TEXT, encoder()).to_json()) == Pieces.of(TEXT, encoder())


@pytest.mark.parametrize("sent", ["", "[", "{}", "[1]", '[1, [["a", 0, 1]], ""]', '["x", [], ""]', "[1, 2, 3]"])
def test_what_are_no_pieces_is_refused(sent):
    with pytest.raises(InputError, match="no pieces"):
        Pieces.from_json(sent)


@pytest.mark.parametrize("text", ["!?", "裁", "the bank fired"])
def test_short_texts_have_few_reasons_or_none(text):
    (answer,) = explained([text], encoder(), DECODER, read)
    assert list(answer.why.labels) == [label for label, _ in answer]
    assert sum(map(len, answer.why.labels.values())) == 3 * ("bank" in text)


@pytest.mark.parametrize("words", [24, 25, 50, 500])
def test_words_are_left_out_together_where_there_are_many(words):
    text = " ".join(f"w{number}" for number in range(words))
    pieces = Pieces.of(text, encoder(2000))
    assert len(pieces.pieces) == len(pieces.copies(text)) == MOST_COPIES
    assert sum(piece.words for piece in pieces.pieces) == words
    assert {piece.words for piece in pieces.pieces} <= {words // MOST_COPIES, -(-words // MOST_COPIES)}
    assert [text[piece.start : piece.end] for piece in pieces.pieces] == [piece.text for piece in pieces.pieces]


@pytest.mark.parametrize("way", WAYS)
def test_only_words_that_the_model_reads_are_left_out(way):
    text = "the bank fired " * 100
    pieces = Pieces.of(text, encoder(12, way))
    read_to = {"first": 10, "head_tail": 300, "windows": 10 + 31 * 8}[way]
    assert sum(piece.words for piece in pieces.pieces) == read_to
    assert text[: pieces.until].split() == text.split()[:read_to]


def test_the_longest_text_costs_no_more_than_its_copies():
    text = "公司裁员 " * (MAX_TEXT_CHARACTERS // 5)
    started = time.process_time()
    pieces = Pieces.of(text, encoder())
    assert pieces.until < 200
    assert sum(map(len, pieces.copies(text))) <= MOST_COPIES * MOST_CHARACTERS
    assert sum(piece.words for piece in pieces.pieces) == 126
    assert Pieces.of(text, encoder(100_000)).until <= MOST_CHARACTERS
    assert time.process_time() - started < 5
    assert len(Pieces.of(text[:MOST_CHARACTERS], encoder()).pieces) == MOST_COPIES


def test_of_very_many_labels_the_first_are_explained():
    decoder = Decoder(LabelHierarchy([f"label {number}" for number in range(300)]), 1e-6)

    def many(texts):
        return np.tile(np.arange(300, dtype=np.float32) / 100 - 2, (len(texts), 1)), [False] * len(texts)

    (answer,) = explained([TEXT], encoder(), decoder, many)
    assert len(answer) == 300
    assert list(answer.why.labels) == [label for label, _ in answer[:50]]


def test_broken_logits_are_no_explanation():
    pieces = Pieces.of(TEXT, encoder())
    logits = read([TEXT, *pieces.copies(TEXT)])[0]
    decoded = DECODER.decode(logits[:1])
    with pytest.raises(ClassifierError, match="10 pieces"):
        explain(DECODER, decoded, logits[:-1], pieces)
    logits[3] = np.nan
    with pytest.raises(ClassifierError, match="not finite"):
        explain(DECODER, decoded, logits, pieces)


def test_it_is_json_that_others_can_read():
    fields = json.loads(next(explained([TEXT], encoder(), DECODER, read)).why.to_json())
    assert fields["labels"][1]["words"][0] == {"text": "fired", "start": 19, "end": 24, "drop": 0.611856}
    assert (fields["words_at_once"], fields["until"]) == (1, len(TEXT))
