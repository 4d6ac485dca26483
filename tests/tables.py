"""Tables in text files, and what training/import_table.py makes of them."""

from pipeline.files.dataset import read_examples, read_labels
from tests.conftest import run_in_process
from tests.doccano import LABELLED
from training import import_table

SIMPLE = ["text,label", *(f"t{n},{'ab'[n % 2]}" for n in range(40))]


def text(path, *rows, encoding="utf-8"):
    path.write_text("".join(f"{row}\n" for row in rows), encoding=encoding)
    return path


def convert(path, *options):
    """What the command gives: status, output, errors; beside the table lies data/."""
    given = ("--table_file", path, "--save_dir", path.with_name("data"), *options)
    return run_in_process(import_table.main, *given)


def rows(folder, *names):
    hierarchy = read_labels(folder / "label.txt")
    return {
        row.text: [hierarchy.labels[place] for place in hierarchy.deepest(row.labels)]
        for name in names or LABELLED
        if (folder / name).exists()
        for row in read_examples(folder / name, hierarchy)
    }
