"""Sharing rows out so that every file gets its part of every label.

Iterative stratification (Sechidis, Tsoumakas and Vlahavas 2011), with two differences that make it fast and exact:
labels are taken in the order of their rows at the beginning, and a file that has its number of rows gets no more.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Hashable, Sequence


def stratified(rows: Sequence[Collection[Hashable]], counts: Sequence[int]) -> list[int]:
    """The number of the file that each row goes to.

    The rarest labels are shared out first: of a label with one row, that row goes to the largest file.

    Args:
        rows: the labels of each row, in an order by chance.
        counts: rows of each file; their sum is that of the rows.
    """
    total = max(1, len(rows))
    size = Counter(label for labels in rows for label in labels)
    members: dict[Hashable, list[int]] = {}
    for number, labels in enumerate(rows):
        for label in labels:
            members.setdefault(label, []).append(number)
    wanted = {label: [rows_of * count / total for count in counts] for label, rows_of in size.items()}
    room = list(counts)
    files = [-1] * len(rows)

    def put(number: int, wish: Sequence[float]) -> None:
        file = max((file for file in range(len(room)) if room[file]), key=lambda file: (wish[file], room[file]))
        files[number] = file
        room[file] -= 1
        for label in rows[number]:
            wanted[label][file] -= 1

    for label in sorted(size, key=lambda label: (size[label], str(label))):
        for number in members[label]:
            if files[number] < 0:
                put(number, wanted[label])
    for number, file in enumerate(files):
        if file < 0:
            put(number, room)
    return files
