"""TLS and logins towards next hops: whom mail is given to, and what is said of those whom it is not given to."""
import base64
import os
import re
import shutil
import socket
import ssl
import threading
import warnings

import pytest

from harness.ca import CA
from harness.client import Client, message, send
from harness.daemon import BUILD, check, until
from harness.postfix import NEEDED, Postfix

RETRY = "retry 1s\nprobe-auth 1s\nwarn-after off\n"
USER, PASSWORD = "joe@here.test", "pa ss-W:1%="


@pytest.fixture(scope="module")
def ca(ca):
    ca.good = ca.cert("localhost", "127.0.0.1", file="good")
    return ca


def serve(pair, *, low=None, high=None, old=False):
    ctx = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ctx.load_cert_chain(*pair)
    if old:
        ctx.set_ciphers("DEFAULT:@SECLEVEL=0")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ctx.minimum_version, ctx.maximum_version = low, high
    return ctx


def to_up(port, *statements, kind="smarthost", host="localhost"):
    return "\n".join(["transport up {", f"  {kind} {host}:{port}", *statements, "}", "route via up", RETRY])


def out(d, ident="m", to="to@there.test", **kw):
    assert send(d.port, "from@here.test", [to], message(ident, to=to), **kw)[0] == 250


def waits(d, *words, to="to@there.test"):
    """The message is deferred; log, list and explanation name the reason."""
    line = d.wait_event("delivery", status="deferred")[0]
    assert line["dsn"].startswith("4."), line
    for w in words:
        assert w in line["reply"], (w, line["reply"])
    entry, = d.queue()
    shown = d.relayctl("queue", "show", entry["id"]).stdout
    assert all(w in re.sub(r"\s+", " ", shown) for w in words), shown
    rcpt, = d.relayctl_json("queue", "show", entry["id"])["recipients"]
    assert all(w in rcpt["last_reply"] for w in words)
    why = re.sub(r"\s+", " ", d.relayctl("why", entry["id"]).stdout)
    assert all(w in why for w in words), why
    assert not d.events("delivery", status="bounced") and not d.events("bounce")
    return line


# Postfix with certificates of all sorts

@pytest.fixture(scope="module")
def postfix(ca):
    if any(m.args[0] for m in NEEDED):
        pytest.skip("a private Postfix needs root and postfix")
    other = CA()
    pairs = {"right": ca.good, "wrong-name": ca.cert("other.test"), "expired": ca.cert("localhost", days=-1, file="expired"),
             "self-signed": ca.cert("localhost", own=True, file="self"), "unknown-ca": other.cert("localhost")}

    def settings(pair):
        return [f"smtpd_tls_cert_file={pair[0]}", f"smtpd_tls_key_file={pair[1]}", "smtpd_tls_security_level=may", "smtpd_tls_received_header=yes"]
    services = {name: settings(pair) for name, pair in pairs.items()}
    services["stripped"] = ["smtpd_tls_security_level=none"]
    services["old"] = [*settings(ca.good), "smtpd_tls_protocols=TLSv1.2"]
    services["wrapped"] = [*settings(ca.good), "smtpd_tls_wrappermode=yes"]
    services["asks"] = [*settings(ca.good), "smtpd_tls_req_ccert=yes", "smtpd_tls_security_level=encrypt", f"smtpd_tls_CAfile={ca.file}"]
    p = Postfix(services=services)
    yield p
    p.stop()
    shutil.rmtree(other.dir)


@pytest.mark.parametrize("which,tls", [("right", "required"), ("wrapped", "implicit")])
def test_postfix_with_the_right_certificate_gets_the_mail(daemon, postfix, ca, which, tls):
    before = len(postfix.box())
    d = daemon(to_up(postfix.ports[which], f"tls {tls}", f"tls-ca {ca.file}"))
    out(d)
    assert until(lambda: len(postfix.box()) == before + 1, 15), postfix.text()
    assert "using TLSv1.3" in postfix.box()[-1].read_text()
    assert d.wait_event("delivery", status="sent")


