"""TLS and logins of those who send to us: real clients, old ones, and such that end it the wrong way."""
import base64
import contextlib
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import warnings

import pytest

from harness.client import Client, message, stuffed
from harness.daemon import BIN, check, free_port, until

USER, PASSWORD = "scanner", "pa ss-W:1%="


@pytest.fixture(scope="module")
def ca(ca):
    ca.pair = ca.cert("localhost", "127.0.0.1", file="listener", rsa=True)
    return ca


def upstream(s):
    return f"transport up {{ smarthost 127.0.0.1:{s.port} }}\nroute via up\n"


def needs(program):
    return pytest.mark.skipif(shutil.which(program) is None, reason=f"{program} is not installed")


def any_server(low=None, high=None, old=False):
    """A client that verifies nothing."""
    ctx = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    ctx.check_hostname, ctx.verify_mode = False, ssl.CERT_NONE
    if old:
        ctx.set_ciphers("DEFAULT:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")         # of the old versions, which are the point here
        ctx.minimum_version = low or ssl.TLSVersion.TLSv1_2
        ctx.maximum_version = high or ssl.TLSVersion.TLSv1_3
    return ctx


class Secure(Client):
    """A client whose end of input is an error unless TLS was ended in order."""

    def __init__(self, port, ctx, name="localhost", starttls=True, session=None, source=None):
        if starttls:
            super().__init__(port, source=source)
            assert self.cmd("STARTTLS")[0] == 220
            self._wrap(ctx, name, session)
        else:
            self.sock = socket.create_connection(("127.0.0.1", port), 30, (source, 0) if source else None)
            self.buf, self.caps = b"", {}
            self._wrap(ctx, name, session)
            self.greeting = self.reply()
        self.ehlo()

    def _wrap(self, ctx, name, session):
        self.sock = ctx.wrap_socket(self.sock, server_hostname=name, suppress_ragged_eofs=False, session=session)

    def served(self):
        return self.sock.getpeercert(binary_form=True)


def script(path, *lines):
    path.write_text("\n".join(["#!/bin/sh", *lines, ""]))
    path.chmod(0o755)


def plain(name, password):
    return "AUTH PLAIN " + base64.b64encode(f"\0{name}\0{password}".encode()).decode()


# versions, names, sessions

@pytest.fixture(params=["starttls", "implicit"])
def secured(request, daemon, sink, ca):
    """A listener with TLS from the first octet on, or by STARTTLS."""
    crt, key = ca.pair
    s = sink()
    d = daemon(upstream(s) + f"listen 127.0.0.1:{{port}} {{ tls {request.param}; certificate {crt} key {key}; allow 127.0.0.0/8 }}\n")
    d.sink, d.starttls = s, request.param == "starttls"
    return d


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["1.2", "1.3"])
def test_both_versions_are_spoken(secured, ca, version):
    ctx = ca.client()
    ctx.minimum_version = ctx.maximum_version = version
    c = Secure(secured.port, ctx, starttls=secured.starttls)
    assert c.mail("from@here.test", ["to@there.test"], message("m", body=b"x" * 70 + b"\r\n"))[0] == 250
    c.quit()
    assert until(lambda: secured.sink.messages, 8)
    name = {ssl.TLSVersion.TLSv1_2: "TLSv1.2", ssl.TLSVersion.TLSv1_3: "TLSv1.3"}[version]
    assert name.encode() in secured.sink.messages[0].data.split(b"X-Test-Id")[0]
    assert b" with ESMTPS " in secured.sink.messages[0].data


@pytest.mark.parametrize("old", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1], ids=["1.0", "1.1"])
def test_older_versions_are_not(secured, old):
    with pytest.raises((ssl.SSLError, OSError)):
        Secure(secured.port, any_server(old, old, old=True), starttls=secured.starttls)
    # and that is nobody else's business
    Secure(secured.port, any_server(), starttls=secured.starttls).quit()


