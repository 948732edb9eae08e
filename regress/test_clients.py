"""What people really send with gets through, each message once."""
import os
import shutil
import smtplib
import subprocess
from email.message import EmailMessage

import pytest

from harness.client import Client
from harness.daemon import BIN, Daemon, until
from harness.sink import Sink


def needs(program, *perl):
    path = shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/lib/git-core")
    modules = all(subprocess.run(["/usr/bin/perl", f"-M{m}", "-e1"], stderr=subprocess.DEVNULL).returncode == 0 for m in perl if path)
    return pytest.mark.skipif(path is None or not modules, reason=f"{program} is not installed")


class Way:
    """One daemon for all clients, and how to look for what they sent."""

    def __init__(self, tmp):
        self.sink = Sink(ehlo=("PIPELINING", "SIZE 104857600", "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES"))
        self.d = Daemon(f"transport up {{ smarthost 127.0.0.1:{self.sink.port} }}\nroute via up\n"
                        "listen 127.0.0.1:{port} { allow 127.0.0.0/8 }\n").start()
        self.port, self.tmp, self.n = self.d.port, tmp, 0
        shim = tmp / "sendmail"
        shim.write_text(f"#!/bin/sh\nexec {BIN}/smarthost-sendmail -C {self.d.conf} \"$@\"\n")
        shim.chmod(0o755)
        self.shim = shim
        self.env = {**self.d.environment(), "HOME": str(tmp), "GIT_CONFIG_NOSYSTEM": "1", "EMAIL": "s@here.test", "LC_ALL": "C.UTF-8"}

    def to(self):
        self.n += 1
        return f"r{self.n}@there.test"

    def run(self, *argv, input=b"", status=0):
        r = subprocess.run([str(a) for a in argv], input=input, capture_output=True, timeout=40, env=self.env, cwd=self.tmp)
        assert r.returncode == status, (argv[0], r.returncode, r.stdout[-500:], r.stderr[-500:])
        return r

    def got(self, to):
        assert until(lambda: self.sink.to(to), 10), f"nothing came to {to}"
        m, = self.sink.to(to)
        return m


@pytest.fixture(scope="module")
def way(tmp_path_factory):
    w = Way(tmp_path_factory.mktemp("clients"))
    yield w
    print(w.d.log[-20000:])
    status = w.d.stop()
    w.d.remove()
    w.sink.stop()
    assert status == 0


TEXT = b"From: s@here.test\nTo: r@there.test\nSubject: x\n\nbody\n.\n..dots\n"
OUT = b"\r\n\r\nbody\r\n.\r\n..dots\r\n"


@needs("swaks")
@pytest.mark.parametrize("options", [[], ["--pipeline"], ["--protocol", "SMTP"], ["--attach", "@/etc/hostname", "--body", "text\n.\nmore"]], ids=" ".join)
def test_swaks(way, options):
    to = way.to()
    way.run("swaks", "--server", "127.0.0.1", "--port", way.port, "--from", "s@here.test", "--to", to, "--timeout", "20", *options)
    m = way.got(to)
    assert m.mail_from == "s@here.test" and (b"\r\n.\r\nmore" in m.data) == ("--body" in options)


@needs("swaks")
def test_swaks_with_five_recipients(way):
    rcpts = [way.to() for _ in range(5)]
    way.run("swaks", "--server", "127.0.0.1", "--port", way.port, "--from", "s@here.test", "--to", ",".join(rcpts), "--timeout", "20")
    assert way.got(rcpts[0]).rcpts == rcpts


@needs("curl")
@pytest.mark.parametrize("name", ["", "/me.test"])
def test_curl(way, name):
    to = way.to()
    way.run("curl", "-sS", "--max-time", "20", f"smtp://127.0.0.1:{way.port}{name}", "--mail-from", "s@here.test", "--mail-rcpt", to, "-T", "-",
            input=TEXT.replace(b"\n", b"\r\n"))
    assert way.got(to).data.endswith(OUT)


@needs("msmtp")
def test_msmtp(way):
    to = way.to()
    rc = way.tmp / "msmtprc"
    rc.write_text(f"defaults\nlogfile -\nauth off\ntls off\naccount default\nhost 127.0.0.1\nport {way.port}\nfrom s@here.test\n")
    rc.chmod(0o600)
    way.run("msmtp", "-C", rc, "--", to, input=TEXT)
    assert way.got(to).data.endswith(OUT)


PATCH = b"""From 0123456789012345678901234567890123456789 Mon Sep 17 00:00:00 2001
From: S <s@here.test>
Date: Fri, 20 Nov 2026 04:05:06 +0000
Subject: [PATCH] x

---
 f | 1 +

diff --git a/f b/f
--- a/f
+++ b/f
@@ -0,0 +1 @@
+.
--
2.0
"""