@pytest.mark.parametrize("which,words", [
    ("wrong-name", ["is for another name: it is for other.test", "tls-name"]),
    ("unknown-ca", ["issuer is not trusted", "SHA-256 ", "tls-ca"]),
    ("expired", ["certificate has expired, on ", "renew"]),
    ("self-signed", ["self-signed certificate, SHA-256 ", "tls-fingerprint"]),
    ("stripped", ["TLS is required, but the server does not offer it"])])
def test_postfix_with_any_other_gets_none_and_the_mail_waits(daemon, postfix, ca, which, words):
    before = len(postfix.box())
    d = daemon(to_up(postfix.ports[which], "tls required", f"tls-ca {ca.file}"))
    out(d)
    waits(d, *words, f"localhost[127.0.0.1]:{postfix.ports[which]}")
    assert len(postfix.box()) == before


def test_postfix_says_when_it_is_too_old(daemon, postfix, ca):
    d = daemon(to_up(postfix.ports["old"], "tls required", f"tls-ca {ca.file}", "min-tls 1.3"))
    out(d)
    waits(d, "TLS handshake failed", "protocol version")


def test_postfix_is_shown_our_certificate(daemon, postfix, ca):
    crt, key = ca.cert("relay.test", passphrase="open sesame", file="locked")
    before = len(postfix.box())
    d = daemon(to_up(postfix.ports["asks"], "tls required", f"tls-ca {ca.file}", f"certificate {crt} key {key} passphrase file {{dir}}/pass"), start=False)
    (d.dir / "pass").write_text("open sesame\n")
    (d.dir / "pass").chmod(0o600)
    d.start()
    out(d)
    assert until(lambda: len(postfix.box()) == before + 1, 15), postfix.text()
    assert "Client CN \"relay.test\"" in postfix.box()[-1].read_text()
    assert "open sesame" not in d.log
    # and without it there is no mail
    d = daemon(to_up(postfix.ports["asks"], "tls required", f"tls-ca {ca.file}"))
    out(d)
    assert d.wait_event("delivery", status="deferred") and not d.events("delivery", status="sent")


def test_a_wrong_passphrase_is_a_mistake_of_the_configuration(ca):
    crt, key = ca.cert("relay.test", passphrase="open sesame", file="locked2")
    for files, words in (({"p": ("wrong\n", 0o600)}, "damaged, or another passphrase"), ({}, "encrypted, and no passphrase is given")):
        status, said, where = check(f"transport up {{\n smarthost localhost\n certificate {crt} key {key}" + (" passphrase file p" if files else "") + "\n}\n", files)
        assert status == 78 and f"{where}/smarthostd.conf:1: transport up: client certificate: private key: {words}" in said
        assert "sesame" not in said


# whose certificate is right

@pytest.mark.parametrize("statements,arrives", [
    ("tls-ca {ca}", True), ("tls-ca {ca}; tls-name localhost", True), ("tls-ca {ca}; tls-name 127.0.0.1", True), ("tls-ca {ca}; tls-name other.test", False),
    ("tls-fingerprint {pin}", True), ("tls-fingerprint {pin_bare}", True), ("tls-fingerprint spki:{spki}", True), ("tls-fingerprint SPKI", False),
    ("tls-fingerprint " + "0" * 64 + " spki:{spki}", True), ("tls-fingerprint spki:" + "0" * 64, False), ("tls-fingerprint spki:{pin_bare}", False),
    ("tls-fingerprint {pin}; tls-name other.test", True), ("tls-verify off", True), ("", False)])
def test_pins_and_names(daemon, sink, ca, statements, arrives):
    s = sink(tls=serve(ca.good))
    pin = ca.fingerprint("good")
    if "SPKI" in statements:
        assert check("transport up {{ smarthost localhost; {0} }}\n".format(statements))[0] == 78
        return
    filled = statements.format(ca=ca.file, pin=pin, pin_bare=pin.replace(":", "").upper(), spki=ca.spki("good"))
    d = daemon(to_up(s.port, "tls required", filled.replace("; ", "\n")))
    out(d)
    if arrives:
        assert until(lambda: s.messages, 10), d.log
        assert s.messages[0].session.tls
    else:
        waits(d, "certificate of localhost refused")
        assert not s.messages
        assert not any(c.startswith(("MAIL", "AUTH")) for x in s.sessions for c in x.commands)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_an_address_is_looked_for_in_the_certificate(daemon, sink, ca, host):
    s = sink(tls=serve(ca.good))
    d = daemon(to_up(s.port, "tls required", f"tls-ca {ca.file}", host=host))
    out(d)
    assert until(lambda: s.messages, 10)
    t = sink(tls=serve(ca.cert("localhost", file="no-address")))
    d = daemon(to_up(t.port, "tls required", f"tls-ca {ca.file}", host="127.0.0.1"))
    out(d)
    waits(d, "is for another address: it is for localhost", "tls-name")


