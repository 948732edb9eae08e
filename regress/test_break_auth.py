"""Attacks on logins and on the token server: what a guesser, a liar and a neighbour on the machine get."""
import base64
import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import threading
import time

import pytest

from harness.ca import CA
from harness.client import Client, message
from harness.daemon import BIN, free_port, until, work_dir
from test_oauth import World, account, token_file
from test_token_server import ask, token_of

PASSWORD = "pa ss-W:1%="


def b64(text):
    return base64.b64encode(text.encode() if isinstance(text, str) else text).decode()


@pytest.fixture
def relay(daemon):
    return daemon(f'listen 127.0.0.1:{{port}} {{ auth required; auth-mechanisms PLAIN LOGIN CRAM-MD5 SCRAM-SHA-256 }}\nlogin joe {{ password "{PASSWORD}" }}\n'
                  "transport up { smarthost 127.0.0.1:9 }\nroute via up\n")


def plain(c, password, name="joe"):
    began = time.monotonic()
    return c.cmd("AUTH PLAIN " + b64(f"\0{name}\0{password}"))[0], time.monotonic() - began


# ---- guessing

def test_who_does_not_wait_for_a_refusal_learns_nothing(relay):
    """A right password is answered as late as a wrong one, or a guesser would hang up after 50 ms and try the next."""
    c = Client(relay.port)
    for _ in range(3):
        assert plain(c, "wrong")[0] == 535
    code, took = plain(c, PASSWORD)
    assert code == 235 and took >= 0.9
    c.quit()
    c = Client(relay.port)
    code, took = plain(c, PASSWORD)
    assert code == 235 and took < 0.9, "it has been forgiven"
    c.quit()


def test_a_right_answer_that_nobody_waited_for_forgives_nothing(relay):
    c = Client(relay.port)
    for _ in range(4):
        assert plain(c, "wrong")[0] == 535
    c.send("AUTH PLAIN " + b64(f"\0joe\0{PASSWORD}") + "\r\n")
    c.close()
    c = Client(relay.port)
    assert plain(c, "wrong")[1] >= 1.9
    c.close()


# ---- the lines of an exchange

@pytest.mark.parametrize("line,code", [("A" * 12292, 500), ("AA\0A", 500), ("!", 501), ("AAAA=AAA", 501), ("*", 501)])
@pytest.mark.parametrize("start", ["AUTH PLAIN", "AUTH LOGIN", "AUTH CRAM-MD5", "AUTH SCRAM-SHA-256"])
def test_a_line_that_is_none_ends_the_exchange(relay, start, line, code):
    c = Client(relay.port)
    assert c.cmd(start)[0] == 334 and c.cmd(line)[0] == code
    assert c.cmd("NOOP")[0] == 250 and plain(c, PASSWORD)[0] == 235
    c.quit()


def test_what_is_pipelined_behind_auth_waits_for_its_answer(relay):
    c = Client(relay.port)
    c.send("AUTH PLAIN " + b64("\0joe\0wrong") + "\r\nMAIL FROM:<a@here.test>\r\nAUTH PLAIN " + b64(f"\0joe\0{PASSWORD}") + "\r\nMAIL FROM:<a@here.test>\r\n"
           "AUTH LOGIN\r\nRSET\r\nAUTH LOGIN\r\n")
    assert [c.reply()[0] for _ in range(7)] == [535, 530, 235, 250, 503, 250, 503]
    c.quit()


@pytest.mark.parametrize("said", ["", "\0", "\0\0", "joe", "\0joe", "\0joe\0", "\0\0x", f"ann\0joe\0{PASSWORD}", f"\0joe\0{PASSWORD}\0", f"\0joe\0{PASSWORD}\0x",
                                  f"\0joe\0x\0{PASSWORD}", "\0joe\0" + "x" * 5000, "\0" + "j" * 2000 + "\0x", f"\0JOE\0{PASSWORD}", f"\0joe \0{PASSWORD}"])
def test_plain_that_is_not_right(relay, said):
    c = Client(relay.port)
    assert c.cmd("AUTH PLAIN " + (b64(said) or "="))[0] == 535
    assert c.cmd("MAIL FROM:<a@here.test>")[0] == 530
    c.quit()


