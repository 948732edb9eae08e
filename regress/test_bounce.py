"""Reports about what cannot be delivered (RFC 3464): what they say, who gets them, who does not."""
import email
import email.policy

import pytest

from harness.client import message, send
from harness.daemon import smarthost, until

BASE = "retry 1s\nwarn-after off\npostmaster pm@there.test\n"
TO_SENDER = BASE + "bounce-to sender\n"


def refusing(stage="rcpt", answer="550 5.1.1 no such user here", who="bad"):
    """Refuses recipients whose address begins with who, or the message for them."""
    def script(at, session, arg):
        if at == stage and (arg or "").startswith(who) if stage == "rcpt" else at == stage:
            return answer
        return None
    return script


def for_originals(stage, answer):
    """Refuses all but reports."""
    def script(at, session, arg):
        if at == "mail":
            session.null = arg.startswith("FROM:<>")
        return answer if at == stage and not getattr(session, "null", False) else None
    return script


def report(s, to="from@here.test", seconds=10):
    """The report that arrived, as an email message, with its delivery-status blocks as dictionaries."""
    assert until(lambda: s.to(to), seconds), "no report came"
    m = s.to(to)[0]
    assert m.mail_from == "", "reports have the null sender"
    mail = email.message_from_bytes(m.data, policy=email.policy.default)
    mail.raw = m.data
    assert mail.get_content_type() == "multipart/report"
    assert mail.get_param("report-type") == "delivery-status"
    parts = list(mail.iter_parts())
    assert [p.get_content_type() for p in parts[:2]] == ["text/plain", "message/delivery-status"]
    mail.blocks = [{k: str(v) for k, v in b.items()} for b in parts[1].get_payload() if b.items()]
    assert not mail.defects and not any(p.defects for p in parts)
    return mail, parts


def test_a_permanent_failure_is_told_to_the_sender(daemon, sink):
    s = sink(refusing())
    d = daemon(TO_SENDER + smarthost(s.port))
    body = "Grüße\r\n.\r\n..\r\n".encode()
    data = message("m", to="bad@there.test", body=body)
    assert send(d.port, "from@here.test", ["bad@there.test"], data, params=" BODY=8BITMIME")[0] == 250
    mail, parts = report(s)
    assert mail["From"] and mail["To"] == "from@here.test" and mail["Subject"] and mail["Date"] and mail["Message-ID"]
    assert mail["Auto-Submitted"] == "auto-replied"
    whole, recipient = mail.blocks
    assert whole["Reporting-MTA"] == "dns; relay.test"
    assert whole["Arrival-Date"]
    assert recipient["Final-Recipient"] == "rfc822; bad@there.test"
    assert recipient["Action"] == "failed"
    assert recipient["Status"] == "5.1.1"
    assert recipient["Diagnostic-Code"] == "smtp; 550 5.1.1 no such user here"
    assert recipient["Remote-MTA"].startswith("dns; 127.0.0.1")
    assert recipient["Last-Attempt-Date"]
    said = " ".join(parts[0].get_content().split())
    assert "<bad@there.test>: " in said and "550 5.1.1 no such user here" in said
    assert parts[2].get_content_type() == "message/rfc822"
    assert data.rstrip() in mail.raw, "the original comes back as it was"
    assert d.wait_event("removed") and len(s.messages) == 1


@pytest.mark.parametrize("stage,answer,status", [
    ("mail", "550 5.7.1 not from you", "5.7.1"), ("data", "554 5.5.0 no", "5.5.0"), ("body", "554 5.6.0 spam", "5.6.0"),
    ("body", "552 message too big", "5."), ("body", "554-5.7.1 two\r\n554 5.7.1 lines", "5.7.1")])
def test_a_refusal_of_the_whole_message_is_told_for_each_recipient(daemon, sink, stage, answer, status):
    s = sink(for_originals(stage, answer))
    d = daemon(TO_SENDER + smarthost(s.port))
    send(d.port, "from@here.test", ["a@there.test", "b@there.test"], message("m"))
    mail, _ = report(s)
    assert [b["Final-Recipient"] for b in mail.blocks[1:]] == ["rfc822; a@there.test", "rfc822; b@there.test"]
    assert all(b["Status"].startswith(status) for b in mail.blocks[1:])
    assert len(s.messages) == 1, "one report for all"


