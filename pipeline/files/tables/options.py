"""How a table is read."""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass

from pipeline.errors import InputError
from pipeline.options import Options, option

_ENCODINGS = re.compile(
    r"utf-(8(-sig)?|(16|32)(-[bl]e)?)|ascii|gb(2312|k|18030)|big5(hkscs)?|(shift_jis|euc_|iso2022_)\w*|johab|cp\d+"
    r"|iso8859-\d+|koi8-[rtu]|mac-\w+|tis-620|kz1048|ptcp154|hp-roman8"
)
"""Names of codecs, as Python calls them."""


@dataclass(frozen=True)
class TableOptions(Options):
    """Where a table begins in its file, and what cannot be told from the file itself."""

    sheet: str | None = option(None, "worksheet of a workbook, by name or number (the first one)")
    header_row: int = option(
        1, "row that names the columns; 0 if none does: columns are then given by number", at_least=0
    )
    encoding: str | None = option(
        None, "encoding of a text file, such as big5 (UTF-8, UTF-16 and GB18030 are told apart by themselves)"
    )
    delimiter: str | None = option(
        None, "what stands between the cells of a text file (comma, semicolon, tab or |, as the file shows)"
    )
    quotes: bool = option(
        True, "take quotation marks round a cell off, as spreadsheet programs write them; false keeps them all"
    )

    def check(self) -> None:
        super().check()
        if self.delimiter is not None and len(self.delimiter) != 1:
            raise InputError(f"--delimiter is {self.delimiter!r}; give one character, a tab as --delimiter=$'\\t'")
        if self.encoding is not None and not _is_known(self.encoding):
            raise InputError(
                f"--encoding {self.encoding!r} is not known; give one such as utf-8, gb18030, big5 or cp1252"
            )


def _is_known(encoding: str) -> bool:
    """Whether it is an encoding that files are saved in; Python has codecs for other things, too."""
    try:
        return bool(_ENCODINGS.fullmatch(codecs.lookup(encoding).name))
    except (LookupError, ValueError):
        return False