@pytest.mark.parametrize("name", ["localhost", "printer.local", "a" * 60 + ".test", None])
def test_whatever_name_a_client_asks_for_it_is_served(secured, name):
    c = Secure(secured.port, any_server(), name=name, starttls=secured.starttls)
    assert c.cmd("NOOP")[0] == 250
    c.quit()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["1.2", "1.3"])
def test_a_session_is_resumed(secured, version):
    ctx = any_server(version, version)
    first = Secure(secured.port, ctx, starttls=secured.starttls)
    assert first.cmd("NOOP")[0] == 250
    ticket = first.sock.session
    first.quit()
    again = Secure(secured.port, ctx, starttls=secured.starttls, session=ticket)
    assert not first.sock.session_reused and again.sock.session_reused
    assert again.mail("from@here.test", ["to@there.test"], message("m"))[0] == 250
    again.quit()


def test_both_ends_say_that_they_end(secured):
    c = Secure(secured.port, any_server(), starttls=secured.starttls)
    assert c.cmd("QUIT")[0] == 221
    assert c.sock.recv(100) == b""          # without close_notify this would be an error
    c.close()
    # a client that ends TLS first is answered alike
    c = Secure(secured.port, any_server(), starttls=secured.starttls)
    c.sock.unwrap().close()
    # and one that simply goes away does not matter
    c = Secure(secured.port, any_server(), starttls=secured.starttls)
    c.close()
    assert until(lambda: len(secured.events("disconnect")) == 3, 8)
    assert not secured.events(level="error") and not secured.events(level="warn", role="listener")


@pytest.mark.parametrize("end", ["close_notify", "reset"])
def test_a_message_that_is_cut_off_is_none(secured, end):
    c = Secure(secured.port, any_server(), starttls=secured.starttls)
    for line in ("MAIL FROM:<from@here.test>", "RCPT TO:<to@there.test>", "DATA"):
        assert c.cmd(line)[0] in (250, 354)
    c.send(stuffed(message("m")) + b".\r")
    if end == "close_notify":
        c.sock.setblocking(False)
        with contextlib.suppress(ssl.SSLError, OSError):        # it need not be answered
            c.sock.unwrap()
    c.close()
    c = Secure(secured.port, any_server(), starttls=secured.starttls)
    assert c.mail("from@here.test", ["to@there.test"], message("n"))[0] == 250
    c.quit()
    assert until(lambda: secured.sink.messages, 8)
    assert [m.data.count(b"X-Test-Id: n") for m in secured.sink.messages] == [1] and not secured.events("received", id="m")


def test_records_of_any_size_make_one_message(secured):
    body = b"".join(b"line %07d of many\r\n" % i for i in range(20000))
    c = Secure(secured.port, any_server(), starttls=secured.starttls)
    for line in ("MAIL FROM:<from@here.test>", "RCPT TO:<to@there.test>", "DATA"):
        assert c.cmd(line)[0] in (250, 354)
    data = stuffed(message("m", body=body)) + b".\r\n"
    at = 0
    for size in (1, 2, 3, 16383, 16384, 16385, 100000, len(data)):
        c.send(data[at:at + size])
        at += size
    assert c.reply()[0] == 250
    c.quit()
    assert until(lambda: secured.sink.messages, 8)
    assert secured.sink.messages[0].data.endswith(message("m", body=body))


# what a listener demands

