"""The Web of Science release as a dataset folder."""

import csv

import pytest

from pipeline.errors import DatasetError, InputError
from pipeline.files.dataset import read_examples, read_labels
from pipeline.files.tables.reading import read_columns
from tests.conftest import run_command
from tests.pipeline.files.tables.workbooks import write_workbook
from training.wos import main

HEADER = ("Y1", "Y2", "Y", "Domain", "area", "keywords", "Abstract")
LABELLED = ("train.txt", "dev.txt", "test.txt")


def rows(domains=2, areas=3, each=4):
    """Rows of a made release as the table has them: domain and area numbers, names, an abstract."""
    made = []
    for number in range(domains * areas * each):
        area = number % (domains * areas)
        domain = area // areas
        names = (f"Domain {domain} ", f" area {area} ")  # white space as in the real table
        made.append((domain, area % areas, area, *names, "words", f"Abstract {number} of area {area}."))
    return made


def write_release(folder, table):
    """X.txt, Y.txt, YL1.txt and YL2.txt of the rows of a table."""
    folder.mkdir(parents=True)
    for name, column in (("X.txt", 6), ("Y.txt", 2), ("YL1.txt", 0), ("YL2.txt", 1)):
        (folder / name).write_text("".join(f"{row[column]}\n" for row in table), encoding="utf-8")
    return folder


def write_csv(path, table, delimiter=",", encoding="utf-8", header=HEADER):
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", encoding=encoding, newline="") as stream:
        csv.writer(stream, delimiter=delimiter).writerows([header, *table])
    return path


def convert(release, folder, *options):
    main(["--release_dir", str(release), "--save_dir", str(folder), *map(str, options)])
    labels = read_labels(folder / "label.txt")
    examples = [example for name in LABELLED for example in read_examples(folder / name, labels)]
    return labels.labels, {text: labels.labels[places[-1]] for text, places in examples}


def test_names_come_from_the_workbook_beside_the_folder(tmp_path, capsys):
    table = rows()
    release = write_release(tmp_path / "WebOfScience" / "WOSmade", table)
    write_workbook(tmp_path / "WebOfScience" / "Meta-data" / "Data.xlsx", [HEADER, *table])
    labels, found = convert(release, tmp_path / "wos")
    assert labels == (
        *("Domain 0", "Domain 0##area 0", "Domain 0##area 1", "Domain 0##area 2"),
        *("Domain 1", "Domain 1##area 3", "Domain 1##area 4", "Domain 1##area 5"),
    )
    assert found == {row[6]: f"{row[3].strip()}##{row[4].strip()}" for row in table}
    output = capsys.readouterr()
    assert "label.txt 8 labels (by level: 2 + 6), train.txt 19 rows, dev.txt 3 rows, test.txt 2 rows" in output.out
    assert not output.err


