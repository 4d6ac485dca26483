"""The routes of files."""

from __future__ import annotations

from typing import Annotated

from fastapi import FastAPI, Query, Request, Response

from serving.console.files.apart import Apart
from serving.console.files.writing import Table

WORKBOOK_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
A_FILE = {
    "required": True,
    "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
}

A_TABLE = {"required": True, "content": {"application/json": {"schema": Table.model_json_schema()}}}


def add_files(app: FastAPI) -> None:
    """Add the routes by which texts come from files and answers go to them."""
    apart = Apart()

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
        chosen = {"column": column, "header": header, "sheet": sheet, "encoding": encoding}
        read = await apart.do("texts", await request.body(), name, **chosen)
        return Response(read, media_type="application/json")

    @app.post("/workbook", response_class=Response, openapi_extra={"requestBody": A_TABLE})
    async def answers_as_workbook(request: Request) -> Response:
        """The table as a workbook (.xlsx), in which no cell is a formula."""
        return Response(await apart.do("workbook", await request.body(), "the table"), media_type=WORKBOOK_TYPE)
