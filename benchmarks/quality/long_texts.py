"""What reading all of a long text brings, and what it costs: `train.py --long_texts first`, `head_tail`, `windows`.

    python -m benchmarks.quality.long_texts --output_file long_texts.json

The texts are generated: 5,000 characters that tell nothing, and one sentence that tells an event, somewhere in the last
quarter. An encoder that learns from nothing is trained in each way on a few of them, and on many short texts, from
which it learns the words. dev.txt and test.txt hold long texts alone; the latter is read once, at the end.
Then texts of 1 to 16 windows are predicted by a model of --shape with random weights, one at a time and in turns.
"""

from __future__ import annotations

import json
import random
import shutil
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks.compute.random_model import fresh_process, made_bundle
from benchmarks.options import RecordOptions
from benchmarks.records import environment
from pipeline.command import run
from pipeline.files.bundle import Bundle, seal
from pipeline.files.dataset import (
    DEV_FILE,
    LABEL_FILE,
    TEST_FILE,
    TRAIN_FILE,
    Example,
    read_examples,
    write_examples,
    write_labels,
)
from pipeline.labels.hierarchy import LabelHierarchy, ancestor_paths
from pipeline.metrics.sets import Metrics
from pipeline.options import option, parse
from pipeline.predictor import Predictor
from pipeline.text.long_texts import LARGEST_MOST_WINDOWS, WAYS, WINDOWS, LongTexts, window_step
from training.data.sample_wordings.author import Author
from training.make_sample_dataset import SINGLE_KINDS
from training.model.model_names import SCRATCH

LEAVES = (
    "人生##结婚",
    "司法行为##拘捕",
    "竞赛行为##夺冠",
    "竞赛行为##退役",
    "灾害/意外##车祸",
    "灾害/意外##起火",
    "组织关系##裁员",
    "组织关系##辞/离职",
)
TELLING_FROM = 0.75
"""Of a long text, where the sentence begins that tells its label."""
IDLE = (
    "会议于上午{}点开始，议程共有{}项。",
    "代表们随后参观了第{}号展厅。",
    "当天气温约{}度，风力不大。",
    "附件{}列出了各部门的联系方式。",
    "第{}页的表格由工作人员整理。",
    "主办方准备了{}份材料供大家取阅。",
    "休息{}分钟后，讨论继续进行。",
    "本节共{}段，以下逐条说明。",
    "相关内容可在第{}章中查到。",
    "大厅里摆放着{}盆绿色植物。",
    "参加者被分为{}个小组。",
    "记录由{}名同事共同完成。",
)
WINDOW_COUNTS = (1, 2, 4, 8, 16)


@dataclass(frozen=True)
class LongTextOptions(RecordOptions):
    """How much is trained and measured."""

    short_rows: int = option(1200, "short texts in train.txt", at_least=20)
    long_rows: int = option(48, "long texts in train.txt; dev.txt and test.txt have twice as many", at_least=20)
    characters: int = option(5000, "characters of a long text", at_least=200)
    max_seq_length: int = option(128, "tokens that the model takes at once", at_least=16, at_most=2048)
    epochs: int = option(4, "passes over the training rows", at_least=1)
    ways: tuple[str, ...] = option(WAYS, "ways that are trained in", choices=WAYS)
    model_name: str = option("scratch-tiny", "encoder that is trained", choices=tuple(SCRATCH))
    shape: str = option("scratch-medium", "shape of the model whose speed is measured", choices=tuple(SCRATCH))
    rounds: int = option(5, "rounds in which texts of each number of windows take a turn", at_least=1)


def write_long_dataset(folder: Path, options: LongTextOptions) -> None:
    """A dataset folder of long texts."""
    hierarchy = LabelHierarchy(sorted({path for leaf in LEAVES for path in (*ancestor_paths(leaf), leaf)}))
    folder.mkdir(parents=True)
    write_labels(folder / LABEL_FILE, hierarchy)
    for name in (TRAIN_FILE, DEV_FILE, TEST_FILE):
        long = [(options.characters, TELLING_FROM)] * options.long_rows
        short = [(options.max_seq_length - 2, 0.0)] * options.short_rows
        rows = {TRAIN_FILE: long + short, DEV_FILE: 2 * long, TEST_FILE: 2 * long}[name]
        write_examples(folder / name, _examples(name, rows, hierarchy), hierarchy)


def _examples(name: str, rows: Sequence[tuple[int, float]], hierarchy: LabelHierarchy) -> Iterator[Example]:
    """Texts of so many characters, whose sentence begins behind that share of them."""
    author, draw = Author(f"long {name}", novel=name != TRAIN_FILE), random.Random(name)
    templates = {kind.leaves[0]: kind.templates for kind in SINGLE_KINDS}
    for row, (characters, earliest) in enumerate(rows):
        leaf = LEAVES[row % len(LEAVES)]
        told = f"{author.fill(author.pick(templates[leaf]))}。"
        last = max(0, characters - len(told))
        start = draw.randint(min(last, int(earliest * characters)), last)
        text = f"{_idle(start, draw)}{told}{_idle(last - start, draw)}"
        yield Example(text, tuple(sorted(hierarchy.with_ancestors([leaf]))))


