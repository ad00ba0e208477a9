"""What notification measures, each with its meaning."""

from __future__ import annotations

from services.chassis.metrics import counter, gauge

MAILS = counter(
    "mingchuang_mails_total",
    "Tries to send a mail, by template and outcome (sent, retry, failed).",
    ["template", "outcome"],
)
MAILS_OWED = counter("mingchuang_mails_owed_total", "Mails that events made due.")
AMBIGUOUS = counter(
    "mingchuang_mails_ambiguous_total", "Tries after which the relay may have taken a mail without saying so."
)
OLDEST_DUE = gauge("mingchuang_mail_oldest_due_seconds", "Age of the oldest mail not yet sent.")
