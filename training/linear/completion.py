"""What is done when the best encoder stands: a linear part joins it where both together are better."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from pipeline.command import announce
from pipeline.compute.windows import Windows
from pipeline.labels.decoding import Decoder
from pipeline.labels.hierarchy import LabelHierarchy
from pipeline.metrics.threshold_tuning import tune, tuned_scores
from pipeline.text.normalisation import normalise
from training.checkpoint.files import Checkpoint, TrainingRecord, read_checkpoint, recorded, rewrite_checkpoint
from training.data.encoded import EncodedDataset
from training.linear.fitting import Fitted, fit_linear
from training.linear.joining import BOTH, ENCODER, LINEAR, Weights, cross_fitted_scores, in_words, learn_weights
from training.model.encoders import model_logits

LEAST_WEIGHT = 0.01
"""Of an encoder that is kept although it counts for nothing: without any it would not be asked."""


def join_linear_part(
    save_dir: Path, train: EncodedDataset, dev: EncodedDataset, tuning: tuple[str, bool], must_gain: bool
) -> np.ndarray:
    """Fit a linear part to train, and put it into the checkpoint at `save_dir`.

    Args:
        train: of which the rows that people labelled are learnt from.
        tuning: how a decoder is chosen, see `pipeline.metrics.threshold_tuning.tuned_scores`.
        must_gain: leave it out where both together are no better on dev than the encoder.

    Returns:
        float32 [texts, labels], the logits of dev by the model as it is then.
    """
    checkpoint = read_checkpoint(save_dir)
    hierarchy, record = checkpoint.hierarchy, checkpoint.record
    encoder = encoder_logits(checkpoint, dev)
    fitted = fit_to(train, dev, hierarchy, record.normalisation)

    def tuned(logits: np.ndarray, labels: np.ndarray) -> Decoder:
        return tune(hierarchy, logits, labels, *tuning)

    scores = cross_fitted_scores(encoder, fitted.margins, dev.labels, hierarchy, tuned, fitted.separable)
    weights = learn_weights(encoder, fitted.margins, dev.labels, fitted.separable)
    # Where the encoder counts for nothing, both would be a linear model in an encoder's folder.
    gains = scores[BOTH]["micro_f1"] > scores[ENCODER]["micro_f1"] and weights.encoder > 0
    joins = gains or not must_gain
    print(
        f"linear part: micro/macro F1 on one half of dev with weights and thresholds of the other: {in_words(scores)}; "
        f"{'kept' if joins else 'left out'}"
    )
    if scores[LINEAR]["micro_f1"] >= max(scores[ENCODER]["micro_f1"], scores[BOTH]["micro_f1"]):
        print("note: the linear part alone is as good; --model_name linear trains and answers much faster")
    if not joins:
        return encoder
    weights = replace(weights, encoder=max(weights.encoder, LEAST_WEIGHT))
    logits = weights.logits(encoder, fitted.margins)
    record = decided(record, weights, logits, dev, hierarchy, tuning)
    rewrite_checkpoint(checkpoint, record, fitted.part.scaled(weights.factor, weights.offset))
    return logits


def encoder_logits(checkpoint: Checkpoint, dev: EncodedDataset) -> np.ndarray:
    """float32 [texts, labels] of dev by a checkpoint's encoder."""
    model, record = checkpoint.model(), checkpoint.record
    windows = Windows(record.max_seq_length, record.long_texts.pool)
    return windows.run_in_batches(dev.rows, lambda *inputs: model_logits(model, *inputs))


def fit_to(train: EncodedDataset, dev: EncodedDataset, hierarchy: LabelHierarchy, normalisation: str) -> Fitted:
    """A linear part for the rows of train that people labelled."""
    labelled = train.report.rows
    announce(f"fitting the linear part to {labelled:,} rows")
    texts, dev_texts = (
        [normalise(text, normalisation) for text in part] for part in (train.texts[:labelled], dev.texts)
    )
    return fit_linear(texts, train.labels[:labelled] > 0, dev_texts, dev.labels, hierarchy)


def decided(
    record: TrainingRecord,
    weights: Weights,
    logits: np.ndarray,
    dev: EncodedDataset,
    hierarchy: LabelHierarchy,
    tuning: tuple[str, bool],
) -> TrainingRecord:
    """The record of a model that gives these logits, float32 [texts, labels], on dev: its scores and its decoder."""
    scores, decoder = tuned_scores(hierarchy, logits, dev.labels, *tuning)
    return replace(
        record,
        encoder_weight=weights.encoder,
        metrics={**record.metrics, "dev": scores},
        thresholds=recorded(decoder),
        decoding=decoder.policy,
        calibration=None,
    )