def test_an_old_device_may_where_its_block_says_so(daemon, sink, ca):
    crt, key = ca.pair
    s = sink()
    d = daemon(upstream(s) + f"listen 127.0.0.1:{{port}} {{ tls starttls; certificate {crt} key {key}; allow 127.0.0.0/8 }}\n"
               "client 127.0.0.9 { min-tls 1.0 }\nclient 127.0.0.8 { min-tls 1.1 }\nclient 127.0.0.7 { min-tls 1.3 }\n")
    versions = [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1, ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]
    for source, lowest in (("127.0.0.9", 0), ("127.0.0.8", 1), ("127.0.0.1", 2), ("127.0.0.7", 3)):
        for i, version in enumerate(versions):
            ctx = any_server(version, version, old=True)
            if i < lowest:
                with pytest.raises((ssl.SSLError, OSError)):
                    Secure(d.port, ctx, source=source)
            else:
                c = Secure(d.port, ctx, source=source)
                assert c.mail("from@here.test", ["to@there.test"], message(f"{source}-{i}"))[0] == 250
                c.quit()
    assert until(lambda: len(s.messages) == 4 + 3 + 2 + 1, 8)


def test_a_listener_may_want_the_newest(daemon, ca):
    crt, key = ca.pair
    d = daemon(f"listen 127.0.0.1:{{port}} {{ min-tls 1.3; certificate {crt} key {key} }}\n")
    with pytest.raises((ssl.SSLError, OSError)):
        Secure(d.port, any_server(high=ssl.TLSVersion.TLSv1_2))
    Secure(d.port, any_server()).quit()


@pytest.fixture
def logins(daemon, sink, ca):
    """Listeners with logins whose passwords come in all ways that there are."""
    crt, key = ca.pair
    s = sink()
    ports = {n: free_port() for n in ("optional", "required", "auth", "never", "clear")}
    crypted = subprocess.run(["openssl", "passwd", "-6", PASSWORD], check=True, capture_output=True, text=True).stdout.strip()
    stored = subprocess.run([BIN / "relayctl", "passwd", "stored"], input=PASSWORD + "\n", check=True, capture_output=True, text=True).stdout.strip()
    stored = re.search(r"SCRAM-SHA-256\S+", stored).group().rstrip('";')
    tls = f"certificate {crt} key {key}; allow 127.0.0.0/8"
    d = daemon(upstream(s) + f"""
listen 127.0.0.1:{ports['optional']} {{ {tls} }}
listen 127.0.0.1:{ports['required']} {{ tls required; {tls} }}
listen 127.0.0.1:{ports['auth']} {{ auth required; {tls} }}
listen 127.0.0.1:{ports['never']} {{ auth required; auth-without-tls off; {tls} }}
listen 127.0.0.1:{ports['clear']} {{ auth required; auth-without-tls on; allow 127.0.0.0/8 }}
login value {{ password "{PASSWORD}" }}
login file {{ password file {{dir}}/pw }}
login crypt {{ password hash "{crypted}" }}
login stored {{ password hash "{stored}" }}
login command {{ password command "{{dir}}/show 'one argument'" }}
login gone {{ password command "false" }}
""", start=False, listen=False)
    (d.dir / "pw").write_text(PASSWORD + "\r\nmore\n")
    (d.dir / "pw").chmod(0o600)
    d.runs = d.dir / "runs"
    d.runs.touch()
    d.runs.chmod(0o666)
    script(d.dir / "show", f"echo \"$#\" >> {d.runs}", "echo 'a remark' >&2", f"printf '%s\\n%s\\n' '{PASSWORD}' 'second line'")
    d.start()
    d.sink, d.ports = s, ports
    return d


WAYS = ["value", "file", "crypt", "stored", "command"]


@pytest.mark.parametrize("name", WAYS)
@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
def test_logins_by_every_kind_of_secret(logins, ca, name, mechanism):
    c = Secure(logins.ports["auth"], ca.client())
    if mechanism == "PLAIN":
        assert c.cmd(plain(name, PASSWORD))[0] == 235
    else:
        assert c.cmd("AUTH LOGIN " + base64.b64encode(name.encode()).decode())[0] == 334
        assert c.cmd(base64.b64encode(PASSWORD.encode()).decode())[0] == 235
    assert c.mail("from@here.test", ["to@there.test"], message("m"))[0] == 250
    c.quit()
    assert until(lambda: logins.sink.messages, 8)
    assert b" with ESMTPSA " in logins.sink.messages[0].data
    assert logins.wait_event("auth", login=name, result="ok")
    assert PASSWORD not in logins.log


