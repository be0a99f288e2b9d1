"""What a form of ours sent."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import parse_qsl

from fastapi import Depends, Request

from imagesmith.web.problems import Problem

MOST_FIELDS = 5_000


async def posted(request: Request) -> dict[str, str]:
    """The fields by name, with plain line ends; a Problem for what no browser sends."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    raw = await request.body()
    if raw and kind != "application/x-www-form-urlencoded":
        raise Problem(422, f"the form comes as {kind[:80] or 'nothing'}; send it as a browser does")
    try:
        pairs = parse_qsl(raw.decode("ascii"), keep_blank_values=True, max_num_fields=MOST_FIELDS, errors="strict")
    except ValueError as error:
        raise Problem(422, "the form can't be read; send it as a browser does, in UTF-8") from error
    return {name: text.replace("\r\n", "\n") for name, text in pairs}


PostedDep = Annotated[dict[str, str], Depends(posted)]