def _idle(characters: int, draw: random.Random) -> str:
    text = ""
    while len(text) < characters:
        sentence = draw.choice(IDLE)
        text += sentence.format(*(draw.randint(2, 60) for _ in range(sentence.count("{}"))))
    return text[:characters]


def quality(folder: Path, way: str, options: LongTextOptions, place: Path) -> dict[str, Any]:
    """F1 on dev and test of a model that reads long texts in one way, and the seconds that training took."""
    from training.checkpoint.classifier import load_classifier
    from training.train import TrainingRun, train

    limits: dict[str, Any] = {"max_windows": LARGEST_MOST_WINDOWS} if way == WINDOWS else {}
    started = time.monotonic()
    checkpoint = train(
        TrainingRun(
            dataset_dir=folder,
            save_dir=place / "trained" / way,
            model_name=options.model_name,
            device="cpu",
            learning_rate=2e-3,
            warmup=True,
            warmup_steps=20,
            batch_size=16,
            epochs=options.epochs,
            max_seq_length=options.max_seq_length,
            long_texts=way,
            **limits,
            thresholds="global",
            linear="never",
            at_least_one=True,
        )
    )
    seconds = time.monotonic() - started
    classifier = load_classifier(place / "trained" / way, "cpu", None, 16)
    examples, metrics = list(read_examples(folder / TEST_FILE, classifier.hierarchy)), Metrics(classifier.hierarchy)
    selected = classifier.decoder.decode(classifier.logits([example.text for example in examples])).selected
    metrics.update(classifier.hierarchy.matrix([example.labels for example in examples]), selected)
    record = checkpoint.record
    scores = {"dev": record.metrics["dev"], "test": metrics.result()}
    found = {file: {name: round(each[name], 4) for name in ("micro_f1", "macro_f1")} for file, each in scores.items()}
    return {**found, "seconds": round(seconds), "reads": record.long_texts.in_words(record.max_seq_length)}


def in_windows(bundle: Bundle, folder: Path) -> Bundle:
    """A copy of a bundle in `folder`, which does not exist yet, that reads long texts in windows."""
    shutil.copytree(bundle.path, folder)
    return seal(folder, replace(bundle.manifest, long_texts=LongTexts(WINDOWS)))


def seconds_by_windows(bundle: Bundle, rounds: int) -> dict[int, float]:
    """Median seconds of one text of so many windows; each count takes a turn in each round."""
    predictor, length = Predictor(bundle), bundle.manifest.max_seq_length
    letters = "".join(sentence.replace("{}", "") for sentence in IDLE)
    texts = {}
    for count in WINDOW_COUNTS:
        tokens = length - 2 + (count - 1) * window_step(length)
        texts[count] = (letters * (tokens // len(letters) + 1))[:tokens]
    seconds: dict[int, list[float]] = {count: [] for count in texts}
    for number in range(rounds + 1):  # the first allocates memory
        for count, text in texts.items():
            started = time.perf_counter()
            predictor.predict([text])
            if number:
                seconds[count].append(time.perf_counter() - started)
    return {count: round(statistics.median(each), 4) for count, each in seconds.items()}


def measure(options: LongTextOptions) -> dict[str, Any]:
    """The record of both parts."""
    shown = {name: value for name, value in asdict(options).items() if not isinstance(value, Path)}
    record: dict[str, Any] = {"environment": environment(), "options": shown, "ways": {}}
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        write_long_dataset(place / "data", options)
        for way in options.ways:
            with fresh_process() as pool:
                record["ways"][way] = pool.submit(quality, place / "data", way, options, place).result()
            print(f"{way}: {json.dumps(record['ways'][way])}", flush=True)
        random_model = made_bundle(options.shape, place / "random", IDLE, max_seq_length=options.max_seq_length)
        bundle = in_windows(random_model, place / "windows")
        record["seconds by windows"] = seconds_by_windows(bundle, options.rounds)
    return record


def parse_args(argv: Sequence[str] | None) -> LongTextOptions:
    return parse(LongTextOptions, argv, __doc__)


def main(argv: Sequence[str] | None = None) -> None:
    options = parse_args(argv)
    record = measure(options)
    options.write(record)
    print(f"{'way':>10}  micro F1  macro F1  seconds of training")
    for way, found in record["ways"].items():
        print(f"{way:>10}  {found['test']['micro_f1']:8.4f}  {found['test']['macro_f1']:8.4f}  {found['seconds']:7}")
    print(json.dumps({"seconds by windows": record["seconds by windows"]}))


if __name__ == "__main__":
    run(main)