def test_wrong_passwords_of_every_kind_are_refused(logins, ca):
    n = 0
    for name in WAYS + ["gone", "nobody"]:
        for wrong in ("geheim", PASSWORD + "x", PASSWORD[:-1], "false", "one argument"):
            # each from elsewhere: who fails again and again waits ever longer
            n += 1
            c = Secure(logins.ports["auth"], ca.client(), source=f"127.0.1.{n}")
            assert c.cmd(plain(name, wrong))[0] == 535, (name, wrong)
            assert c.cmd("MAIL FROM:<from@here.test>")[0] == 530
            c.close()
    assert len(logins.events("auth", result="refused")) == n
    for secret in ("geheim", PASSWORD[:-1], base64.b64encode(b"\0value\0geheim").decode()):
        assert secret not in logins.log
    # whose command fails cannot log in, and the log says why
    assert "false ended with status 1" in logins.events("secret", login="gone")[0]["text"]


def test_the_command_of_a_login_is_not_run_for_each_one(logins, ca):
    for _ in range(5):
        c = Secure(logins.ports["auth"], ca.client())
        assert c.cmd(plain("command", PASSWORD))[0] == 235
        c.quit()
    assert logins.runs.read_text() == "1\n"         # argument, not two


def test_before_tls_nothing_is_offered_where_it_is_required(logins):
    c = Client(logins.ports["required"])
    assert "STARTTLS" in c.caps and "AUTH" not in c.caps
    assert c.cmd("MAIL FROM:<from@here.test>") == (530, "5.7.0 Issue a STARTTLS command first")
    assert c.cmd(plain("value", PASSWORD))[:1] == (530,)
    for harmless in ("NOOP", "RSET", "EHLO again"):
        assert c.cmd(harmless)[0] == 250
    c.quit()


def test_a_password_in_the_clear_is_taken_where_that_was_allowed(logins):
    c = Client(logins.ports["clear"])
    assert "AUTH" in c.caps and c.cmd(plain("value", PASSWORD))[0] == 235
    assert c.mail("from@here.test", ["to@there.test"], message("m"))[0] == 250
    c.quit()
    c = Client(logins.ports["auth"])        # this machine's own: nobody listens on loopback
    assert "AUTH" in c.caps and c.cmd(plain("value", PASSWORD))[0] == 235
    c.quit()
    c = Client(logins.ports["never"])
    assert "AUTH" not in c.caps
    code, text = c.cmd(plain("value", PASSWORD))
    assert (code, text[:6]) == (538, "5.7.11")
    assert c.cmd("MAIL FROM:<from@here.test>")[0] == 530
    c.quit()


def test_what_was_said_in_the_clear_is_forgotten(logins, ca):
    c = Client(logins.ports["auth"])
    c.ehlo("liar.test")
    assert c.cmd(plain("value", PASSWORD))[0] == 235
    assert c.cmd("MAIL FROM:<from@here.test>")[0] == 250 and c.cmd("RSET")[0] == 250
    assert c.cmd("STARTTLS")[0] == 220
    c.sock = ca.client().wrap_socket(c.sock, server_hostname="localhost")
    assert c.cmd("MAIL FROM:<from@here.test>")[0] == 503        # no greeting yet
    assert c.cmd(plain("value", PASSWORD))[0] == 503
    c.ehlo("honest.test")
    assert c.cmd("MAIL FROM:<from@here.test>")[0] == 530        # nor a login
    assert c.cmd(plain("file", PASSWORD))[0] == 235
    assert c.mail("from@here.test", ["to@there.test"], message("m"))[0] == 250
    c.quit()
    assert until(lambda: logins.sink.messages, 8)
    trace = logins.sink.messages[0].data.split(b"X-Test-Id")[0]
    assert b"honest.test" in trace and b"liar.test" not in trace


