"""The prune API by the names that the original application's documents give it.

    from training.pruning.api import DynabertConfig, Trainer

    trainer = Trainer(model=model, args=training_args, data_collator=data_collator, train_dataset=train_dataset,
                      eval_dataset=dev_dataset, tokenizer=tokenizer, criterion=paddle.nn.BCEWithLogitsLoss())
    trainer.prune("prune", prune_config=DynabertConfig(width_mult=2 / 3))

It prunes what is in memory and knows no label's name: what it writes is a static graph and its parameters, no bundle.
`training.prune` makes bundles, which servers load.
"""

from __future__ import annotations

import copy
import os
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import paddle

from pipeline.compute.runtimes.graph_check import PLAIN_INPUTS
from pipeline.errors import InputError
from pipeline.files.atomic import atomic_folder
from pipeline.files.checksums import check_replaceable, write_all_checksums
from pipeline.labels.decoding import Decoder
from pipeline.labels.hierarchy import LabelHierarchy
from pipeline.text.tokeniser_files import checkpoint_tokeniser
from training.checkpoint.files import save_model
from training.loop.distillation import Distillation
from training.loop.distributed import ProcessGroup
from training.loop.run import set_seed
from training.loop.state import RunFiles
from training.loop.trainer import Trainer as StudentTrainer
from training.model.device import use_device
from training.model.narrowing import encoder_layers, narrowed
from training.model.parameters import WEIGHTS_FILE
from training.model.pooling import pool_in_last_layer
from training.model.static_graph import GRAPH_PREFIX, save_graph
from training.model.width import folder_name, kept, parse_widths
from training.pruning.importance import measure_importance
from training.pruning.map_style import check_collator, read_map_style
from training.pruning.options import DEFAULT_WIDTH
from training.pruning.selection import prune
from training.pruning.trainer_arguments import student_options

Width = float | str | Fraction
MAX_PREFIX_BYTES = 200


