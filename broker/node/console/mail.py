"""Mail for what is urgent or late: a line that something is there and where to look, never what it says.

Mails are sent by a task of their own, one after the other, with a time for each step: whatever the mail server does, nothing else of the
node waits for it. While it is away they wait on the disk, and it is tried again, each time a little later.
"""

from __future__ import annotations

import asyncio
import hashlib
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime, parseaddr
from pathlib import Path
from typing import Final
from urllib.parse import quote

import structlog
from aiosmtplib import SMTP, SMTPException, SMTPRecipientsRefused, SMTPResponseException

from broker.app.agency_node import AgencyNode
from broker.errors import StoreError, UsageError
from broker.node.console.languages import BY_CODE, translations
from broker.node.console.words import WORDS
from broker.storage.mails import MailEvent, MailQueue
from broker.values import iso

ENGLISH: Final = "en"
"""What mail is written in where nothing else was said; the codes of families, urgencies and duties are told in it as they are."""
SECURITY: Final = ("starttls", "tls", "none")
LOOK_S: Final = 0.5
"""How often it is looked whether there is something to send."""
STEP_S: Final = 20.0
"""How long one step with the mail server may take."""
WAITS_S: Final = (5.0, 600.0)
"""First and longest wait before a server that was away is tried again."""
AT_ONCE: Final = 50
"""Most mails of one connection."""
REFUSED_MS: Final = 600_000
"""How long a mail that was refused for good waits until it is tried again."""
CLOSING: Final = 421
"""What a server says that takes nothing more on this connection (RFC 5321, section 3.8)."""
TRIES: Final = 12
"""How often a mail may be refused for good: then it is given up, and the log says so."""

_log = structlog.get_logger("mail")


@dataclass(frozen=True, slots=True)
class MailSettings:
    """Where mail goes and how. ``security``: one of :data:`SECURITY`; ``ca``: what the server's certificate is verified against where that
    is not an authority of the machine; ``link``: where officers reach the console, without a slash at the end; ``languages``: of
    recipients who do not read English, by address."""

    host: str
    port: int
    sender: str
    recipients: tuple[str, ...]
    security: str = "starttls"
    user: str = ""
    password: str = field(default="", repr=False)
    ca: Path | None = None
    link: str = ""
    languages: Mapping[str, str] = field(default_factory=dict[str, str])

    def readers(self) -> dict[str, tuple[str, ...]]:
        """The recipients by language."""
        found: dict[str, tuple[str, ...]] = {}
        for address in self.recipients:
            language = self.languages.get(address, ENGLISH)
            found[language] = (*found.get(language, ()), address)
        return found

    def at(self, url: str) -> MailSettings:
        """The same, with the console at this address where none was given."""
        return self if self.link else replace(self, link=url)


def settings_of(
    server: str, sender: str, recipients: tuple[str, ...], *, security: str = "starttls", credentials: Path | None = None,
    ca: Path | None = None, link: str = "",
) -> MailSettings:  # fmt: skip
    """Settings as they are given on the command line: ``server`` is HOST or HOST:PORT; a recipient is an address, or ADDRESS=LANGUAGE.
    Raises UsageError."""
    if security not in SECURITY:
        raise UsageError(f"there is no mail security `{ascii(security)[1:-1]}`", advice=f"use one of {', '.join(SECURITY)}")
    host, _, digits = server.rpartition(":") if ":" in server else (server, "", "")
    usual = {"starttls": 587, "tls": 465, "none": 25}[security]
    if not host or (digits and not (digits.isascii() and digits.isdigit() and 0 < int(digits) < 65_536)):
        raise UsageError("--mail-server is no HOST or HOST:PORT", advice="give it as mail.example.org:587")
    languages = dict(_recipient(each) for each in recipients)
    for address in (sender, *languages):
        if not _is_address(address):
            raise UsageError(f"`{ascii(address)[1:-1]}` is no mail address", advice="give --mail-from and --mail-to as name@host")
    if not recipients:
        raise UsageError("nobody is named to whom mail goes", advice="give --mail-to")
    user, password = ("", "") if credentials is None else _credentials(credentials)
    if user and security == "none":
        raise UsageError("a password is not sent in the clear", advice="use --mail-security starttls or tls")
    port = int(digits) if digits else usual
    return MailSettings(host, port, sender, tuple(languages), security, user, password, ca, link.rstrip("/"), languages)


def _recipient(text: str) -> tuple[str, str]:
    """An address and its language. No address has an equals sign behind its @."""
    name, at, rest = text.rpartition("@")
    host, equals, language = rest.partition("=")
    if equals and language not in BY_CODE:
        raise UsageError(
            f"mail is not written in `{ascii(language)[1:-1]}`", advice=f"give --mail-to ADDRESS=LANGUAGE, one of {', '.join(BY_CODE)}"
        )
    return f"{name}{at}{host}", language or ENGLISH


def _is_address(text: str) -> bool:
    name, address = parseaddr(text)
    local, at, host = address.rpartition("@")
    return not name and address == text and bool(local and at and host) and text.isascii() and text.isprintable() and " " not in text


def _credentials(path: Path) -> tuple[str, str]:
    """User and password: the two lines of a file that nobody else may read."""
    try:
        if path.stat().st_mode & 0o077:
            raise UsageError(f"`{path}` can be read by others", advice=f"chmod 600 {path}")
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            f"`{path}` cannot be read", advice="give a file with the user in its first line, the password in its second"
        ) from error
    if len(lines) != 2 or not all(lines):
        raise UsageError(
            f"`{path}` does not hold a user and a password", advice="write the user in its first line, the password in its second"
        )
    return lines[0], lines[1]