@pytest.mark.parametrize("behind", ["MAIL FROM:<x@y.test>\r\n", "\0", "EHLO x\r\n" * 1000, "\x16\x03\x01"])
def test_plaintext_behind_starttls_closes(logins, behind):
    c = Client(logins.ports["optional"])
    c.send("STARTTLS\r\n" + behind)
    assert c.closed()
    assert logins.wait_event("rejected", reason="starttls")
    assert not logins.events("received")


# programs that people use

CLIENTS = {
    "swaks STARTTLS": ["swaks", "--server", "127.0.0.1", "--port", "{optional}", "--from", "s@here.test", "--to", "{to}", "--tls", "--tls-ca-path", "{ca}",
                       "--tls-verify", "--timeout", "20"],
    "swaks AUTH PLAIN": ["swaks", "--server", "127.0.0.1", "--port", "{auth}", "--from", "s@here.test", "--to", "{to}", "--tls", "--auth", "PLAIN",
                         "--auth-user", "value", "--auth-password", PASSWORD, "--timeout", "20"],
    "swaks AUTH LOGIN": ["swaks", "--server", "127.0.0.1", "--port", "{auth}", "--from", "s@here.test", "--to", "{to}", "--tls", "--auth", "LOGIN",
                         "--auth-user", "crypt", "--auth-password", PASSWORD, "--timeout", "20"],
    "curl STARTTLS": ["curl", "-sS", "--max-time", "20", "--ssl-reqd", "--cacert", "{ca}", "smtp://localhost:{optional}", "--mail-from", "s@here.test",
                      "--mail-rcpt", "{to}", "-T", "-"],
    "curl AUTH": ["curl", "-sS", "--max-time", "20", "--ssl-reqd", "--cacert", "{ca}", "-u", "stored:" + PASSWORD, "smtp://localhost:{auth}", "--mail-from",
                  "s@here.test", "--mail-rcpt", "{to}", "-T", "-"],
    "curl AUTH=LOGIN": ["curl", "-sS", "--max-time", "20", "--ssl-reqd", "--cacert", "{ca}", "-u", "file:" + PASSWORD, "--login-options", "AUTH=LOGIN",
                        "smtp://localhost:{auth}", "--mail-from", "s@here.test", "--mail-rcpt", "{to}", "-T", "-"],
    "git send-email": ["git", "send-email", "--quiet", "--confirm=never", "--from=s@here.test", "--to={to}", "--suppress-cc=all", "--smtp-server=localhost",
                       "--smtp-server-port={auth}", "--smtp-encryption=tls", "--smtp-ssl-cert-path={ca}", "--smtp-user=value", "--smtp-pass=" + PASSWORD,
                       "--smtp-auth=PLAIN LOGIN", "{patch}"],
    "perl Net::SMTP": ["/usr/bin/perl", "-e", "use Net::SMTP; my $s = Net::SMTP->new('localhost', Port => $ARGV[0], Timeout => 20) or die;"
                       " $s->starttls(SSL_ca_file => $ARGV[2]) or die; $s->auth('file', $ARGV[3]) or die; $s->mail('s@here.test') or die; $s->to($ARGV[1]) or die;"
                       " $s->data(\"Subject: x\\n\\nbody\\n\") or die; $s->quit;", "{auth}", "{to}", "{ca}", PASSWORD],
    "msmtp STARTTLS": ["msmtp", "--host=localhost", "--port={optional}", "--tls=on", "--tls-trust-file={ca}", "--from=s@here.test", "--auth=off", "{to}"],
}


PERL = {"git send-email": ["Mail::Address", "Authen::SASL", "IO::Socket::SSL"], "perl Net::SMTP": ["Authen::SASL", "IO::Socket::SSL"]}
PATCH = b"From 0123456789012345678901234567890123456789 Mon Sep 17 00:00:00 2001\nFrom: S <s@here.test>\nDate: Fri, 20 Nov 2026 04:05:06 +0000\nSubject: x\n\nbody\n"


