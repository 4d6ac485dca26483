"""BASELINE, for benchmarks only and never served: the Paddle Serving design of the application that this one succeeds.

`service.py` is written anew after that design: paddlenlp's tokeniser, one operator in a process of its own, one request
at a time (`worker_num: 1`, `is_thread_op: False`, `concurrency: 1`), one text per request, float32 with oneDNN, and a
loop over the scores against 0.5, whether or not parents are above it. It runs in an environment with paddlenlp 2.8.1
beside the packages of requirements/serving.txt, which `server.py` makes.

What differs from the original:

- It evaluates nothing that a caller sends: texts and answers travel as JSON, where the original sends the source text
  of a numpy array, and answers the numbers of labels.
- It listens on loopback, and has no HTTP service.
- The tokeniser is paddlenlp's Python one: the compiled one is a package of its own.
- As many threads as the machine has cores compute, where the original says 12.
- It normalises nothing. The benchmark sends texts that are normalised already, so that both read the same token ids.
"""
