"""Every mechanism of AUTH on both sides, with real clients and servers: what is chosen, what is refused, and what
must not be told apart."""
import base64
import os
import re
import shutil
import ssl
import statistics
import subprocess
import time

import pytest

from harness import scram
from harness.ca import CA
from harness.client import Client, message, send
from harness.daemon import check, free_port, until
from harness.submission import THERE, Dovecot
from harness.postfix import Postfix
from harness.sink import Sink

PASSWORD = "pa ss-W:1%="
CRYPT = "$6$saltsalt$rD9fW1BwIrjB90WCgCTdIQc3phTBhf04I6Iw/XlgKD9E9aEbzqGZipjiFxGo/4wWXDA6jV6/vZO.kKdDSfUJb0"     # pencil
STORED = ("SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY="
          ":wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=")                                                        # pencil
NAMED = "SCRAM-SHA-256-PLUS SCRAM-SHA-256 SCRAM-SHA-1-PLUS SCRAM-SHA-1 PLAIN LOGIN CRAM-MD5 EXTERNAL"


def b64(text):
    return base64.b64encode(text.encode() if isinstance(text, str) else text).decode()


def needs(program):
    return pytest.mark.skipif(shutil.which(program) is None, reason=f"{program} is not installed")


@pytest.fixture(scope="module")
def ca(ca):
    ca.pair = ca.cert("localhost", "127.0.0.1", file="listener")
    return ca


# ---- who logs in to us

def listening(daemon, sink, ca, logins, *statements, text="", auth="required", **kw):
    s, port = sink(), free_port()
    crt, key = ca.pair
    d = daemon(f"listen 127.0.0.1:{port} {{\n" + "\n".join([f"certificate {crt} key {key}", f"auth {auth}", *statements]) +
               f"\n}}\n{logins}\n{text}\ntransport up {{ smarthost 127.0.0.1:{s.port} }}\nroute via up\n", listen=False, **kw)
    d.port, d.sink = port, s
    return d


@pytest.fixture
def relay(daemon, sink, ca):
    return listening(daemon, sink, ca, f'login scanner {{ password "{PASSWORD}" }}\nlogin stored {{ password hash "{STORED}" }}\n'
                     f'login old {{ password hash "{CRYPT}" }}', f"auth-mechanisms {NAMED}", f"client-ca {ca.file}")


def context(ca, pair=None, version=None):
    ctx = ca.client()
    if pair:
        ctx.load_cert_chain(*pair)
    if version:
        ctx.minimum_version = ctx.maximum_version = version
    return ctx


class Secure(Client):
    def __init__(self, port, ctx, source=None):
        super().__init__(port, source=source)
        assert self.cmd("STARTTLS")[0] == 220
        self.sock = ctx.wrap_socket(self.sock, server_hostname="localhost")
        self.ehlo()

    @property
    def mechanisms(self):
        return self.caps.get("AUTH", "").split()

    def scram(self, mechanism, *args, first=True, **kw):
        """(the last reply, whether the server proved itself)"""
        talk = scram.client(mechanism, *args, **kw)
        text, proved = b64(next(talk)), None
        if first:
            code, said = self.cmd(f"AUTH {mechanism} {text}")
        else:
            assert self.cmd(f"AUTH {mechanism}") == (334, "")
            code, said = self.cmd(text)
        while code == 334:
            try:
                code, said = self.cmd(b64(talk.send(base64.b64decode(said).decode())))
            except StopIteration as end:
                proved = end.value
                code, said = self.cmd("")
        return code, proved


GSASL = [(m, v) for m in ("SCRAM-SHA-256-PLUS", "SCRAM-SHA-1-PLUS") for v in ("NORMAL", "NORMAL:-VERS-TLS1.3")]
GSASL += [(m, "NORMAL") for m in ("PLAIN", "LOGIN", "CRAM-MD5")]


@needs("gsasl")
@pytest.mark.parametrize("mechanism,tls", GSASL)
def test_gsasl(relay, ca, mechanism, tls):
    run = ["gsasl", "--smtp", "--verbose", "--priority", tls, "--x509-ca-file", ca.file, "--mechanism", mechanism, "--authentication-id", "scanner"]
    r = subprocess.run([*map(str, run), "--password", PASSWORD, "localhost", str(relay.port)], input="", capture_output=True, text=True, timeout=30)
    assert r.returncode == 0 and "235 2.7.0" in r.stdout, r.stdout + r.stderr
    if "PLUS" in mechanism:
        kind = base64.b64decode(r.stdout.split("334 \n")[1].split("\n")[0]).decode().split(",")[0]
        assert kind == ("p=tls-unique" if "-VERS" in tls else "p=tls-exporter")
    r = subprocess.run([*map(str, run), "--password", "wrong", "localhost", str(relay.port)], input="", capture_output=True, text=True, timeout=30)
    assert r.returncode != 0 and "535 5.7.8" in r.stdout


