"""Mail for what is urgent or late, to a mail server on this machine: each once, without content, whatever the server does."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.header import decode_header, make_header
from email.message import Message
from pathlib import Path
from typing import Any, Final

import pytest
from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

from broker.errors import UsageError
from broker.node.console import mail
from broker.node.console.languages import translations
from broker.node.console.mail import Mailer, MailSettings, message_of, settings_of
from broker.node.console.router import beside
from broker.node.console.watch import Watch, watching
from broker.storage.console_file import NAME
from broker.storage.desk import Desk
from broker.storage.mails import MOST, MailEvent, MailQueue
from tests.support.certificates import CertificateAuthority
from tests.support.eventually import eventually
from tests.support.node_clients import InProcess, posted
from tests.unit.node.console.conftest import held
from tests.unit.service.world import World

TO: Final = ("floor@customs.example", "chief@customs.example")
SENDER: Final = "node@customs.example"


@dataclass
class Post:
    """A mail server's hands: what it took, and what it says instead of taking."""

    taken: list[Message] = field(default_factory=list[Message])
    says: list[str] = field(default_factory=list[str])
    never: str = "no subject"
    refused: int = 0
    signed_in: list[bytes] = field(default_factory=list[bytes])
    to: tuple[tuple[str, ...], ...] = (TO,)
    """To whom mails may go, together."""
    full: str = ""
    """Whose mailbox takes nothing for now."""

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:  # noqa: N802 - as below
        """Whether a mailbox takes it."""
        if address == self.full:
            return "452 the mailbox is full"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802 - the name is aiosmtpd's
        """Take a mail, or say what is to be said next."""
        if self.says:
            return self.says.pop(0)
        assert tuple(envelope.rcpt_tos) in self.to
        taken = message_from_bytes(envelope.content)
        if self.never in str(taken["Subject"]):
            self.refused += 1
            return "550 never"
        self.taken.append(taken)
        return "250 taken"

    def sign_in(self, server: Any, session: Any, envelope: Any, mechanism: str, said: Any) -> AuthResult:
        """One user, one password."""
        good = isinstance(said, LoginPassword) and (said.login, said.password) == (b"node", b"pass word")
        self.signed_in.append(said.login)
        return AuthResult(success=good)


@asynccontextmanager
async def serving(post: Post, port: int = 0, **how: Any) -> AsyncGenerator[int]:
    """A mail server on loopback: its port."""
    server = await asyncio.get_running_loop().create_server(lambda: SMTP(post, hostname="mail.example", **how), "127.0.0.1", port)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await server.wait_closed()


class Floor:
    """The watch and the mailer of a node, as they are after each start."""

    def __init__(self, node: InProcess, folder: Path, port: int) -> None:
        self.queue = MailQueue(folder / NAME)
        self.watch = Watch(node.node, {"desk": Desk(folder / NAME), "mails": self.queue})
        self.settings = MailSettings("127.0.0.1", port, SENDER, TO, security="none", link="https://node:8443")
        self.mailer = Mailer(node.node, self.queue, self.settings)

    def look(self) -> None:
        """Look until there is no more to look at."""
        while self.watch.look():
            pass

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """The mailer, for as long as the block lasts."""
        task = asyncio.create_task(self.mailer.run())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def publish(sg: InProcess, my: InProcess, world: World, number: int, urgency: str) -> str:
    """SG-CUSTOMS publishes an alert, and MY-CUSTOMS holds it: its subject."""
    message = posted(world.alert(number))
    message["header"]["urgency"] = urgency
    async with sg.client() as client:
        assert (await client.post("/messages", json=message)).status_code == 202
    await held(my, message["subject"])
    return message["subject"]