R = "r=abcdefghijkl"


@pytest.mark.parametrize("first", ["", "n", "n,", "n,,", "n,,n=joe", f"n,,{R},n=joe", f"n,,m=x,n=joe,{R}", f"p=tls-exporter,,n=joe,{R}", f"p=,,n=joe,{R}", f"x,,n=joe,{R}",
                                   f"n,a=ann,n=joe,{R}", f"n,a=,n=joe,{R}", f"n,b=joe,n=joe,{R}", f"n,,n=,{R}", f"n,,n=jo=e,{R}", f"n,,n=joe=2,{R}", f"n,,n=joe=2c,{R}",
                                   "n,,n=joe,r=", "n,,n=joe,r=a b", "n,,n=joe,r=\x7f", "n,,n=joe,r=" + "x" * 2000, f"N,,n=joe,{R}", f"n,,n=jo\0e,{R}", "n,,n=joe,r=" + "é"])
def test_scram_that_cannot_begin(relay, first):
    c = Client(relay.port)
    assert c.cmd("AUTH SCRAM-SHA-256 " + (b64(first) or "="))[0] == 535
    assert c.cmd("NOOP")[0] == 250
    c.quit()


def scram(c, twist):
    """One exchange with the right password; twist(without, proof) -> the last message."""
    import hashlib
    import hmac
    code, said = c.cmd("AUTH SCRAM-SHA-256 " + b64(f"n,,n=joe,{R}"))
    assert code == 334
    server = base64.b64decode(said).decode()
    nonce, salt, i = (x[2:] for x in server.split(","))
    salted = hashlib.pbkdf2_hmac("sha256", PASSWORD.encode(), base64.b64decode(salt), int(i))
    key = hmac.digest(salted, b"Client Key", "sha256")

    def proof(without):
        auth = f"n=joe,{R},{server},{without}"
        mac = hmac.digest(hashlib.sha256(key).digest(), auth.encode(), "sha256")
        return b64(bytes(a ^ b for a, b in zip(key, mac)))
    return c.cmd(b64(twist(nonce, proof)))


@pytest.mark.parametrize("twist", [
    lambda n, p: f"c={b64('y,,')},r={n},p=" + p(f"c={b64('y,,')},r={n}"),
    lambda n, p: f"c={b64('n,a=joe,')},r={n},p=" + p(f"c={b64('n,a=joe,')},r={n}"),
    lambda n, p: f"c={b64('n,,x')},r={n},p=" + p(f"c={b64('n,,x')},r={n}"),
    lambda n, p: f"c=,r={n},p=" + p(f"c=,r={n}"),
    lambda n, p: f"r={n},c=biws,p=" + p(f"r={n},c=biws"),
    lambda n, p: f"c=biws,r={n}x,p=" + p(f"c=biws,r={n}x"),
    lambda n, p: f"c=biws,{R},p=" + p(f"c=biws,{R}"),
    lambda n, p: f"c=biws,r={n},p=" + p(f"c=biws,r={n}")[:-4],
    lambda n, p: f"c=biws,r={n},p=" + p(f"c=biws,r={n}") + ",x=y",
    lambda n, p: f"c=biws,r={n},p=",
    lambda n, p: f"c=biws,r={n}",
    lambda n, p: "p=" + p(f"c=biws,r={n}"),
    lambda n, p: f"c=biws,r={n},p={'A' * 64}",
    lambda n, p: "x" * 9000,
], ids=range(14))
def test_scram_that_ends_wrong(relay, twist):
    c = Client(relay.port)
    assert scram(c, twist)[0] == 535
    assert c.cmd("MAIL FROM:<a@here.test>")[0] == 530
    c.quit()


