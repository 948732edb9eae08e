"""TLS and logins, on both sides; secrets stay where they belong."""
import base64
import re
import shutil
import smtplib
import subprocess

import pytest

from harness.client import Client, message, send
from harness.daemon import free_port, until

RETRY = "retry 1s\nwarn-after off\n"


@pytest.fixture
def relay(daemon, sink, ca):
    """A daemon with a listener each for STARTTLS, implicit TLS and AUTH, and a login."""
    s = sink()
    crt, key = ca.cert("localhost", "127.0.0.1")
    ports = {n: free_port() for n in ("starttls", "implicit", "required", "auth", "plain")}
    tls = f"certificate {crt} key {key}; allow 127.0.0.0/8"
    d = daemon(f"""
listen 127.0.0.1:{ports['starttls']} {{ {tls} }}
listen 127.0.0.1:{ports['implicit']} {{ tls implicit; {tls} }}
listen 127.0.0.1:{ports['required']} {{ tls required; {tls} }}
listen 127.0.0.1:{ports['auth']} {{ auth required; {tls} }}
listen 127.0.0.1:{ports['plain']} {{ auth-without-tls on; allow 127.0.0.0/8 }}
login scanner {{ password "pa ss-W:1%="; senders @here.test }}
transport up {{ smarthost 127.0.0.1:{s.port} }}
route via up
""", listen=False)
    d.sink, d.ports = s, ports
    return d


def secure(d, name, ca):
    c = Client(d.ports[name], host="127.0.0.1")
    assert "STARTTLS" in c.caps and c.cmd("STARTTLS")[0] == 220
    c.sock = ca.client().wrap_socket(c.sock, server_hostname="localhost")
    c.ehlo()
    return c


def plain(name, password):
    return "AUTH PLAIN " + base64.b64encode(f"\0{name}\0{password}".encode()).decode()


GOOD = ("scanner", "pa ss-W:1%=")


# those who send to us

def test_starttls_and_what_is_offered_behind_it(relay, ca):
    c = secure(relay, "starttls", ca)
    assert "STARTTLS" not in c.caps and set(c.caps["AUTH"].split()) >= {"PLAIN", "LOGIN"}
    assert c.cmd("STARTTLS")[0] == 503
    assert c.mail("from@here.test", ["to@there.test"], message("m"))[0] == 250
    c.quit()
    assert until(lambda: relay.sink.messages, 8)
    assert b"with ESMTPS id" in relay.sink.messages[0].data and b"TLSv1.3" in relay.sink.messages[0].data


def test_implicit_tls(relay, ca):
    with smtplib.SMTP_SSL("localhost", relay.ports["implicit"], context=ca.client(), timeout=20) as s:
        s.login(*GOOD)
        s.sendmail("from@here.test", ["to@there.test"], message("m"))
    assert until(lambda: relay.sink.messages, 8)
    assert b"with ESMTPSA id" in relay.sink.messages[0].data


def test_where_tls_is_required_nothing_goes_without(relay, ca):
    c = Client(relay.ports["required"])
    assert c.cmd("MAIL FROM:<from@here.test>") == (530, "5.7.0 Issue a STARTTLS command first")
    c.quit()
    c = secure(relay, "required", ca)
    assert c.mail("from@here.test", ["to@there.test"], message("m"))[0] == 250
    c.quit()


def test_where_a_login_is_required_an_address_is_not_enough(relay, ca):
    c = secure(relay, "auth", ca)
    code, text = c.cmd("MAIL FROM:<from@here.test>")
    assert (code, text[:5]) == (530, "5.7.0")
    assert c.cmd(plain(*GOOD))[0] == 235 and c.cmd(plain(*GOOD))[0] == 503
    assert c.cmd("MAIL FROM:<from@elsewhere.test>")[0] == 553
    assert c.mail("from@here.test", ["to@there.test"], message("m"))[0] == 250
    c.quit()


