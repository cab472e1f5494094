"""The options of ``broker node`` for mail."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from broker.errors import UsageError

if TYPE_CHECKING:
    from broker.node.console.mail import MailSettings


@Parameter(name="*")
@dataclass(frozen=True, slots=True)
class MailOptions:
    """Mail for new FLASH and IMMEDIATE messages and for what is late, without content."""

    mail_server: str | None = None
    """`HOST:PORT` of the mail server; without it no mail is sent."""
    mail_from: str | None = None
    """The address that mail comes from."""
    mail_to: Annotated[list[str] | None, Parameter(negative="")] = None
    """An address that is told, or ADDRESS=LANGUAGE (`en`, `fr`, `ar`) for who reads another language than English; may be given several
    times."""
    mail_security: str = "starttls"
    """`starttls`, `tls` from the first byte, or `none`."""
    mail_credentials: Path | None = None
    """A file that its owner alone can read (0600): the user in its first line, the password in its second."""
    mail_ca: Path | None = None
    """Authority (PEM) of the mail server's certificate, where the machine does not know it."""
    mail_link: str | None = None
    """Where officers reach the console, such as `https://node.example:8443`; by default where it listens."""

    def settings(self) -> MailSettings | None:
        """The settings; None: no mail. Raises UsageError where some are given and the rest is missing."""
        if self.mail_server is None:
            if self.mail_from or self.mail_to or self.mail_credentials or self.mail_link or self.mail_ca:
                raise UsageError("mail needs a server", advice="give --mail-server, --mail-from and --mail-to")
            return None
        from broker.node.console.mail import settings_of

        return settings_of(
            self.mail_server, self.mail_from or "", tuple(self.mail_to or ()), security=self.mail_security,
            credentials=self.mail_credentials, ca=self.mail_ca, link=self.mail_link or "",
        )  # fmt: skip


NO_MAIL = MailOptions()
