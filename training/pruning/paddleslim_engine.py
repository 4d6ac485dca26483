"""The engine `paddleslim`: paddlenlp's `Trainer.compress`, which prunes as DynaBERT by paddleslim's network of slices.

Each step cuts every layer of full size down to the width, and what is left learns the teacher's softmax over the labels
and its hidden states. After each epoch the student is taken out, measured on dev and kept as any other model here.
"""

from __future__ import annotations

import contextlib
import copy
import importlib
import logging
import tempfile
import time
import warnings
from collections.abc import Iterator
from fractions import Fraction
from typing import Any, Callable

import numpy as np
import paddle
from paddlenlp.trainer import CompressionArguments, trainer_compress
from paddlenlp.trainer import Trainer as PaddlenlpTrainer
from paddlenlp.utils.log import logger

from pipeline.compute.batching import pad, run_in_batches
from pipeline.errors import ClassifierError, EnvironmentFault, InputError
from pipeline.labels.decoding import Decoder
from pipeline.labels.hierarchy import LabelHierarchy
from pipeline.metrics.threshold_tuning import tuned_scores
from training.data.encoded import EncodedDataset
from training.loop.distributed import ProcessGroup
from training.loop.options import LoopOptions
from training.loop.run_log import CURVE_STEPS, Curves
from training.loop.state import Progress, RunFiles
from training.loop.trainer import EVALUATION_TOKENS
from training.model.encoders import model_logits
from training.model.model_names import FIRST
from training.model.narrowing import narrowed
from training.model.pooling import pool_in_last_layer


def prepare_paddleslim(group: ProcessGroup, pooling: str = FIRST) -> None:
    """Load paddleslim, and let it run with this Paddle.

    Args:
        pooling: of the encoder that is to be pruned, as in `training.model.pooling`.

    Raises:
        EnvironmentFault: it is not installed.
        InputError: several processes were started, or paddleslim would read the encoder otherwise.
    """
    if pooling != FIRST:
        raise InputError("--engine paddleslim prunes encoders that are read at [CLS] alone; take --engine student")
    if group.size > 1:  # paddlenlp then loses the hidden states' part of the loss without a word
        raise InputError(f"--engine paddleslim works in one process, and {group.size} were started; start one")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            layers = importlib.import_module("paddleslim.nas.ofa.layers")
    except ImportError as error:
        raise EnvironmentFault(
            f"--engine paddleslim needs the package paddleslim, which does not load ({error}); `make setup` installs "
            "it, and the engine that is the default needs nothing more"
        ) from error
    layers.SuperLayerNorm.forward = _normalise


def _normalise(layer: Any, source: paddle.Tensor) -> paddle.Tensor:
    """SuperLayerNorm's `forward`. Its own expects three values of a kernel that since Paddle 2.5 gives one."""
    width = int(source.shape[-1])
    return paddle.nn.functional.layer_norm(source, width, layer.weight[:width], layer.bias[:width], layer._epsilon)


