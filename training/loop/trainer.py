"""The training loop: AdamW, linear warm-up and decay, evaluation after each epoch, the best model kept."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Sequence
from functools import partial
from typing import Any, Callable

import numpy as np
import paddle
from paddlenlp.transformers import LinearDecayWithWarmup

from pipeline.compute.windows import Windows
from pipeline.errors import ClassifierError
from pipeline.labels.decoding import Decoder
from pipeline.labels.hierarchy import LabelHierarchy
from pipeline.metrics.threshold_tuning import tuned_scores
from pipeline.text.long_texts import MAX
from pipeline.text.tokenisation import Tokeniser
from training.data.batch_parts import Part, batch_parts
from training.data.encoded import EncodedDataset, hide_tokens, shuffled_batches
from training.loop.averaging import WeightAverage, create_optimizer
from training.loop.distillation import Distillation
from training.loop.distributed import ProcessGroup
from training.loop.frozen_layers import FrozenLayers, keep_states
from training.loop.losses import create_loss, pooled
from training.loop.options import LoopOptions
from training.loop.run_log import RunLog
from training.loop.state import Progress, RunFiles, read_state, write_state
from training.model.cpu_gradients import backward, use_cpu_gradients
from training.model.encoders import freeze_layers, model_logits
from training.model.pooling import pool_in_last_layer

EVALUATION_TOKENS = 4096


class Trainer:
    """Trains a model on one dataset and reports each better result.

    Args:
        model: gives logits, float32 [batch, labels], for input_ids and token_type_ids.
        tokeniser: the model's tokeniser; longer rows than its maximum length are computed in windows.
        train, dev: the encoded files.
        hierarchy: the labels.
        options: how to train.
        files: what to write on the way.
        on_better: called with the dev scores and the decoder that gave them whenever micro F1 on dev is the best so
            far, in the leading process only.
        group: the processes that train together.
        distillation: the loss, where the model learns from a teacher rather than from labels.
        start_competes: whether the parameters that training starts from count as a first result.
        pools: how windows may be pooled; the first counts in training.

    Attributes:
        pool: the one of `pools` that was best on dev when that was last measured.
    """

    def __init__(
        self,
        model: paddle.nn.Layer,
        tokeniser: Tokeniser,
        train: EncodedDataset,
        dev: EncodedDataset,
        hierarchy: LabelHierarchy,
        options: LoopOptions,
        files: RunFiles,
        on_better: Callable[[dict[str, Any], Decoder], None],
        group: ProcessGroup,
        distillation: Distillation | None = None,
        start_competes: bool = False,
        pools: Sequence[str] = (MAX,),
    ) -> None:
        self._windows, self._window_pools, self.pool = Windows(tokeniser.max_length, pools[0]), pools, pools[0]
        self.model, self.tokeniser, self.train_set, self.dev_set = model, tokeniser, train, dev
        self.hierarchy, self.options, self.files = hierarchy, options, files
        self.on_better, self.group, self._start_competes = on_better, group, start_competes
        self._pools = pool_in_last_layer(model)
        if options.freeze_layers is not None:
            freeze_layers(model, options.freeze_layers)
        if paddle.get_device() == "cpu":
            use_cpu_gradients(model)
        self._loss = create_loss(options.loss, options.hierarchy_weight, hierarchy.pairs)
        self._distillation = distillation
        self._lengths = np.array([len(row) for row in train.rows])
        self.steps_per_epoch = math.ceil(math.ceil(len(train) / options.batch_size) / group.size)
        self._schedule = LinearDecayWithWarmup(
            options.learning_rate, self.steps_per_epoch * options.epochs, options.rising_steps
        )
        self._optimizer = create_optimizer(model, options, self._schedule)
        self._shared_model = group.share(model)
        self._average = WeightAverage(model, options.average_weights) if options.average_weights else None
        self.progress = Progress()
        self._goes_on = False
        self._log: RunLog | None = None
        self._frozen: FrozenLayers | None = None

    def resume(self) -> None:
        """Go on where the run was when it last wrote its state; raises as `training.loop.state.read_state`."""
        self._goes_on = True
        files = self.files
        self.progress = read_state(files.state, files.identity, self.model, self._optimizer, self._average)
        self._schedule.step(self.progress.step)

    def run(self) -> dict[str, Any]:
        """Train; returns the best dev scores.

        Raises:
            ClassifierError: the loss is no longer finite; the best model so far has been reported already.
        """
        speaks = self.group.leads
        self._log = RunLog(self.options, self.hierarchy, self.progress, self.files, self._goes_on, speaks)
        try:
            return self._run()
        finally:
            self._log.close()

    def _run(self) -> dict[str, Any]:
        progress = self.progress
        if self._pools and not self._distillation:
            self._frozen = self._keep_states()
        if not self._goes_on:
            self._write_state()  # from now on there is something to resume
        if self._start_competes and progress.step == 0 and progress.best is None:
            self._end_epoch(0, time.monotonic())
            self._write_state()
        while progress.step < self.steps_per_epoch * self.options.epochs and not self._out_of_patience():
            started = time.monotonic()
            epoch = progress.step // self.steps_per_epoch + 1
            self._run_epoch(epoch)
            with self._average.applied() if self._average else contextlib.nullcontext():
                self._end_epoch(epoch, started)
            self._write_state()
        if self._out_of_patience() and self.group.leads:
            print(f"no better result in {progress.epochs_without_gain} epochs: stopped early")
        assert progress.best is not None
        return progress.best

    def _keep_states(self) -> FrozenLayers | None:
        """Of the texts of train, and those of dev behind them."""
        rows = [*self.train_set.rows, *self.dev_set.rows]
        return keep_states(self.model, self.options, rows, self.files.state.parent, self.group, self._windows.length)

    def _out_of_patience(self) -> bool:
        patience = self.options.patience_epochs
        return patience is not None and self.progress.epochs_without_gain >= patience

    def _end_epoch(self, epoch: int, started: float) -> None:
        progress = self.progress
        self._check_parameters()
        scores, decoder = self.evaluate()
        better = progress.best is None or scores["micro_f1"] > progress.best["micro_f1"]
        loss, progress.loss_sum = progress.loss_sum / self.steps_per_epoch, 0.0
        progress.epochs_without_gain = 0 if better else progress.epochs_without_gain + 1
        if better:
            progress.best = scores
        assert self._log is not None
        self._log.end_epoch(epoch, loss, scores, time.monotonic() - started, better)
        if self.group.leads:
            if better:
                self.on_better(scores, decoder)
            self._log.draw()
        self.group.wait()

    def evaluate(self) -> tuple[dict[str, Any], Decoder]:
        """Scores on dev (see `pipeline.metrics.sets.Metrics.result`) and the decoder that gave them.

        Its thresholds and policy, and `pool`, are chosen on the same rows, unless the options fix them.
        """
        self.model.eval()
        if self._frozen:
            tables = {self.pool: self._frozen.all_logits(len(self.train_set))}
        else:
            rows, labels = self.dev_set.rows[self.group.rank :: self.group.size], len(self.hierarchy)
            run = partial(model_logits, self.model)
            tables = self._windows.pooled_in(self._window_pools, rows, run, labels, EVALUATION_TOKENS)
        found = {}
        for pool, table in tables.items():
            logits = self.group.gather_rows(table, len(self.dev_set))
            found[pool] = tuned_scores(self.hierarchy, logits, self.dev_set.labels, *self.options.tuning)
        self.pool = max(found, key=lambda pool: found[pool][0]["micro_f1"])
        return found[self.pool]

    def _run_epoch(self, epoch: int) -> None:
        """Run the epoch's steps that are not done yet."""
        self._shared_model.train()
        order = np.random.default_rng([self.options.seed, epoch])
        batches = list(shuffled_batches(self._lengths, self.options.batch_size, order))
        done = self.progress.step % self.steps_per_epoch
        assert self._log is not None
        self._log.begin_epoch(epoch, done, self.steps_per_epoch)
        for index in range(done, self.steps_per_epoch):
            # The last round may lack a batch for some processes; these take one of the first.
            share = [batches[(index * self.group.size + rank) % len(batches)] for rank in range(self.group.size)]
            loss, logits = self.step(share)
            batch = share[self.group.rank]
            labelled = batch < self.train_set.report.rows  # of the others no person knows the labels
            labels = self.train_set.labels[batch[labelled]]
            self._log.step(index + 1, loss, self._schedule.get_lr(), logits[labelled], labels)
            if self._is_time_to_save(index + 1):
                self._write_state()
        self._log.end_steps()

    def step(self, batches: list[np.ndarray]) -> tuple[float, np.ndarray]:
        """Train on a batch, given by its row numbers, for each process.

        Returns:
            The mean loss of this process's rows, and their logits before the step, float32 [batch, labels].

        Raises:
            ClassifierError: the loss of a process is not finite; nothing was learnt from these batches.
        """
        batch = batches[self.group.rank]
        # Each step draws its own random numbers, so that a run can go on at any of them.
        key = (self.options.seed, self.progress.step, self.group.rank)
        random = np.random.default_rng(key)
        paddle.seed(int(random.integers(1 << 31)))
        parts = list(batch_parts([self.train_set.rows[row] for row in batch], self._windows))
        loss, logits = 0.0, []
        for part in parts:
            with self.group.apart(self._shared_model) if part is not parts[-1] else contextlib.nullcontext():
                share, computed = self._pass(part, batch, random)
            loss += share
            logits.append(computed)
        self._check_losses(self.group.gather(loss), batches)
        self._optimizer.step()
        self._schedule.step()
        self._optimizer.clear_grad()
        if self._average:
            self._average.update()
        self.progress.step += 1
        self.progress.loss_sum += loss
        return loss, np.concatenate(logits)

    def _pass(self, part: Part, batch: np.ndarray, random: np.random.Generator) -> tuple[float, np.ndarray]:
        """Add the gradients of a part of a batch of rows; its share of the loss, and its texts' logits."""
        rows = batch[part.texts]
        input_ids = paddle.to_tensor(hide_tokens(part.input_ids, self.options.token_dropout, self.tokeniser, random))
        if self._frozen:
            of_windows = self._frozen.logits(rows)
        else:
            of_windows = self._shared_model(input_ids, paddle.zeros_like(input_ids))
        logits = pooled(of_windows, part.owners, self._windows.pool)
        if self._distillation:  # each window is to be answered as the teacher does
            loss = self._distillation.loss(of_windows, input_ids)
        else:
            loss = self._loss(logits, paddle.to_tensor(self.train_set.labels[rows].astype(np.float32)))
        if len(rows) < len(batch):
            loss = loss * (len(rows) / len(batch))
        backward(loss)
        return float(loss), logits.numpy()

    def _check_losses(self, losses: list[float], batches: list[np.ndarray]) -> None:
        for loss, batch in zip(losses, batches):
            if math.isfinite(loss):
                continue
            epoch, step = divmod(self.progress.step, self.steps_per_epoch)
            labelled = self.train_set.report.rows
            lines = ", ".join(str(row + 1) for row in sorted(batch) if row < labelled)
            taught = sum(row >= labelled for row in batch)
            raise ClassifierError(
                f"the loss is {loss} at epoch {epoch + 1}, step {step + 1}, on the batch of lines {lines} of the "
                f"training file{f' and {taught} texts of the teachers' if taught else ''}; {self._remedy()}"
            )

    def _check_parameters(self) -> None:
        """A gradient may overflow where the loss did not: such parameters are neither measured nor written."""
        if not all(bool(paddle.isfinite(parameter).all()) for parameter in self.model.parameters()):
            raise ClassifierError(
                f"the parameters are no longer finite after step {self.progress.step}; {self._remedy()}"
            )

    def _remedy(self) -> str:
        return f"lower --learning_rate{'. The best model so far is kept' if self.progress.best else ''}"

    def _is_time_to_save(self, index: int) -> bool:
        steps = self.options.save_steps
        # The epoch's last step is followed by evaluation, and the state is written after it.
        return steps is not None and self.progress.step % steps == 0 and index < self.steps_per_epoch

    def _write_state(self) -> None:
        self._check_parameters()
        if self.group.leads:
            files = self.files
            write_state(files.state, files.identity, self.progress, self.model, self._optimizer, self._average)
        self.group.wait()