@dataclass(frozen=True)
class DynabertConfig:
    """How far to prune.

    Attributes:
        width_mult: the share of heads and neurons to keep, such as 2/3.
        width_mult_list: several of them, one model for each; instead of `width_mult`.
        output_filename_prefix: of the static graph's files.

    Raises:
        InputError: a value that cannot be meant.
    """

    width_mult: Width | None = None
    width_mult_list: Sequence[Width] | None = None
    output_filename_prefix: str = GRAPH_PREFIX
    widths: tuple[Fraction, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if self.width_mult is not None and self.width_mult_list is not None:
            raise InputError("width_mult and width_mult_list both say how far to prune; give one of them")
        prefix = self.output_filename_prefix
        if not _begins_a_file_name(prefix):
            raise InputError(
                f"output_filename_prefix is {prefix!r:.60}; give the beginning of a file's name, of at most "
                f"{MAX_PREFIX_BYTES} bytes of printable characters"
            )
        given = self.width_mult if self.width_mult_list is None else self.width_mult_list
        given = DEFAULT_WIDTH if given is None else given
        words = [given] if isinstance(given, str) or not isinstance(given, Sequence) else given
        object.__setattr__(self, "widths", tuple(parse_widths([str(word) for word in words])))


def _begins_a_file_name(prefix: object) -> bool:
    if not isinstance(prefix, str) or not prefix or not prefix.isprintable():
        return False
    fits = len(prefix.encode()) <= MAX_PREFIX_BYTES  # file systems take 255 with the ending
    return fits and prefix == os.path.basename(prefix) and not prefix.startswith(".")


class Trainer:
    """What `prune` needs, by the argument names of paddlenlp's Trainer.

    Args:
        model: a sequence classification model of paddlenlp, already trained; it is left as it is.
        args: paddlenlp's TrainingArguments, or anything with attributes of these names; see `student_options`.
        data_collator: accepted if it pads with 0 and does nothing else.
        train_dataset, eval_dataset: map-style datasets of dicts; see `read_map_style`.
        tokenizer: the model's; its files are written beside each pruned model.
        criterion: the loss that importance is measured by, of logits and targets, float32 [batch, labels].

    Raises:
        InputError: an argument that cannot be used, or that asks for what pruning here does not do.
    """

    def __init__(
        self,
        model: paddle.nn.Layer,
        args: Any,
        data_collator: Callable[[list[Any]], Any] | None,
        train_dataset: Any,
        eval_dataset: Any,
        tokenizer: Any,
        criterion: Callable[[paddle.Tensor, paddle.Tensor], paddle.Tensor],
    ) -> None:
        if not callable(criterion):
            raise InputError(f"criterion is {criterion!r}; give a loss such as paddle.nn.BCEWithLogitsLoss()")
        self._model, self._tokenizer, self._criterion = model, tokenizer, criterion
        most, labels = model.config.max_position_embeddings, model.config.num_labels
        self._train = read_map_style(train_dataset, labels, most, "train_dataset")
        self._dev = read_map_style(eval_dataset, labels, most, "eval_dataset")
        self._group = ProcessGroup.join()
        self.options = student_options(args, len(self._train), self._group.size)
        if data_collator is not None:
            check_collator(data_collator, train_dataset, self.options.per_device_train_batch_size)

    def prune(self, output_dir: Path | str, prune_config: DynabertConfig | None = None) -> list[Path]:
        """Prune to each width, into a folder of its own in `output_dir`, such as `0.6666666666666666` for 2/3.

        Each holds the static graph (`float32.pdmodel`, `.pdiparams`, `.pdiparams.info`), the parameters
        (`model_state.pdparams`, `model_config.json`) and the tokenizer's files. Training curves lie beside it.

        Returns:
            The folders.

        Raises:
            InputError: a width leaves no whole number of heads, or a folder holds what is no pruned model.
            ClassifierError: the loss is no longer finite.
        """
        config = prune_config or DynabertConfig()
        if not isinstance(config, DynabertConfig):
            raise InputError(f"prune_config is {config!r}; give a DynabertConfig")
        folders = {width: Path(os.path.realpath(Path(output_dir) / folder_name(width))) for width in config.widths}
        for width, folder in folders.items():
            kept(encoder_layers(self._model)[0].self_attn.num_heads, width)
            check_replaceable(folder, "output_dir", WEIGHTS_FILE)
        if paddle.get_device() == "cpu":
            use_device("cpu")
        set_seed(self.options.seed)
        teacher = copy.deepcopy(self._model)
        batch_size = self.options.per_device_eval_batch_size
        importance = measure_importance(teacher, self._dev, self._criterion, batch_size)
        for width, folder in folders.items():
            best = self._taught(teacher, prune(teacher, importance, width), folder)
            if self._group.leads:
                self._write(best, width, folder, config.output_filename_prefix)
            self._group.wait()
        return list(folders.values())

    def _taught(self, teacher: paddle.nn.Layer, student: paddle.nn.Layer, folder: Path) -> dict[str, np.ndarray]:
        """The student's parameters when it was best on the evaluation set."""
        best: dict[str, np.ndarray] = {}

        def keep(scores: dict[str, Any], decoder: Decoder) -> None:
            best.update({name: parameter.numpy() for name, parameter in student.state_dict().items()})

        with tempfile.TemporaryDirectory() as place:
            self._tokenizer.save_pretrained(place)
            StudentTrainer(
                student,
                checkpoint_tokeniser(place, student.config.max_position_embeddings),
                self._train,
                self._dev,
                LabelHierarchy(map(str, range(student.config.num_labels))),
                self.options.loop(save_steps=None, thresholds="fixed"),
                RunFiles(Path(place) / "state", folder.with_name(f"{folder.name}.logs"), {}),
                keep,
                self._group,
                Distillation(teacher, student),
            ).run()
        return best

    def _write(self, parameters: dict[str, np.ndarray], width: Fraction, folder: Path, prefix: str) -> None:
        student = narrowed(copy.deepcopy(self._model), width)
        student.set_state_dict(parameters)
        student.eval()
        with atomic_folder(folder) as place:
            save_model(student, place)
            self._tokenizer.save_pretrained(str(place))
            pool_in_last_layer(student)
            save_graph(student, PLAIN_INPUTS, place / prefix)
            write_all_checksums(place)
