"""A table and its mapping in one request: read as they come, refused where they are not what they should be."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.node_clients import InProcess
from tests.unit.node.test_bulk import MAPPING, TABLE, done

TYPE = {"Content-Type": "multipart/form-data; boundary=xyz"}
HEAD = '--xyz\r\nContent-Disposition: form-data; name="{}"{}\r\n\r\n'


def part(name: str, content: str, more: str = "") -> bytes:
    """One part with its boundary before it."""
    return (HEAD.format(name, more) + content + "\r\n").encode()


GOOD = part("mapping", MAPPING) + part("file", TABLE, '; filename="t.csv"') + b"--xyz--\r\n"


async def test_one_call_takes_both(sg: InProcess) -> None:
    """The table is checked by the mapping that came along, as by a kept one; the same call again is the same import, another mapping under
    its key is none; the mapping is not kept; it is run as any other."""
    async with sg.client("supervisor") as client:
        answer = await client.post(
            "/imports", files={"mapping": MAPPING.encode(), "file": TABLE.encode()}, headers={"Idempotency-Key": "k"}
        )
        assert answer.status_code == 202, answer.text
        path = answer.headers["location"]
        found = await done(sg, path)
        assert (found["phase"], found["outcomes"]) == ("checked", {"would be accepted": 2, "refused": 3})
        again = await client.post("/imports", content=GOOD, headers=TYPE | {"Idempotency-Key": "k"})
        assert (again.status_code, again.json()["id"]) == (202, found["id"])
        other = await client.post("/imports", content=GOOD.replace(b"AMBER", b"GREEN"), headers=TYPE | {"Idempotency-Key": "k"})
        assert (other.status_code, other.json()["code"]) == (422, "KEY_REUSED")
        assert (await client.get("/mappings")).json()["mappings"] == []
        assert (await client.post(f"{path}/run")).status_code == 202
        assert (await done(sg, path))["outcomes"] == {"kept": 2, "refused": 3}


async def test_a_kept_mapping_and_a_file_in_parts(sg: InProcess) -> None:
    """A form of one file with a kept mapping's name is taken too; both mappings, or none, are not."""
    async with sg.client("supervisor") as client:
        await client.put("/mappings/import/table", content=MAPPING, headers={"Content-Type": "application/toml"})
        answer = await client.post("/imports?mapping=table", files={"file": TABLE.encode()})
        assert answer.status_code == 202, answer.text
        assert (await done(sg, answer.headers["location"]))["phase"] == "checked"
        assert (await client.post("/imports?mapping=table", content=GOOD, headers=TYPE)).json()["code"] == "BAD_REQUEST"
        assert (await client.post("/imports", files={"file": TABLE.encode()})).json()["code"] == "BAD_REQUEST"


async def test_names_of_files_lead_nowhere(sg: InProcess) -> None:
    """A path as the name of a file is no path: the import is as any other, and nothing of that name is on the disk."""
    async with sg.client("supervisor") as client:
        for name in ("../../../../escaped.csv", "/tmp/escaped.csv", "..\\escaped.csv", "%2e%2e/escaped.csv"):
            body = part("mapping", MAPPING, f'; filename="{name}"') + part("file", TABLE, f'; filename="{name}"') + b"--xyz--\r\n"
            answer = await client.post("/imports", content=body, headers=TYPE)
            assert answer.status_code == 202, answer.text
            assert "escaped" not in (await client.get(answer.headers["location"])).text
            await done(sg, answer.headers["location"])
    assert not escaped(sg.node.member.files.node_folder)


def escaped(home: Path) -> list[Path]:
    """Files that one of the names above would have made."""
    return [file for file in (*home.rglob("*"), *home.parent.glob("*"), *Path("/tmp").glob("escaped*")) if "escaped" in file.name]


