"""Made-up dataset folders in languages where marks, vowel signs or parts of unspaced runs tell words apart.

Nothing else tells the labels: without the marks all telling words of a row in CUES are one.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

LABELS = ("home##kin", "home##food", "field##seed", "field##beast", "town##news", "town##trade")


class Language(NamedTuple):
    """What the texts of a language are made of.

    Attributes:
        space: what stands between words.
        cues: rows of words that differ in marks alone, one for each of LABELS.
        noise: words that tell nothing.
    """

    space: str
    cues: Sequence[str]
    noise: str


LANGUAGES = {
    "vietnamese": Language(
        " ",
        ("ma má mà mạ mã mả", "la lá là lạ lã lả"),
        "hôm qua người dân trong thành phố nói rằng công việc này rất khó nhưng chúng tôi vẫn đi học và xem phim",
    ),
    "hindi": Language(
        " ",
        ("दान दिन दीन दून देन दोन", "माल मिल मील मूल मेल मोल"),
        "कल शहर में लोग कहते थे कि यह काम बहुत कठिन है लेकिन हम सब फिर भी स्कूल जाते और नदी के पास बैठकर बातें करते",
    ),
    "thai": Language(
        "",
        ("ขาว ข่าว ข้าว ปา ป่า ป้า", "เสือ เสื่อ เสื้อ คน ค่น ค้น"),
        "เมื่อวันนี้ ในเมือง ทุกสิ่ง บอกว่า งานนี้ ยากมาก แต่ พวกเรา ยังคง เรียนหนังสือ และ ดูหนัง ริมแม่น้ำ ตอนเช้า",
    ),
    "japanese": Language(
        "",
        ("はん ばん ぱん かき かぎ がき", "ふた ぶた ぷた てん でん てぃん"),
        "昨日 町の 人々が この 仕事は とても 難しい と 言った しかし 私たちは まだ 学校へ 行く そして 映画を 見る",
    ),
}


def write_made_up_set(folder: Path, language: str, train: int = 600, dev: int = 150) -> Path:
    """A dataset folder with so many rows; the same in every run."""
    source = random.Random(language)
    folder.mkdir(parents=True)
    parents = dict.fromkeys(label.partition("##")[0] for label in LABELS)
    (folder / "label.txt").write_text("".join(f"{label}\n" for label in (*parents, *LABELS)), encoding="utf-8")
    for name, count in (("train.txt", train), ("dev.txt", dev)):
        rows = (_row(LANGUAGES[language], source) for _ in range(count))
        (folder / name).write_text("".join(rows), encoding="utf-8")
    return folder


def _row(language: Language, source: random.Random) -> str:
    """One or two of LABELS, and their parents, in a text of some twenty words."""
    told = source.sample(range(len(LABELS)), source.choice((1, 1, 2)))
    words = source.choices(language.noise.split(), k=source.randint(12, 24))
    for label in told:
        words.insert(source.randrange(len(words)), source.choice(language.cues).split()[label])
    paths = [path for label in told for path in (LABELS[label].partition("##")[0], LABELS[label])]
    return f"{language.space.join(words)}\t{','.join(dict.fromkeys(paths))}\n"