@needs("msmtp")
@pytest.mark.parametrize("method", ["scram-sha-256", "scram-sha-1", "cram-md5", "plain", "login", "on", "external"])
def test_msmtp(relay, ca, method):
    crt, key = ca.cert("scanner", file="client")
    lines = ["defaults", "logfile -", "account default", "host localhost", "from s@here.test", f"port {relay.port}", f"auth {method}", "user scanner",
             f'password "{PASSWORD}"', "tls on", "tls_starttls on", f"tls_trust_file {ca.file}"]
    if method == "external":
        lines += [f"tls_cert_file {crt}", f"tls_key_file {key}"]
    f = relay.dir / "msmtprc"
    f.write_text("\n".join(lines) + "\n")
    f.chmod(0o600)
    r = subprocess.run(["msmtp", "-C", f, "--", "to@there.test"], input=b"Subject: x\n\nhi\n", capture_output=True, timeout=30)
    assert r.returncode == 0, r.stderr
    assert until(lambda: relay.sink.messages, 10)
    assert relay.events("auth", result="ok", login="scanner")


@needs("swaks")
@pytest.mark.parametrize("mechanism", ["CRAM-MD5", "PLAIN", "LOGIN"])
def test_swaks(relay, ca, mechanism):
    def go(password):
        return subprocess.run(["swaks", "--server", "localhost", "--port", str(relay.port), "--tls", "--tls-ca-path", ca.file, "--auth", mechanism, "--auth-user", "scanner",
                               "--auth-password", password, "--from", "s@here.test", "--to", "to@there.test", "--timeout", "20"], capture_output=True, text=True, timeout=40)
    r = go(PASSWORD)
    assert r.returncode == 0, r.stdout
    assert go("wrong").returncode != 0
    assert until(lambda: len(relay.sink.messages) == 1, 10)


@needs("curl")
@pytest.mark.parametrize("how", ["PLAIN", "LOGIN", "CRAM-MD5", "EXTERNAL"])
def test_curl(relay, ca, how):
    crt, key = ca.cert("scanner", file="curl")
    who = ["--cert", crt, "--key", key, "-u", "scanner:"] if how == "EXTERNAL" else ["-u", "scanner:" + PASSWORD]
    r = subprocess.run(["curl", "-sS", "--max-time", "20", "--ssl-reqd", "--cacert", ca.file, *who, "--login-options", f"AUTH={how}", "--mail-from", "s@here.test",
                        "--mail-rcpt", "to@there.test", "-T", "-", f"smtp://localhost:{relay.port}"], input=message("m"), capture_output=True, timeout=30)
    assert r.returncode == 0, r.stderr
    assert until(lambda: relay.sink.messages, 10)