BAD = {
    "no boundary": ({"Content-Type": "multipart/form-data"}, GOOD, "BAD_MULTIPART"),
    "a long boundary": ({"Content-Type": f"multipart/form-data; boundary={'x' * 71}"}, GOOD, "BAD_MULTIPART"),
    "another boundary": ({"Content-Type": "multipart/form-data; boundary=abc"}, GOOD, "BAD_MULTIPART"),
    "cut in the table": (TYPE, GOOD[:-30], "BAD_MULTIPART"),
    "cut in the mapping": (TYPE, GOOD[:200], "BAD_MULTIPART"),
    "without its end": (TYPE, GOOD[:-9], "BAD_MULTIPART"),
    "nothing": (TYPE, b"", "BAD_MULTIPART"),
    "no table": (TYPE, part("mapping", MAPPING) + b"--xyz--\r\n", "BAD_MULTIPART"),
    "the table first": (TYPE, part("file", TABLE) + part("mapping", MAPPING) + b"--xyz--\r\n", "BAD_REQUEST"),
    "another name": (TYPE, part("mapping", MAPPING) + part("table", TABLE) + b"--xyz--\r\n", "BAD_MULTIPART"),
    "two mappings": (TYPE, part("mapping", MAPPING) * 2 + part("file", TABLE) + b"--xyz--\r\n", "BAD_MULTIPART"),
    "two tables": (TYPE, part("mapping", MAPPING) + part("file", TABLE) * 2 + b"--xyz--\r\n", "BAD_MULTIPART"),
    "a long mapping": (TYPE, part("mapping", "#" * 70_000) + part("file", TABLE) + b"--xyz--\r\n", "TOO_LONG"),
    "no mapping in it": (TYPE, part("mapping", "= 1") + part("file", TABLE) + b"--xyz--\r\n", "USAGE"),
    "a long head": (TYPE, part("mapping", MAPPING, f'; filename="{"n" * 5000}"') + part("file", TABLE) + b"--xyz--\r\n", "BAD_MULTIPART"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
async def test_what_is_not_taken(shared: InProcess, name: str) -> None:
    """Refused with what is wrong, and no import is there afterwards."""
    head, body, code = BAD[name]
    async with shared.client("integrator") as client:
        before = (await client.get("/imports")).json()["imports"]
        answer = await client.post("/imports", content=body, headers=head)
        assert answer.json()["code"] == code, answer.text
        assert answer.status_code in (400, 413)
        assert (await client.get("/imports")).json()["imports"] == before
    assert not list((shared.node.member.files.node_folder / "imports").glob("*/part-*"))


async def test_a_form_of_another_site_is_not_taken(shared: InProcess) -> None:
    """Browsers send forms with files to anybody: who comes from another origin is refused before a part is read."""
    async with shared.client("supervisor", headers={"Origin": "https://elsewhere.example"}) as client:
        answer = await client.post("/imports", content=GOOD, headers=TYPE)
    assert (answer.status_code, answer.json()["code"]) == (403, "CROSS_SITE")


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data())
async def test_broken_parts_never_break_the_node(shared: InProcess, data: st.DataObject) -> None:
    """A good body with bytes changed, cut out or put in, in pieces of any size: taken or refused, and never a failure of the node's own."""
    body = bytearray(GOOD)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(body)))
        body[at : at + data.draw(st.integers(0, 40))] = data.draw(
            st.binary(max_size=8) | st.sampled_from([b"\r\n--xyz", b"--xyz--", b"\r\n"])
        )
    size = data.draw(st.integers(1, 500))

    async def pieces() -> AsyncIterator[bytes]:
        for at in range(0, len(body), size):
            yield bytes(body[at : at + size])

    async with shared.client("supervisor") as client:
        answer = await client.post("/imports", content=pieces(), headers=TYPE)
        assert answer.status_code in (202, 400, 413, 422), answer.text
        if answer.status_code == 202:
            await done(shared, answer.headers["location"])
            await client.delete(answer.headers["location"])