async def test_urgent_and_late_are_told_once(sg: InProcess, my: InProcess, world: World, tmp_path: Path) -> None:
    """What came before mail was on is not told, nor what is not urgent; a FLASH and an IMMEDIATE alert are told once each, after further
    looks and restarts too, and so is each duty once it is late. The mail says where to look, and nothing of the content."""
    post = Post()
    await publish(sg, my, world, 1, "FLASH")
    async with serving(post) as port:
        floor = Floor(my, tmp_path, port)
        floor.look()
        await publish(sg, my, world, 2, "ROUTINE")
        flash, immediate = await publish(sg, my, world, 3, "FLASH"), await publish(sg, my, world, 4, "IMMEDIATE")
        floor.look()
        async with floor.running():
            await eventually(lambda: len(post.taken) == 2 and floor.queue.waiting() == 0, what="two mails")
        again = Floor(my, tmp_path, port)
        again.look()
        assert again.queue.waiting() == 0
        world.clock.advance(20 * 3_600_000)
        again.look()
        late = again.queue.waiting()
        assert late >= 3
        async with again.running():
            await eventually(lambda: again.queue.waiting() == 0, what="the late ones")
        again.look()
        assert again.queue.waiting() == 0
    assert len(post.taken) == 2 + late
    assert len({each["Message-ID"] for each in post.taken}) == len(post.taken)
    assert {each["Subject"] for each in post.taken[:2]} == {f"[TEST] FLASH: alert {flash}", f"[TEST] IMMEDIATE: alert {immediate}"}
    assert all(each["Subject"].startswith("[TEST] LATE: alert SG-CUSTOMS/") for each in post.taken[2:])
    text = str(post.taken[0].get_payload())
    assert f"https://node:8443/console/subjects/{flash.replace('/', '%2F')}" in "".join(str(each.get_payload()) for each in post.taken)
    for wanted in ("SG-CUSTOMS", "alert", "MY-CUSTOMS, test"):
        assert wanted in text
    whole = "".join(each.as_string() for each in post.taken)
    for content in ("CSQU3054383", "Example Trading", "isostatic", "HLCUHAM", "DUAL_USE", "847989"):
        assert content not in whole


