"""From a dataset folder to a bundle that answers, in Python: run it, or open it as a notebook, cell by cell.

    .venv/bin/python examples/train_and_export.py

The variables FOLDER, ROWS and EPOCHS of the environment change it; as it stands it takes two minutes.
"""

import os
from pathlib import Path

from pipeline.predictor import Predictor
from training.analysis.evaluate import EvaluateOptions, evaluate
from training.export_model import ExportOptions, export
from training.make_sample_dataset import SampleOptions, make_sample
from training.predict import PredictOptions, predict
from training.train import TrainingRun, train

FOLDER = Path(os.environ.get("FOLDER", "build/example"))
ROWS, EPOCHS = int(os.environ.get("ROWS", "4000")), int(os.environ.get("EPOCHS", "8"))

# %% The data: a generated sample; your own folder has the same files
make_sample(SampleOptions(output_dir=FOLDER / "data", train_rows=ROWS))
on = {"dataset_dir": FOLDER / "data"}

# %% Train from nothing; the model that is best on dev.txt is kept
run = TrainingRun(**on, save_dir=FOLDER / "checkpoint", model_name="scratch-tiny", learning_rate=2e-3, epochs=EPOCHS)
path = train(run).path

# %% Measure it, level by level
figures = evaluate(EvaluateOptions(**on, params_path=path, bad_case_path=FOLDER / "bad_case.txt"))
print([f"level {level['level']}: micro F1 {level['micro_f1']:.3f}" for level in figures["levels"]])

# %% Predict data.txt; the answers come as they are asked for
text, labels = next(predict(PredictOptions(**on, params_path=path)))
print(text, labels)

# %% Export, and ask the bundle, which needs neither paddle nor the dataset
bundle = export(ExportOptions(params_path=path, output_path=FOLDER / "export"))
print(bundle.identity, Predictor(bundle).predict(["某公司宣布裁员两千人"]))
