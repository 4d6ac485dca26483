"""A made-up project of Label Studio: what it is filled with, what people annotate, and what should come of it."""

from __future__ import annotations

from pathlib import Path

from tests.doccano import lines
from tests.label_studio import LabelStudio
from training.label_studio import main

NAMES = ["人生", "人生##死亡", "R&D <x>", "R&D <x>##a / b\\, c", "R&D <x>##\"quoted\" 'it'", "话题"]
FILES = {
    "label.txt": NAMES,
    "train.txt": ["某人去世\t人生,人生##死亡", 'A "new" lab, opened\tR&D <x>,R&D <x>##a / b\\, c', "没有内容\t"],
    "dev.txt": ["只是人生\t人生"],
    "data.txt": ["两人同意", "两人不同", "不属于任何类", "跳过", "没人看", "Both = of, them"],
}
ROWS = [
    *FILES["train.txt"],
    *FILES["dev.txt"],
    "两人同意\t人生,人生##死亡",
    "两人不同\t人生",
    "两人不同\t话题",
    "不属于任何类\t",
    "Both = of, them\tR&D <x>,R&D <x>##\"quoted\" 'it',话题",
]
"""What is labelled in the end."""


def write_folder(folder: Path) -> Path:
    folder.mkdir()
    for name, content in FILES.items():
        (folder / name).write_text("".join(f"{line}\n" for line in content), encoding="utf-8")
    return folder


def annotate(studio: LabelStudio, tasks: dict[str, int]) -> None:
    """Do what two people do with the tasks, given by their texts."""
    other = studio.ask("POST", "/api/users/", {"email": "bo@example.com", "username": "bo"})["id"]
    studio.annotate(tasks["两人同意"], ["人生", "死亡"])
    studio.annotate(tasks["两人同意"], ["人生"], ["人生", "死亡"], completed_by=other)
    studio.annotate(tasks["两人不同"], ["人生"])
    studio.annotate(tasks["两人不同"], ["话题"], completed_by=other)
    studio.annotate(tasks["不属于任何类"])
    studio.annotate(tasks["跳过"], ["人生"], was_cancelled=True)
    studio.annotate(tasks["Both = of, them"], ["R&D <x>", "\"quoted\" 'it'"], ["话题"])


def check_export(file: Path, folder: Path, *options: object) -> None:
    """Make sure that the dataset folder which comes of an export has the rows that people meant."""
    label_file = write_folder(folder.with_name(f"{folder.name}_before")) / "label.txt"
    words = ("--export_file", file, "--label_file", label_file, "--save_dir", folder, "--splits", 1, 0, *options)
    main(list(map(str, words)))
    assert lines(folder, "label.txt") == [name.replace("\\,", ",") for name in NAMES]
    assert sorted(lines(folder, "train.txt")) == sorted(ROWS)
    # Of tasks that nobody annotated Label Studio exports none, and skipped ones in JSON alone.
    assert (lines(folder, "data.txt") if (folder / "data.txt").exists() else []) == ["跳过"] * (
        file.name == "export.json"
    )
