"""Options that the commands of all clients share."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

from clients.in_order import BATCH_SIZE, Streams
from clients.patience import LONGEST_TIMEOUT_SECONDS, RETRIES, TIMEOUT_SECONDS
from pipeline.errors import InputError
from pipeline.files.dataset import read_texts
from pipeline.files.lines import check_holds_texts
from pipeline.labels.decoding import POLICIES, Answer
from pipeline.options import Options, option
from pipeline.output import FORMATS, counted, cut_in_words
from pipeline.tensors import EXPLAIN, POLICY, PROMISE, THRESHOLD, TOP_K


@dataclass(frozen=True)
class ClientOptions(Options):
    """Which texts are classified, how labels are chosen, and how answers are shown."""

    texts: tuple[str, ...] = option(
        (), "texts to classify; without texts and --file, standard input is read", metavar="TEXT", positional=True
    )
    file: Path | None = option(None, "a file with a text per line; blank lines are passed over")
    format: str = option("tree", "form in which answers are printed", choices=tuple(FORMATS))
    threshold: float | None = option(
        None, "score from which a label counts, for all labels (as the bundle says)", above=0, below=1
    )
    policy: str | None = option(None, "how label sets are made consistent (as the bundle says)", choices=POLICIES)
    top_k: int | None = option(None, "at most this many labels per text (as the bundle says)", at_least=1)
    explain: bool = option(False, "say which words carry each label; takes up to 25 times as long")
    promise: float | None = option(
        None, "answer only labels of this promised precision, one that the bundle holds", above=0, below=1
    )
    batch_size: int = option(BATCH_SIZE, "texts per request", at_least=1)
    timeout_seconds: float = option(
        TIMEOUT_SECONDS, "time that a request may take, retries included", above=0, at_most=LONGEST_TIMEOUT_SECONDS
    )
    retries: int = option(RETRIES, "times that a request is sent again while no server is available", at_least=0)

    def check(self) -> None:
        super().check()
        if self.texts and self.file:
            raise InputError("give texts or --file, not both")
        if self.file:
            check_holds_texts(self.file)

    def read(self, passed_over: Callable[[int], object] = lambda number: None) -> Iterable[str]:
        """The texts, wherever they are; `passed_over` takes the numbers of blank lines."""
        return self.texts or read_texts(self.file or sys.stdin.buffer, passed_over=passed_over)

    def ask(
        self, client: Streams, passed_over: Callable[[int], object] = lambda number: None
    ) -> Iterator[tuple[str, Answer]]:
        """Yield each text with a client's answer; raises as `Streams.classify_stream` does."""
        chosen = {name: getattr(self, name) for name in (THRESHOLD, POLICY, TOP_K, PROMISE, EXPLAIN)}
        return client.classify_stream(self.read(passed_over), self.batch_size, **chosen)

    def show(self, client: Streams, chosen: str = "") -> None:
        """Print each answer as soon as it is there; at the end, on standard error, who answered, and what was cut.

        Args:
            client: it is asked.
            chosen: what is to be said of a server that nobody named.

        Raises:
            InputError, ServerError: as `Streams.classify_stream` does.
        """
        texts = cut = blank = first_blank = 0

        def pass_over(number: int) -> None:
            nonlocal blank, first_blank
            blank, first_blank = blank + 1, first_blank or number

        for text, answer in self.ask(client, pass_over):
            print(FORMATS[self.format](text, answer), flush=True)
            texts += 1
            cut += bool(answer.truncated)
        lengths = set()
        for address, model in client.answered().items():
            said = str(model) if model else "a server of an earlier release, or of another project"
            print(f"answered by {address}{chosen}: {said}", file=sys.stderr)
            lengths.add(model.max_seq_length if model else None)
        if blank:
            lines = counted(blank, "blank line")
            print(f"passed over: {lines}, the first of them line {first_blank}", file=sys.stderr)
        if cut:
            print(cut_in_words(cut, texts, lengths.pop() if len(lengths) == 1 else None), file=sys.stderr)