class PaddleslimTrainer:
    """Teaches a student of one width, to be run by `run_interruptibly`; it writes no state and cannot be resumed.

    Args:
        teacher: a sequence classification model; it is left as it is.
        width: the share of its heads and neurons that the student has.
        train, dev: the encoded files.
        measured_batch_size: texts at once when importance is measured on dev.
        files: of these the curves alone.
        on_better: called with the student, its dev scores and the decoder that gave them whenever micro F1 on dev is
            the best so far.
    """

    def __init__(
        self,
        teacher: paddle.nn.Layer,
        width: Fraction,
        train: EncodedDataset,
        dev: EncodedDataset,
        hierarchy: LabelHierarchy,
        options: LoopOptions,
        measured_batch_size: int,
        files: RunFiles,
        on_better: Callable[[paddle.nn.Layer, dict[str, Any], Decoder], None],
        group: ProcessGroup,
    ) -> None:
        self._teacher, self._width, self._train, self._dev = teacher, width, train, dev
        self._hierarchy, self._options, self._measured_batch_size = hierarchy, options, measured_batch_size
        self._on_better, self.files, self.group = on_better, files, group
        self._steps_per_epoch = -(-len(train) // options.batch_size)
        self._curves = Curves(files.logs, goes_on=False)
        self.progress = Progress()

    def resume(self) -> None:
        raise AssertionError("PruningRun refuses --resume with this engine")

    def run(self) -> dict[str, Any]:
        """Train; returns the best dev scores.

        Raises:
            ClassifierError: the parameters are no longer finite.
        """
        with tempfile.TemporaryDirectory() as folder, contextlib.closing(self._curves):
            trainer = PaddlenlpTrainer(
                model=copy.deepcopy(self._teacher),
                args=self._arguments(folder),
                data_collator=_collate,
                train_dataset=_rows(self._train),
                eval_dataset=_rows(self._dev),
                criterion=paddle.nn.BCEWithLogitsLoss(),
            )
            self._started = time.monotonic()
            with _within_compress(self._options.logging_steps is not None):
                trainer.compress(custom_evaluate=self._evaluate)
        assert self.progress.best is not None
        return self.progress.best

    def _arguments(self, folder: str) -> CompressionArguments:
        options = self._options
        return CompressionArguments(
            output_dir=folder,
            strategy="dynabert",
            width_mult_list=[str(float(self._width))],
            per_device_train_batch_size=options.batch_size,
            per_device_eval_batch_size=self._measured_batch_size,
            learning_rate=options.learning_rate,
            num_train_epochs=options.epochs,
            weight_decay=options.weight_decay,
            warmup_steps=options.rising_steps,
            warmup_ratio=0.0,
            logging_steps=options.logging_steps or CURVE_STEPS,
            save_steps=self._steps_per_epoch,  # after which it calls `_evaluate`
            seed=options.seed,
            device=paddle.get_device().partition(":")[0],
            disable_tqdm=True,
        )

    def _evaluate(self, compressing: PaddlenlpTrainer, network: Any, batches: Any) -> float:
        """What `compress` calls with the teacher, whose figures are known, and then after each epoch."""
        from paddleslim.nas.ofa import OFA

        if not isinstance(network, OFA):
            compressing.model.train()  # which `compress` would not do before the first epoch has ended
            return 0.0
        student, progress, epochs = self._cut_out(network), self.progress, self._options.epochs
        logits = run_in_batches(self._dev.rows, lambda *inputs: model_logits(student, *inputs), EVALUATION_TOKENS)
        if not np.isfinite(logits).all():
            raise ClassifierError("the parameters are no longer finite; lower --learning_rate")
        scores, decoder = tuned_scores(self._hierarchy, logits, self._dev.labels, *self._options.tuning)
        progress.step += self._steps_per_epoch
        better = progress.best is None or scores["micro_f1"] > progress.best["micro_f1"]
        print(
            f"epoch {progress.step // self._steps_per_epoch}/{epochs}: dev micro F1 {scores['micro_f1']:.4f}, macro F1 "
            f"{scores['macro_f1']:.4f}, {time.monotonic() - self._started:.0f} s{', kept' * better}",
            flush=True,
        )
        self._draw(scores)
        if better:
            progress.best = scores
            self._on_better(student, scores, decoder)
        self._started = time.monotonic()
        return scores["micro_f1"]

    def _draw(self, scores: dict[str, Any]) -> None:
        entry = {"step": self.progress.step, "micro_f1": scores["micro_f1"], "macro_f1": scores["macro_f1"]}
        self.progress.history.append(entry)
        self._curves.log(entry)
        self._curves.draw(self.progress.history)

    def _cut_out(self, network: Any) -> paddle.nn.Layer:
        """The student: what the network computes with when it is set to the width, as a model of that size."""
        learnt = {name.replace(".fn.", "."): tensor for name, tensor in network.model.state_dict().items()}
        student = narrowed(copy.deepcopy(self._teacher), self._width)
        for name, parameter in student.state_dict().items():
            parameter.set_value(learnt[name][tuple(slice(length) for length in parameter.shape)])
        student.eval()
        pool_in_last_layer(student)
        return student


def _rows(dataset: EncodedDataset) -> list[dict[str, np.ndarray]]:
    labels = dataset.labels.astype(np.float32)
    return [{"input_ids": row, "labels": targets} for row, targets in zip(dataset.rows, labels)]


def _collate(rows: list[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    input_ids = pad([row["input_ids"] for row in rows])
    labels = np.stack([row["labels"] for row in rows])
    return {"input_ids": input_ids, "token_type_ids": np.zeros_like(input_ids), "labels": labels}


@contextlib.contextmanager
def _within_compress(logs_steps: bool) -> Iterator[None]:
    """Let paddlenlp log its steps where that is asked for, and spare it its export: what was best is kept already."""
    level, export, filters = logger.logger.level, trainer_compress._dynabert_export, logger.logger.filters
    logger.logger.setLevel(logging.INFO)
    logger.logger.filters = [lambda record: logs_steps and record.getMessage().startswith("global step")]
    trainer_compress._dynabert_export = lambda trainer: None
    try:
        yield
    finally:
        logger.logger.setLevel(level)
        logger.logger.filters = filters
        trainer_compress._dynabert_export = export