@pytest.mark.parametrize("user", [("scanner", "wrong"), ("nobody", "pa ss-W:1%="), ("scanner", ""), ("", ""), ("scanner", "pa ss-W:1%=x"), ("SCANNER\0x", "y")])
def test_wrong_logins_are_refused(relay, ca, user):
    c = secure(relay, "auth", ca)
    assert c.cmd(plain(*user))[0] in (501, 535)
    assert c.cmd("MAIL FROM:<from@here.test>")[0] == 530
    c.quit()
    assert "pa ss" not in relay.log and "wrong" not in relay.log


def test_the_steps_of_a_login(relay, ca):
    c = secure(relay, "auth", ca)
    assert c.cmd("AUTH NOSUCH")[0] == 504 and c.cmd("AUTH PLAIN !!!")[0] == 501 and c.cmd("AUTH")[0] == 501
    assert c.cmd("AUTH PLAIN")[0] == 334 and c.cmd("*")[0] == 501
    assert c.cmd("AUTH LOGIN") == (334, base64.b64encode(b"Username:").decode())
    assert c.cmd(base64.b64encode(b"scanner").decode())[0] == 334
    assert c.cmd(base64.b64encode(GOOD[1].encode()).decode())[0] == 235
    c.quit()


def test_no_login_is_offered_in_the_clear_unless_the_listener_says_so(relay):
    # one that is on this machine may
    c = Client(relay.ports["plain"])
    assert "AUTH" in c.caps and c.cmd(plain(*GOOD))[0] == 235
    c.quit()


def test_commands_sent_ahead_of_the_handshake_close_the_session(relay):
    c = Client(relay.ports["starttls"])
    c.send("STARTTLS\r\nMAIL FROM:<evil@here.test>\r\nRCPT TO:<to@there.test>\r\n")
    assert c.closed()
    assert not relay.events("received")


def test_a_failed_handshake_harms_nobody(relay, ca):
    for noise in (b"\x16\x03\x01\x00\x05hello", b"EHLO again\r\n", b""):
        c = Client(relay.ports["starttls"])
        assert c.cmd("STARTTLS")[0] == 220
        c.send(noise)
        c.close()
    c = secure(relay, "starttls", ca)
    assert c.cmd("NOOP")[0] == 250
    c.quit()


@pytest.mark.skipif(shutil.which("swaks") is None, reason="swaks is not installed")
@pytest.mark.parametrize("how", [["--port", "starttls", "--tls"], ["--port", "implicit", "--tlsc"],
                                 ["--port", "auth", "--tls", "--auth", "PLAIN"], ["--port", "auth", "--tls", "--auth", "LOGIN"]], ids=" ".join)
def test_swaks(relay, ca, how):
    port = str(relay.ports[how[1]])
    r = subprocess.run(["swaks", "--server", "127.0.0.1", "--port", port, *how[2:], "--from", "s@here.test", "--to", "to@there.test", "--timeout", "20",
                        "--tls-ca-path", ca.file, "--tls-verify", "--auth-user", GOOD[0], "--auth-password", GOOD[1]][:None if "--auth" in how else -4],
                       capture_output=True, text=True, timeout=40)
    assert r.returncode == 0, r.stdout[-1500:] + r.stderr
    assert until(lambda: relay.sink.messages, 8)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
def test_old_tls_is_refused_unless_allowed(relay, ca):
    r = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{relay.ports['implicit']}", "-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0"], input="",
                       capture_output=True, text=True, timeout=20)
    assert r.returncode != 0 or "Cipher is (NONE)" in r.stdout


# those we send to

def out(d, ident="m"):
    assert send(d.port, "from@here.test", ["to@there.test"], message(ident))[0] == 250


def test_tls_is_used_where_it_is_offered(daemon, sink, ca):
    s = sink(tls=ca.server("other.test"))           # nobody looks at its name
    d = daemon(f"transport up {{ smarthost 127.0.0.1:{s.port} }}\nroute via up\n" + RETRY)
    out(d)
    assert until(lambda: s.messages, 8)
    assert s.messages[0].session.tls
    line, = d.wait_event("delivery")
    assert "tls" not in line or line["tls"].startswith("TLSv1.3")


