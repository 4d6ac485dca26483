"""Draw docs/pictures/console-*.png: the console's page, wide and light beside narrow and dark, in English and Chinese.

python -m docs.draw_console

It trains two small models on a generated sample, starts a console that compares them, and looks at its page with
Chromium; Chinese takes a font such as Noto Sans CJK. What it makes on the way stays in build/console for the next time.
"""

from __future__ import annotations

import itertools
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from PIL import Image

from pipeline.local_servers import PROJECT, build_dir
from tests.browser import Browser, find_browser
from tests.serving.console.running import Console, classify

PICTURES = PROJECT / "docs" / "pictures"
WIDE, NARROW, BETWEEN, COLOURS = 1280, 390, 24, 128
"""Pixels, and colours of a picture."""
FEW_ROWS = 600
"""Of train.txt, which the model learns from that the other one is compared with."""
TEXTS = 60
LANGUAGES = {"": "en", ".zh": "zh-CN"}
ANSWERED = "!document.getElementById('classify').disabled && document.querySelectorAll('ol.answers > li').length"


def models(folder: Path) -> tuple[Path, Path, Path]:
    """The dataset folder, and the bundles of a model and of one that learnt from few rows."""
    data, few, exports = folder / "data", folder / "few", (folder / "export", folder / "export-few")
    if not all(map(Path.is_dir, exports)):
        run("training/make_sample_dataset.py", "--output_dir", data)
        shutil.copytree(data, few, dirs_exist_ok=True)
        with (data / "train.txt").open(encoding="utf-8") as rows:
            (few / "train.txt").write_text("".join(itertools.islice(rows, FEW_ROWS)), encoding="utf-8")
        for source, export in zip((data, few), exports):
            checkpoint = export.with_suffix(".checkpoint")
            run("training/train.py", "--dataset_dir", source, "--save_dir", checkpoint, "--model_name", "linear")
            options = ("--with_examples", "--promise", 0.98, "--model_repository", folder / "model_repository")
            run("training/export_model.py", "--params_path", checkpoint, "--output_path", export, *options)
    return data, *exports


def run(script: str, *options: object) -> None:
    subprocess.run(list(map(str, [sys.executable, script, *options])), cwd=PROJECT, check=True)


def tried(page: Browser) -> None:
    """An answer with the words that carry a label."""
    page.click(".why")
    page.wait_for("!!document.querySelector('.near li')")


def corrected(page: Browser) -> None:
    """The least sure answer, and the labels that it should have."""
    page.evaluate("document.getElementById('order').value = 'leastSure'")
    page.evaluate("document.getElementById('order').dispatchEvent(new Event('change'))")
    page.type("#name", "安娜")
    page.click(".corrections .link:last-of-type")
    page.type(".picker input", "裁")
    page.wait_for("!!document.querySelector('.found button')")


def compared(page: Browser) -> None:
    """Answers that differ."""
    page.click("#only-differing")
    page.wait_for("!!document.querySelector('.only')")


def looked_up(page: Browser) -> None:
    """Figures, versions, and the first branches of the labels."""
    page.evaluate("document.getElementById('card-fold').open = true")
    page.wait_for("!!document.getElementById('label-browser')")
    page.evaluate(
        "[...document.querySelectorAll('#label-browser details')].slice(1, 3).forEach((each) => (each.open = true))"
    )
    page.wait_for("document.querySelectorAll('#label-browser details ul li').length > 8")


Shown = Callable[[Browser], None]
VIEWS: dict[str, tuple[Shown, bool, str, int]] = {
    # What is done, whether two models are shown, the section at the top of the picture, and its height.
    "try": (tried, False, "body", 1400),
    "correct": (corrected, False, "#answers", 1000),
    "compare": (compared, True, "#answers", 1000),
    "labels": (looked_up, False, "#card", 1200),
}


def picture(
    page: Browser, url: str, language: str, texts: list[str], view: tuple[Shown, bool, str, int]
) -> Image.Image:
    """One view, wide and narrow."""
    show, _, top, height = view
    whole = Image.new("RGB", (WIDE + BETWEEN + NARROW, height), "white")
    with tempfile.TemporaryDirectory() as folder:
        for width, dark, left in ((WIDE, False, 0), (NARROW, True, WIDE + BETWEEN)):
            page.open(f"{url}health")
            page.evaluate("sessionStorage.clear()")
            page.open(url, width, height, dark, language)
            page.wait_for("!!document.getElementById('input')")
            classify(page, texts)
            page.wait_for(ANSWERED)
            show(page)
            section = top if width == WIDE or top != "body" else "#answers"
            page.evaluate("document.activeElement.blur()")
            place = f"document.querySelector('{section}').getBoundingClientRect().top - 16"
            page.evaluate(f"scrollBy({{top: {place}, behavior: 'instant'}})")
            if show is tried:
                page.evaluate(
                    "document.querySelector('.label-tree .label-tree .row').dispatchEvent(new MouseEvent('mouseenter'))"
                )
            page.settle()
            assert page.fits(width)
            page.screenshot(Path(folder) / "part.png", whole=False)
            with Image.open(Path(folder) / "part.png") as part:
                whole.paste(part.convert("RGB"), (left, 0))
    return whole


def main() -> None:
    program = find_browser()
    if program is None or not shutil.which("fc-list"):
        raise SystemExit("error: Chromium and fc-list are needed; apt-get install chromium fontconfig")
    if not subprocess.run(["fc-list", ":lang=zh"], capture_output=True, check=True).stdout:
        raise SystemExit("error: there is no Chinese font; apt-get install fonts-noto-cjk")
    folder = build_dir() / "console"
    data, export, few = (path.relative_to(PROJECT) for path in models(folder))
    texts = [line.split("\t")[0] for line in (PROJECT / data / "test.txt").read_text("utf-8").splitlines()][:TEXTS]
    repository = ("--model_repository", folder / "model_repository")
    for beside in (False, True):
        with tempfile.TemporaryDirectory() as own, Browser(program, Path(own) / "profile") as page:
            options = ("--compare", few) if beside else ()
            feedback = ("--feedback_file", Path(own) / "feedback.jsonl")
            with Console("--bundle", export, *repository, *feedback, *options) as console:
                for name, view in VIEWS.items():
                    if view[1] == beside:
                        for ending, language in LANGUAGES.items():
                            drawn = picture(page, console.url, language, texts, view)
                            path = PICTURES / f"console-{name}{ending}.png"
                            drawn.quantize(COLOURS, Image.Quantize.MEDIANCUT, kmeans=1).save(path, optimize=True)
                            print(f"{path.relative_to(PROJECT)}: {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