@needs("openssl")
def test_external_by_openssl(relay, ca):
    crt, key = ca.cert("scanner", file="s-client")
    p = subprocess.Popen(["openssl", "s_client", "-quiet", "-crlf", "-starttls", "smtp", "-CAfile", ca.file, "-cert", crt, "-key", key, "-connect", f"127.0.0.1:{relay.port}"],
                         stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    p.stdin.write(b"EHLO x\nAUTH EXTERNAL =\nQUIT\n")
    p.stdin.flush()
    out = p.communicate(timeout=20)[0].decode()
    assert re.search(r"AUTH .*EXTERNAL", out) and "235 2.7.0" in out, out


@pytest.mark.parametrize("name,password,mechanisms", [("scanner", PASSWORD, ("SCRAM-SHA-256", "SCRAM-SHA-1")), ("stored", "pencil", ("SCRAM-SHA-256",))])
def test_scram_with_a_second_implementation(relay, ca, name, password, mechanisms):
    for mechanism in mechanisms:
        for first in (True, False):
            c = Secure(relay.port, context(ca))
            assert c.scram(mechanism, name, password, first=first) == (235, True)
            assert c.cmd("AUTH PLAIN =")[0] == 503
            assert c.mail("s@here.test", ["to@there.test"], message("m"))[0] == 250
            c.quit()
        c = Secure(relay.port, context(ca))
        assert c.scram(mechanism, name, "wrong") == (535, None)
        c.quit()
    # an unknown hash for this one
    if name == "stored":
        c = Secure(relay.port, context(ca))
        assert c.scram("SCRAM-SHA-1", name, password) == (535, None)
        c.quit()


def test_a_login_is_bound_to_its_session(relay, ca):
    for version, good in ((ssl.TLSVersion.TLSv1_2, True), (ssl.TLSVersion.TLSv1_2, False)):
        c = Secure(relay.port, context(ca, version=version))
        octets = c.sock.get_channel_binding("tls-unique") if good else b"another one."
        want = (235, True) if good else (535, None)
        assert c.scram("SCRAM-SHA-256-PLUS", "scanner", PASSWORD, flag="p=tls-unique", binding=octets) == want
        c.quit()
    # tls-unique says nothing in TLS 1.3, and nothing that is not there is taken
    for flag, mechanism in (("p=tls-unique", "SCRAM-SHA-256-PLUS"), ("p=tls-server-end-point", "SCRAM-SHA-256-PLUS"), ("n", "SCRAM-SHA-256-PLUS"),
                            ("y", "SCRAM-SHA-256-PLUS"), ("y", "SCRAM-SHA-256"), ("p=tls-exporter", "SCRAM-SHA-256")):
        c = Secure(relay.port, context(ca))
        assert c.scram(mechanism, "scanner", PASSWORD, flag=flag, binding=b"x" if flag[0] == "p" else b"")[0] == 535
        c.quit()
        # each refusal makes the next one slower, until somebody logs in
        c = Secure(relay.port, context(ca))
        assert c.scram("SCRAM-SHA-256", "scanner", PASSWORD) == (235, True)
        c.quit()


def test_without_plus_a_client_may_say_so(daemon, sink, ca):
    d = listening(daemon, sink, ca, f'login scanner {{ password "{PASSWORD}" }}', "auth-mechanisms SCRAM-SHA-256")
    for flag in "ny":
        c = Secure(d.port, context(ca))
        assert c.mechanisms == ["SCRAM-SHA-256"]
        assert c.scram("SCRAM-SHA-256", "scanner", PASSWORD, flag=flag) == (235, True)
        assert c.cmd("AUTH PLAIN =")[0] == 503
        c.quit()
    c = Secure(d.port, context(ca))
    assert c.cmd("AUTH PLAIN " + b64(f"\0scanner\0{PASSWORD}"))[0] == 504
    c.quit()


OFFERS = [(f'password hash "{CRYPT}"', "PLAIN LOGIN"), (f'password hash "{STORED}"', "SCRAM-SHA-256-PLUS SCRAM-SHA-256 PLAIN LOGIN"),
          ("password x", "SCRAM-SHA-256-PLUS SCRAM-SHA-256 SCRAM-SHA-1-PLUS SCRAM-SHA-1 PLAIN LOGIN")]


@pytest.mark.parametrize("secret,offer", OFFERS, ids=["crypt", "stored", "clear"])
def test_only_what_some_login_can_use_is_offered(daemon, sink, ca, secret, offer):
    d = listening(daemon, sink, ca, f"login a {{ {secret} }}")
    c = Secure(d.port, context(ca))
    assert c.mechanisms == offer.split()
    assert c.cmd("AUTH CRAM-MD5")[0] == 504 and c.cmd("AUTH EXTERNAL =")[0] == 504
    c.quit()


NAMES = [(("scanner",), {}, 235), (("x.test",), {}, 535), (("printer.here.test",), {}, 235), (("PRINTER.here.test",), {}, 235), (("x.test", "printer.here.test"), {}, 235)]


@pytest.mark.parametrize("names,kw,code", NAMES, ids=[",".join(n[0]) for n in NAMES])
def test_external_goes_by_the_certificates_names(daemon, sink, ca, names, kw, code):
    d = listening(daemon, sink, ca, "login scanner { }\nlogin printer.here.test { senders @here.test }\nlogin other { password x }", f"client-ca {ca.file}")
    pair = ca.cert(*names, file="who" + "".join(names), **kw)
    c = Secure(d.port, context(ca, pair))
    assert ("EXTERNAL" in c.mechanisms) == (code == 235)
    assert c.cmd("AUTH EXTERNAL =")[0] == code
    if code == 235 and names != ("scanner",):
        assert c.cmd("MAIL FROM:<s@elsewhere.test>")[0] == 553
        assert c.mail("s@here.test", ["to@there.test"], message("m"))[0] == 250
    c.quit()


def test_external_in_steps_and_as_somebody_else(daemon, sink, ca):
    d = listening(daemon, sink, ca, "login scanner { }\nlogin other { password x }", f"client-ca {ca.file}")
    pair = ca.cert("scanner", file="steps")

    def fresh(pair=pair):
        return Secure(d.port, context(ca, pair))
    c = fresh()
    assert c.cmd("AUTH EXTERNAL") == (334, "") and c.cmd("*")[0] == 501
    assert c.cmd("AUTH EXTERNAL") == (334, "") and c.cmd("!")[0] == 501
    assert c.cmd("AUTH EXTERNAL " + b64("other"))[0] == 535
    assert c.cmd("AUTH EXTERNAL") == (334, "") and c.cmd(b64("scanner"))[0] == 235
    c.quit()
    c = fresh()
    assert c.cmd("AUTH EXTERNAL") == (334, "") and c.cmd("")[0] == 235
    c.quit()
    # nobody's certificate, one that another CA has signed, one that is over: a session, but no login
    stranger = CA()
    try:
        for pair in (None, stranger.cert("scanner"), ca.cert("scanner", file="old", days=-1)):
            c = fresh(pair)
            assert "EXTERNAL" not in c.mechanisms and c.cmd("AUTH EXTERNAL =")[0] == 535
            c.quit()
    finally:
        shutil.rmtree(stranger.dir)


def test_the_lines_of_an_exchange(relay, ca):
    c = Secure(relay.port, context(ca))
    assert c.cmd("AUTH SCRAM-SHA-256 !!!")[0] == 501 and c.cmd("AUTH")[0] == 501 and c.cmd("AUTH NOSUCH")[0] == 504
    assert c.cmd("AUTH SCRAM-SHA-256") == (334, "") and c.cmd("*")[0] == 501
    assert c.cmd("AUTH LOGIN " + b64("scanner")) == (334, b64("Password:")) and c.cmd("???")[0] == 501
    assert c.cmd("AUTH PLAIN") == (334, "") and c.cmd("A" * 12288)[0] == 535
    assert c.cmd("AUTH PLAIN") == (334, "") and c.cmd("A" * 12292)[0] == 500
    assert c.cmd("NOOP")[0] == 250, "the exchange is over with its reply (RFC 4954, 6)"
    assert c.cmd("AUTH PLAIN") == (334, "") and c.cmd("AA\0A")[0] == 500 and c.cmd("NOOP")[0] == 250
    # a name with a comma and a sign of equality cannot break it
    assert c.cmd("AUTH SCRAM-SHA-256 " + b64("n,,n=a=2Cb=3Dc,r=abcdefghij"))[0] == 334 and c.cmd("*")[0] == 501
    assert c.cmd("AUTH SCRAM-SHA-256 " + b64("n,,n=a=b,r=abcdefghij"))[0] == 535
    assert c.cmd("AUTH LOGIN " + b64("scanner")) == (334, b64("Password:")) and c.cmd(b64(PASSWORD))[0] == 235
    assert c.cmd("AUTH PLAIN =")[0] == 503
    c.quit()


def test_auth_inside_a_message_is_out_of_order(daemon, sink, ca):
    d = listening(daemon, sink, ca, "login a { password x }", "allow 127.0.0.0/8", auth="optional")
    c = Secure(d.port, context(ca))
    assert c.cmd("MAIL FROM:<s@here.test>")[0] == 250
    assert c.cmd("AUTH PLAIN " + b64("\0a\0x"))[0] == 503
    c.quit()


def challenge(d, ca, name, mechanism="SCRAM-SHA-256"):
    c = Secure(d.port, context(ca))
    code, said = c.cmd(f"AUTH {mechanism} " + b64(f"n,,n={name},r=abcdefghij"))
    assert code == 334
    c.cmd("*")
    c.quit()
    a = scram.attributes(base64.b64decode(said).decode())
    return a["s"], a["i"], len(a["r"])


def test_a_name_that_nobody_has_cannot_be_told_apart(relay, ca):
    real, fake = challenge(relay, ca, "scanner"), challenge(relay, ca, "nobody")
    assert real[1:] == fake[1:] and len(real[0]) == len(fake[0]) and real[0] != fake[0]
    for name in ("scanner", "stored", "nobody", "old"):
        assert challenge(relay, ca, name) == challenge(relay, ca, name)
    before = challenge(relay, ca, "nobody")
    relay.restart()
    assert challenge(relay, ca, "nobody") == before


def slow_hash(rounds):
    r = subprocess.run(["openssl", "passwd", "-6", "-salt", f"rounds={rounds}$saltsalt", "pencil"], capture_output=True, text=True)
    if r.returncode or "rounds" not in r.stdout:
        return f"$6$rounds={rounds}$saltsalt$" + "x" * 86        # as slow, if never right
    return r.stdout.strip()


def test_a_costly_hash_holds_up_nobody_and_unknown_names_cost_the_same(daemon, sink, ca):
    d = listening(daemon, sink, ca, f'login slow {{ password hash "{slow_hash(1000000)}" }}')

    def took(name):
        c = Secure(d.port, context(ca))
        start = time.monotonic()
        assert c.cmd("AUTH PLAIN " + b64(f"\0{name}\0wrong"))[0] == 535
        c.quit()
        return time.monotonic() - start
    known = took("slow")
    assert took("nobody") > known / 3
    # while one is being checked, the role answers others
    a, b = Secure(d.port, context(ca)), Secure(d.port, context(ca))
    a.send("AUTH PLAIN " + b64("\0slow\0wrong") + "\r\n")
    start = time.monotonic()
    for _ in range(5):
        assert b.cmd("AUTH LOGIN")[0] == 334 and b.cmd("*")[0] == 501
    quick = time.monotonic() - start
    assert a.reply()[0] == 535
    assert quick < max(known / 2, 0.2)
    a.quit()
    b.quit()


def test_a_client_that_tries_a_costly_hash_waits_for_itself(daemon, sink, ca):
    d = listening(daemon, sink, ca, f'login slow {{ password hash "{slow_hash(1000000)}" }}\nlogin quick {{ password hash "{CRYPT}" }}')
    crowd = [Secure(d.port, context(ca), source="127.0.0.2") for _ in range(16)]
    c = Secure(d.port, context(ca))
    wrong = "AUTH PLAIN " + b64("\0slow\0wrong")
    start = time.monotonic()
    assert crowd[0].cmd(wrong)[0] == 535
    one = time.monotonic() - start
    for x in crowd:
        x.send(wrong + "\r\n")
    start = time.monotonic()
    assert c.cmd("AUTH PLAIN " + b64("\0quick\0pencil"))[0] == 235
    assert time.monotonic() - start < 4 * one, "it waited for most of the 16"
    c.quit()


@pytest.mark.parametrize("hash", ["$6$rounds=999999999$saltsalt$x", "$2b$31$x", "$y$jFT$x$y"])
def test_a_hash_that_takes_minutes_is_refused(daemon, hash):
    status, said, _ = check(f'login slow {{ password hash "{hash}" }}\ntransport up {{ smarthost x.test }}\nroute via up\n')
    assert status == 78 and ":1: the hash takes too long to check" in said and "relayctl passwd" in said and hash not in said
    status, said, _ = check("login-file logins\ntransport up { smarthost x.test }\nroute via up\n", {"logins": (f"a:{hash}:\n", 0o600)})
    assert status == 78 and "logins:1: the hash takes too long to check" in said and hash not in said


def test_guessing_gets_slower_and_a_login_forgives(relay, ca):
    c = Secure(relay.port, context(ca))
    times = []
    for _ in range(5):
        start = time.monotonic()
        assert c.scram("SCRAM-SHA-256", "scanner", "wrong") == (535, None)
        times.append(time.monotonic() - start)
    assert statistics.median(times[:3]) < 0.9 and times[3] >= 1 and times[4] >= 2
    assert c.scram("SCRAM-SHA-256", "scanner", PASSWORD) == (235, True)
    c.quit()


# ---- passwd and login-file

def made(d, name, password, *args):
    r = d.relayctl("passwd", *args, name, input=password + "\n")
    assert r.returncode == 0 and password not in r.stdout + r.stderr, r.stderr
    return r.stdout.strip()


def test_login_file(daemon, sink, ca):
    d = listening(daemon, sink, ca, "login-file {dir}/logins", "auth-mechanisms SCRAM-SHA-256 SCRAM-SHA-1 PLAIN", text="account scans { senders @here.test }", start=False)
    people = d.dir / "logins"
    people.write_text(f"# who may\nann:{STORED}:scans\nold:{CRYPT}:\n")
    people.chmod(0o600)
    d.start()
    c = Secure(d.port, context(ca))
    assert c.mechanisms == ["SCRAM-SHA-256", "PLAIN"]
    assert c.scram("SCRAM-SHA-256", "ann", "pencil") == (235, True)
    assert c.cmd("MAIL FROM:<s@elsewhere.test>")[0] == 553
    assert c.mail("s@here.test", ["to@there.test"], message("m"))[0] == 250
    c.quit()
    c = Secure(d.port, context(ca))
    assert c.cmd("AUTH PLAIN " + b64("\0old\0pencil"))[0] == 235 and c.cmd("MAIL FROM:<s@elsewhere.test>")[0] == 250
    c.quit()
    assert until(lambda: d.sink.messages, 10)

    def can(name, password):
        c = Secure(d.port, context(ca))
        try:
            return c.cmd("AUTH PLAIN " + b64(f"\0{name}\0{password}"))[0] == 235
        finally:
            c.quit()
    # what was changed holds without a word to anybody
    r = d.relayctl("passwd", "ann", input="another\n")
    assert r.returncode == 0 and "another" not in r.stdout + r.stderr and people.stat().st_mode & 0o777 == 0o600
    assert re.search(r"(?m)^# who may\nann:SCRAM-SHA-256\$4096:\S+:scans\nold:", people.read_text())
    assert until(lambda: can("ann", "another"), 15, 0.2) and not can("ann", "pencil")
    # a file that has become wrong changes nothing, and is told
    people.write_text("ann:secretword:scans\n")
    assert d.wait_event("refresh", level="error"), d.log
    assert "logins:1" in d.events("refresh", level="error")[0]["text"] and "secretword" not in d.log
    assert can("ann", "another") and can("old", "pencil")
    people.write_text(f"new:{STORED}:scans\n")
    assert until(lambda: can("new", "pencil"), 15, 0.2) and not can("old", "pencil")


@pytest.mark.parametrize("text,words", [("a:b\n", "logins:1: it is not NAME:HASH:ACCOUNT"), ("a:$6$x:\na:word:\n", "logins:2: what stands between the colons is no hash"),
                                        (f"a:{CRYPT}:nosuch\n", "there is no account `nosuch`"), (f"a:{CRYPT}:\na:{CRYPT}:\n", "login `a` is defined already")])
def test_a_login_file_is_checked(text, words):
    status, said, where = check("login-file logins\ntransport up { smarthost x.test }\nroute via up\n", {"logins": (text, 0o600)})
    assert status == 78 and words in said and "word:" not in said.replace("password", ""), said
    status, said, _ = check("login-file logins\ntransport up { smarthost x.test }\nroute via up\n", {"logins": (f"a:{CRYPT}:\n", 0o644)})
    assert status == 78 and "chmod 600" in said


def test_passwd_and_the_login_file(daemon, sink, ca):
    d = daemon("login-file {dir}/logins\naccount scans { }\n", start=False)
    people = d.dir / "real"
    (d.dir / "logins").symlink_to(people)
    people.write_text("# mine\nann:!:scans")
    people.chmod(0o640)
    before = people.stat()

    def passwd(*args, text="pencil\n"):
        r = d.relayctl("passwd", *args, input=text)
        assert "pencil" not in r.stdout + r.stderr
        return r.returncode, r.stdout
    lines = lambda: [re.sub(r":SCRAM-SHA-(\d+)\$4096:\S{24}\$\S+=:", r":\1:", x) for x in people.read_text().split("\n")]     # noqa: E731
    # who is not in it is printed, who is in it is stored
    assert passwd("bob")[1].startswith("SCRAM-SHA-256$4096:") and lines() == ["# mine", "ann:!:scans"]
    assert passwd("ann", "--print")[1].startswith("SCRAM-SHA-256$4096:") and lines() == ["# mine", "ann:!:scans"]
    assert passwd("--legacy", "ann") == (0, f"{d.dir}/logins: the password of `ann` is stored; a running daemon takes it within seconds\n")
    assert lines() == ["# mine", "ann:1:scans", ""]
    assert passwd("--store", "scans", "bob")[0] == 0 and passwd("--store", "", "eve")[0] == 0 and passwd("--store", "", "ann")[0] == 0
    assert lines() == ["# mine", "ann:256:", "bob:256:scans", "eve:256:", ""]
    after = people.stat()
    assert (after.st_mode, after.st_uid, after.st_gid) == (before.st_mode, before.st_uid, before.st_gid) and (d.dir / "logins").is_symlink()
    assert passwd("--store", "nosuch", "bob")[0] == 1 and passwd("--store", "", "a:b")[0] == 64 and passwd("--store", "", "--print", "x")[0] == 64
    assert passwd("a", "b")[0] == 64 and passwd("--wrong", "a")[0] == 64 and passwd("a", text="")[0] == 1
    assert sorted(p.name for p in d.dir.iterdir()) == ["logins", "real", "smarthostd.conf"]
    people.unlink()
    assert passwd("--store", "", "bob")[0] == 1 and not people.exists()
    d.conf.write_text("hostname x.test\n")
    assert passwd("--store", "", "bob")[0] == 78


def test_what_passwd_makes_can_be_used(daemon, sink, ca):
    d = listening(daemon, sink, ca, f'login x {{ password hash "{STORED}" }}')
    hash = made(d, "scanner", PASSWORD)
    assert re.fullmatch(r"SCRAM-SHA-256\$4096:\S{24}\$\S{44}:\S{44}", hash)
    one = made(d, "scanner", PASSWORD, "--legacy")
    assert one.startswith("SCRAM-SHA-1$4096:")
    d.stop()
    d.conf.write_text(d.conf.read_text() + f'login scanner {{ password hash "{hash}" }}\nlogin older {{ password hash "{one}" }}\n')
    d.start()
    for name, mechanism in (("scanner", "SCRAM-SHA-256"), ("older", "SCRAM-SHA-1")):
        c = Secure(d.port, context(ca))
        assert c.scram(mechanism, name, PASSWORD) == (235, True)
        c.quit()
        c = Secure(d.port, context(ca))
        assert c.cmd("AUTH PLAIN " + b64(f"\0{name}\0{PASSWORD}"))[0] == 235
        c.quit()


# ---- where we log in

def to_up(port, ca, *statements, user="scanner", password=PASSWORD):
    secret = ["username " + user] if user else []
    secret += [f'password "{password}"'] if password else []
    return ("retry 1s\nwarn-after off\ntransport up {\n" + "\n".join([f"submission localhost:{port}", f"tls-ca {ca.file}", *secret, *statements]) + "\n}\nroute via up\n")


def out(d, ident="m"):
    assert send(d.port, "from@here.test", ["to@there.test"], message(ident))[0] == 250


def waits(d, *words):
    """It is deferred, for these reasons, and not bounced."""
    assert until(lambda: [e for e in d.events("delivery", status="deferred") if all(w in e["reply"] for w in words)], 15), d.log[-5000:]
    assert not d.events("delivery", status="bounced")


needs_dovecot = pytest.mark.skipif(not THERE, reason="dovecot-submissiond is not installed")
OFFERED = "plain login scram-sha-256 scram-sha-1 cram-md5 digest-md5 external"
DOVECOT = [("", OFFERED, "SCRAM-SHA-256"), ("SCRAM-SHA-1", OFFERED, "SCRAM-SHA-1"), ("PLAIN", OFFERED, "PLAIN"), ("LOGIN", OFFERED, "LOGIN"),
           ("CRAM-MD5", OFFERED, "CRAM-MD5"), ("DIGEST-MD5", OFFERED, "DIGEST-MD5"), ("LOGIN PLAIN", OFFERED, "PLAIN"), ("EXTERNAL", OFFERED, "EXTERNAL"),
           ("", "login", "LOGIN"), ("", "plain", "PLAIN"), ("", "cram-md5 digest-md5", "CRAM-MD5"), ("", "scram-sha-1 plain", "SCRAM-SHA-1")]


@needs_dovecot
@pytest.mark.parametrize("named,offered,taken", DOVECOT, ids=lambda x: x.replace(" ", "+"))
def test_dovecot(daemon, sink, ca, named, offered, taken):
    s = sink(ehlo=("PIPELINING", "8BITMIME", "ENHANCEDSTATUSCODES", "XCLIENT ADDR PORT PROTO HELO LOGIN"))
    crt, key = ca.cert("scanner", file=f"d{taken}")
    v = Dovecot(s.port, ca.pair, {"scanner": PASSWORD}, offered, ca=ca.file if "external" in offered else None)
    try:
        d = daemon(to_up(v.port, ca, f"auth-mechanisms {named}" if named else "", f"certificate {crt} key {key}" if taken == "EXTERNAL" else ""))
        out(d)
        assert until(lambda: re.search(r"Login: user=<scanner>, method=(\S+),", v.said), 15), v.said + d.log[-3000:]
        assert re.search(r"Login: user=<scanner>, method=(\S+),", v.said).group(1).upper() == taken
        assert until(lambda: s.messages, 15), v.said
        assert PASSWORD not in d.log
    finally:
        v.stop()


@needs_dovecot
def test_dovecot_refuses_a_wrong_password(daemon, sink, ca):
    v = Dovecot(sink().port, ca.pair, {"scanner": "another"}, "scram-sha-256")
    try:
        d = daemon(to_up(v.port, ca))
        out(d)
        waits(d, "AUTH")
        assert "SCRAM" not in d.log or PASSWORD not in d.log
    finally:
        v.stop()


CYRUS = ["SCRAM-SHA-256", "SCRAM-SHA-1", "DIGEST-MD5", "CRAM-MD5", "NTLM", "LOGIN", "PLAIN"]


@pytest.fixture(scope="module")
def cyrus(ca):
    """Postfix with Cyrus SASL as the server."""
    if os.geteuid() != 0 or not all(shutil.which(p, path="/usr/sbin:" + os.environ["PATH"]) for p in ("postfix", "saslpasswd2")):
        pytest.skip("a private Postfix with Cyrus SASL needs root, postfix and sasl2-bin")
    p = Postfix("smtpd_sasl_auth_enable = yes", "smtpd_sasl_type = cyrus", "smtpd_sasl_path = smtpd", "smtpd_sasl_local_domain = localhost",
                "smtpd_tls_security_level = encrypt", f"smtpd_tls_cert_file = {ca.pair[0]}", f"smtpd_tls_key_file = {ca.pair[1]}",
                "smtpd_relay_restrictions = permit_sasl_authenticated, reject")
    conf = p.dir / "etc" / "sasl"       # where Debian's Postfix looks
    conf.mkdir()
    (conf / "smtpd.conf").write_text(f"pwcheck_method: auxprop\nauxprop_plugin: sasldb\nsasldb_path: {conf}/sasldb2\nmech_list: {' '.join(CYRUS)}\n")
    subprocess.run(["/usr/sbin/saslpasswd2", "-p", "-c", "-u", "localhost", "-f", conf / "sasldb2", "scanner"], input=PASSWORD.encode(), check=True)
    shutil.chown(conf / "sasldb2", "postfix")
    p.command("reload")
    yield p
    p.stop()


@pytest.mark.parametrize("mechanism", ["", *CYRUS])
def test_cyrus(daemon, ca, cyrus, mechanism):
    d = daemon(to_up(cyrus.port, ca, f"auth-mechanisms {mechanism}" if mechanism else ""))
    n = len(re.findall(f"sasl_method={mechanism or 'SCRAM-SHA-256'}, sasl_username=scanner", cyrus.text()))
    out(d)
    assert until(lambda: len(re.findall(f"sasl_method={mechanism or 'SCRAM-SHA-256'}, sasl_username=scanner", cyrus.text())) > n, 15), cyrus.text()[-2000:] + d.log[-3000:]
    assert d.wait_empty()


class Choosy(Sink):
    """A server with the mechanisms that it is told, SCRAM included; login is (name, mechanism, SCRAM's flag)."""

    def __init__(self, mechanisms, users, **kw):
        self.mechanisms, self.twist, self.early = mechanisms, kw.pop("twist", None), kw.pop("early", False)
        self.iterations = kw.pop("iterations", 4096)
        super().__init__(users=users, **kw)

    def _more(self, s):
        out = super()._more(s)
        return [x for x in out if not x.startswith("AUTH")] + (["AUTH " + self.mechanisms] if s.tls or not self.tls else [])

    async def _client(self, reader, writer):
        self.writer = writer
        await super()._client(reader, writer)

    async def _auth(self, reader, writer, arg):
        mechanism, _, text = arg.partition(" ")
        if not mechanism.startswith("SCRAM"):
            name = await super()._auth(reader, writer, arg)
            return (name, mechanism, None) if name else None
        tls = writer.get_extra_info("ssl_object")
        bindings = {"tls-unique": tls.get_channel_binding("tls-unique")} if tls and tls.version() == "TLSv1.2" else None
        talk = scram.server(mechanism, self.users, bindings if "PLUS" in self.mechanisms else None, twist=self.twist, iterations=self.iterations)
        next(talk)
        try:
            said = talk.send(base64.b64decode(text).decode())
            while True:
                if self.early and said.startswith("r="):
                    return ("?", mechanism, None)
                writer.write(b"334 " + b64(said).encode() + b"\r\n")
                line = await reader.line()
                if line == b"*":
                    return None
                said = talk.send(base64.b64decode(line).decode())
        except StopIteration as end:
            name, flag = end.value
            return (name, mechanism, flag) if name else None


@pytest.fixture
def choosy(ca):
    servers = []

    def make(mechanisms, users=None, version=None, plain=False, **kw):
        ctx = None if plain else ca.server("localhost", "127.0.0.1", file=f"choosy{len(servers)}")
        if version:
            ctx.maximum_version = version
        servers.append(Choosy(mechanisms, users or {"scanner": PASSWORD}, tls=ctx, **kw))
        return servers[-1]
    yield make
    for s in servers:
        s.stop()
    assert not [e for s in servers for e in s.errors]


ALL = "PLAIN LOGIN SCRAM-SHA-1 SCRAM-SHA-256 SCRAM-SHA-1-PLUS SCRAM-SHA-256-PLUS CRAM-MD5"
CHOICES = [(ALL, "", "SCRAM-SHA-256-PLUS", "p=tls-unique"), ("SCRAM-SHA-1-PLUS SCRAM-SHA-256 PLAIN", "", "SCRAM-SHA-1-PLUS", "p=tls-unique"),
           (ALL, "SCRAM-SHA-256", "SCRAM-SHA-256", "n"), ("SCRAM-SHA-256 PLAIN", "", "SCRAM-SHA-256", "y"), ("SCRAM-SHA-1", "", "SCRAM-SHA-1", "y")]


@pytest.mark.parametrize("offered,named,taken,flag", CHOICES)
def test_scram_is_bound_to_the_session_where_that_can_be(daemon, ca, choosy, offered, named, taken, flag):
    s = choosy(offered, version=ssl.TLSVersion.TLSv1_2)
    d = daemon(to_up(s.port, ca, f"auth-mechanisms {named}" if named else ""))
    out(d)
    assert until(lambda: s.messages, 15), d.log[-3000:]
    assert s.messages[0].session.login == ("scanner", taken, flag)


def test_one_smarthostd_logs_in_to_another(daemon, sink, ca, relay):
    for mechanism in ("", "SCRAM-SHA-256-PLUS", "SCRAM-SHA-1-PLUS", "SCRAM-SHA-256", "CRAM-MD5", "LOGIN"):
        n = len(relay.sink.messages)
        d = daemon(to_up(relay.port, ca, f"auth-mechanisms {mechanism}" if mechanism else ""))
        out(d)
        assert until(lambda: len(relay.sink.messages) > n, 15), d.log[-3000:] + relay.log[-3000:]
    crt, key = ca.cert("scanner", file="another")
    d = daemon(to_up(relay.port, ca, f"certificate {crt} key {key}", user=None, password=None))
    n = len(relay.sink.messages)
    out(d)
    assert until(lambda: len(relay.sink.messages) > n, 15), d.log[-3000:] + relay.log[-3000:]


def test_many_iterations_are_done_beside_the_loop(daemon, ca, choosy):
    s = choosy("SCRAM-SHA-256", iterations=300000)
    d = daemon(to_up(s.port, ca))
    out(d)
    assert until(lambda: s.messages, 20), d.log[-3000:]


REFUSED = [("SCRAM-SHA-256 PLAIN", "SCRAM-SHA-256-PLUS", {}, "auth-mechanisms"), ("PLAIN LOGIN", "CRAM-MD5", {}, "auth-mechanisms"),
           ("XOAUTH2", "", {}, "token"), ("GSSAPI", "", {}, "no common AUTH mechanism"), ("EXTERNAL", "", {}, "certificate"),
           ("SCRAM-SHA-256", "", {"iterations": 1}, "4096"), ("SCRAM-SHA-256 PLAIN", "", {"iterations": 1000}, "4096"),
           ("SCRAM-SHA-256", "", {"users": {"scanner": "another"}}, "AUTH refused"),
           ("SCRAM-SHA-256", "", {"twist": lambda step, text: "e=other-error" if step == 1 else text}, "the server reports an error")]


@pytest.mark.parametrize("offered,named,how,words", REFUSED, ids=[f"{r[0]}/{r[1]}/{n}" for n, r in enumerate(REFUSED)])
def test_nothing_weaker_is_tried_and_mail_waits(daemon, ca, choosy, offered, named, how, words):
    s = choosy(offered, **how)
    d = daemon(to_up(s.port, ca, f"auth-mechanisms {named}" if named else ""))
    out(d)
    waits(d, words)
    assert not s.messages and not any(PASSWORD in c or b64(f"\0scanner\0{PASSWORD}") in c for x in s.sessions for c in x.commands)


LIES = {"forged": {"twist": lambda step, text: "v=" + b64(b"x" * 32) if step == 2 else text}, "early": {"early": True},
        "nonce": {"twist": lambda step, text: "r=other" + text[2:] if step == 1 else text}, "no SCRAM": {"twist": lambda step, text: "hello" if step == 1 else text}}


@pytest.mark.parametrize("lie", LIES)
def test_a_server_that_cannot_prove_itself_gets_no_mail(daemon, ca, choosy, lie):
    s = choosy("SCRAM-SHA-256", **LIES[lie])
    d = daemon(to_up(s.port, ca))
    out(d)
    waits(d)
    assert not s.messages


def test_no_password_without_tls_but_scram(daemon, ca, choosy):
    s = choosy("PLAIN LOGIN CRAM-MD5", plain=True)
    d = daemon(to_up(s.port, ca, "tls off").replace(f"tls-ca {ca.file}\n", ""))
    out(d)
    waits(d, "verified")
    assert not any(c.upper().startswith("AUTH") for x in s.sessions for c in x.commands)
    s = choosy("PLAIN SCRAM-SHA-1", plain=True)
    d = daemon(to_up(s.port, ca, "tls off").replace(f"tls-ca {ca.file}\n", ""))
    out(d)
    assert until(lambda: s.messages, 15), d.log[-3000:]
    assert s.messages[0].session.login == ("scanner", "SCRAM-SHA-1", "n")
