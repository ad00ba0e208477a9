"""Hands mails to the city's relay by SMTP; every wait has an end, and a connection serves a burst."""

from __future__ import annotations

import smtplib
import ssl
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, formataddr
from urllib.parse import parse_qs, unquote, urlsplit

from services.chassis import trace
from services.chassis.clock import real_now
from services.notification.domain.delivery import RETRY, SENT, Outcome, judged
from services.notification.rendering import Rendered

TIMEOUT_SECONDS = 15


def compose(
    rendered: Rendered, *, message: str, sender: str, recipient: str, traceparent: str
) -> EmailMessage:
    """The mail as it goes out; its Message-ID follows from the message's id, so a repeat is recognisable."""
    mail = EmailMessage()
    mail["Subject"] = rendered.subject
    mail["From"] = formataddr(("明窗", sender))
    mail["To"] = recipient
    mail["Date"] = format_datetime(real_now())
    mail["Message-ID"] = f"<{message}@{sender.rpartition('@')[2]}>"
    mail["Auto-Submitted"] = "auto-generated"
    mail["X-Trace-Id"] = trace.trace_id(traceparent)
    mail.set_content(rendered.text)
    mail.add_alternative(rendered.html, subtype="html")
    return mail


class Mailer:
    """``uri``: ``smtp://[user:password@]host:port[?starttls=1]`` or ``smtps://…`` (implicit TLS)."""

    def __init__(self, uri: str) -> None:
        self._where = urlsplit(uri)
        self._starttls = parse_qs(self._where.query).get("starttls", ["0"])[0] == "1"
        self._server: smtplib.SMTP | None = None

    def send(self, mail: EmailMessage, sender: str, recipient: str) -> Outcome:
        """One try; never raises. A connection lost after the mail's data began leaves open whether it was taken."""
        try:
            server = self._connected()
        except (OSError, smtplib.SMTPException) as error:
            self.close()
            return Outcome(RETRY, f"relay: {error!r}")
        try:
            code, words = server.mail(sender)
            if code == 250:
                code, words = server.rcpt(recipient)
            if code not in (250, 251):
                server.rset()
                return judged(code, words.decode("utf-8", "replace"))
        except (OSError, smtplib.SMTPException) as error:
            self.close()
            return Outcome(RETRY, repr(error))
        try:
            code, words = server.data(mail.as_bytes(policy=SMTP))
            return (
                Outcome(SENT, words.decode("utf-8", "replace"))
                if code == 250
                else judged(code, words.decode("utf-8", "replace"))
            )
        except smtplib.SMTPDataError as error:
            return judged(error.smtp_code, str(error.smtp_error))
        except (OSError, smtplib.SMTPException) as error:
            self.close()
            return Outcome(RETRY, repr(error), ambiguous=True)

    def close(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None

    def _connected(self) -> smtplib.SMTP:
        if self._server is None:
            host, port = self._where.hostname or "localhost", self._where.port or 25
            if self._where.scheme == "smtps":
                server: smtplib.SMTP = smtplib.SMTP_SSL(
                    host, port, timeout=TIMEOUT_SECONDS, context=ssl.create_default_context()
                )
            else:
                server = smtplib.SMTP(host, port, timeout=TIMEOUT_SECONDS)
            if self._starttls:
                server.starttls(context=ssl.create_default_context())
            if self._where.username:
                server.login(unquote(self._where.username), unquote(self._where.password or ""))
            server.ehlo_or_helo_if_needed()
            self._server = server
        return self._server