@pytest.mark.parametrize("name", CLIENTS)
def test_programs(logins, ca, name):
    (logins.dir / "0001.patch").write_bytes(PATCH)
    argv = [a if a in (PASSWORD,) or "Net::" in a else a.format(**logins.ports, ca=ca.file, to="to@there.test", patch=logins.dir / "0001.patch")
            for a in CLIENTS[name]]
    missing = [m for m in PERL.get(name, []) if subprocess.run(["/usr/bin/perl", f"-M{m}", "-e1"], capture_output=True).returncode]
    if not shutil.which(argv[0]) or missing:
        pytest.skip(f"{argv[0]} {missing} is not installed")
    r = subprocess.run(argv, env={**os.environ, "HOME": str(logins.dir), "GIT_CONFIG_NOSYSTEM": "1", "EMAIL": "s@here.test"}, cwd=logins.dir, input=b"From: s@here.test\r\nSubject: x\r\n\r\nbody\r\n", capture_output=True, timeout=40)
    assert r.returncode == 0, r.stdout[-1500:] + r.stderr
    assert until(lambda: logins.sink.to("to@there.test"), 8)
    assert b" with ESMTPS" in logins.sink.messages[0].data


@needs("openssl")
@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_openssls_own_client_finds_all_in_order(logins, ca, version):
    r = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{logins.ports['optional']}", "-starttls", "smtp", "-servername", "localhost", version,
                        "-CAfile", ca.file, "-verify_return_error", "-crlf", "-quiet", "-ign_eof"], input="EHLO x\nQUIT\n", capture_output=True, text=True, timeout=30)
    assert "221 2.0.0" in r.stdout and r.returncode == 0, r.stdout + r.stderr


# `certificate auto`

def auto(d):
    return d.spool / "certificate.pem"


def served_by(port):
    c = Secure(port, any_server())
    der = c.served()
    c.quit()
    return ssl.DER_cert_to_PEM_cert(der)


def facts(pem, *what):
    return subprocess.run(["openssl", "x509", "-noout", *what], input=pem, check=True, capture_output=True, text=True).stdout.strip()


def key_part(pem):
    return re.search("-----BEGIN PRIVATE KEY-----.*?-----END PRIVATE KEY-----", pem, re.S).group()


LISTEN_AUTO = "listen 127.0.0.1:{port} { certificate auto; allow 127.0.0.0/8 }\n"


def test_a_certificate_is_made_and_kept(daemon, sink):
    s = sink()
    d = daemon(upstream(s) + LISTEN_AUTO)
    st = auto(d).stat()
    assert (st.st_mode & 0o7777, st.st_uid) == (0o600, os.geteuid())
    pem = served_by(d.port)
    assert pem in auto(d).read_text()
    said, = d.events("certificate")
    assert facts(pem, "-fingerprint", "-sha256").split("=")[1] == said["sha256"] and said["file"] == str(auto(d))
    # whoever trusts it, and knows the name, is content
    ctx = ssl.create_default_context(cadata=pem)
    for name in ("relay.test", "localhost", "127.0.0.1"):
        Secure(d.port, ctx, name=name).quit()
    with pytest.raises(ssl.SSLCertVerificationError):
        Secure(d.port, ctx, name="other.test")
    c = Secure(d.port, any_server())
    assert c.mail("from@here.test", ["to@there.test"], message("m"))[0] == 250
    c.quit()
    before = auto(d).read_text()
    d.restart()
    assert served_by(d.port) == pem and auto(d).read_text() == before
    assert len(d.events("certificate")) == 1


