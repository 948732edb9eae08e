"""Names and passwords beyond ASCII, in both directions, with GNU SASL, which prepares them by SASLprep (RFC 4013), and
with Dovecot and Cyrus SASL, which do not."""
import asyncio
import base64
import os
import re
import subprocess

import pytest

from harness.daemon import until
from harness.submission import Dovecot
from test_auth_mechanisms import Choosy, Secure, b64, ca, context, cyrus, listening, made, needs, needs_dovecot, out, to_up, waits  # noqa: F401

GREEN = "gr\u00fcn\u20ac"               # its own form
DECOMPOSED = "gru\u0308n\u20ac"         # the same, to whoever prepares it
NINE = "\u2168 + \u00a0a"               # other characters, once prepared
NINE_PREPARED = "IX +  a"
LOCALE = {**os.environ, "LC_ALL": "C.UTF-8"}


# ---- who logs in to us

@needs("gsasl")
@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256-PLUS", "SCRAM-SHA-1-PLUS"])
@pytest.mark.parametrize("typed", [GREEN, DECOMPOSED])
def test_gsasl_in_whatever_form(daemon, sink, ca, mechanism, typed):   # noqa: F811
    d = listening(daemon, sink, ca, f'login j\u00f6rg {{ password "{GREEN}" }}\nlogin nine {{ password "{NINE}" }}')
    for name, password, good in (("jo\u0308rg", typed, True), ("nine", NINE, True), ("nine", NINE_PREPARED, True), ("nine", "ix +  a", False)):
        run = ["gsasl", "--smtp", "--x509-ca-file", str(ca.file), "--mechanism", mechanism, "--authentication-id", name, "--password", password, "localhost", str(d.port)]
        r = subprocess.run(run, input="", capture_output=True, text=True, timeout=30, env=LOCALE)
        assert (r.returncode == 0) == good, r.stdout + r.stderr
    # whatever form the name came in, it is the one of the configuration
    assert d.events("auth", result="ok", login="j\u00f6rg")


@needs("msmtp")
@pytest.mark.parametrize("method", ["scram-sha-256", "plain", "cram-md5"])
def test_msmtp(daemon, sink, ca, method):   # noqa: F811
    d = listening(daemon, sink, ca, f'login scanner {{ password "{GREEN}" }}', "auth-mechanisms SCRAM-SHA-256 PLAIN CRAM-MD5")
    f = d.dir / "msmtprc"
    f.write_text(f"defaults\nlogfile -\naccount default\nhost localhost\nfrom s@here.test\nport {d.port}\nauth {method}\nuser scanner\n"
                 f'password "{GREEN}"\ntls on\ntls_starttls on\ntls_trust_file {ca.file}\n')
    f.chmod(0o600)
    r = subprocess.run(["msmtp", "-C", f, "--", "to@there.test"], input=b"Subject: x\n\nhi\n", capture_output=True, timeout=30, env=LOCALE)
    assert r.returncode == 0, r.stderr
    assert until(lambda: d.sink.messages, 10)


def test_a_client_that_does_not_prepare(daemon, sink, ca):   # noqa: F811
    d = listening(daemon, sink, ca, f'login nine {{ password "{NINE}" }}')
    for password, good in ((NINE, True), (NINE_PREPARED, True), ("IX", False)):
        c = Secure(d.port, context(ca))
        assert c.scram("SCRAM-SHA-256", "nine", password) == ((235, True) if good else (535, None))
        c.quit()


def test_passwd_prepares(daemon, sink, ca):   # noqa: F811
    d = listening(daemon, sink, ca, "login x { password x }")
    hash = made(d, "nine", NINE)
    r = d.relayctl("passwd", "odd", input="a\tb\n")
    assert r.returncode == 0 and "control characters" in r.stderr
    d.stop()
    d.conf.write_text(d.conf.read_text() + f'login nine {{ password hash "{hash}" }}\nlogin odd {{ password hash "{r.stdout.strip()}" }}\n')
    d.start()
    c = Secure(d.port, context(ca))
    assert c.scram("SCRAM-SHA-256", "nine", NINE_PREPARED) == (235, True)
    c.quit()
    for name, password in (("nine", NINE), ("nine", NINE_PREPARED), ("odd", "a\tb")):
        c = Secure(d.port, context(ca))
        assert c.cmd("AUTH PLAIN " + b64(f"\0{name}\0{password}"))[0] == 235
        c.quit()


