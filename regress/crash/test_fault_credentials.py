"""Fault points of credentials: a process dies there, and no message, no login is lost.

The provider rotates: the refresh token that was used dies as soon as what it has brought is seen, so that whoever uses an
access token before its refresh token is on disk has lost the login."""
import json
import os
import re
import signal
import socket

import pytest

from harness.client import Client, message
from harness.daemon import until
from test_fault_points import points
from test_oauth import Login, World, account, block, token_file

USER = "a@corp.test"


@pytest.fixture
def world():
    w = World()
    yield w
    w.stop()


class Case:
    def __init__(self, daemon, world, point, statements, nth=1, more=""):
        self.p = world.provider(late=True)
        self.up = world.upstream(self.p.good)
        text = account(world, self.up, *statements(self.p))
        self.d = daemon(text + "retry 1s\nprobe 200ms\nprobe-auth 200ms\n" + more, start=False)
        self.point, self.hit = point, self.d.dir / "hit"
        self.hit.touch()
        self.hit.chmod(0o666)
        self.d.env.update(SMARTHOSTD_FAULT=f"{point}:{nth}=kill", SMARTHOSTD_FAULT_HIT=str(self.hit), SMARTHOSTD_FAULT_ONCE="1")
        self.d.start()

    def send(self, *names):
        c = Client(self.d.port)
        for n in names:
            assert c.mail(USER, [f"{n}@far.test"], message(n, USER))[0] == 250
        c.quit()

    def died(self):
        """Once, at that point; monitor is started anew, the others are by it."""
        assert until(lambda: self.hit.read_text().split() == [self.point], 20), f"{self.point} is never passed"
        if self.point.startswith("monitor."):
            assert self.d.wait(20) == -signal.SIGKILL
            assert until(lambda: not self.d.pids(), 6)
            self.d.start()
        else:
            assert until(lambda: "was ended by signal 9" in self.d.log)

    def arrived(self, *names):
        want = sorted(f"{n}@far.test" for n in names)
        assert until(lambda: sorted(r for m in list(self.up.messages) for r in m.rcpts) == want, 20), (want, self.d.queue())
        assert self.d.wait_empty() and self.hit.read_text().split() == [self.point]

    def lives(self):
        """The login is good for ever new tokens, whoever starts with what is on disk."""
        self.d.restart()
        for _ in range(2):
            r = self.d.relayctl("oauth", "refresh", USER)
            assert r.returncode == 0, r
        assert self.d.relayctl_json("oauth", "status", USER)["state"] == "ok"


def of_rotation():
    return [p for p in points() if p.startswith(("auth.token_", "monitor.token_")) and p != "auth.token_server.answer"]


def test_all_of_them_are_here():
    assert len(of_rotation()) >= 5
    assert set(p for p in points() if p.startswith(("auth.", "monitor.token_"))) == {*of_rotation(), "auth.login_saved", "auth.token_server.answer"}


@pytest.mark.parametrize("nth", [1, 2])
@pytest.mark.parametrize("point", of_rotation())
def test_during_a_rotation(daemon, world, point, nth):
    """The first of all, and one that replaces a token in use."""
    where = []

    def statements(p):
        where.append(token_file(world, p))
        return [f"  oauth2 token-file {where[0]}"]
    c = Case(daemon, world, point, statements, nth)
    c.send("m0", "m1")
    if nth == 2:
        c.arrived_first = until(lambda: len(c.up.messages) == 2, 20)
        assert c.arrived_first
        c.d.relayctl("oauth", "refresh", USER)      # is cut off
    c.died()
    c.send("m2")
    c.arrived("m0", "m1", "m2")
    kept = json.loads(where[0].read_text())
    assert kept["refresh_token"] in c.p.refresh
    assert not [f for f in os.listdir(where[0].parent) if f.startswith(".token.") and not point.startswith("monitor.")]
    c.lives()


def test_when_somebody_has_logged_in(daemon, world):
    """What he has obtained is on disk; he is cut off before he is told, and the mail that waited for him leaves."""
    c = Case(daemon, world, "auth.login_saved", lambda p: [block(p, world, "device")])
    c.send("m0", "m1")
    assert until(lambda: [t for t in c.d.relayctl_json("status")["transports"] if t["state"] == "parked"])
    login = Login(c.d, USER)
    code = login.see(r"enter the code\s+(\S+)")
    next(x for x in c.p.devices.values() if x["user_code"] == code)["user"] = USER
    assert login.end()[0] != 0
    c.died()
    c.arrived("m0", "m1")
    c.lives()


def test_while_another_program_is_answered(daemon, world):
    """It gets nothing, as from a server that refuses, and all of it when it asks again."""
    def statements(p):
        return [f"  oauth2 token-file {token_file(world, p)}"]
    c = Case(daemon, world, "auth.token_server.answer", statements, more="token-server unix:{dir}/tokens.sock { }\n")

    def ask():
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(20)
            try:
                s.connect(str(c.d.dir / "tokens.sock"))
                s.sendall(f"SMTP {USER}".encode())
                s.shutdown(socket.SHUT_WR)
                return s.makefile("rb").read()
            except OSError:
                return b""
    c.send("m0")
    assert until(lambda: c.up.messages)
    assert ask() == b""
    c.died()
    said = until(ask)
    token = re.fullmatch(rb"user=a@corp.test\x01auth=Bearer (\S+)\x01\x01", said).group(1).decode()
    assert c.p.good(USER, token)
    c.send("m1")
    c.arrived("m0", "m1")
    c.lives()
