"""Attached files in the console: a small picture, a download, and nothing of a file inside a page."""

from __future__ import annotations

import io
from urllib.parse import quote

from PIL import Image

from tests.support.node_clients import InProcess
from tests.unit.node.console.conftest import officer
from tests.unit.node.test_attachments import SUBJECT, path, picture, published, staged, whole


async def test_on_the_page_of_the_subject(sg: InProcess, my: InProcess) -> None:
    """The page shows the file by name with a picture made anew, a PNG of 256 pixels at the most, and no key; a text has no picture."""
    data = picture(700_000, side=600)
    entry, text = await staged(sg, data), await staged(sg, b"weighed twice", "note.txt")
    assert (await published(sg, entry, text)).status_code == 202
    await whole(my, entry["digest"])
    await whole(my, text["digest"])
    somebody = officer(my)
    await somebody.choose()
    page = await somebody.get(f"/console/subjects/{quote(SUBJECT, safe='')}")
    small = await somebody.client.get("/console" + path(entry["digest"]) + "/thumbnail")
    none = await somebody.client.get("/console" + path(text["digest"]) + "/thumbnail")
    saved = await somebody.client.get("/console" + path(entry["digest"]))
    assert "scan 1.png" in page
    assert entry["digest"] + "/thumbnail" in page
    assert text["digest"] + "/thumbnail" not in page
    assert entry["key"] not in page
    assert (small.status_code, small.headers["content-type"]) == (200, "image/png")
    with Image.open(io.BytesIO(small.content)) as made:
        assert max(made.size) == 256
    assert len(small.content) < len(data)
    assert none.status_code == 404
    assert saved.content == data
    assert saved.headers["content-disposition"].startswith("attachment")