def test_a_release_of_the_published_size_has_141_labels(tmp_path, capsys):
    table = [
        (area % 7, area // 7, area, f"D{area % 7}", f"area {area}", "", f"{area} {n}")
        for area in range(134)
        for n in "ab"
    ]
    release = write_release(tmp_path / "WOS46985", table)
    write_csv(tmp_path / "Meta-data" / "Data.csv", table)
    labels, found = convert(release, tmp_path / "wos")
    assert (len(labels), len(found)) == (141, 268)
    assert not capsys.readouterr().err
    convert(write_release(tmp_path / "WOS5736", table), tmp_path / "other")
    assert "published with 3 domains and 11 areas; these are 7 and 134" in capsys.readouterr().err


def test_an_area_of_several_names_takes_the_commonest_and_says_so(tmp_path, capsys):
    """In the real table area 40 is Psychology/Depression in most rows, and Medical/Depression in some."""
    table = rows(each=10)
    table[0] = (*table[0][:3], "Domain 1", "area 0", *table[0][5:])
    release = write_release(tmp_path / "WOSmade", table)
    labels, found = convert(release, tmp_path / "wos", "--meta_data", write_csv(tmp_path / "Data.csv", table))
    assert "Domain 1##area 0" not in labels
    assert found[table[0][6]] == "Domain 0##area 0"
    note = (
        "1 areas have several names, of which the commonest is taken: 0 is Domain 0##area 0 (9), Domain 1##area 0 (1)"
    )
    assert note in capsys.readouterr().err


def test_a_folder_with_numbers_of_its_own_finds_names_by_text(tmp_path):
    table = rows()
    part = [(row[0], row[1], row[2] - 3, *row[3:6], f"  {row[6]}") for row in table if row[2] >= 3]
    release = write_release(tmp_path / "WOSpart", part)
    labels, found = convert(release, tmp_path / "wos", "--meta_data", write_csv(tmp_path / "Data.csv", table))
    assert labels[0] == "Domain 1"
    assert found == {row[6]: f"Domain 1##area {row[2]}" for row in table if row[2] >= 3}


@pytest.mark.parametrize("options", [(), ("--meta_data", "none")])
def test_without_a_table_numbers_are_the_labels(tmp_path, capsys, options):
    release = write_release(tmp_path / "WOSmade", rows())
    labels, _ = convert(release, tmp_path / "wos", *options)
    assert labels == ("0", "0##0.0", "0##0.1", "0##0.2", "1", "1##1.3", "1##1.4", "1##1.5")
    assert "labels are numbers; give --meta_data the release's Data.xlsx for names" in capsys.readouterr().err


def test_blank_lines_at_the_end_do_no_harm_and_blank_texts_are_left_out(tmp_path, capsys):
    table = rows()
    table[5] = (*table[5][:6], "  ")
    release = write_release(tmp_path / "WOSmade", table)
    for name in ("X.txt", "Y.txt"):
        with open(release / name, "a", encoding="utf-8") as stream:
            stream.write("\n \r\n")
    _, found = convert(release, tmp_path / "wos")
    assert len(found) == len(table) - 1
    assert "left out: 1 row without visible text, the first in line 6" in capsys.readouterr().err


def test_the_same_seed_gives_the_same_split(tmp_path):
    release = write_release(tmp_path / "WOSmade", rows())
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        convert(release, tmp_path / name, "--seed", seed)
    first, again, other = ((tmp_path / name / "train.txt").read_bytes() for name in "abc")
    assert first == again != other
    with pytest.raises(InputError, match="holds a dataset already"):
        convert(release, tmp_path / "a")
    convert(release, tmp_path / "a", "--overwrite", "--splits", 0.5, 0.25, 0.25)
    assert len((tmp_path / "a" / "train.txt").read_text().splitlines()) == 12


@pytest.mark.parametrize(
    ("name", "change", "reason"),
    [
        ("Y.txt", lambda raw: raw[:-2], r"the files differ in lines \(X\.txt 24, Y\.txt 23, YL1\.txt 24\)"),
        ("X.txt", lambda raw: raw + b"more\n", r"the files differ in lines \(X\.txt 25"),
        ("X.txt", lambda raw: raw.replace(b"Abstract 1 ", b"\xe9tude 1 "), r"X\.txt:2: byte 1 \(0xe9\) is not UTF-8"),
        ("YL1.txt", lambda raw: raw.replace(b"1\n", b"one\n", 1), r"YL1\.txt:4: 'one' is no number"),
        ("Y.txt", lambda raw: raw.replace(b"2\n", b"\n", 1), r"Y\.txt:3: '' is no number"),
        ("Y.txt", lambda raw: raw.replace(b"2\n", b"-2\n", 1), r"Y\.txt:3: '-2' is no number"),
    ],
)
def test_a_damaged_release_is_named_by_file_and_line(tmp_path, name, change, reason):
    release = write_release(tmp_path / "WOSmade", rows())
    (release / name).write_bytes(change((release / name).read_bytes()))
    with pytest.raises(DatasetError, match=reason):
        convert(release, tmp_path / "wos")
    assert not (tmp_path / "wos").exists()


def test_a_folder_that_is_no_release_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"absent is no folder; give for example WebOfScience/WOS46985"):
        convert(tmp_path / "absent", tmp_path / "wos")
    with pytest.raises(InputError, match=r"cannot read .*X\.txt: No such file"):
        convert(tmp_path, tmp_path / "wos")
    release = write_release(tmp_path / "WOSmade", [])
    with pytest.raises(DatasetError, match=r"X\.txt: the file is empty"):
        convert(release, tmp_path / "wos")


def test_a_table_of_other_texts_or_with_names_that_no_label_can_have_is_refused(tmp_path):
    table = rows()
    release = write_release(tmp_path / "WOSmade", table)
    foreign = [(*row[:2], 7, *row[3:6], "another text") for row in table]
    with pytest.raises(InputError, match="names no row of 6 areas, of number 0 first.*--meta_data none"):
        convert(release, tmp_path / "wos", "--meta_data", write_csv(tmp_path / "Data.csv", foreign))
    for name, reason in (("sea\\", "backslash at its end"), ("a##b", "contains '##'"), (" ", "empty segment")):
        named = [(*row[:4], name, *row[5:]) for row in table]
        with pytest.raises(InputError, match=reason):
            convert(release, tmp_path / "wos", "--meta_data", write_csv(tmp_path / "Data.csv", named))


@pytest.mark.parametrize(("delimiter", "encoding"), [(",", "utf-8"), ("\t", "utf-8-sig"), ("\t", "utf-16")])
def test_tables_are_read_as_spreadsheet_programs_save_them(tmp_path, delimiter, encoding):
    table = [(0, 0, 40, "Médecine ", 'a "b"', "x", f'one{delimiter}two\n"three"'), (0, 0, "", "", "", "", "")]
    path = write_csv(tmp_path / "Data.txt", table, delimiter, encoding, [f" {name.upper()} " for name in HEADER])
    assert list(read_columns(path, ("Abstract", "Domain", "Y"))) == [(table[0][6], "Médecine", "40")]


def test_empty_cells_of_a_workbook_do_not_shift_the_others(tmp_path):
    path = write_workbook(tmp_path / "Data.xlsx", [HEADER, (0, 0, 40.0, None, "area & <more>", None, "text")])
    assert list(read_columns(path, ("Y", "Domain", "area", "Abstract"))) == [("40", "", "area & <more>", "text")]


def test_a_table_in_the_old_format_is_named_with_a_way_out(tmp_path):
    release = write_release(tmp_path / "WOSmade", rows())
    (tmp_path / "Meta-data").mkdir()
    (tmp_path / "Meta-data" / "Data.xls").write_bytes(bytes.fromhex("d0cf11e0a1b11ae1"))
    done = run_command("training/wos.py", "--release_dir", release, "--save_dir", tmp_path / "wos", check=False)
    assert done.returncode == 2
    assert "old .xls format" in done.stderr
    assert "or give --meta_data none for numbers as labels" in done.stderr