def test_a_wildcard_stands_for_one_label(daemon, sink, ca):
    s = sink(tls=serve(ca.cert("*.mx.test", file="wild")))
    for name, arrives in (("a.mx.test", True), ("mx.test", False), ("a.b.mx.test", False)):
        d = daemon(to_up(s.port, "tls required", f"tls-ca {ca.file}", f"tls-name {name}"))
        out(d, name)
        if arrives:
            assert until(lambda: s.to("to@there.test"), 10)
        else:
            waits(d, "it is for *.mx.test")
    assert len(s.messages) == 1


@pytest.mark.parametrize("version,statement,arrives", [
    (ssl.TLSVersion.TLSv1, "", False), (ssl.TLSVersion.TLSv1_1, "", False), (ssl.TLSVersion.TLSv1_2, "", True), (ssl.TLSVersion.TLSv1_3, "", True),
    (ssl.TLSVersion.TLSv1, "min-tls 1.0", True), (ssl.TLSVersion.TLSv1, "min-tls 1.1", False), (ssl.TLSVersion.TLSv1_1, "min-tls 1.1", True),
    (ssl.TLSVersion.TLSv1_2, "min-tls 1.3", False), (ssl.TLSVersion.TLSv1_3, "min-tls 1.3", True)], ids=str)
def test_versions(daemon, sink, ca, version, statement, arrives):
    pair = ca.cert("localhost", file="rsa", rsa=True)
    s = sink(tls=serve(pair, low=version, high=version, old=True))
    d = daemon(to_up(s.port, "tls required", f"tls-ca {ca.file}", statement))
    out(d)
    if arrives:
        assert until(lambda: s.messages, 10), d.log
    else:
        waits(d, "TLS handshake failed")
        assert not s.messages


# STARTTLS that goes wrong

@pytest.mark.parametrize("answer", ["454 4.7.0 not now", "500 5.5.1 what?", "502 5.5.1 no", "421 4.3.2 go away", "220-x\r\n", "250 2.0.0 yes"])
def test_starttls_that_is_refused_stops_the_mail(daemon, sink, ca, answer):
    s = sink(lambda stage, session, arg: answer if stage == "starttls" else None, tls=serve(ca.good))
    if answer.startswith("220-"):
        answer = "220-x\r\n220 go"       # a reply of two lines is one all the same
    d = daemon(to_up(s.port, "tls required", f"tls-ca {ca.file}"))
    out(d)
    if answer.startswith("220-"):
        assert until(lambda: s.messages, 10)
        return
    waits(d, answer.split("\r\n")[0][:3])
    assert not s.messages and not any(c.startswith("MAIL") for x in s.sessions for c in x.commands)


@pytest.mark.parametrize("tls", ["required", "opportunistic"])
def test_plaintext_behind_the_220_stops_the_mail(daemon, sink, ca, tls):
    """What came in the clear must not be taken for an answer inside of TLS."""
    s = sink(lambda stage, session, arg: b"220 go on\r\n250-sink.test\r\n250 AUTH PLAIN\r\n" if stage == "starttls" and session.number == 0 else None,
             tls=serve(ca.good))
    d = daemon(to_up(s.port, f"tls {tls}", f"tls-ca {ca.file}"))
    out(d)
    line = d.wait_event("delivery")[0]
    assert line["status"] == "deferred" and "plaintext behind STARTTLS" in line["reply"]
    # at the next attempt nobody interferes
    assert until(lambda: s.messages, 10)
    assert s.messages[0].session.tls and s.messages[0].session.number > 0