@needs("git-send-email", "Mail::Address")
@pytest.mark.parametrize("by", ["smtp", "shim"])
def test_git_send_email(way, by):
    to = way.to()
    patch = way.tmp / "0001-x.patch"
    patch.write_bytes(PATCH)
    how = ["--smtp-server=127.0.0.1", f"--smtp-server-port={way.port}"] if by == "smtp" else [f"--smtp-server={way.shim}"]
    way.run("git", "send-email", "--quiet", "--confirm=never", "--from=s@here.test", f"--to={to}", "--suppress-cc=all", *how, patch)
    m = way.got(to)
    assert b"\r\n+.\r\n--\r\n" in m.data and b"Subject: [PATCH] x\r\n" in m.data


@needs("s-nail")
@pytest.mark.parametrize("by", ["smtp", "shim"])
def test_s_nail(way, by):
    to = way.to()
    mta = f"smtp://127.0.0.1:{way.port}" if by == "smtp" else f"file://{way.shim}"
    way.run("s-nail", "-:/", "-Sv15-compat", "-S", f"mta={mta}", "-S", "smtp-auth=none", "-S", "from=s@here.test", "-S", "sendwait", "-s", "x", to,
            input="Grüße\nbody\n".encode())
    assert b"\r\nFrom: s@here.test\r\n" in way.got(to).data


@pytest.mark.parametrize("text", ["body\n.\nplain\n", "Grüße\n"])
def test_pythons_smtplib(way, text):
    to = way.to()
    m = EmailMessage()
    m["From"], m["To"], m["Subject"] = "s@here.test", to, "x"
    m.set_content(text)
    with smtplib.SMTP("127.0.0.1", way.port, timeout=20) as s:
        s.send_message(m)
    assert b"Subject: x\r\n" in way.got(to).data


def test_pythons_smtplib_with_an_international_address(way):
    m = EmailMessage()
    m["From"], m["To"], m["Subject"] = "s@here.test", "grüße@there.test", "x"
    m.set_content("x\n")
    with smtplib.SMTP("127.0.0.1", way.port, timeout=20) as s:
        s.send_message(m)
    assert "SMTPUTF8" in way.got("grüße@there.test").params


@needs("perl")
def test_perls_net_smtp(way):
    to = way.to()
    way.run("perl", "-e", "use Net::SMTP; my $s = Net::SMTP->new('127.0.0.1', Port => $ARGV[0], Timeout => 20) or die; $s->mail('s@here.test') or die;"
            " $s->to($ARGV[1]) or die; $s->data(\"Subject: x\\n\\nbody\\n.dot\\n\") or die; $s->quit;", way.port, to)
    assert way.got(to).data.endswith(b"\r\n\r\nbody\r\n.dot\r\n")


@needs("perl")
def test_perls_mail_mailer_calls_sendmail_as_programs_did_for_decades(way):
    to = way.to()
    way.run("perl", "-e", "open(my $m, '|-', $ARGV[0], '-oi', '-oem', '-t') or die; print $m \"From: s\\@here.test\\nTo: $ARGV[1]\\n"
            "Subject: x\\n\\nbody\\n.\\nmore\\n\"; close($m) or die \"status $?\";", way.shim, to)
    assert way.got(to).data.endswith(b"\r\n\r\nbody\r\n.\r\nmore\r\n")


DEVICES = {
    "HELO": ["HELO printer", "MAIL FROM:<s@here.test>", "RCPT TO:<{}>", "DATA"],
    "blanks behind the colon": ["helo printer", "MAIL FROM: <s@here.test>", "RCPT TO: <{}>", "DATA"],
    "lower case": ["ehlo printer", "mail from:<s@here.test>", "rcpt to:<{}>", "data"],
    "a strange name": ["HELO Printer_2 (floor 3)", "MAIL FROM:<s@here.test>", "RCPT TO:<{}>", "DATA"],
    "NOOP and RSET": ["EHLO [192.0.2.1]", "NOOP", "RSET", "MAIL FROM:<s@here.test> SIZE=300", "RCPT TO:<{}>", "DATA"],
    "blanks at the end": ["HELO printer ", "MAIL FROM:<s@here.test> ", "RCPT TO:<{}>  ", "DATA "],
    "no brackets": ["HELO printer", "MAIL FROM:s@here.test", "RCPT TO:{}", "DATA"],
}


@pytest.mark.parametrize("name", DEVICES)
def test_old_devices(way, name):
    to = way.to()
    c = Client(way.port, hello=False)
    for line in DEVICES[name]:
        code, text = c.cmd(line.format(to))
        assert code in (250, 354), (line, code, text)
    c.send(b"From: s@here.test\r\nSubject: scan\r\n\r\nbody\r\n.\r\n")
    assert c.reply()[0] == 250
    c.quit()
    assert way.got(to).data.endswith(b"Subject: scan\r\n\r\nbody\r\n")
