"""Label Studio's files: what is written for it, and what it exported; see test_label_studio_itself.py."""

import json
import zipfile
from xml.etree import ElementTree

import pytest

from pipeline.errors import DatasetError, InputError
from pipeline.files.dataset import read_labels
from pipeline.labels.hierarchy import LabelHierarchy
from pipeline.labels.label_studio import configuration, read_configuration
from pipeline.predictor import Predictor
from tests.doccano import lines
from tests.label_studio import FORMATS, RECORDED, chance, result
from tests.made_up_project import NAMES, check_export, write_folder
from training.label_studio import LabelStudioOptions, convert, main


def write(path, content):
    path.write_text(content if isinstance(content, str) else json.dumps(content, ensure_ascii=False), "utf-8")
    return path


def task(number, *annotations, text="文本", **fields):
    return {"id": number, "data": {"text": text}, "annotations": list(annotations), **fields}


def annotated(*paths, **fields):
    return {"completed_by": 1, "was_cancelled": False, "result": result(*paths) if paths else [], **fields}


def read(source, folder, *options):
    words = ("--export_file", *(source if isinstance(source, list) else [source]), "--save_dir", folder)
    main([*map(str, words), "--splits", "1", "0", "--is_shuffle", "false", *map(str, options)])
    return folder


def test_the_configuration_has_every_label_whatever_its_signs():
    names = [name.replace("\\,", ",") for name in NAMES]
    written = configuration(LabelHierarchy(names))
    assert "<!" not in written
    control = read_configuration(written)
    assert control.paths == set(names)
    assert (control.name, control.text_name, control.kind, control.text_key) == ("labels", "text", "taxonomy", "text")
    assert ElementTree.fromstring(written).find("Taxonomy").get("leafsOnly") is None
    assert 'leafsOnly="true"' in configuration(LabelHierarchy(names), leaves_only=True)


def test_a_label_of_a_graph_can_be_chosen_by_each_of_its_paths(tmp_path):
    write(tmp_path / "label.txt", "猫科\n猫科##猫\n宠物\n宠物##猫\n")
    write(tmp_path / "graph.txt", "宠物\t猫科##猫\n")
    assert read_configuration(configuration(read_labels(tmp_path / "label.txt"))).paths == {
        *("猫科", "猫科##猫", "宠物", "宠物##猫")
    }
    source = write(tmp_path / "p.json", [task(1, annotated(["宠物", "猫"]), annotated(["猫科", "猫"]))])
    read(source, tmp_path / "data", "--label_file", tmp_path / "label.txt")
    assert lines(tmp_path / "data", "train.txt") == ["文本\t猫科,猫科##猫,宠物"], "both annotators said the same"


@pytest.mark.parametrize("file", FORMATS.values())
def test_what_a_label_studio_exported_is_what_people_annotated(tmp_path, capsys, file):
    check_export(RECORDED / file, tmp_path / "data")
    said = capsys.readouterr().err
    assert "1 row with a text that stands elsewhere with other labels; such rows are kept, in the same file" in said
    assert "'两人不同' is 话题, and 人生 in " in said or "'两人不同' is 人生, and 话题 in " in said
    assert "left out as repeats of another in text and labels: 1 row" in said
    assert ("left out as skipped or cancelled: 1 annotation" in said) == (file == "export.json")


def test_rows_go_back_to_their_files(tmp_path):
    before = write_folder(tmp_path / "before")
    words = ["--export_file", RECORDED / "export.json", "--label_file", before / "label.txt", "--keep_splits"]
    main([*map(str, words), "--save_dir", str(tmp_path / "after"), "--splits", "1", "0"])
    assert lines(tmp_path / "after", "dev.txt") == lines(before, "dev.txt")
    assert lines(tmp_path / "after", "train.txt")[: len(lines(before, "train.txt"))] == lines(before, "train.txt")


