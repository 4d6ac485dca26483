"""The training loop: AdamW, linear warm-up and decay, evaluation after each epoch, the best model kept."""

from __future__ import annotations

import math
import sys
import time
from typing import Any, Callable

import numpy as np
import paddle
from paddle.nn import functional
from paddlenlp.transformers import LinearDecayWithWarmup
from tqdm import tqdm

from pipeline.batching import run_in_batches
from pipeline.decoding import Decoder
from pipeline.errors import ClassifierError
from pipeline.metrics import Metrics
from pipeline.tokenisation import Tokeniser
from training.cpu_gradients import use_cpu_gradients
from training.encoded import EncodedDataset, padded, shuffled_batches
from training.encoders import model_logits
from training.first_token import read_first_token_only
from training.options import TrainingOptions

MAX_GRADIENT_NORM = 1.0


class Trainer:
    """Trains a model on one dataset and reports each better result.

    Args:
        model: gives logits, float32 [batch, labels], for input_ids and token_type_ids.
        tokeniser: the model's tokeniser.
        train, dev: the encoded files.
        decoder: turns dev logits into label sets for the scores.
        options: how to train.
        on_better: called with the dev scores whenever micro F1 on dev is the best so far.
    """

    def __init__(
        self,
        model: paddle.nn.Layer,
        tokeniser: Tokeniser,
        train: EncodedDataset,
        dev: EncodedDataset,
        decoder: Decoder,
        options: TrainingOptions,
        on_better: Callable[[dict[str, Any]], None],
    ) -> None:
        self.model, self.tokeniser, self.train_set, self.dev_set = model, tokeniser, train, dev
        self.decoder, self.options, self.on_better = decoder, options, on_better
        read_first_token_only(model)
        if paddle.get_device() == "cpu":
            use_cpu_gradients(model)
        self._lengths = np.array([len(row) for row in train.rows])
        self.steps_per_epoch = math.ceil(len(train) / options.batch_size)
        self._schedule = LinearDecayWithWarmup(
            options.learning_rate, self.steps_per_epoch * options.epochs, options.warmup_steps
        )
        decayed = {
            parameter.name
            for name, parameter in model.named_parameters()
            if not name.endswith("bias") and "norm" not in name
        }
        self._optimizer = paddle.optimizer.AdamW(
            learning_rate=self._schedule,
            parameters=model.parameters(),
            weight_decay=options.weight_decay,
            apply_decay_param_fun=decayed.__contains__,
            grad_clip=paddle.nn.ClipGradByGlobalNorm(MAX_GRADIENT_NORM),
        )

    def run(self) -> dict[str, Any]:
        """Train; returns the best dev scores.

        Raises:
            ClassifierError: the loss is no longer finite; the best model so far has been reported already.
        """
        random = np.random.default_rng(self.options.seed)
        best: dict[str, Any] | None = None
        epochs_without_gain = 0
        for epoch in range(1, self.options.epochs + 1):
            started = time.monotonic()
            loss = self._run_epoch(epoch, random)
            scores = self.evaluate()
            better = best is None or scores["micro_f1"] > best["micro_f1"]
            print(
                f"epoch {epoch}/{self.options.epochs}: loss {loss:.4f}, dev micro F1 {scores['micro_f1']:.4f}, "
                f"macro F1 {scores['macro_f1']:.4f}, {time.monotonic() - started:.0f} s{' *' if better else ''}",
                flush=True,
            )
            if better:
                best, epochs_without_gain = scores, 0
                self.on_better(scores)
                continue
            epochs_without_gain += 1
            if self.options.patience_epochs is not None and epochs_without_gain >= self.options.patience_epochs:
                print(f"no better result in {epochs_without_gain} epochs: stopped early")
                break
        assert best is not None
        return best

    def evaluate(self) -> dict[str, Any]:
        """Scores on dev; see `pipeline.metrics.Metrics.result`."""
        self.model.eval()
        logits = run_in_batches(self.dev_set.rows, lambda *inputs: model_logits(self.model, *inputs), 4096)
        metrics = Metrics(self.decoder.hierarchy)
        metrics.update(self.dev_set.labels, self.decoder.decode(logits).selected)
        return metrics.result()

    def _run_epoch(self, epoch: int, random: np.random.Generator) -> float:
        self.model.train()
        losses = []
        batches = shuffled_batches(self._lengths, self.options.batch_size, random)
        with tqdm(
            total=self.steps_per_epoch, desc=f"epoch {epoch}", leave=False, disable=not sys.stderr.isatty()
        ) as bar:
            for step, batch in enumerate(batches, start=1):
                losses.append(self._step(batch, random))
                if not math.isfinite(losses[-1]):
                    raise ClassifierError(
                        f"the loss is {losses[-1]} at epoch {epoch}, step {step}; lower --learning_rate. "
                        "A model that was kept before stays"
                    )
                if step % self.options.logging_steps == 0 or step == self.steps_per_epoch:
                    bar.set_postfix(loss=f"{np.mean(losses[-self.options.logging_steps :]):.4f}", refresh=False)
                    bar.update(step - bar.n)
        return float(np.mean(losses))

    def _step(self, batch: np.ndarray, random: np.random.Generator) -> float:
        input_ids = paddle.to_tensor(self._hide_tokens(padded(self.train_set.rows, batch), random))
        labels = paddle.to_tensor(self.train_set.labels[batch].astype(np.float32))
        logits = self.model(input_ids, paddle.zeros_like(input_ids))
        # Summed over the labels, so that a label weighs the same whether there are ten or ten thousand others.
        loss = functional.binary_cross_entropy_with_logits(logits, labels, reduction="sum") / len(batch)
        loss.backward()
        self._optimizer.step()
        self._schedule.step()
        self._optimizer.clear_grad()
        return float(loss)

    def _hide_tokens(self, input_ids: np.ndarray, random: np.random.Generator) -> np.ndarray:
        """`input_ids` with a random share of the ordinary tokens masked: a word the model must do without."""
        if not self.options.token_dropout:
            return input_ids
        hidden = random.random(input_ids.shape) < self.options.token_dropout
        ordinary = ~np.isin(input_ids, self.tokeniser.special_ids)
        return np.where(hidden & ordinary, self.tokeniser.mask_id, input_ids)