@needs("msmtp")
def test_clients_may_know_it_by_its_fingerprint(daemon, sink):
    s = sink()
    d = daemon(upstream(s) + LISTEN_AUTO)
    for trust in ([f"--tls-fingerprint={d.events('certificate')[0]['sha256']}"], [f"--tls-trust-file={d.dir}/crt"]):
        (d.dir / "crt").write_text(served_by(d.port))
        r = subprocess.run(["msmtp", "--host=localhost", f"--port={d.port}", "--tls=on", *trust, "--from=s@here.test", "--auth=off", "to@there.test"],
                           input=b"Subject: x\n\nbody\n", capture_output=True, timeout=40)
        assert r.returncode == 0, r.stderr
    assert until(lambda: len(s.messages) == 2, 8)


def test_before_it_expires_it_is_renewed_with_its_key(daemon):
    d = daemon(LISTEN_AUTO, start=False)
    now = d.dir / "offset"
    now.write_text("0")
    now.chmod(0o644)
    d.env["SMARTHOSTD_CLOCK_OFFSET_FILE"] = str(now)
    d.start()
    first, key = served_by(d.port), key_part(auto(d).read_text())
    # eleven and a half months on; the certificate itself is still dated by the real clock
    now.write_text(str(380 * 86400 * 1000))
    assert until(lambda: len(d.events("certificate")) >= 2, 15)
    assert until(lambda: served_by(d.port) != first, 10)
    assert key_part(auto(d).read_text()) == key
    assert "renewed" in d.events("certificate")[1]["text"]


def test_an_expired_one_is_replaced_at_the_start(daemon, ca):
    crt, key = ca.cert("relay.test", file="short", days=20)
    d = daemon(LISTEN_AUTO, start=False)
    d.spool.mkdir()
    if os.geteuid() == 0:
        shutil.chown(d.spool, "nobody")
    auto(d).write_text(key.read_text() + crt.read_text())
    auto(d).chmod(0o600)
    d.start()
    pem = served_by(d.port)
    assert pem not in crt.read_text() and key_part(auto(d).read_text()) == key_part(key.read_text())
    assert "subject=CN = relay.test" == facts(pem, "-subject")


def test_another_name_gets_another_certificate(daemon):
    d = daemon(LISTEN_AUTO)
    first, key = served_by(d.port), key_part(auto(d).read_text())
    d.configure(LISTEN_AUTO)
    d.conf.write_text(d.conf.read_text().replace("hostname relay.test", "hostname other.test"))
    d.signal(signal.SIGHUP)
    assert until(lambda: served_by(d.port) != first, 10)
    assert "CN = other.test" in facts(served_by(d.port), "-subject") and key_part(auto(d).read_text()) == key


@pytest.mark.parametrize("how", ["readable", "symlink", "garbage", "directory"])
def test_a_file_that_is_not_ours_is_not_used(daemon, how):
    d = daemon(LISTEN_AUTO)
    old = auto(d).read_text()
    d.stop()
    if how == "readable":
        auto(d).chmod(0o644)
    elif how == "symlink":
        auto(d).rename(d.dir / "elsewhere")
        auto(d).symlink_to(d.dir / "elsewhere")
    elif how == "garbage":
        auto(d).write_text("garbage\n")
    else:
        auto(d).unlink()
        auto(d).mkdir()
        d.start_raw()
        assert d.wait() == 1
        assert "certificate auto" in d.log and "Is a directory" in d.log
        return
    d.start()
    new = auto(d).read_text()
    assert new != old and key_part(new) != key_part(old)
    assert auto(d).stat().st_mode & 0o7777 == 0o600 and not auto(d).is_symlink()
    assert served_by(d.port) in new


# other certificates, without a restart

@pytest.fixture
def changing(daemon, sink, ca):
    s = sink()
    d = daemon(upstream(s) + "listen 127.0.0.1:{port} { certificate {dir}/crt key {dir}/key; allow 127.0.0.0/8 }\n", start=False)
    d.sink = s
    put(d, ca.cert("localhost", file="first"))
    d.start()
    return d