# ---- where we log in

class GnuSasl(Choosy):
    """Its logins are checked by `gsasl --server`."""

    async def _auth(self, reader, writer, arg):
        mechanism, _, text = arg.partition(" ")
        p = await asyncio.create_subprocess_exec("gsasl", "--server", "--no-cb", "--mechanism", mechanism, "--password", self.users["scanner"], env=LOCALE,
                                                 stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        try:
            p.stdin.write(text.encode() + b"\n")
            if mechanism == "PLAIN":        # then it asks for a property that it does without
                await p.communicate(b"\n\n")
                return ("scanner", mechanism, None) if p.returncode == 0 else None
            while said := await asyncio.wait_for(p.stdout.readline(), 10):
                if not re.fullmatch(rb"[A-Za-z0-9+/=]{20,}\n", said):
                    continue
                writer.write(b"334 " + said.strip() + b"\r\n")
                answer = await reader.line()
                if base64.b64decode(said).startswith(b"v="):
                    return ("scanner", mechanism, None)
                p.stdin.write(answer + b"\n")
            return None
        finally:
            if p.returncode is None:
                p.kill()
                await p.wait()


@pytest.fixture
def gnusasl(ca):    # noqa: F811
    servers = []

    def make(mechanisms, password):
        servers.append(GnuSasl(mechanisms, {"scanner": password}, tls=ca.server("localhost", "127.0.0.1", file=f"gnusasl{len(servers)}")))
        return servers[-1]
    yield make
    for s in servers:
        s.stop()
    assert not [e for s in servers for e in s.errors]


@needs("gsasl")
@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-1"])
@pytest.mark.parametrize("ours,theirs", [(GREEN, GREEN), (DECOMPOSED, GREEN), (NINE, NINE), (NINE, NINE_PREPARED)])
def test_gsasl_as_server(daemon, gnusasl, ca, mechanism, ours, theirs):     # noqa: F811
    s = gnusasl(mechanism, theirs)
    d = daemon(to_up(s.port, ca, password=ours))
    out(d)
    assert until(lambda: s.messages, 15), d.log[-3000:]


# Dovecot 2.3 and Cyrus SASL 2.1.28 hash the password as it is.  What SASLprep leaves as it is works everywhere; what it
# changes works with PLAIN.  With SCRAM it does not, as the RFC wants of us what they do not do: the account waits.
ASIS = [("PLAIN", GREEN, True), ("SCRAM-SHA-256", GREEN, True), ("PLAIN", NINE, True), ("SCRAM-SHA-256", NINE, False)]


@needs_dovecot
@pytest.mark.parametrize("mechanism,password,good", ASIS)
def test_dovecot(daemon, sink, ca, mechanism, password, good):     # noqa: F811
    s = sink(ehlo=("PIPELINING", "8BITMIME", "ENHANCEDSTATUSCODES", "XCLIENT ADDR PORT PROTO HELO LOGIN"))
    v = Dovecot(s.port, ca.pair, {"scanner": password}, mechanism.lower())
    try:
        d = daemon(to_up(v.port, ca, password=password))
        out(d)
        if good:
            assert until(lambda: s.messages, 15), v.said + d.log[-3000:]
        else:
            waits(d, "AUTH")
    finally:
        v.stop()


@pytest.mark.parametrize("mechanism,password,good", ASIS)
def test_cyrus(daemon, ca, cyrus, mechanism, password, good):       # noqa: F811
    sasldb = cyrus.dir / "etc" / "sasl" / "sasldb2"
    name = f"{mechanism[:5]}{len(password)}".lower()
    subprocess.run(["/usr/sbin/saslpasswd2", "-p", "-c", "-u", "localhost", "-f", sasldb, name], input=password.encode(), check=True)
    d = daemon(to_up(cyrus.port, ca, f"auth-mechanisms {mechanism}", user=name, password=password))
    out(d)
    if good:
        assert until(lambda: f"sasl_username={name}" in cyrus.text(), 15), cyrus.text()[-2000:] + d.log[-3000:]
        assert d.wait_empty()
    else:
        waits(d, "AUTH")