def message_of(event: MailEvent, settings: MailSettings, agency: str, environment: str, language: str = ENGLISH) -> EmailMessage:
    """The mail about an event to those who read a language: which subject, of which family and urgency, from whom, due when, and where to
    look. No content."""
    texts = translations(language)

    def said(kind: str, code: str) -> str:
        return code if language == ENGLISH else texts.gettext(WORDS[kind].get(code, code))

    what = texts.gettext("LATE") if event.kind == "LATE" else event.urgency
    real = "" if environment == "production" else f"[{environment.upper()}] "
    made = EmailMessage()
    made["Subject"] = f"{real}{what}: {said('family', event.family)} {event.subject}"
    made["From"], made["To"] = settings.sender, ", ".join(settings.readers().get(language, ()))
    made["Date"] = format_datetime(datetime.fromtimestamp(event.at / 1000, UTC))
    named = f"{agency} {event.id}" if language == ENGLISH else f"{agency} {event.id} {language}"
    made["Message-ID"] = f"<{hashlib.sha256(named.encode()).hexdigest()[:40]}@{settings.sender.rpartition('@')[2]}>"
    made["Auto-Submitted"] = "auto-generated"  # RFC 3834: no out-of-office answers
    pairs = [
        (texts.gettext("Subject"), event.subject), (texts.gettext("Family"), said("family", event.family)),
        (texts.gettext("Urgency"), said("urgency", event.urgency)), (texts.gettext("From"), event.originator),
        *([(texts.gettext("Due"), f"{said('duty', event.duty)}, {iso(event.due)}")] if event.due is not None else []),
        (texts.gettext("For"), f"{agency}, {environment}"),
    ]  # fmt: skip
    first = texts.gettext("Something is late.") if event.kind == "LATE" else texts.gettext("Something urgent has come.")
    lines = [first, "", *(f"{name + ':':<11} {value}" for name, value in pairs)]
    if settings.link:
        lines += ["", f"{settings.link}/console/subjects/{quote(event.subject, safe='')}"]
    made.set_content("\n".join([*lines, "", texts.gettext("What it says is shown in the console alone."), ""]))
    made["Content-Language"] = language  # RFC 3282; setting the content drops headers of an earlier one
    return made


class Mailer:
    """Sends what waits. Run :meth:`run` in a task."""

    def __init__(self, node: AgencyNode, queue: MailQueue, settings: MailSettings) -> None:
        self._node, self._queue, self._settings = node, queue, settings

    async def run(self) -> None:
        """Send until the node stops."""
        wait_s = WAITS_S[0]
        while not self._node.stopping.is_set():
            try:
                if self._queue.due(self._node.now_ms(), 1):
                    await self._send_some()
                    wait_s = WAITS_S[0]
                await self._pause(LOOK_S)
            except (SMTPException, OSError, TimeoutError, StoreError) as error:
                _log.warning("mail cannot be sent", reason=type(error).__name__, again_s=wait_s)
                await self._pause(wait_s)
                wait_s = min(2 * wait_s, WAITS_S[1])

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._node.stopping.wait()
        except TimeoutError:
            return

    async def _send_some(self) -> None:
        settings = self._settings
        context = None if settings.security == "none" else ssl.create_default_context(cafile=settings.ca)
        server = SMTP(
            hostname=settings.host, port=settings.port, username=settings.user or None, password=settings.password or None, timeout=STEP_S,
            use_tls=settings.security == "tls", start_tls=settings.security == "starttls", tls_context=context,
        )  # fmt: skip
        not_now: SMTPException | None = None
        async with server:
            for event in self._queue.due(self._node.now_ms(), AT_ONCE):
                not_now = await self._send(server, event) or not_now
        if not_now is not None:
            raise not_now

    async def _send(self, server: SMTP, event: MailEvent) -> SMTPException | None:
        """Send an event in each language that it was not sent in yet. One that is refused, for good or for now, does not keep the others
        back; the refusal for now is the answer."""
        refused: list[int] = []
        not_now: SMTPException | None = None
        told = self._queue.told_in(event.id)
        for language in self._settings.readers():
            if language in told:
                continue
            made = message_of(event, self._settings, self._node.agency, self._node.settings.environment, language)
            try:
                await server.send_message(made)
                self._queue.tell_in(event.id, language)
            except (SMTPRecipientsRefused, SMTPResponseException) as error:
                codes = [each.code for each in error.recipients] if isinstance(error, SMTPRecipientsRefused) else [error.code]
                if CLOSING in codes:
                    raise
                if any(code < 500 for code in codes):  # not now: RFC 5321, section 4.2.1
                    not_now = error
                else:
                    refused += codes
        now_ms = self._node.now_ms()
        if not_now is not None:
            return not_now
        if not refused:
            self._queue.told(event.id, now_ms)
        elif event.tries + 1 >= TRIES:
            self._queue.give_up(event.id, now_ms)
            _log.error("a mail was refused for good and is given up", codes=refused, subject=event.subject)
        else:
            self._queue.again(event.id, now_ms + REFUSED_MS)
            _log.warning("a mail was refused", codes=refused, subject=event.subject)
        return None
