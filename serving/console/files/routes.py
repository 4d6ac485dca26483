"""The routes of files."""

from __future__ import annotations

from typing import Annotated

from fastapi import FastAPI, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from pydantic import Field

from serving.console.files.reading import ReadingOptions
from serving.console.files.upload import texts_of_file
from serving.console.files.writing import workbook
from serving.console.schemas import Strict

WORKBOOK_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
A_FILE = {
    "required": True,
    "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
}

MOST_ROWS, MOST_CELLS = 1_000_000, 100
Number = Annotated[float, Field(allow_inf_nan=False)]


class Table(Strict):
    """Rows of cells below a header."""

    header: list[str] = Field(max_length=MOST_CELLS)
    rows: list[Annotated[list[str | Number | None], Field(max_length=MOST_CELLS)]] = Field(max_length=MOST_ROWS)


def add_files(app: FastAPI) -> None:
    """Add the routes by which texts come from files and answers go to them."""

    @app.post("/texts", openapi_extra={"requestBody": A_FILE})
    async def texts(
        request: Request,
        name: Annotated[str, Query(max_length=1000, description="of the file")],
        column: Annotated[int | None, Query(ge=1, description="of the texts; absent: by its name")] = None,
        header: Annotated[bool, Query(description="whether the first row names the columns")] = True,
        sheet: Annotated[str | None, Query(max_length=100, description="of a workbook")] = None,
        encoding: Annotated[str | None, Query(max_length=40, description="of a text file")] = None,
    ) -> Response:
        """The texts of a file, which is the body: lines, a table, a workbook, or JSON lines."""
        options = ReadingOptions(column, header, sheet, encoding)
        read = await run_in_threadpool(texts_of_file, await request.body(), name, options)
        return Response(read, media_type="application/json")

    @app.post("/workbook", response_class=Response)
    def answers_as_workbook(table: Table) -> Response:
        """The table as a workbook (.xlsx), in which no cell is a formula."""
        return Response(workbook(table.header, table.rows), media_type=WORKBOOK_TYPE)
