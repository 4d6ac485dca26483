"""Workbooks as programs write them, and some that none would."""

import zipfile

from openpyxl import Workbook


def write_workbook(path, rows, merged=(), title="Sheet", others=()):
    book = Workbook()
    sheet = book.active
    sheet.title = title
    for row in rows:
        sheet.append(row)
    for reference in merged:
        sheet.merge_cells(reference)
    for other in others:
        book.create_sheet(other)
    path.parent.mkdir(parents=True, exist_ok=True)
    book.save(path)
    return path


def with_part(path, name, content):
    """The workbook with a part replaced or added: bytes, or a function of the bytes that were there."""
    with zipfile.ZipFile(path) as archive:
        parts = {each: archive.read(each) for each in archive.namelist()}
    parts[name] = content(parts[name]) if callable(content) else content
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for each, data in parts.items():
            archive.writestr(each, data)
    return path


def with_strings(path, items, cell, reference):
    """The workbook with shared strings, the first of which takes the place of a cell."""
    space = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    with_part(path, STRINGS, f'<sst xmlns="{space}">{items}</sst>'.encode())
    kind = "application/vnd.openxmlformats-officedocument.spreadsheetml.sharedStrings+xml"
    override = f'<Override PartName="/{STRINGS}" ContentType="{kind}"/></Types>'.encode()
    with_part(path, "[Content_Types].xml", lambda part: part.replace(b"</Types>", override))
    shared = f'<c r="{reference}" t="s"><v>0</v></c>'.encode()
    return with_part(path, SHEET, lambda part: part.replace(cell, shared))


SHEET, STRINGS = "xl/worksheets/sheet1.xml", "xl/sharedStrings.xml"
