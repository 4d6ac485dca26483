"""Corrections on the disk: appended, never lost, never twice."""

import errno
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from pipeline.errors import DatasetError, InputError, ServerError
from pipeline.files.feedback import Correction, FeedbackFile, read_feedback

TEXT = '裁员\n\u2028 "}'
ONE = Correction("2026-01-31T12:00:00Z", "Anna 安娜", "0123456789ab", TEXT, ("组织关系",), ("组织关系##裁员",))


def test_what_was_kept_is_read_again(tmp_path):
    kept = FeedbackFile(tmp_path / "feedback.jsonl")
    wrong, nowhere = replace(ONE, who="Bo", labels=None), replace(ONE, who="Cy", labels=())
    assert [kept.add(each) for each in (ONE, wrong, nowhere)] == [True] * 3
    assert list(read_feedback(kept.path)) == [ONE, wrong, nowhere]
    assert kept.path.stat().st_mode & 0o777 == 0o600


def test_the_same_word_twice_is_kept_once_and_a_change_of_mind_is_kept(tmp_path):
    kept = FeedbackFile(tmp_path / "feedback.jsonl")
    again, other = replace(ONE, time="2026-02-01T00:00:00Z"), replace(ONE, labels=("组织关系",))
    assert [kept.add(each) for each in (ONE, again, other, ONE)] == [True, False, True, True]
    assert FeedbackFile(kept.path).add(ONE) is False


def test_one_person_is_known_by_a_name_however_it_is_written(tmp_path):
    kept = FeedbackFile(tmp_path / "feedback.jsonl")
    written = [replace(ONE, who=who) for who in ("anna b", " Anna  B ", "ANNA B")]
    assert [kept.add(each) for each in written] == [True, False, False]
    assert written[1].who == "Anna B"


def test_what_was_said_before_does_not_come_after_it_and_of_several_all_are_kept_or_none(tmp_path):
    kept = FeedbackFile(tmp_path / "feedback.jsonl")
    later = replace(ONE, time="2026-01-31T12:00:00.500000Z", labels=())
    assert kept.add_all([ONE, later, ONE]) == 2
    for each in (kept, FeedbackFile(kept.path)):
        assert not each.add(ONE)
    with pytest.raises(InputError, match="time is 'yesterday'; give one in UTC"):
        replace(ONE, time="yesterday")


def test_many_at_once_leave_whole_lines(tmp_path):
    kept = FeedbackFile(tmp_path / "feedback.jsonl")
    many = [replace(ONE, who=f"who {number}", text="长" * 5000) for number in range(50)]
    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(kept.add, many))
    assert sorted(read_feedback(kept.path), key=lambda each: int(each.who[4:])) == many


def test_a_line_in_pieces_spoils_neither_what_stands_before_nor_after_it(tmp_path):
    kept = FeedbackFile(tmp_path / "feedback.jsonl")
    kept.add(ONE)
    whole = kept.path.read_bytes()
    with kept.path.open("ab") as stream:
        stream.write(whole[:60])
    later, broken = replace(ONE, who="later"), []
    assert FeedbackFile(kept.path).add(later)
    assert list(read_feedback(kept.path, broken.append)) == [ONE, later]
    assert broken == [f"{kept.path}:2"]
    for spoilt in (b'{"who": "a", "who": "b"}\n', b'{"who": "\\ud800"}\n'):
        kept.path.write_bytes(whole + spoilt)
        with pytest.raises(DatasetError, match=r"feedback\.jsonl:2: this is no correction: .*(twice|surrogate)"):
            list(read_feedback(kept.path))


def test_a_full_disk_is_told_and_leaves_the_file_as_it_was(tmp_path, monkeypatch):
    kept = FeedbackFile(tmp_path / "feedback.jsonl")
    kept.add(ONE)
    before, write = kept.path.read_bytes(), os.write

    def full(descriptor, raw):
        write(descriptor, raw[:10])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(ServerError, match="not kept: .* cannot be written"):
        kept.add(replace(ONE, who="Bo"))
    monkeypatch.undo()
    assert kept.path.read_bytes() == before
    assert kept.add(replace(ONE, who="Bo"))


def test_another_kind_of_file_is_refused(tmp_path):
    (tmp_path / "other.jsonl").write_text('{"text": "a"}\n')
    with pytest.raises(DatasetError, match=r"other\.jsonl:1: this is no correction: time is missing"):
        FeedbackFile(tmp_path / "other.jsonl")
    for who in ("", " ", "a\nb", "a" * 81):
        with pytest.raises(InputError, match="give a name of 1 to 80 characters"):
            replace(ONE, who=who)