def put(d, pair, which=(0, 1)):
    for i in which:
        new = d.dir / "new"
        new.write_bytes(pair[i].read_bytes())
        new.chmod(0o600)
        new.rename(d.dir / ("crt", "key")[i])


def test_a_changed_certificate_is_picked_up_and_nothing_is_dropped(changing, ca):
    d = changing
    first = served_by(d.port)
    c = Secure(d.port, ca.client())
    for line in ("MAIL FROM:<from@here.test>", "RCPT TO:<to@there.test>", "DATA"):
        assert c.cmd(line)[0] in (250, 354)
    c.send(stuffed(message("m")))
    delivery, queue = d.role("delivery"), d.role("queue")
    put(d, ca.cert("localhost", file="second"))
    assert until(lambda: served_by(d.port) != first, 15)
    c.send(b".\r\n")
    assert c.reply()[0] == 250
    assert until(lambda: d.sink.messages, 8)
    # it concerns the listener alone
    assert d.role("delivery") == delivery and d.role("queue") == queue
    c.quit()
    assert not d.events(level="error")


def test_a_pair_that_does_not_fit_changes_nothing_until_it_does(changing, ca):
    d = changing
    first, pair = served_by(d.port), ca.cert("localhost", file="third")
    put(d, pair, which=(0,))
    assert d.wait_event("refresh", level="error", seconds=15)
    assert "key values mismatch" in d.events("refresh", level="error")[0]["text"] and served_by(d.port) == first
    put(d, pair, which=(1,))
    assert until(lambda: served_by(d.port) != first, 15)
    assert len(d.events("refresh", level="error")) == 1


def test_a_link_that_points_elsewhere_is_a_change_too(daemon, ca):
    d = daemon("listen 127.0.0.1:{port} { certificate {dir}/live.pem }\n", start=False)
    for name in ("one", "two"):
        crt, key = ca.cert("localhost", file=name)
        (d.dir / name).write_text(key.read_text() + crt.read_text())
        (d.dir / name).chmod(0o600)
    (d.dir / "live.pem").symlink_to("one")
    d.start()
    first = served_by(d.port)
    (d.dir / "next").symlink_to("two")
    (d.dir / "next").rename(d.dir / "live.pem")
    assert until(lambda: served_by(d.port) != first, 15)


def test_a_changed_password_is_picked_up(daemon, ca):
    crt, key = ca.pair
    d = daemon(f"listen 127.0.0.1:{{port}} {{ certificate {crt} key {key}; auth required }}\nlogin joe {{ password file {{dir}}/pw }}\n", start=False)
    (d.dir / "pw").write_text("old\n")
    (d.dir / "pw").chmod(0o600)
    d.start()

    def log_in(password):
        c = Secure(d.port, ca.client())
        code = c.cmd(plain("joe", password))[0]
        c.close()
        return code
    assert log_in("old") == 235
    (d.dir / "pw").write_text("new\n")
    assert until(lambda: log_in("new") == 235, 20, 0.3)
    assert log_in("old") == 535


def test_a_wrong_pair_is_found_before_it_is_used(ca):
    (crt, _), (_, key) = ca.cert("localhost", file="a"), ca.cert("localhost", file="b")
    text = f"\nlisten 127.0.0.1:2525 {{\n certificate {crt} key {key}\n}}\ntransport up {{\n smarthost localhost; certificate {crt} key {key}; tls-ca {key}\n}}\n"
    status, said, where = check(text)
    assert status == 78
    assert f"{where}/smarthostd.conf:2: listen 127.0.0.1:2525: certificate 1: private key: key values mismatch" in said
    assert f"{where}/smarthostd.conf:5: transport up: client certificate: private key: key values mismatch" in said
    assert f"{where}/smarthostd.conf:5: transport up: tls-ca: holds no PEM certificate" in said
