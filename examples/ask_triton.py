"""Ask a Triton server: some texts, one request that is decoded otherwise, a long list, and what may go wrong.

make serve                                    # in another terminal
.venv/bin/python examples/ask_triton.py       # or with the server's address, such as 10.0.0.1:8001
"""

import sys

from clients.triton import TritonClient
from pipeline.errors import InputError, ServerError

URL = sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1:8001"
TEXTS = ["某公司宣布裁员两千人", "昨日某地一辆货车与客车相撞，造成两人死亡"]

with TritonClient(URL, timeout_seconds=5) as client:
    for text, predictions in zip(TEXTS, client.classify(TEXTS)):
        print(text)
        for label, confidence in predictions:
            print(f"    {label}  {confidence:.2f}")

    # What the bundle says of threshold and policy can be changed for one request.
    most_likely = client.classify(TEXTS, threshold=0.2, policy="single_path", top_k=2)
    print("most likely:", [[label for label, _ in predictions] for predictions in most_likely])

    # Of any number of texts: requests of 32 texts, four under way at once, answers in order.
    answers = client.classify_stream(f"{text}（{number}）" for number in range(50) for text in TEXTS)
    print("answered in a stream:", sum(1 for _ in answers))

    try:
        client.classify(["地震", ""])
    except InputError as error:  # the caller can correct it; the message names the text
        print("refused:", error)
    except ServerError as error:  # no server answered in time
        print("try again later:", error)
