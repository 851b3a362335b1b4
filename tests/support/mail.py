"""A mail server that takes everything and keeps it: as much of SMTP (RFC 5321) as one message needs."""

from __future__ import annotations

import email
import email.policy
import socket
import threading
from dataclasses import dataclass, field
from email.message import EmailMessage


@dataclass
class Letter:
    """One message, and what the envelope said."""

    sender: str
    recipients: list[str]
    message: EmailMessage


@dataclass
class MailServer:
    """On a free loopback port, a thread a connection, until the `with` block ends."""

    letters: list[Letter] = field(default_factory=list)

    def __enter__(self) -> MailServer:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_exception) -> None:
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        sender, recipients = "", []
        with connection, connection.makefile("rwb") as lines:

            def say(reply: str) -> None:
                lines.write(reply.encode() + b"\r\n")
                lines.flush()

            say("220 mail.test here")
            for line in iter(lines.readline, b""):
                word = line.decode().strip()
                match word.upper().split(":")[0].split(" ")[0]:
                    case "EHLO":
                        say("250 mail.test")
                    case "MAIL":
                        sender = word.partition("<")[2].partition(">")[0]
                        say("250 well")
                    case "RCPT":
                        recipients.append(word.partition("<")[2].partition(">")[0])
                        say("250 well")
                    case "DATA":
                        say("354 go on")
                        text = b""
                        for part in iter(lines.readline, b".\r\n"):
                            # A line's first dot stands for itself if another follows.
                            text += part[1:] if part.startswith(b"..") else part
                        message = email.message_from_bytes(text, policy=email.policy.default)
                        self.letters.append(Letter(sender, recipients, message))
                        say("250 taken")
                    case "QUIT":
                        say("221 good-bye")
                        return
                    case _:
                        say("502 what?")