def test_what_was_offered_in_the_clear_is_forgotten(daemon, sink, ca):
    def script(stage, session, arg):
        if stage == "ehlo" and not session.tls:
            return "250-sink.test\r\n250-STARTTLS\r\n250-SIZE 10\r\n250-CHUNKING\r\n250 PIPELINING"
        return "250-sink.test\r\n250 8BITMIME" if stage == "ehlo" else None
    s = sink(script, tls=serve(ca.good))
    d = daemon(to_up(s.port, "tls required", f"tls-ca {ca.file}"))
    out(d)
    assert until(lambda: s.messages, 10), d.log
    commands = s.messages[0].session.commands
    assert [c.split()[0] for c in commands][:3] == ["EHLO", "STARTTLS", "EHLO"] and "DATA" in commands and "SIZE=" not in s.messages[0].params


def test_the_end_of_tls_is_said(daemon, ca):
    """A server that is told nothing at the end could not tell it from an attack."""
    listening = socket.create_server(("127.0.0.1", 0))
    said = []

    def one_session():
        sock = serve(ca.good).wrap_socket(listening.accept()[0], server_side=True, suppress_ragged_eofs=False)
        lines, body = sock.makefile("rb"), False
        sock.sendall(b"220 x\r\n")
        try:
            for line in map(bytes.strip, lines):
                body = body and line != b"."
                said.append(line)
                if not body:
                    body = line == b"DATA"
                    sock.sendall(b"354 go\r\n" if body else b"250 x\r\n")
            said.append("in order")
        except OSError as e:
            said.append(e)
        lines.close()
        sock.close()
    server = threading.Thread(target=one_session, daemon=True)
    server.start()
    d = daemon(to_up(listening.getsockname()[1], "tls implicit", f"tls-ca {ca.file}", "idle-timeout 1s"))
    out(d)
    server.join(15)
    listening.close()
    assert said[-2:] == [b"QUIT", "in order"], said


# opportunistic

def broken(pair):
    """A server that can agree with nobody on a cipher."""
    ctx = serve(pair)
    ctx.maximum_version = ssl.TLSVersion.TLSv1_2
    ctx.set_ciphers("ECDHE-RSA-AES128-GCM-SHA256")       # but its key is for ECDSA
    return ctx


def test_a_handshake_that_fails_is_followed_by_a_new_connection_in_plain(daemon, sink, ca):
    s = sink(tls=broken(ca.good))
    d = daemon(to_up(s.port))
    out(d)
    assert until(lambda: s.messages, 10), d.log
    assert not s.messages[0].session.tls and s.messages[0].session.number == 1
    assert s.sessions[0].commands[:2] == ["EHLO relay.test", "STARTTLS"] and "STARTTLS" not in s.sessions[1].commands
    assert len(d.events("delivery")) == 1


@pytest.mark.parametrize("file,more", [("expired2", {"days": -1}), ("self2", {"own": True}), ("good", {})])
def test_an_opportunist_takes_any_certificate(daemon, sink, ca, file, more):
    s = sink(tls=serve(ca.cert("other.test" if more else "localhost", file=file + "x", **more)))
    d = daemon(to_up(s.port))
    out(d)
    assert until(lambda: s.messages, 10)
    assert s.messages[0].session.tls


def test_an_opportunist_never_shows_a_password(daemon, sink, ca):
    s = sink(tls=serve(ca.good), users={USER: PASSWORD})
    d = daemon(to_up(s.port, "tls opportunistic", f"username {USER}", f'password "{PASSWORD}"', kind="submission"))
    out(d)
    line = waits(d, "password is not shown")
    assert not any(c.startswith("AUTH") for x in s.sessions for c in x.commands), line


# logins

def in_words(d, s):
    """What went over the wire and into the log."""
    told = d.log + "".join(d.relayctl(*c).stdout for c in (["queue", "list", "--json"], ["config", "show"], ["why", "last"], ["status"]))
    return [x for x in (PASSWORD, base64.b64encode(PASSWORD.encode()).decode(), base64.b64encode(f"\0{USER}\0{PASSWORD}".encode()).decode()) if x in told]


def script(path, *lines):
    path.write_text("\n".join(["#!/bin/sh", *lines, ""]))
    path.chmod(0o755)


