"""Score very many texts with a bundle, in worker processes, to a folder of Parquet files.

python -m serving.bulk --input 'in/*.parquet' --text_column text --id_column id --bundle export --output_dir scored

The input is Parquet, JSON lines, CSV or lines of text, compressed or not, here or anywhere that fsspec opens. It may be
interrupted at any moment: the same command goes on, without repeating or losing a row.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict

from pipeline.command import run
from pipeline.options import parse
from serving.bulk.options import BulkOptions
from serving.bulk.running import score


def parse_args(argv: Sequence[str] | None) -> BulkOptions:
    return parse(BulkOptions, argv, __doc__)


def main(argv: Sequence[str] | None = None) -> None:
    summary = score(parse_args(argv))
    if summary:
        print(json.dumps(asdict(summary)))


if __name__ == "__main__":
    run(main)
