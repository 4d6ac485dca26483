"""Turn scores into labels by rules of your own, with a bundle and no server.

    .venv/bin/python examples/own_decoding.py       # or with the bundle's folder; ./export otherwise

A server gives the same scores: `TritonClient.scores(texts)`.
"""

import sys

import numpy as np

from pipeline.labels.decoding import Decoder, DecodingPolicy
from pipeline.predictor import Predictor

TEXTS = ["某公司宣布裁员两千人", "昨日某地一辆货车与客车相撞，造成两人死亡"]
predictor = Predictor(sys.argv[1] if len(sys.argv) > 1 else "export")
hierarchy = predictor.bundle.hierarchy
logits = predictor.logits(TEXTS)  # [texts, labels]
calibration = predictor.bundle.manifest.calibration  # makes probabilities of what they say, where there is one

# Thresholds of your own: one branch counts only when it is nearly certain.
thresholds = np.array(predictor.bundle.manifest.thresholds)
thresholds[[label.startswith("人生") for label in hierarchy.labels]] = 0.9
decoder = Decoder(hierarchy, thresholds, DecodingPolicy("top_down", top_k=5), calibration)
print("own thresholds:", [[label for label, _ in answer] for answer in decoder.decode(logits).predictions()])


def descend(scores: np.ndarray) -> list[str]:
    """From the best top label down to its best child, and so on, while that one scores at least 0.1."""
    path, candidates = [], np.flatnonzero(hierarchy.parents < 0)
    while len(candidates) and scores[best := candidates[scores[candidates].argmax()]] >= 0.1:
        path.append(hierarchy.labels[best])
        candidates = np.flatnonzero(hierarchy.parents == best)
    return path


# A policy of your own.
print("own policy:", [descend(scores) for scores in decoder.decode(logits).scores])
