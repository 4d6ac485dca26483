"""Ask a Triton server from asyncio, as a web service would that gets its texts one by one.

make serve                                          # in another terminal
.venv/bin/python examples/ask_triton_async.py       # or with the server's address, such as 10.0.0.1:8001
"""

import asyncio
import sys
import time

from clients.triton_async import AsyncTritonClient

URL = sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1:8001"
TEXTS = ["某公司宣布裁员两千人", "某地发生地震", "国家队在决赛中夺冠"]


async def handle(client: AsyncTritonClient, text: str) -> str:
    """One caller's request. The server joins those that wait at the same time into one batch."""
    (predictions,) = await client.classify([text])
    return f"{text}: {', '.join(f'{label} {confidence:.2f}' for label, confidence in predictions)}"


async def main() -> None:
    async with AsyncTritonClient(URL, timeout_seconds=5) as client:
        for answer in await asyncio.gather(*(handle(client, text) for text in TEXTS)):
            print(answer)

        begun = time.monotonic()
        await asyncio.gather(*(handle(client, text) for text in TEXTS * 50))
        print(f"{len(TEXTS) * 50} requests at once took {time.monotonic() - begun:.1f} s")


asyncio.run(main())
