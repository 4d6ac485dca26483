"""A classifier at no cost and a folder of texts, for what is about files rather than models."""

import zlib

import numpy as np

from pipeline.labels.decoding import Decoder
from pipeline.labels.hierarchy import LabelHierarchy
from training import predict
from training.checkpoint.classifier import Classifier
from training.data.predictions_file import progress_path

LABELS = LabelHierarchy(["人生", "人生##死亡", "灾害"])
TEXTS = [f"第{number}条" for number in range(10)]
SMALL_CHUNKS = """
from pipeline.files import chunks
from pipeline.command import run
from training import predict
chunks.ROWS_PER_CHUNK = 16
run(predict.main)
"""


def arbitrary_logits(texts):
    """Logits that depend on the text alone."""
    return np.array([[zlib.crc32(f"{text}{label}".encode()) % 9 - 4 for label in range(3)] for text in texts], "f4")


def untold(logits):
    """What `Classifier` takes, from a function that gives logits and cannot tell what was truncated."""
    return lambda texts: (logits(texts), [None] * len(texts))


def checked(classifier):
    """What stands for `ModelOptions.classifier`."""

    def load(_, check):
        check(classifier.hierarchy, classifier.model_name)
        return classifier

    return load


def use_stand_in(patch, identity="model"):
    classifier = Classifier(Decoder(LABELS), untold(arbitrary_logits), "scratch-tiny", identity)
    patch.setattr(predict.PredictOptions, "classifier", checked(classifier))
    patch.setattr("pipeline.files.chunks.ROWS_PER_CHUNK", 3)


def write_texts_to(folder, texts=TEXTS):
    (folder / "data.txt").write_text("".join(f"{text}\n" for text in texts))
    return folder


def answers(folder, *options):
    """What `--output_file` holds after a run."""
    predict.main(["--dataset_dir", str(folder), "--output_file", str(folder / "out"), *map(str, options)])
    assert not progress_path(folder / "out").exists()
    return (folder / "out").read_bytes()
