"""The token server: access tokens for exim, msmtp, mbsync and others, in the protocol of cloud_mdir_sync's socket."""
import grp
import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time

import pytest

from harness import exim
from harness.daemon import until, work_dir
from test_oauth import World, account, token_file

ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="becomes another user")


@pytest.fixture(scope="module")
def served(request):
    """A daemon with several sockets, for tests that only ask."""
    from harness.daemon import Daemon
    w = World()
    p = w.provider()
    up = w.upstream(p.good)
    run = work_dir("tokens-")
    run.chmod(0o777)
    text = "".join(account(w, up, f"  oauth2 token-file {token_file(w, p, n, f'{n}@corp.test')}", name=f"{n}@corp.test") for n in ("served", "hidden"))
    text += account(w, up, f"  oauth2 token-file {token_file(w, p, 'login', 'login@corp.test')}", "  senders alias@corp.test @below.test", name="named").replace(
        "username named", "username login@corp.test")
    me = os.geteuid()
    d = Daemon(text + f"""
account plain@corp.test {{ submission 127.0.0.1:{up.port}; username plain@corp.test; password x }}
token-server unix:{run}/all.sock {{ }}
token-server unix:{run}/imap.sock {{ mode 0666; protocols SMTP IMAP; users {me} }}
token-server unix:{run}/one.sock {{ mode 0666; account served@corp.test; users {me} 54321 nobody }}
token-server unix:{run}/group.sock {{ mode 0660; group {grp.getgrgid(1 if me == 0 else os.getgid()).gr_name}; users 54321 }}
""")
    d.start()
    d.sockets, d.provider, d.upstream, d.world = run, p, up, w
    yield d
    if getattr(request.node, "failed", False):
        print(d.log[-10000:])
    d.stop()
    d.remove()
    w.stop()
    shutil.rmtree(run)


def ask(path, text, half_close=True, timeout=8):
    """-> the answer, and the seconds that it took"""
    began = time.monotonic()
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(timeout)
        s.connect(str(path))
        try:
            s.sendall(text if isinstance(text, bytes) else text.encode())
            if half_close:
                s.shutdown(socket.SHUT_WR)
            got = b""
            while more := s.recv(65536):
                got += more
        except (ConnectionResetError, BrokenPipeError):
            got = b""
    return got, time.monotonic() - began


def token_of(answer):
    m = re.fullmatch(rb"user=([^\x01]+)\x01auth=Bearer (\S+)\x01\x01", answer)
    assert m, answer
    return m[1].decode(), m[2].decode()


def test_the_answer_octet_for_octet(served):
    got, took = ask(served.sockets / "one.sock", "SMTP served@corp.test")
    user, token = token_of(got)
    assert user == "served@corp.test" and served.provider.good(user, token) and took < 5
    again, took = ask(served.sockets / "one.sock", "SMTP served@corp.test")
    assert again == got and took < 1, "a token that is ready is given at once"
    assert token not in served.log


@pytest.mark.parametrize("text,half_close", [("SMTP served@corp.test", False), ("SMTP served@corp.test\n", False), ("SMTP served@corp.test\r\n", False),
                                             ("SMTP served@corp.test\n", True), ("SMTP,opt,x=1 served@corp.test", True), ("SMTP served@corp.test more", True)])
def test_ways_to_ask(served, text, half_close):
    first, _ = ask(served.sockets / "one.sock", "SMTP served@corp.test")
    got, took = ask(served.sockets / "one.sock", text, half_close)
    assert got == first and token_of(got) and took < 2


@pytest.mark.parametrize("text", [b"SMTP nobody@corp.test", b"SMTP hidden@corp.test", b"IMAP served@corp.test", b"smtp served@corp.test", b"", b"SMTP", b"SMTP ",
                                  b"SMTP  served@corp.test", b"SMTP nouser", b"\0\1\2\xff" * 50, b"SMTP " + b"x" * 100000 + b"@corp.test",
                                  b"SMTP plain@corp.test"])
def test_every_refusal_is_the_same_nothing(served, text):
    got, took = ask(served.sockets / "one.sock", text)
    assert got == b"" and took < 3


@pytest.mark.parametrize("asked,user", [("served@corp.test", "served@corp.test"), ("hidden@corp.test", "hidden@corp.test"), ("login@corp.test", "login@corp.test"),
                                        ("alias@corp.test", "login@corp.test")])
def test_whom_one_may_ask_for(served, asked, user):
    """The account's name, its username, an address of its senders."""
    got, _ = ask(served.sockets / "all.sock", f"SMTP {asked}")
    assert token_of(got)[0] == user and served.provider.good(user, token_of(got)[1])


def test_a_pattern_of_senders_is_no_name(served):
    assert ask(served.sockets / "all.sock", "SMTP any@below.test")[0] == b""