def test_a_scram_message_cannot_be_replayed(relay):
    seen = []

    def keep(n, p):
        seen.append(f"c=biws,r={n},p=" + p(f"c=biws,r={n}"))
        return seen[-1]
    c = Client(relay.port)
    assert scram(c, keep)[0] == 334
    assert c.cmd(b64(seen[0]))[0] == 535, "not instead of the empty last one"
    assert scram(c, lambda n, p: seen[0])[0] == 535
    assert scram(c, lambda n, p: f"c=biws,r={n},ext=1,p=" + p(f"c=biws,r={n},ext=1"))[0] == 334, "extensions mean nothing"
    assert c.cmd("")[0] == 235
    c.quit()


# ---- the token server

@pytest.fixture
def tokens(daemon):
    """tokens(statements) -> (its socket, the daemon)"""
    w, run = World(), work_dir("tokens-")
    run.chmod(0o777)

    def make(statements="", start=True):
        p = w.provider()
        f = token_file(w, p)
        return run / "t.sock", daemon(account(w, w.upstream(p.good), f"  oauth2 token-file {f}") + f"token-server unix:{run}/t.sock {{ {statements} }}\n", start=start)
    yield make
    w.stop()
    shutil.rmtree(run)


@pytest.mark.parametrize("text,half_close", [("SMTP a@corp.test", True), ("SMTP a@corp.test", False), ("SMTP a@corp.test\n", False)])
def test_two_hundred_at_once_are_all_answered(tokens, text, half_close):
    sock, d = tokens()
    got, all_here = [], threading.Barrier(200)

    def one():
        all_here.wait()
        got.append(ask(sock, text, half_close)[0])
    threads = [threading.Thread(target=one) for _ in range(200)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    assert len(got) == 200 and len({token_of(x) for x in got}) == 1


def test_those_that_vanish_leave_nothing_behind(tokens):
    sock, d = tokens()
    assert token_of(ask(sock, "SMTP a@corp.test")[0])
    auth, = d.role("auth")

    def descriptors():
        return len(os.listdir(f"/proc/{auth}/fd"))
    before = descriptors()
    for text in (b"", b"SMTP", b"SMTP a@corp.test", b"SMTP a@corp.test\n" * 100) * 50:
        s = socket.socket(socket.AF_UNIX)
        s.connect(str(sock))
        s.send(text) if text else None
        s.close()
    assert token_of(ask(sock, "SMTP a@corp.test")[0])
    assert until(lambda: descriptors() <= before, 12)
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(8)
        s.connect(str(sock))
        for octet in b"SMTP a@corp.test\n":
            s.send(bytes([octet]))
        assert token_of(s.recv(65536))


def test_a_socket_whose_name_leads_elsewhere_is_left_alone(tokens, tmp_path):
    """Whoever owns the directory could have had any file's mode changed by a reload."""
    sock, d = tokens("mode 0666")
    victim = tmp_path / "victim"
    victim.write_text("")
    victim.chmod(0o600)
    sock.rename(sock.with_name("aside"))
    sock.symlink_to(victim)
    d.signal(signal.SIGHUP)
    assert until(lambda: "t.sock" in d.log and d.events("reload"), 10), d.log
    assert stat.S_IMODE(victim.stat().st_mode) == 0o600
    sock.unlink()
    sock.with_name("aside").rename(sock)


def test_a_busy_socket_is_not_taken_for_a_dead_one(tokens):
    sock, d = tokens(start=False)
    other = socket.socket(socket.AF_UNIX)
    other.bind(str(sock))
    other.listen(0)
    waiting = []
    try:
        for _ in range(10):                 # until its backlog is full
            s = socket.socket(socket.AF_UNIX)
            s.setblocking(False)
            waiting.append(s)
            s.connect(str(sock))
    except BlockingIOError:
        pass
    inode = sock.stat().st_ino
    d.start_raw()
    assert d.proc.wait(15) != 0 and "another program listens there" in d.log
    assert sock.stat().st_ino == inode
    [s.close() for s in [other, *waiting]]


# ---- transport test

class Liar:
    """A server that runs say(connection, line) for each that connects."""

    def __init__(self, say):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.say = say
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                c, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._talk, args=(c,), daemon=True).start()

    def _talk(self, c):
        f = c.makefile("rb")
        try:
            self.say(c.sendall, f.readline)
        except OSError:
            pass
        finally:
            f.close()
            c.close()

    def stop(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


def cries(say, line):
    say(b"220 \x1b[31mred\x1b]0;title\x07 \x9b31m \xc2\x9b2J \x7f \x08\r\n")
    line()
    say(b"250 \x1b[2J ok\r\n")
    line()


def megabytes(say, line):
    say(b"220 " + b"A" * 3000000 + b"\r\n")
    line()


def hundred_thousand_lines(say, line):
    say(b"220 x\r\n")
    line()
    say(b"250-0123456789012345678901234567890123456789\r\n" * 100000 + b"250 ok\r\n")


def ahead(say, line):
    say(b"220 x\r\n421 4.3.2 bye\r\n")
    line()


def behind_starttls(say, line):
    say(b"220 x\r\n")
    line()
    say(b"250-x\r\n250 STARTTLS\r\n")
    line()
    say(b"220 go\r\n250 AUTH PLAIN\r\n")
    line()


def garbage_for_tls(say, line):
    say(b"220 x\r\n")
    line()
    say(b"250-x\r\n250 STARTTLS\r\n")
    line()
    say(b"220 go\r\n")
    line()
    say(b"\x16\x03\x03" + bytes(range(256)) * 10)


def asks_for_ever(say, line):
    say(b"220 x\r\n")
    line()
    say(b"250-x\r\n250 AUTH CRAM-MD5 SCRAM-SHA-256\r\n")
    while line():
        say(b"334 PDEuMUB4Pg==\r\n")


HOSTILE = [(cries, 0, "works"), (megabytes, 1, "too long"), (hundred_thousand_lines, 1, "too long"), (ahead, 1, "421 4.3.2 bye"),
           (behind_starttls, 1, "plaintext behind STARTTLS"), (garbage_for_tls, 1, "TLS handshake failed"), (asks_for_ever, 1, "server broke the")]


@pytest.mark.parametrize("says,status,words", HOSTILE, ids=lambda x: getattr(x, "__name__", ""))
def test_a_hostile_server_is_told_of_and_does_nothing(daemon, says, status, words):
    s = Liar(says)
    login = "username me; password S3cretPassword; auth-mechanisms CRAM-MD5; tls off" if says is asks_for_ever else ""
    d = daemon(f"transport up {{ smarthost 127.0.0.1:{s.port}; {login} }}\nroute via up\n")
    roles = [d.role(x) for x in ("queue", "delivery", "auth")]
    try:
        r = d.relayctl("transport", "test", "up")
        assert r.returncode == status and words in r.stdout and r.stderr == "", r
        shown = r.stdout.encode("utf-8", "surrogateescape")
        assert not [c for c in shown if c < 32 and c != 10 or c == 127] and "\u009b" not in r.stdout
        assert "S3cret" not in r.stdout + d.log
        assert [d.role(x) for x in ("queue", "delivery", "auth")] == roles
    finally:
        s.stop()


def test_those_who_test_may_leave_and_delivery_may_end(daemon, sink):
    """Nothing of it touches the mail."""
    connected = []

    def listen(say, line):
        connected.append(1)
        line()
    silent, s = Liar(listen), sink()
    d = daemon(f"transport dead {{ smarthost 127.0.0.1:{silent.port} }}\ntransport up {{ smarthost 127.0.0.1:{s.port} }}\nroute via up\n")
    queue, delivery = d.role("queue"), d.role("delivery")
    command = [str(BIN / "relayctl"), "-f", str(d.conf), "transport", "test", "dead"]

    def begin(n):
        return [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(n)]

    def one_mail(n):
        c = Client(d.port)
        assert c.mail("a@here.test", ["b@there.test"], message(f"m{n}"))[0] == 250
        c.quit()
        assert until(lambda: len(s.messages) == n, 20)
    tests = begin(20)
    try:
        # eight at a time, the others are told to come later
        assert until(lambda: sum(t.poll() is not None for t in tests) >= 12, 20)
        assert all(b"too many tests" in t.communicate()[0] for t in tests if t.poll() is not None)
        one_mail(1)
        waiting = [t for t in tests if t.poll() is None]
        assert len(waiting) == 8
        for t in waiting[:4]:
            t.kill()
        os.kill(delivery[0], signal.SIGKILL)
        for t in waiting[4:]:
            assert b"delivery ended" in t.communicate(timeout=10)[1] and t.returncode == 69
        assert until(lambda: d.role("delivery") not in ([], delivery), 10)
        one_mail(2)
        before = len(connected)
        tests += begin(2)
        assert until(lambda: len(connected) == before + 2, 20)
        d.signal(signal.SIGHUP)
        for t in tests[-2:]:
            t.communicate(timeout=20)
            assert t.returncode != 0
        one_mail(3)
        assert d.role("queue") == queue
    finally:
        for t in tests:
            if t.poll() is None:
                t.kill()
            t.communicate()
        silent.stop()


# ---- secrets of others

def test_commands_of_others_that_hang_keep_nobody_out(daemon):
    d = daemon('listen 127.0.0.1:{port} { auth required }\nlogin a { password command "/bin/sleep 100" }\nlogin b { password command "/bin/sleep 101" }\n'
               'login joe { password x }\nlogin ann { password command "/bin/echo y" }\ntransport up { smarthost 127.0.0.1:9 }\nroute via up\n')
    for name, password in (("joe", "x"), ("ann", "y")):
        c = Client(d.port)
        code, took = plain(c, password, name)
        assert code == 235 and took < 20
        c.quit()


# ---- what a test of a transport shows

def hidden(d, *secrets):
    """Nothing of an exchange is shown: not in the dialogue, not in the log."""
    r = d.relayctl("transport", "test", "up")
    assert "C: AUTH " in r.stdout, r
    talk = r.stdout[r.stdout.index("C: AUTH "):]
    for line in talk[:talk.index("\n\n")].split("\n"):
        assert re.fullmatch(r"C: (AUTH \S+( \[hidden\])?|\[hidden\]|QUIT|\*?)|S: (334 (\[challenge\]|\{.*)?|235 .*|535 .*|221 .*)", line), line
    for secret in secrets:
        for text in (r.stdout, r.stderr, d.log):
            assert secret not in text and b64(secret) not in text
    return r


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256", "SCRAM-SHA-1", "CRAM-MD5", "LOGIN", "PLAIN"])
@pytest.mark.parametrize("password", [PASSWORD, "not-the-right-one"], ids=["right", "wrong"])
def test_no_mechanism_is_shown(daemon, mechanism, password):
    ca = CA()
    crt, key = ca.cert("localhost", file="listener")
    port = free_port()
    daemon(f"listen 127.0.0.1:{port} {{\ncertificate {crt} key {key}\nauth required\nauth-mechanisms {mechanism}\n}}\nlogin scanner {{ password \"{PASSWORD}\" }}\n"
           "transport up { smarthost 127.0.0.1:9 }\nroute via up\n", listen=False)
    d = daemon(f"transport up {{\nsubmission localhost:{port}\ntls-ca {ca.file}\nusername scanner\npassword \"{password}\"\nauth-mechanisms {mechanism}\n}}\nroute via up\n")
    r = hidden(d, PASSWORD, password, f"\0scanner\0{password}")
    assert r.returncode == (0 if password == PASSWORD else 1) and f"AUTH {mechanism}" in r.stdout
    shutil.rmtree(ca.dir)


@pytest.mark.parametrize("mechanism", ["XOAUTH2", "OAUTHBEARER"])
@pytest.mark.parametrize("good", [True, False])
def test_no_token_is_shown(daemon, mechanism, good):
    w = World()
    try:
        p = w.provider()
        up = w.upstream(p.good if good else lambda user, token: False, mechanisms=(mechanism,))
        d = daemon(account(w, up, f"  oauth2 token-file {token_file(w, p)}", name="up").replace("username up", "username a@corp.test"))
        r = hidden(d)
        token = d.relayctl("oauth", "token", "up").stdout.strip()
        assert len(token) > 10 and r.returncode == (0 if good else 1)
        for text in (r.stdout, r.stderr, d.log):
            assert token not in text and b64(f"user=a@corp.test\1auth=Bearer {token}\1\1") not in text
    finally:
        w.stop()
