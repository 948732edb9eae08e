"""Signed mail still verifies behind the relay: nothing is changed, and nothing is added but Received."""
import base64
import re
import subprocess

import pytest

from harness.client import Client
from harness.daemon import Daemon, until, work_dir
from harness.sink import Sink

dkim = pytest.importorskip("dkim", reason="python3-dkim is not installed")

HEAD = (b"Date: Fri, 20 Nov 2026 04:05:06 +0000\r\nFrom: Signer <s@signed.test>\r\nTo: r@there.test\r\nSubject: signed\r\n"
        b"Message-ID: <%s@signed.test>\r\n")
TRACE = b"".join(b"Received: from h%d.test (h%d [192.0.2.%d])\r\n\tby mx%d.test with ESMTP id %d;\r\n\tFri, 20 Nov 2026 04:05:06 +0000 (UTC)\r\n"
                 % (i, i, i, i, i) for i in range(20))
MESSAGES = {
    "plain": (HEAD, b"Hello.\r\nText.\r\n"),
    "empty body": (HEAD, b""),
    "blank lines": (HEAD, b"\r\ntext\r\n\r\n\r\n\r\n"),
    "blanks": (HEAD, b"text  \r\ntab\t\r\n   \r\na  b \t c\r\n  indented\r\n \t \r\n"),
    "dots": (HEAD, b".\r\n..\r\n.leading\r\n...\r\n.\r\n"),
    "8-bit": (HEAD + b"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n",
              "Grüße, ☃ \r\nзима\r\n".encode() * 20 + bytes(range(160, 256)) + b"\r\n"),
    "long lines": (HEAD, (b"L" * 998 + b"\r\n") * 5 + b"From here\r\n>From there\r\n"),
    "folded": (HEAD + b"X-Folded: one\r\n\ttwo\r\n   three  \r\n four\r\nReferences: <a@b>\r\n <c@d>\r\n\t<e@f>\r\n", b"x\r\n"),
    "long header": (HEAD + b"X-Long: " + b"w " * 480 + b"\r\nX-Very: " + b"\r\n ".join([b"v" * 70] * 60) + b"\r\n", b"x\r\n"),
    "traced": (TRACE + HEAD, b"x\r\n"),
    "odd fields": (HEAD.replace(b"Subject: ", b"SUBJECT:").replace(b"To: ", b"tO:   ") + b"X-Empty:\r\nX-Blank: \r\nX-Same: 1\r\nX-Same: 2\r\n", b"x\r\n"),
    "UTF-8 header": (HEAD + "X-Utf8: żółć ☃\r\n".encode(), b"x\r\n"),
    "bare minimum": (b"From: s@signed.test\r\nTo: r@there.test\r\nX-Id: %s\r\n", b"x\r\n"),
    "sent by the shim": (HEAD + b"Return-Path: <old@signed.test>\r\nX-Mailer: m\r\nReply-To: other@signed.test\r\n", b"x\r\n"),
    "large": (HEAD, b"".join(b"line %06d of a large message, for a file and not the database\r\n" % i for i in range(6000))),
}
SHIM = ("plain", "empty body", "blank lines", "dots", "8-bit", "folded", "bare minimum", "sent by the shim", "large")
SIGNED = [b"from", b"to", b"subject", b"date", b"message-id", b"x-folded", b"x-long", b"x-very", b"x-same", b"x-empty", b"x-blank", b"references",
          b"reply-to", b"content-type"]


@pytest.fixture(scope="module")
def key():
    d = work_dir("dkim-")
    subprocess.run(["openssl", "genrsa", "-traditional", "-out", d / "key", "2048"], check=True, capture_output=True)
    public = subprocess.run(["openssl", "rsa", "-in", d / "key", "-pubout", "-outform", "DER"], check=True, capture_output=True).stdout
    private = (d / "key").read_bytes()
    (d / "key").unlink()
    d.rmdir()
    record = b"v=DKIM1; k=rsa; p=" + base64.b64encode(public)
    return private, lambda name, timeout=5: record


@pytest.fixture(scope="module")
def relay():
    plain, chunk = Sink(), Sink(ehlo=("PIPELINING", "8BITMIME", "CHUNKING", "SMTPUTF8"))
    d = Daemon(f"transport a {{ smarthost 127.0.0.1:{plain.port} }}\ntransport b {{ smarthost 127.0.0.1:{chunk.port} }}\nroute to chunk.test via b\nroute via a\n")
    d.start()
    d.sinks = plain, chunk
    yield d
    status = d.stop()
    d.remove()
    plain.stop()
    chunk.stop()
    assert status == 0


def signed(name, header, body, key):
    head, text = MESSAGES[name]
    message = (head % name.replace(" ", "-").encode() if b"%s" in head else head) + b"\r\n" + text
    there = [h for h in SIGNED if re.search(rb"(?mi)^" + re.escape(h) + rb"[ \t]*:", message.split(b"\r\n\r\n")[0])]
    # signed once more than they are there: whoever adds one breaks the signature
    there += [b"from", b"to", b"subject", b"date", b"message-id", b"reply-to"]
    out = dkim.sign(message, b"sel", b"signed.test", key[0], canonicalize=(header, body), include_headers=there) + message
    assert dkim.verify(out, dnsfunc=key[1]), "does not even verify before the relay"
    return out


def ways(relay, name, data, mark):
    """Hands it over in every way; {recipient: way}."""
    c = Client(relay.port)
    sent = {}
    for domain in ("plain", "chunk"):
        for way in ("mail", "bdat"):
            to = f"{mark}-{way}@{domain}.test"
            assert getattr(c, way)("s@signed.test", [to], data, params=" BODY=8BITMIME")[0] == 250
            sent[to] = way
    c.quit()
    if name in SHIM:
        to = f"{mark}-shim@plain.test"
        r = relay.sendmail("-i", "-f", "s@signed.test", to, input=data.replace(b"\r\n", b"\n"))
        assert r.returncode == 0, r.stderr
        sent[to] = "shim"
    return sent


@pytest.mark.parametrize("name", MESSAGES)
def test_a_signature_survives(relay, key, name):
    want = {}
    for header in (b"relaxed", b"simple"):
        for body in (b"relaxed", b"simple"):
            data = signed(name, header, body, key)
            mark = f"{list(MESSAGES).index(name)}-{header.decode()}-{body.decode()}"
            want.update((to, (way, data)) for to, way in ways(relay, name, data, mark).items())

    def got():
        return {r: m for s in relay.sinks for m in list(s.messages) for r in m.rcpts if r in want}
    assert until(lambda: len(got()) == len(want), 15)
    for to, m in got().items():
        way, data = want[to]
        assert m.data.endswith(data), f"{to}: changed"
        assert dkim.verify(m.data, dnsfunc=key[1]), f"{to}: the signature is broken"
        added = re.sub(rb"\r\n[ \t]+", b" ", m.data[:-len(data)])
        assert re.fullmatch(rb"Received: [^\r\n]+\r\n", added), f"{to}: {added!r}"