def test_tasks_bear_what_a_model_predicts_the_least_sure_with_the_lowest_score(tmp_path, bundle_path, sample_dataset):
    texts = lines(sample_dataset, "data.txt")[:30]
    write(tmp_path / "texts.txt", "".join(f"{text}\n" for text in texts))
    tasks_file = tmp_path / "tasks.json"
    main(["--export", str(tasks_file), "--data_file", str(tmp_path / "texts.txt"), "--model", str(bundle_path)])
    tasks, predictor = json.loads(tasks_file.read_text("utf-8")), Predictor(bundle_path)
    hierarchy = predictor.bundle.hierarchy
    assert [each["data"]["text"] for each in tasks] == texts
    decoded = predictor.decode(texts)
    for row, each in enumerate(tasks):
        (predicted,) = each["predictions"]
        paths = ["##".join(names) for names in predicted["result"][0]["value"]["taxonomy"]]
        assert set(decoded.selected[row].nonzero()[0]) == hierarchy.with_ancestors(paths)
        assert predicted["score"] == pytest.approx(chance(decoded.scores[row], decoded.selected[row]), rel=1e-4)
        assert predicted["model_version"] == predictor.bundle.identity
    main(["--export", str(tmp_path / "rows.json"), "--dataset_dir", str(sample_dataset), "--parts", "dev"])
    rows = json.loads((tmp_path / "rows.json").read_text("utf-8"))
    assert len(rows) == len(lines(sample_dataset, "dev.txt"))
    assert rows[0]["data"]["split"] == "dev"


def test_choices_and_other_separators_become_label_paths(tmp_path):
    rows = [
        {"text": "一", "labels": "人生/死亡"},
        {"text": "二", "labels": {"choices": ["人生", "话题/热"]}},
        {"text": "三"},
    ]
    folder = read(write(tmp_path / "min.json", rows), tmp_path / "data", "--separator=/")
    assert lines(folder, "train.txt") == ["一\t人生,人生##死亡", "二\t人生,话题,话题##热", "三\t"]
    table = 'text;sort\n"一; zwei";人生/死亡\n二;\n'
    folder = read(write(tmp_path / "t.csv", table), tmp_path / "csv", "--separator=/", "--control", "sort")
    assert lines(folder, "train.txt") == ["一; zwei\t人生,人生##死亡", "二\t"]


def test_several_files_are_read_as_one(tmp_path):
    files = [
        write(tmp_path / f"{name}.json", [task(1, annotated([label])), task(2)])
        for name, label in (("a", "x"), ("b", "y"))
    ]
    folder = read(files, tmp_path / "data")
    assert lines(folder, "train.txt") == ["文本\tx", "文本\ty"]


def test_every_unknown_label_is_listed(tmp_path):
    listed = write(tmp_path / "label.txt", "人生\n人生##死亡\n")
    source = write(tmp_path / "p.json", [task(7, annotated(["人生", "死忘"])), task(9, annotated(["体育"]))])
    with pytest.raises(DatasetError) as caught:
        read(source, tmp_path / "data", "--label_file", listed)
    said = f"{source}, task:7: label '人生##死忘' is not in --label_file {listed}; did you mean '人生##死亡'? Else add"
    assert str(caught.value) == f"{said} it there; 1 others are not there either: '体育' (9)"
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "is empty"),
        ([task(3, annotated(["x"]), text=5)], "task:3: 'text' is 5; a text is needed"),
        ([{"id": 3, "data": {"body": "a"}, "annotations": []}], "task:3: there is no 'text' among the keys body"),
        ([{"id": 3, "data": {"text": "a"}}], "task:3: there are no 'annotations', as in tasks to be imported"),
        (
            [task(3, {"result": [{"from_name": "mood", "type": "choices"}]})],
            "no annotation is of 'labels', but of 'mood'",
        ),
        ([{"text": "a", "id": 1, "mood": "good", "annotator": 1}], "no annotation is of 'labels', but of 'mood' (1)"),
        ([task(3, {"result": [{"from_name": "labels", "type": "number"}]})], "'labels' is a 'number'; a Taxonomy or"),
        ([task(3, annotated(["a##b"]))], "task:3: the choice 'a##b' contains '##', which separates levels"),
        ([task(3, annotated("ab"))], "task:3: 'ab' is no path of a Taxonomy"),
        ([task(3, annotated(["a", " "]))], "task:3: label 'a##' has an empty segment"),
        ([task(3, {"result": None})], "'result' of an annotation is None; a list of objects is needed"),
        ([task(3, annotated())], "no row has a label"),
        (
            '[{"id": 1, "data": {"text": "a"}, "annotations": []},\n {"id": 2,, ]',
            ":2: task 2 is no JSON of Label Studio at ",
        ),
        (
            '[{"text": "a", "labels": "b"}',
            ":1: task 1 is no JSON of Label Studio at character 30: a comma or ] is needed",
        ),
        ('[{"text": "a", "labels": "b"}] []', "at character 32: nothing may follow the array"),
        ('[{"id": 1, "id": 2}]', "has the key 'id' twice"),
        (
            '[{"id": 1, "data": {"text": "a"}, "annotations": [{"was_cancelled": "false", "result": []}]}]',
            "'was_cancelled' of an annotation is 'false'; true or false is needed",
        ),
        ('[{"id": ' + "[" * 100_000, "nested too deep"),
        ('{"text": "a", "labels": "b"}', "a JSON array begins with ["),
        ("text,label\na,b\n", "has no column 'labels' among 'text', 'label'; name it by --control"),
        ("label,labels\na,b\n", "has no column 'text' among 'label', 'labels'; name it by --text_key"),
        ('text,labels\na,"[1]"\n', "t:2: 1 is no choice of labels"),
    ],
)
def test_what_is_no_export_is_refused_with_its_place(tmp_path, content, said):
    source = write(tmp_path / "export", content)
    with pytest.raises(InputError) as caught:
        read(source, tmp_path / "data")
    assert said in str(caught.value)
    assert [entry.name for entry in tmp_path.iterdir()] == ["export"]