def test_one_refused_recipient_of_three_bounces_alone(daemon, sink):
    s = sink(refusing())
    d = daemon(TO_SENDER + smarthost(s.port))
    send(d.port, "from@here.test", ["a@there.test", "bad@there.test", "b@there.test"], message("m"))
    mail, _ = report(s)
    assert [b.get("Final-Recipient") for b in mail.blocks[1:]] == ["rfc822; bad@there.test"]
    assert s.messages[0].rcpts == ["a@there.test", "b@there.test"] and len(s.messages) == 2
    assert until(lambda: {e["to"]: e["status"] for e in d.events("delivery", **{"from": "<from@here.test>"})} ==
                 {"<a@there.test>": "sent", "<bad@there.test>": "bounced", "<b@there.test>": "sent"}, 5)


def test_a_large_message_comes_back_by_its_header_only(daemon, sink):
    s = sink(refusing())
    d = daemon(TO_SENDER + smarthost(s.port))
    for i, n in enumerate((70 * 1024, 300 * 1024)):         # in the database, in a file
        sender = f"from{i}@here.test"
        data = message(f"m{i}", body=b"marker of the body\r\n" + b"x" * 76 + b"\r\n" * (n // 76) + b"0123456789\r\n" * (n // 12))
        send(d.port, sender, ["bad@there.test"], data)
        mail, parts = report(s, sender)
        assert parts[2].get_content_type() == "text/rfc822-headers"
        assert f"X-Test-Id: m{i}".encode() in mail.raw and b"marker of the body" not in mail.raw
        assert len(mail.raw) < 8192


def test_ret_hdrs_returns_the_header_only(daemon, sink):
    s = sink(refusing())
    d = daemon(TO_SENDER + smarthost(s.port))
    r = d.sendmail("-i", "-R", "hdrs", "-V", "env+1", "-f", "from@here.test", "bad@there.test", input=message("m", body=b"marker of the body\r\n"))
    assert r.returncode == 0, r.stderr
    mail, parts = report(s)
    assert parts[2].get_content_type() == "text/rfc822-headers"
    assert b"X-Test-Id: m" in mail.raw and b"marker of the body" not in mail.raw
    assert mail.blocks[0]["Original-Envelope-Id"] == "env+1"


def test_notify_never_is_obeyed(daemon, sink):
    s = sink(refusing())
    d = daemon(TO_SENDER + smarthost(s.port))
    assert d.sendmail("-i", "-N", "never", "-f", "from@here.test", "bad@there.test", input=message("m")).returncode == 0
    assert d.wait_event("removed")
    send(d.port, "other@here.test", ["bad@there.test"], message("later"))
    report(s, "other@here.test")
    assert [m.rcpts for m in s.messages] == [["other@here.test"]]


def test_the_null_sender_never_gets_a_report(daemon, sink):
    s = sink(refusing())
    d = daemon(TO_SENDER + smarthost(s.port))
    assert send(d.port, "", ["bad@there.test"], message("m"))[0] == 250
    assert d.wait_event("delivery", status="bounced") and d.wait_event("removed")
    send(d.port, "other@here.test", ["bad@there.test"], message("later"))
    report(s, "other@here.test")
    assert len(s.messages) == 1


def test_a_report_that_bounces_goes_to_the_postmaster_and_no_further(daemon, sink):
    s = sink(lambda stage, session, arg: "550 5.1.1 unknown" if stage == "rcpt" and arg in ("bad@there.test", "from@here.test") else None)
    d = daemon(TO_SENDER + smarthost(s.port))
    send(d.port, "from@here.test", ["bad@there.test"], message("m"))
    mail, _ = report(s, "pm@there.test")
    assert mail.blocks[1]["Final-Recipient"] == "rfc822; from@here.test"
    assert until(lambda: len(d.events("removed")) == 3, 5)


def test_when_the_postmaster_cannot_be_reached_either_it_ends(daemon, sink):
    s = sink(refusing(who=""))
    d = daemon(TO_SENDER + smarthost(s.port))
    send(d.port, "from@here.test", ["bad@there.test"], message("m"))
    assert until(lambda: len(d.events("removed")) == 3, 8)
    assert d.wait_event("bounce", dropped="a report that cannot be delivered")
    assert not s.messages


def test_without_being_told_a_strangers_bounce_goes_to_the_postmaster(daemon, sink):
    s = sink(refusing())
    d = daemon(BASE + smarthost(s.port))
    send(d.port, "from@elsewhere.test", ["bad@there.test"], message("m"))
    report(s, "pm@there.test")
    assert not s.to("from@elsewhere.test")


def test_an_accounts_own_sender_gets_the_bounce(daemon, sink):
    s = sink(refusing())
    d = daemon(BASE + "account ours { senders @here.test }\n" + smarthost(s.port))
    send(d.port, "from@here.test", ["bad@there.test"], message("m"))
    report(s, "from@here.test")


def test_bounce_from_replaces_the_null_sender(daemon, sink):
    s = sink(refusing())
    d = daemon(TO_SENDER + "bounce-from bounces@here.test\n" + smarthost(s.port))
    send(d.port, "from@here.test", ["bad@there.test"], message("m"))
    assert until(lambda: s.to("from@here.test"), 10)
    assert s.messages[0].mail_from == "bounces@here.test"


def test_what_cannot_be_delivered_in_time_expires_with_5_4_7(daemon, sink):
    s = sink(lambda stage, session, arg: "451 4.2.0 never today" if stage == "rcpt" and arg == "slow@there.test" else None)
    d = daemon("expire 2s\n" + TO_SENDER + smarthost(s.port))
    send(d.port, "from@here.test", ["slow@there.test"], message("m"))
    mail, parts = report(s)
    assert mail.blocks[1]["Status"] == "5.4.7" and mail.blocks[1]["Action"] == "failed"
    assert "never today" in mail.blocks[1]["Diagnostic-Code"] + parts[0].get_content()
    attempts = sum(c.startswith("RCPT TO:<slow") for x in s.sessions for c in x.commands)
    assert 2 <= attempts <= 4
    assert d.wait_event("removed")


def test_a_delay_is_told_once(daemon, sink):
    s = sink(lambda stage, session, arg: "451 4.2.0 not yet" if stage == "rcpt" and arg == "slow@there.test" else None)
    d = daemon("retry 1s\nwarn-after 1s\npostmaster pm@there.test\nbounce-to sender\n" + smarthost(s.port))
    send(d.port, "from@here.test", ["slow@there.test"], message("m"))
    mail, _ = report(s)
    assert mail.blocks[1]["Action"] == "delayed" and mail.blocks[1]["Status"].startswith("4.")
    seen = sum(c.startswith("RCPT TO:<slow") for x in s.sessions for c in x.commands)
    assert until(lambda: sum(c.startswith("RCPT TO:<slow") for x in s.sessions for c in x.commands) >= seen + 2, 8)
    assert len(s.messages) == 1


@pytest.mark.parametrize("text", ["550 5.1.1 \x1b[31mred\x07", "550 5.1.1 " + "long " * 400, "550-5.1.1 a\r\n550-5.1.1 b\r\n550 5.1.1 c", "550 żółć"])
def test_a_strange_reply_still_makes_a_proper_report(daemon, sink, text):
    s = sink(refusing(answer=text))
    d = daemon(TO_SENDER + smarthost(s.port))
    send(d.port, "from@here.test", ["bad@there.test"], message("m"))
    mail, _ = report(s)
    assert mail.blocks[1]["Status"].startswith("5.") and mail.blocks[1]["Diagnostic-Code"].startswith("smtp; 550")
    assert max(map(len, mail.raw.split(b"\r\n"))) <= 998 and b"\x1b" not in mail.raw and b"\x07" not in mail.raw
