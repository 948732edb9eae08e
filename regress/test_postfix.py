"""Postfix on the other side: as the smarthost that we send to, and as a client that relays through us."""
import re
import subprocess

import pytest

from harness.client import Client, message, send
from harness.daemon import smarthost, until
from harness.postfix import NEEDED, Postfix

pytestmark = NEEDED


@pytest.fixture
def postfix(request):
    made = []

    def make(*args, **kw):
        made.append(Postfix(*args, **kw))
        return made[-1]
    yield make
    for p in made:
        if getattr(request.node, "failed", True):
            print("--- Postfix\n" + p.text()[-5000:])
        p.stop()


def test_mail_arrives_as_it_was_by_way_of_postfix(daemon, postfix):
    p = postfix()
    d = daemon(smarthost(p.port, "tls off"))
    bodies = {"plain": b"text\r\n", "dots": b".\r\n..\r\n.x\r\n", "8-bit": "Grüße \r\n".encode() + bytes(range(160, 256)) + b"\r\n", "empty": b"",
              "large": (b"y" * 70 + b"\r\n") * 20000, "blanks": b" \r\n\r\n \t \r\n\r\n"}
    for ident, body in bodies.items():
        assert send(d.port, "from@here.test", ["to@there.test"], message(ident, body=body), params=" BODY=8BITMIME")[0] == 250
    assert until(lambda: len(p.box()) == len(bodies), 20), p.text()
    for f in p.box():
        raw = f.read_bytes()
        ident = re.search(rb"(?m)^X-Test-Id: (.*)$", raw).group(1).decode()
        assert raw.endswith(message(ident, body=bodies[ident]).replace(b"\r\n", b"\n")), ident
        assert raw.count(b"\nReceived: ") == 2
    assert until(lambda: len(d.events("removed")) == len(bodies), 8)
    line = d.events("delivery")[0]
    assert line["status"] == "sent" and re.search("queued as", line["reply"])


def test_many_messages_go_by_few_connections(daemon, postfix):
    p = postfix()
    d = daemon(smarthost(p.port, "tls off", "connections 2"))
    c = Client(d.port)
    for i in range(60):
        assert c.mail("from@here.test", ["to@there.test"], message(f"m{i}"))[0] == 250
    c.quit()
    assert until(lambda: len(p.box()) == 60, 20)
    assert len(re.findall(r"smtpd\[\d+\]: connect from", p.text())) <= 3 + 1


def test_what_postfix_refuses_is_settled_by_recipient(daemon, postfix):
    p = postfix(accept="slow@there.test DEFER_IF_PERMIT come back\nbad@there.test REJECT go away\ngone@there.test 550 5.1.1 no such user\n"
                       "full@there.test 452 4.2.2 mailbox full\n")
    d = daemon("retry 1s\nexpire 3s\nwarn-after off\npostmaster pm@there.test\nbounce-to sender\n" + smarthost(p.port, "tls off"))
    send(d.port, "from@there.test", [f"{x}@there.test" for x in ("ok", "slow", "bad", "gone", "full")], message("m"))

    def first():
        out = {}
        for e in d.events("delivery", **{"from": "<from@there.test>"}):
            out.setdefault(e["to"][1:-1].split("@")[0], (e["status"], e["dsn"][0]))
        return out
    assert until(lambda: len(first()) == 5, 10)
    assert first() == {"ok": ("sent", "2"), "slow": ("deferred", "4"), "full": ("deferred", "4"), "bad": ("bounced", "5"), "gone": ("bounced", "5")}
    # the message, a report about two recipients, and one about the two that expired
    assert until(lambda: len(p.box()) == 3, 20), p.text()
    reports = [f.read_text() for f in p.box() if "multipart/report" in f.read_text()]
    told = sorted(sorted(re.findall(r"Final-Recipient: rfc822; (\w+)@", r)) for r in reports)
    assert told == [["bad", "gone"], ["full", "slow"]]
    assert sorted(re.findall(r"(?m)^Status: (\S+)$", "".join(reports))) == ["5.1.1", "5.4.7", "5.4.7", "5.7.1"]


def test_postfix_speaks_tls_opportunistically(daemon, postfix, tmp_path):
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=postfix.test", "-keyout", tmp_path / "key",
                    "-out", tmp_path / "crt"], check=True, capture_output=True)
    p = postfix(f"smtpd_tls_cert_file = {tmp_path}/crt", f"smtpd_tls_key_file = {tmp_path}/key", "smtpd_tls_security_level = may", "smtpd_tls_loglevel = 1")
    d = daemon(smarthost(p.port))
    assert send(d.port, "from@here.test", ["to@there.test"], message("m"))[0] == 250
    assert until(lambda: p.box(), 15), p.text()
    assert "TLS connection established" in p.text()


def test_postfix_relays_through_us(daemon, postfix, sink):
    s = sink()
    d = daemon(smarthost(s.port))
    p = postfix(f"relayhost = [127.0.0.1]:{d.port}", "virtual_mailbox_domains =", "smtp_tls_security_level = none")
    rcpts = [f"r{i}@there.test" for i in range(20)]
    c = Client(p.port)
    for i in range(10):
        assert c.mail("from@here.test", rcpts[i:i + 3], message(f"m{i}", body="Grüße\r\n.\r\n".encode() * 300), params=" BODY=8BITMIME")[0] == 250
    c.quit()
    assert until(lambda: sum(len(m.rcpts) for m in s.messages) == 30, 20), p.text()
    assert s.ids() == {(f"m{i}", r): 1 for i in range(10) for r in rcpts[i:i + 3]}
    assert all(m.data.endswith("Grüße\r\n.\r\n".encode() * 300) for m in s.messages)