def test_an_archive_and_bytes_that_are_no_text_are_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "export.zip", "w") as archive:
        archive.writestr("export.json", "[]")
    with pytest.raises(InputError, match="is an archive; unpack it"):
        read(tmp_path / "export.zip", tmp_path / "data")
    (tmp_path / "latin").write_bytes(b'[{"id": 1, "data": {"text": "caf\xe9"}}]')
    with pytest.raises(DatasetError, match="byte 33 is not UTF-8"):
        read(tmp_path / "latin", tmp_path / "data")


def test_an_export_is_read_in_a_stream(tmp_path, monkeypatch):
    """Objects that the pieces of the file cut anywhere, escapes and characters of several bytes included."""
    monkeypatch.setattr("training.data.label_studio.arrays.CHUNK_BYTES", 7)
    rows = [task(number, annotated(["人生", '\\ "死亡"']), text=f'文本 [{{\\" {number}') for number in range(50)]
    folder = read(write(tmp_path / "p.json", json.dumps(rows, indent=1)), tmp_path / "data")
    assert lines(folder, "train.txt") == [f'文本 [{{\\" {number}\t人生,人生##\\ "死亡"' for number in range(50)]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"config": "c.xml"}, "--config FILE is written for the labels of --label_file"),
        ({"leaves_only": True}, "--leaves_only is about the configuration"),
        ({"export": "t.json"}, "--export FILE writes the rows of --dataset_dir FOLDER or the texts of --data_file"),
        ({"export": "t.json", "dataset_dir": "d", "data_file": "f"}, "give it with one of these"),
        ({"model": "export"}, "--model predicts the tasks that --export FILE writes"),
        ({"separator": ""}, "--separator is empty"),
    ],
)
def test_options_that_do_not_go_together_are_refused(words, said):
    with pytest.raises(InputError, match=said):
        LabelStudioOptions(**words)


def test_nothing_is_written_over_what_is_there_or_is_read(tmp_path):
    folder = write_folder(tmp_path / "data")
    for option, target, said in (
        ("--config", folder / "train.txt", "would overwrite"),
        ("--config", tmp_path / "there", "exists already"),
        ("--export", folder / "data.txt", "would overwrite"),
    ):
        write(tmp_path / "there", "old")
        source = ["--label_file", folder / "label.txt"] if option == "--config" else ["--dataset_dir", folder]
        with pytest.raises(InputError, match=said):
            main(list(map(str, (option, target, *source))))
    assert (tmp_path / "there").read_text() == "old"


def test_a_program_gets_what_was_written(tmp_path):
    source = write(
        tmp_path / "p.json", [task(1, annotated(["x"])), task(2, annotated(), text="nothing"), task(3, text="new")]
    )
    written = convert(LabelStudioOptions(export_file=[source], save_dir=tmp_path / "data", splits=(1, 0)))
    assert written.rows == {"train.txt": 2, "data.txt": 1}