async def test_a_server_that_is_away_or_refuses(
    sg: InProcess, my: InProcess, world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Mails wait on the disk while nothing listens, and go out when it does; one that is refused for now is sent again under the same id,
    one that is refused for good is tried later and in the end given up, and stops no other."""
    monkeypatch.setattr(mail, "WAITS_S", (0.02, 0.05))
    monkeypatch.setattr(mail, "LOOK_S", 0.02)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    post = Post(says=["451 not now"])
    floor = Floor(my, tmp_path, port)
    floor.look()
    await publish(sg, my, world, 1, "FLASH")
    floor.look()
    async with floor.running():
        await asyncio.wait_for(_refused(port), 10)
        assert floor.queue.waiting() == 1
        async with serving(post, port):
            await eventually(lambda: len(post.taken) == 1, what="the mail")
            post.never = await publish(sg, my, world, 2, "FLASH")
            good = await publish(sg, my, world, 3, "FLASH")
            floor.look()

            def noted(tries: int) -> bool:  # a clock that goes on before the refusal is noted would put off the next try
                return post.refused == tries and not floor.queue.due(world.clock.now_ms(), 1)

            await eventually(lambda: noted(1) and len(post.taken) == 2, what="the other one, and the first try")
            for tries in range(2, mail.TRIES + 1):
                world.clock.advance(mail.REFUSED_MS)
                await eventually(lambda tries=tries: noted(tries), what="a further try")
            await eventually(lambda: floor.queue.waiting() == 0, what="the end of the tries")
    assert good in str(post.taken[1]["Subject"])
    assert (len(post.taken), post.refused) == (2, mail.TRIES)


async def _refused(port: int) -> None:
    with pytest.raises(OSError, match="Connect"):
        await asyncio.open_connection("127.0.0.1", port)


async def test_encrypted_and_signed_in(sg: InProcess, my: InProcess, world: World, tmp_path: Path) -> None:
    """With STARTTLS and a password mail goes to a server whose certificate is verified; one of another authority gets neither."""
    files = CertificateAuthority(tmp_path / "ca").issue("mail", server=True)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(files.certificate, files.key)
    post = Post()
    secret = tmp_path / "secret"
    secret.write_text("node\npass word\n")
    secret.chmod(0o600)
    how: dict[str, Any] = {"tls_context": context, "require_starttls": True, "auth_required": True, "authenticator": post.sign_in}
    async with serving(post, **how) as port:
        good = settings_of(f"localhost:{port}", SENDER, TO, credentials=secret, ca=files.ca)
        floor = Floor(my, tmp_path, port)
        floor.look()
        await publish(sg, my, world, 1, "FLASH")
        floor.look()
        stranger = settings_of(f"localhost:{port}", SENDER, TO, credentials=secret, ca=CertificateAuthority(tmp_path / "other").ca)
        with pytest.raises((ssl.SSLError, OSError, mail.SMTPException)):
            await Mailer(my.node, floor.queue, stranger)._send_some()  # pyright: ignore[reportPrivateUsage]
        assert (post.signed_in, post.taken) == ([], [])
        await Mailer(my.node, floor.queue, good)._send_some()  # pyright: ignore[reportPrivateUsage]
    assert (post.signed_in, len(post.taken)) == ([b"node"], 1)
    assert "pass word" not in repr(good)


async def test_a_mailbox_that_takes_nothing_for_now_keeps_no_other_back(sg: InProcess, my: InProcess, world: World, tmp_path: Path) -> None:
    """The only reader of English has a full mailbox: readers of French get this event and the next one at once, and each once; the
    first reader gets both when there is room."""
    post = Post(to=(TO[:1], ("bureau@douane.example",)), full=TO[0])
    async with serving(post) as port:
        floor = Floor(my, tmp_path, port)
        floor.look()
        subjects = [await publish(sg, my, world, number, "FLASH") for number in (1, 2)]
        floor.look()
        settings = settings_of(f"127.0.0.1:{port}", SENDER, (TO[0], "bureau@douane.example=fr"), security="none")
        for _ in range(2):
            with pytest.raises(mail.SMTPRecipientsRefused):
                await Mailer(my.node, floor.queue, settings)._send_some()  # pyright: ignore[reportPrivateUsage]
            assert [str(each["Content-Language"]) for each in post.taken] == ["fr", "fr"]
            assert floor.queue.waiting() == len(subjects)
        post.full = ""
        await Mailer(my.node, floor.queue, settings)._send_some()  # pyright: ignore[reportPrivateUsage]
    assert [str(each["Content-Language"]) for each in post.taken] == ["fr", "fr", "en", "en"]
    assert floor.queue.waiting() == 0


async def test_each_reads_it_in_their_language(sg: InProcess, my: InProcess, world: World, tmp_path: Path) -> None:
    """Readers of French and Arabic get a mail of their own in it, who is not asked for gets English; the subject line keeps the code of the
    urgency; where one mail is refused, and the process begins anew, the others are not sent twice."""
    to = (*TO, "bureau@douane.example=fr", "bureau2@douane.example=fr", "maktab@jamarik.example=ar")
    post = Post(to=(TO, ("bureau@douane.example", "bureau2@douane.example"), ("maktab@jamarik.example",)))
    async with serving(post) as port:
        floor = Floor(my, tmp_path, port)
        floor.look()
        subject = await publish(sg, my, world, 1, "FLASH")
        floor.look()
        settings = settings_of(f"127.0.0.1:{port}", SENDER, to, security="none", link="https://node:8443")
        assert settings.recipients[2:] == ("bureau@douane.example", "bureau2@douane.example", "maktab@jamarik.example")
        post.never = "Alerte"
        await Mailer(my.node, floor.queue, settings)._send_some()  # pyright: ignore[reportPrivateUsage]
        assert (post.refused, len(post.taken), floor.queue.waiting()) == (1, 2, 1)
        post.never = "no subject"
        world.clock.advance(mail.REFUSED_MS)
        again = MailQueue(tmp_path / NAME)
        await Mailer(my.node, again, settings)._send_some()  # pyright: ignore[reportPrivateUsage]
        assert (len(post.taken), again.waiting()) == (3, 0)
    read = {str(each["Content-Language"]): each for each in post.taken}
    heads = {language: str(make_header(decode_header(str(each["Subject"])))) for language, each in read.items()}
    assert heads == {
        "en": f"[TEST] FLASH: alert {subject}", "fr": f"[TEST] FLASH: Alerte {subject}",
        "ar": f"[TEST] FLASH: {translations('ar').gettext('Alert')} {subject}",
    }  # fmt: skip
    texts = {language: bytes(each.get_payload(decode=True) or b"").decode() for language, each in read.items()}  # pyright: ignore
    assert "Quelque chose d'urgent est arrivé." in texts["fr"]
    assert translations("ar").gettext("Something urgent has come.") in texts["ar"]
    assert all("https://node:8443/console/subjects/" in each for each in texts.values())
    assert len({str(each["Message-ID"]) for each in post.taken}) == 3


def test_settings_that_are_none(tmp_path: Path) -> None:
    """Each mistake is told with what to do: server, addresses, security, a file that others may read, a password in the clear."""
    open_file = tmp_path / "open"
    open_file.write_text("node\nsecret\n")
    open_file.chmod(0o644)
    short = tmp_path / "short"
    short.write_text("node\n")
    short.chmod(0o600)
    closed = tmp_path / "closed"
    closed.write_text("node\nsecret\n")
    closed.chmod(0o600)
    wrong: list[tuple[str, str, tuple[str, ...], dict[str, Any], str]] = [
        ("mail:0", SENDER, TO, {}, "--mail-server"), (":25", SENDER, TO, {}, "--mail-server"), ("mail:x", SENDER, TO, {}, "--mail-server"),
        ("mail", "nobody", TO, {}, "no mail address"), ("mail", SENDER, ("a@b\r\nBcc: c@d",), {}, "no mail address"),
        ("mail", SENDER, ("a@b=de",), {}, "not written in"), ("mail", SENDER, ("a@b=\r\nBcc: c@d",), {}, "no mail address"),
        ("mail", SENDER, (), {}, "nobody is named"), ("mail", SENDER, TO, {"security": "ssl"}, "security"),
        ("mail", SENDER, TO, {"credentials": open_file}, "by others"), ("mail", SENDER, TO, {"credentials": short}, "user and a password"),
        ("mail", SENDER, TO, {"credentials": tmp_path / "none"}, "cannot be read"),
        ("mail", SENDER, TO, {"credentials": closed, "security": "none"}, "in the clear"),
    ]  # fmt: skip
    for server, sender, to, more, told in wrong:
        with pytest.raises(UsageError, match=told):
            settings_of(server, sender, to, **more)
    made = settings_of("mail.example", SENDER, TO, security="tls", credentials=closed, link="https://node/")
    assert (made.host, made.port, made.user, made.password, made.link) == ("mail.example", 465, "node", "secret", "https://node")
    assert made.at("https://127.0.0.1:1").link == "https://node"


def event(number: int) -> MailEvent:
    """Something that came."""
    return MailEvent(f"new {number}", "NEW", f"SG-CUSTOMS/2026/{number}", "alert", "FLASH", "SG-CUSTOMS", "", None, number)


def test_the_queue_is_bounded_and_each_is_in_it_once(tmp_path: Path) -> None:
    """Further events are let go of and counted; what is known is not taken again, also once it was told; a real exchange has no mark."""
    queue = MailQueue(tmp_path / NAME)
    queue.begin("e-0", 0)
    assert queue.take([event(number) for number in range(MOST + 3)], "e-1") == 3
    assert queue.waiting() == MOST
    queue.told("new 0", 5)
    assert queue.take([event(0), event(1)], "e-2") == 0
    assert (queue.waiting(), queue.place()) == (MOST - 1, ("e-2", 0))
    assert [each.id for each in queue.due(10, 2)] == ["new 1", "new 2"]
    queue.close()
    made = message_of(event(1), settings_of("mail", SENDER, TO), "MY-CUSTOMS", "production")
    assert made["Subject"] == "FLASH: alert SG-CUSTOMS/2026/1"
    assert made["Message-ID"] == message_of(event(1), settings_of("mail", SENDER, TO), "MY-CUSTOMS", "production")["Message-ID"]


async def test_the_watch_tells_by_itself(sg: InProcess, my: InProcess, world: World, tmp_path: Path) -> None:
    """As the node runs it: what comes is told without anybody asking, with the address of the console where none was given."""
    post = Post()
    kept = beside(tmp_path, mailing=True)
    queue: MailQueue = kept["mails"]  # type: ignore[assignment]
    async with serving(post) as port:
        settings = settings_of(f"127.0.0.1:{port}", SENDER, TO, security="none").at("https://127.0.0.1:8443")
        async with watching(my.node, kept, settings):
            await eventually(queue.place, what="the first look")
            await publish(sg, my, world, 1, "FLASH")
            await eventually(lambda: len(post.taken) == 1, what="the mail")
    assert "https://127.0.0.1:8443/console/subjects/SG-CUSTOMS%2F2026%2F000001" in str(post.taken[0].get_payload())