SOURCES = {
    "value": f'password "{PASSWORD}"', "file": "password file {dir}/pw", "credential": "password credential up",
    "command": "password command \"{dir}/show 'a b'\"", "command as": "password command \"{dir}/show 'a b'\" as nobody"}


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
def test_passwords_from_everywhere(daemon, sink, ca, source, mechanism):
    if source == "command as" and os.geteuid() != 0:
        pytest.skip("only root can become somebody else")
    implicit = source == "file"
    s = sink(tls=serve(ca.good), implicit=implicit, users={USER: PASSWORD})
    d = daemon(to_up(s.port, f"tls {'implicit' if implicit else 'required'}", f"tls-ca {ca.file}", f"username {USER}", SOURCES[source],
                     f"auth-mechanisms {mechanism}", kind="submission"), start=False)
    for where in (d.dir / "pw", d.dir / "credentials" / "up"):
        where.parent.mkdir(exist_ok=True)
        where.write_text(PASSWORD + "\nnot this\n")
        where.chmod(0o600)
    d.env["CREDENTIALS_DIRECTORY"] = str(d.dir / "credentials")
    script(d.dir / "show", "echo a remark >&2", '[ "$1" = "a b" ] || exit 3', f"printf '%s\\r\\nmore\\n' '{PASSWORD}'")
    d.start()
    for i in range(3):
        out(d, f"m{i}")
    assert until(lambda: len(s.messages) == 3, 15), d.log
    assert all(m.session.login == USER and m.session.tls for m in s.messages)
    assert any(c.startswith(f"AUTH {mechanism}") for c in s.sessions[0].commands)
    assert d.wait_empty() and in_words(d, s) == []


def test_a_refused_password_makes_mail_wait_until_it_is_right(daemon, sink, ca):
    s = sink(tls=serve(ca.good), users={USER: "another"})
    d = daemon(to_up(s.port, f"tls-ca {ca.file}", f"username {USER}", "password file {dir}/pw", kind="submission"), start=False)
    (d.dir / "pw").write_text(PASSWORD + "\n")
    (d.dir / "pw").chmod(0o600)
    d.start()
    out(d)
    waits(d, "AUTH refused", "535 5.7.8 no")
    assert in_words(d, s) == []
    # a changed file is noticed
    (d.dir / "pw").write_text("another\n")
    assert until(lambda: s.messages, 20), d.log
    assert d.wait_empty() and not d.events("delivery", status="bounced")


def test_a_command_whose_password_was_refused_is_run_again(daemon, sink, ca):
    s = sink(tls=serve(ca.good), users={USER: PASSWORD})
    d = daemon(to_up(s.port, f"tls-ca {ca.file}", f"username {USER}", 'password command "{dir}/show"', kind="submission"), start=False)
    (d.dir / "state").mkdir()
    (d.dir / "state").chmod(0o777)
    script(d.dir / "show", f"cd {d.dir}/state", f"if [ -e once ]; then echo '{PASSWORD}'; else echo old; touch once; fi", "echo . >> runs")
    d.start()
    out(d)
    waits(d, "AUTH refused")
    assert until(lambda: s.messages, 15), d.log
    out(d, "again")
    assert until(lambda: len(s.messages) == 2, 15)
    assert (d.dir / "state" / "runs").read_text() == ".\n.\n"


@pytest.mark.parametrize("lines,words", [
    (["echo 'no key, sorry' >&2", "exit 2"], "ended with status 2: no key, sorry"), (["exit 0"], "wrote nothing in its first line"),
    (["echo", "echo second"], "wrote nothing in its first line"), (["kill -9 $$"], "ended by signal 9"),
    (["head -c 20000 /dev/zero | tr '\\\\0' x"], "wrote what is no password")])
def test_a_command_that_fails_makes_mail_wait(daemon, sink, ca, lines, words):
    s = sink(tls=serve(ca.good), users={USER: PASSWORD})
    d = daemon(to_up(s.port, f"tls-ca {ca.file}", f"username {USER}", 'password command "{dir}/show"', kind="submission"), start=False)
    script(d.dir / "show", *lines)
    d.start()
    out(d)
    waits(d, "password command: ", words)
    assert words in d.events("secret", transport="up")[0]["text"]
    if "sorry" not in words:
        return
    # it is asked again when the time has come
    script(d.dir / "show", f"echo '{PASSWORD}'")
    assert until(lambda: s.messages, 30), d.log