def test_where_tls_fails_an_opportunist_goes_without(daemon, sink, ca):
    s = sink(lambda stage, session, arg: "454 4.7.0 broken today" if stage == "starttls" else None, tls=ca.server("other.test"))
    d = daemon(f"transport up {{ smarthost 127.0.0.1:{s.port} }}\nroute via up\n" + RETRY)
    out(d)
    assert until(lambda: s.messages, 8)
    assert not s.messages[0].session.tls


@pytest.mark.parametrize("host,statements,arrives", [
    ("localhost", "tls required; tls-ca {ca}", True), ("127.0.0.1", "tls required; tls-ca {ca}", False),
    ("127.0.0.1", "tls required; tls-ca {ca}; tls-name localhost", True),
    ("localhost", "tls required", False), ("localhost", "tls required; tls-verify off", True), ("localhost", "tls required; tls-fingerprint {pin}", True),
    ("localhost", "tls required; tls-fingerprint " + "00" * 32, False)])
def test_where_tls_is_required_it_is_verified(daemon, sink, ca, host, statements, arrives):
    s = sink(tls=ca.server("localhost"))
    d = daemon(f"transport up {{ smarthost {host}:{s.port}; {statements.format(ca=ca.file, pin=ca.fingerprint('localhost'))} }}\nroute via up\n" + RETRY)
    out(d)
    if arrives:
        assert until(lambda: s.messages, 8)
        assert s.messages[0].session.tls
    else:
        line = d.wait_event("delivery", status="deferred")[0]
        assert re.search("(?i)certificate|TLS", line["reply"]) and not s.messages
        assert not d.events("delivery", status="bounced")


def test_where_tls_is_required_and_not_offered_nothing_goes(daemon, sink):
    s = sink()
    d = daemon(f"transport up {{ smarthost 127.0.0.1:{s.port}; tls required; tls-verify off }}\nroute via up\n" + RETRY)
    out(d)
    assert d.wait_event("delivery", status="deferred") and not s.messages


@pytest.mark.parametrize("mechanism", ["", "auth-mechanisms LOGIN"])
@pytest.mark.parametrize("implicit", [False, True])
def test_submission_with_a_password(daemon, sink, ca, implicit, mechanism):
    s = sink(tls=ca.server("localhost"), implicit=implicit, users={"joe": "sec ret"})
    d = daemon("transport up {\n" + f"submission localhost:{s.port}\ntls-ca {ca.file}\nusername joe\npassword file {{dir}}/pw\n{mechanism}\n"
               f"tls {'implicit' if implicit else 'required'}\n}}\nroute via up\n" + RETRY, start=False)
    (d.dir / "pw").write_text("sec ret\n")
    (d.dir / "pw").chmod(0o600)
    d.start()
    out(d)
    assert until(lambda: s.messages, 8)
    assert s.messages[0].session.login == "joe" and s.messages[0].session.tls
    assert any(c.startswith("AUTH LOGIN" if mechanism else "AUTH PLAIN") for c in s.sessions[0].commands)
    assert "sec ret" not in d.log and base64.b64encode(b"\0joe\0sec ret").decode() not in d.log


def test_a_refused_password_bounces_nothing(daemon, sink, ca):
    s = sink(tls=ca.server("localhost"), users={"joe": "other"})
    d = daemon("transport up {\n" + f"submission localhost:{s.port}\ntls-ca {ca.file}\nusername joe\npassword wrong\n}}\nroute via up\n" + RETRY)
    out(d)
    line = d.wait_event("delivery", status="deferred")[0]
    assert "535" in line["reply"] and not s.messages and not d.events("delivery", status="bounced")


def test_a_password_never_goes_in_the_clear(daemon, sink):
    s = sink(users={"joe": "secret"})
    d = daemon("transport up {\n" + f"submission localhost:{s.port}\nusername joe\npassword secret\n}}\nroute via up\n" + RETRY)
    out(d)
    assert d.wait_event("delivery", status="deferred")
    assert not any("AUTH" in c for x in s.sessions for c in x.commands)
