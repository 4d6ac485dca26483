"""doccano's files, made and converted."""

import json

from training.doccano import main

LABELLED = ("train.txt", "dev.txt", "test.txt")


def write_records(path, *records):
    lines = [record if isinstance(record, str) else json.dumps(record, ensure_ascii=False) for record in records]
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def records(count, label="组织关系##裁员"):
    return [{"id": number, "text": f"新闻{number}", "label": [label]} for number in range(count)]


def convert(source, folder, *options):
    main(["--doccano_file", str(source), "--save_dir", str(folder), *map(str, options)])
    return folder


def lines(folder, *names):
    return [line for name in names for line in (folder / name).read_text(encoding="utf-8").splitlines()]