def test_a_command_runs_as_nobody_special(daemon, sink, ca):
    s = sink(tls=serve(ca.good), users={USER: PASSWORD})
    d = daemon(to_up(s.port, f"tls-ca {ca.file}", f"username {USER}", 'password command "{dir}/show"', kind="submission"), start=False)
    (d.dir / "state").mkdir()
    (d.dir / "state").chmod(0o777)
    script(d.dir / "show", f"cd {d.dir}/state", "id -u > uid", "env > env", "ls -l /proc/self/fd > fds", "cat > stdin", f"echo '{PASSWORD}'")
    d.env["SECRET_OF_THE_CALLER"] = "x"
    d.start()
    out(d)
    assert until(lambda: s.messages, 15), d.log
    look = {f.name: f.read_text() for f in (d.dir / "state").iterdir()}
    assert int(look["uid"]) == (65534 if os.geteuid() == 0 else os.geteuid())
    assert {line.split("=")[0] for line in look["env"].split("\n") if line} <= {"PATH", "HOME", "USER", "LOGNAME", "PWD", "OLDPWD", "SHLVL", "_"}
    assert look["stdin"] == "" and not re.search(r"socket:|memfd|\.pem|spool", look["fds"])


@pytest.mark.parametrize("said,waits_for", [("535 5.7.8 no", "AUTH refused"), ("534 5.7.9 app password needed", "AUTH refused"),
                                            ("454 4.7.0 later", "AUTH refused"), ("500 5.5.1 what", "AUTH refused"), ("334 !!!", "not base64")])
def test_whatever_a_server_says_to_auth_nothing_bounces(daemon, sink, ca, said, waits_for):
    s = sink(lambda stage, session, arg: said if stage == "auth" else None, tls=serve(ca.good), users={USER: PASSWORD})
    d = daemon("expire 1h\n" + to_up(s.port, f"tls-ca {ca.file}", f"username {USER}", f'password "{PASSWORD}"', kind="submission"))
    out(d)
    waits(d, waits_for)
    assert not s.messages


def test_a_server_without_auth_gets_nothing(daemon, sink, ca):
    s = sink(tls=serve(ca.good))
    d = daemon(to_up(s.port, f"tls-ca {ca.file}", f"username {USER}", f'password "{PASSWORD}"', kind="submission"))
    out(d)
    waits(d, "offers no AUTH")
    assert not s.messages


# what next hops understand

EHLO8 = ("PIPELINING", "SIZE 104857600", "8BITMIME", "ENHANCEDSTATUSCODES")


def test_an_address_that_a_next_hop_cannot_understand_comes_back_alone(daemon, sink):
    s = sink(ehlo=EHLO8)
    d = daemon("postmaster pm@there.test\nbounce-to sender\n" + to_up(s.port, host="127.0.0.1"))
    c = Client(d.port)
    assert "SMTPUTF8" in c.caps and "8BITMIME" in c.caps
    assert c.mail("from@here.test", ["grüße@there.test"], message("utf8"), params=" SMTPUTF8")[0] == 250
    assert c.mail("from@here.test", ["to@there.test"], message("plain", body="Grüße\r\n".encode()), params=" BODY=8BITMIME")[0] == 250
    c.quit()
    bounced = d.wait_event("delivery", status="bounced")
    assert len(bounced) == 1 and bounced[0]["dsn"] == "5.6.7" and "SMTPUTF8" in bounced[0]["reply"]
    assert until(lambda: len(s.messages) == 2, 10)         # the other message, and the report
    by = {m.rcpts[0]: m for m in s.messages}
    assert by["to@there.test"].data.endswith("\r\n\r\nGrüße\r\n".encode()) and "BODY=8BITMIME" in by["to@there.test"].params
    report = by["from@here.test"].data
    assert b"Status: 5.6.7" in report and b"grue" not in report.lower()


