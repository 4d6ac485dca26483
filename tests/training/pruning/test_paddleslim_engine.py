"""The engine `paddleslim`: what it cuts out is what its network has learnt, and what it lacks is told."""

import copy
import sys
from fractions import Fraction

import numpy as np
import paddle
import pytest

from pipeline.compute.batching import pad
from pipeline.errors import EnvironmentFault, InputError
from pipeline.labels.hierarchy import LabelHierarchy
from tests.training.pruning.conftest import LABELS, create_model
from training.loop.distributed import ProcessGroup
from training.loop.losses import binary_cross_entropy
from training.loop.options import LoopOptions
from training.loop.state import RunFiles
from training.pruning.importance import measure_importance
from training.pruning.paddleslim_engine import PaddleslimTrainer, prepare_paddleslim
from training.pruning.selection import prune


def logits(network, rows):
    input_ids = paddle.to_tensor(pad(rows))
    with paddle.no_grad():
        return network(input_ids, paddle.zeros_like(input_ids)).numpy()


@pytest.mark.parametrize("width", [Fraction(1, 2), Fraction(2, 3)])
def test_a_student_that_learns_nothing_is_the_other_engines_student_before_it_learns(family, dataset, tmp_path, width):
    """Both engines rank alike where the activation is ReLU; at this learning rate nothing changes after that."""
    prepare_paddleslim(ProcessGroup())
    teacher = create_model(family, hidden_act="relu")
    before, kept = copy.deepcopy(teacher.state_dict()), []
    options = LoopOptions(learning_rate=1e-12, epochs=1, batch_size=len(dataset))
    PaddleslimTrainer(
        *(teacher, width, dataset, dataset, LabelHierarchy(map(str, range(LABELS))), options, len(dataset)),
        *(RunFiles(tmp_path / "state", tmp_path / "logs", {}), lambda *student: kept.append(student), ProcessGroup()),
    ).run()
    ((student, scores, _),) = kept
    expected = prune(teacher, measure_importance(teacher, dataset, binary_cross_entropy, len(dataset)), width)
    assert sum(parameter.size for parameter in student.parameters()) == sum(p.size for p in expected.parameters())
    np.testing.assert_allclose(logits(student, dataset.rows), logits(expected, dataset.rows), atol=1e-5)
    assert 0 <= scores["micro_f1"] <= 1
    assert all((before[name] == tensor).all() for name, tensor in teacher.state_dict().items())


def test_paddleslim_has_to_be_installed(monkeypatch):
    monkeypatch.setitem(sys.modules, "paddleslim.nas.ofa.layers", None)
    with pytest.raises(EnvironmentFault, match="needs the package paddleslim.*`make setup` installs it"):
        prepare_paddleslim(ProcessGroup())


def test_several_processes_are_refused():
    with pytest.raises(InputError, match="--engine paddleslim works in one process, and 2 were started"):
        prepare_paddleslim(ProcessGroup(size=2))


def test_an_encoder_that_is_read_at_all_positions_is_refused():
    with pytest.raises(InputError, match=r"prunes encoders that are read at \[CLS\] alone; take --engine student"):
        prepare_paddleslim(ProcessGroup(), "mean")
