"""BASELINE, for benchmarks only and never served: the Triton design of the application that this project succeeds.

`write_model_repository` (in repository.py) writes it to a folder that the benchmark serves and removes. It is written
anew after the design's documentation, which names the four models and what they do:

- `tokenizer`: paddlenlp's tokeniser, from a local folder with the bundle's vocabulary and maximum length; each request
  is tokenised alone, and padded to its own longest text.
- `seqcls_model`: onnxruntime in float32 on the graph exactly as paddle2onnx writes it, with the basic graph
  optimisations alone; each request is run alone, on all cores.
- `seqcls_postprocess`: paddle computes the sigmoid; labels above 0.5 are answered by name, whether or not their parents
  are.
- `seqcls`: the ensemble of the three, with the same input and outputs as ours.

What differs from the original:

- Triton's onnxruntime backend is not in the wheel that servers start from here, so the Python backend runs onnxruntime.
  That costs one more copy of a few hundred token ids per request; the graph and the session's options are the same.
- The tokeniser is paddlenlp's Python one: the compiled one is a package of its own, which the project does not pin.
- A request of several texts gets an answer for each of them, so that nothing is compared with a broken thing.
- It normalises nothing. The benchmark sends texts that are normalised already, so that both read the same token ids.
"""

from benchmarks.serving.origin_design.repository import write_model_repository

__all__ = ["write_model_repository"]