def test_protocols(served):
    assert ask(served.sockets / "all.sock", "IMAP served@corp.test")[0] == b""
    for proto in ("SMTP", "IMAP"):
        assert token_of(ask(served.sockets / "imap.sock", f"{proto} served@corp.test")[0])


def test_modes(served):
    assert stat.S_IMODE((served.sockets / "all.sock").stat().st_mode) == 0o600
    assert stat.S_IMODE((served.sockets / "one.sock").stat().st_mode) == 0o666


def test_forty_that_hang_stop_nobody(served):
    stuck = []
    for _ in range(40):
        s = socket.socket(socket.AF_UNIX)
        s.connect(str(served.sockets / "one.sock"))
        stuck.append(s)
    got, took = ask(served.sockets / "one.sock", "SMTP served@corp.test")
    [s.close() for s in stuck]
    assert token_of(got) and took < 2


def test_more_that_hang_than_there_is_room_for_lose_their_place(served):
    stuck = []
    for _ in range(300):
        s = socket.socket(socket.AF_UNIX)
        s.settimeout(8)
        s.connect(str(served.sockets / "one.sock"))
        stuck.append(s)
    assert token_of(ask(served.sockets / "one.sock", "SMTP served@corp.test")[0])
    assert stuck[0].recv(1) == b""
    [s.close() for s in stuck]


AS = """import os, socket, sys
os.setgroups([int(g) for g in sys.argv[3].split(",") if g]); os.setgid(int(sys.argv[2])); os.setuid(int(sys.argv[2]))
s = socket.socket(socket.AF_UNIX); s.settimeout(8); s.connect(sys.argv[1])
s.sendall(b"SMTP served@corp.test"); s.shutdown(socket.SHUT_WR)
got = b""
try:
    while more := s.recv(65536): got += more
except OSError: pass
sys.stdout.buffer.write(got)
"""


def ask_as(path, uid, groups=""):
    return subprocess.run([sys.executable, "-c", AS, str(path), str(uid), groups], capture_output=True, timeout=20).stdout


@ROOT
def test_who_may_ask(served):
    want = ask(served.sockets / "one.sock", "SMTP served@corp.test")[0]
    assert ask_as(served.sockets / "one.sock", 54321) == want
    assert ask_as(served.sockets / "one.sock", 54322) == b""
    (served.sockets / "all.sock").chmod(0o666)
    assert ask_as(served.sockets / "all.sock", 54321) == b"", "without `users` nobody but root, the group and the daemon's user"
    (served.sockets / "all.sock").chmod(0o600)
    line = [e for e in served.events("token-request") if e.get("uid") == "54322"]
    assert line and line[0]["result"] == "refused" and line[0]["user"] == "served@corp.test" and int(line[0]["pid"]) > 0
    st = (served.sockets / "group.sock").stat()
    assert stat.S_IMODE(st.st_mode) == 0o660 and st.st_gid == 1


@pytest.fixture
def slow(daemon):
    """slow(change) -> (socket, daemon): change(provider) comes before the daemon asks it anything."""
    w, run = World(), work_dir("tokens-")
    run.chmod(0o777)

    def make(change):
        p = w.provider()
        f = token_file(w, p)
        change(p)
        d = daemon(account(w, w.upstream(p.good), f"  oauth2 token-file {f}") + f"token-server unix:{run}/t.sock {{ }}\n")
        return run / "t.sock", d
    yield make
    w.stop()


def test_a_dead_refresh_token_is_a_refusal(slow):
    sock, d = slow(lambda p: p.refresh.clear())
    got, took = ask(sock, "SMTP a@corp.test")
    assert got == b"" and took < 5
    assert until(lambda: [e for e in d.events("token-request") if e["result"] == "refused" and "invalid_grant" in e.get("why", "")], 8)


def test_a_slow_provider_is_waited_for_less_long_than_exim_waits(slow):
    sock, _ = slow(lambda p: setattr(p, "delay", 8))
    got, took = ask(sock, "SMTP a@corp.test")
    assert got == b"" and took < 5


def test_the_socket_stays_through_a_reload(served):
    before = ask(served.sockets / "one.sock", "SMTP served@corp.test")[0]
    old = served.role("auth")
    served.signal(signal.SIGHUP)
    assert until(lambda: served.role("auth") and served.role("auth") != old, 10)
    assert until(lambda: ask(served.sockets / "one.sock", "SMTP served@corp.test")[0] != b"", 10)
    assert token_of(before)


@exim.NEEDED
def test_exim_logs_in_with_our_token(served):
    """Its plaintext authenticator reads the token by readsocket."""
    e = exim.Exim(start=False)
    try:
        got = e.send_by(served.upstream.port, served.world.ca.file, served.sockets / "one.sock", "served@corp.test", "by-exim@far.test")
        assert until(lambda: served.upstream.to("by-exim@far.test"), 20), got + e.text()
        assert served.upstream.to("by-exim@far.test")[0].session.login == "served@corp.test"
    finally:
        e.stop()