def test_one_that_does_gets_it_as_it_is(daemon, sink):
    s = sink(ehlo=(*EHLO8, "SMTPUTF8"))
    d = daemon(to_up(s.port, host="127.0.0.1"))
    c = Client(d.port)
    data = "From: Grüße <grüße@here.test>\r\nTo: 用户@例え.test\r\nSubject: ☃\r\nDate: Fri, 20 Nov 2026 04:05:06 +0000\r\nMessage-ID: <a@b>\r\n\r\nзима\r\n".encode()
    assert c.mail("grüße@here.test", ["用户@there.test"], data, params=" SMTPUTF8 BODY=8BITMIME")[0] == 250
    c.quit()
    assert until(lambda: s.messages, 10)
    m, = s.messages
    assert m.data.endswith(data) and m.mail_from == "grüße@here.test" and m.rcpts == ["用户@there.test"] and "SMTPUTF8" in m.params
    assert b"with UTF8SMTP " in m.data


def test_a_next_hop_without_8bitmime_gets_it_all_the_same(daemon, sink):
    s = sink(ehlo=("PIPELINING",))
    d = daemon(to_up(s.port, host="127.0.0.1"))
    body = "Grüße \r\n".encode() + bytes(range(0x80, 0x100)) + b"\r\n"
    out_data = message("m", body=body)
    assert send(d.port, "from@here.test", ["to@there.test"], out_data, params=" BODY=8BITMIME")[0] == 250
    assert until(lambda: s.messages, 10)
    assert s.messages[0].data.endswith(out_data) and "BODY" not in s.messages[0].params


# large messages

def memory(pid, what):
    """kB: RssAnon is the process's own, without pages of files, which the kernel takes back when it likes; VmHWM the most there ever was."""
    with open(f"/proc/{pid}/status") as f:
        return int(re.search(rf"{what}:\s+(\d+) kB", f.read()).group(1))


ROLES = ("listener", "queue", "delivery", "auth")
MIB = 1 << 20


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "TLS"])
@pytest.mark.parametrize("way", ["mail", "bdat"])
def test_a_large_message_takes_no_memory(daemon, sink, ca, way, tls):
    ehlo = ("PIPELINING", "8BITMIME", "SIZE 104857600") + (("CHUNKING",) if way == "bdat" else ())
    s = sink(ehlo=ehlo, tls=serve(ca.good) if tls else None)
    head = f"listen 127.0.0.1:{{port}} {{ certificate {ca.good[0]} key {ca.good[1]}; allow 127.0.0.0/8 }}\nmax-message-size 60M\n"
    d = daemon(head + to_up(s.port, *(["tls required", f"tls-ca {ca.file}"] if tls else ["tls off"])))
    c = Client(d.port)
    if tls:
        assert c.cmd("STARTTLS")[0] == 220
        c.sock = ca.client().wrap_socket(c.sock, server_hostname="localhost")
        c.ehlo()
    # warm: libraries, TLS, the first pages
    assert getattr(c, way)("from@here.test", ["to@there.test"], message("small", body=b"x" * 70000 + b"\r\n"))[0] == 250
    assert until(lambda: s.messages, 10)
    pids = {r: d.role(r)[0] for r in ROLES}
    before = {r: memory(p, "RssAnon") for r, p in pids.items()}
    peak = {r: memory(p, "VmHWM") for r, p in pids.items()}
    line = b"0123456789abcdef" * 4 + b".\r\n"
    data = message("large", body=b".\r\n" + line * (50 * MIB // len(line)))
    assert len(data) >= 50 * MIB - 200
    assert getattr(c, way)("from@here.test", ["to@there.test"], data)[0] == 250
    seen = dict(before)

    def look():
        for r, p in pids.items():
            seen[r] = max(seen[r], memory(p, "RssAnon"))
        return len(s.messages) == 2
    assert until(look, 60, 0.05)
    c.quit()
    assert s.messages[1].data.endswith(data)
    if "sanitize" in (BUILD / "config.flags").read_text():
        return          # which keeps freed memory on purpose
    grown = {r: (seen[r] - before[r]) / 1024 for r in ROLES}
    assert all(g < 8 for g in grown.values()), grown
    # and between our looks; the database is a file that queue has mapped
    high = {r: (memory(p, "VmHWM") - peak[r]) / 1024 for r, p in pids.items() if r != "queue"}
    assert all(g < 8 for g in high.values()), high
