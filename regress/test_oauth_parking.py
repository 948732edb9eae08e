"""Credentials that fail, for as long as mail would live: nothing bounces, few are asked, a human is told, and what waits leaves
as soon as he has mended it."""
import datetime
import os
import re
import signal
import time

import pytest

from harness.client import message, send
from harness.daemon import until
from harness.provider import DEVICE
from test_oauth import Broker, Login, World, account, block, token_file

BOSS = "boss@corp.test"
STEP = 45               # s: less than what the daemon takes for a clock that was set
EXPIRE = 300
STEPS = 9


@pytest.fixture
def world():
    w = World()
    yield w
    w.stop()


def stamp(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


class Clock:
    """The daemon's, which runs ahead by steps."""

    def __init__(self, d):
        self.file, self.ahead = d.dir / "clock", 0
        self.file.write_text("0".ljust(30))
        d.env["SMARTHOSTD_CLOCK_OFFSET_FILE"] = str(self.file)

    def step(self, seconds=STEP):
        self.ahead += seconds
        with open(self.file, "r+") as f:
            f.write(str(self.ahead * 1000).ljust(30))

    def now(self):
        return time.time() + self.ahead


class Case:
    """One account whose credential is broken by how(case); mail that waits, and mail of the same age elsewhere that expires."""

    def __init__(self, daemon, sink, world, statements, more="", user="a@corp.test", **upstream):
        self.world, self.user = world, user
        self.pager = sink()
        self.slow = sink(lambda stage, *_: "451 4.3.0 not now" if stage == "rcpt" else None)
        self.d = daemon(account(world, self.up, *statements, name=user) +
                        f"transport slow {{ smarthost 127.0.0.1:{self.slow.port} }}\ntransport pager {{ smarthost 127.0.0.1:{self.pager.port} }}\n"
                        f"alert {{ to {BOSS}; via pager; after 1h }}\nroute to slow.test via slow\nroute from <> via pager\n"
                        f"retry 30s\nprobe 30s 1m\nprobe-auth 1m 2m\nexpire {EXPIRE}s\nwarn-after off\nbounce-to sender\n" + more, start=False)
        self.clock = Clock(self.d)
        self.d.start()

    def send(self):
        for i in range(3):
            assert send(self.d.port, self.user, [f"r{i}@far.test"], message(f"m{i}", self.user))[0] == 250
        assert send(self.d.port, "else@here.test", ["x@slow.test"], message("slow", "else@here.test"))[0] == 250
        assert until(lambda: self.d.events("delivery", status="deferred", to="<x@slow.test>"))

    # looking
    def told(self):
        """How the alerts about the account begin."""
        heads = [re.sub(rb"\r\n[ \t]+", b" ", m.data.split(b"\r\n\r\n")[0]).decode() for m in self.pager.to(BOSS)]
        return [re.search(r"(?m)^X-Smarthostd-Alert: (\w+ \w+)", h).group(1) for h in heads if self.user in h]

    def transport(self):
        return next(t for t in self.d.relayctl_json("status")["transports"] if t["name"] == self.user)

    def account(self):
        return next(a for a in self.d.relayctl_json("account", "list") if a["name"] == self.user)

    def logins(self):
        return len([c for s in self.up.sessions for c in s.commands if c.startswith("AUTH")])

    def quiet(self):
        """Nothing is under way, and nothing is due before the clock goes on."""
        t = self.transport()
        if t["state"] == "ok" or t["active"] or self.d.queue("--status", "active"):
            return False
        return not t["next_probe"] or stamp(t["next_probe"]) > self.clock.now()

    def step(self):
        """Seen by the queue before it returns: two steps in one turn of its loop would be a clock that was set."""
        seen = len(self.slow.sessions[-1].commands) + 1000 * len(self.slow.sessions)
        self.clock.step()
        assert until(lambda: self.d.events("delivery", status="expired") or
                     len(self.slow.sessions[-1].commands) + 1000 * len(self.slow.sessions) > seen, 20)

    def run_past_expire(self):
        for _ in range(STEPS):
            assert until(self.quiet, 20), (self.transport(), self.d.queue())
            if self.d.events("delivery", status="expired"):
                break
            self.step()
        assert "clock was set" not in self.d.log
        assert until(self.quiet, 20)
        assert {e["to"] for e in self.d.events("delivery", status="expired")} == {"<x@slow.test>"}
        assert not self.d.events("delivery", status="bounced") and not self.up.messages
        assert len(self.d.queue("--from", self.user)) == 3

    def all_gone(self):
        assert until(lambda: sorted(r for m in list(self.up.messages) for r in m.rcpts) == ["r0@far.test", "r1@far.test", "r2@far.test"], 15), \
            self.transport()
        assert until(lambda: self.d.queue("--from", self.user) == [])
        assert until(lambda: self.transport()["state"] == "ok") and self.account()["state"] == "ok"

    def resume(self):
        """As a human does: not within the second in which all who ask get the same failure."""
        self.clock.step(2)
        r = self.d.relayctl("account", "resume", self.user)
        assert r.returncode == 0, r.stderr

    def says(self, *words, oauth=None):
        """status, account list, oauth status, why: all say it, for a human."""
        t, a = self.transport(), self.account()
        reply = self.d.queue("--from", self.user)[0]
        why = self.d.relayctl("why", reply["id"])
        assert why.returncode == 0, why.stderr
        for text in (t["why"], a["why"] if a["state"] != "ok" else t["why"], why.stdout):
            for w in words:
                assert w in text, (w, text)
        if oauth:
            s = self.d.relayctl_json("oauth", "status", self.user)
            assert s["state"] == oauth and all(w in s["why"] for w in words), s
        return t, a


def log_in(case, p):
    login = Login(case.d, case.user, "--flow", "device")
    code = login.see(r"enter the code\s+(\S+)")
    next(x for x in p.devices.values() if x["user_code"] == code)["user"] = case.user
    assert login.end() == (0, "")


def parked(case):
    assert until(lambda: case.account()["state"] == "parked" and case.told() == ["parked begin"], 20), (case.account(), case.told())


def mended(case):
    case.all_gone()
    assert until(lambda: case.told() == ["parked begin", "parked end"]), case.told()


# one first login, then steps of 1 and 2 minutes in 9 * 45 s
PROBES = 5


def test_a_fresh_token_is_refused_twice(daemon, sink, world):
    """535 for what the provider has just given: two logins at first, one for each probe; `account resume`."""
    p = world.provider()
    let = []
    Case.up = world.upstream(lambda u, t: bool(let) and p.good(u, t),
                             refusal="535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant")
    c = Case(daemon, sink, world, [f"  oauth2 token-file {token_file(world, p)}"])
    c.send()
    parked(c)
    c.says("SmtpClientAuthentication is disabled")
    assert c.logins() == 2 and len(p.grants()) == 2
    c.run_past_expire()
    assert c.logins() <= 2 + PROBES and len(p.grants()) <= 2 + PROBES
    let.append(1)
    c.resume()
    mended(c)


WORDS = [("invalid_grant", "AADSTS700082: The refresh token has expired due to inactivity.", "90 days"),
         ("interaction_required", "AADSTS50076: Due to a configuration change you must use multi-factor authentication.", "multi-factor"),
         ("consent_required", "AADSTS65001: The user or administrator has not consented", "consent")]


@pytest.mark.parametrize("error, words, advice", WORDS, ids=[w[0] for w in WORDS])
def test_only_a_human_can_help(daemon, sink, world, error, words, advice):
    """The provider is asked once, and never again until somebody logs in."""
    p = world.provider()
    Case.up = world.upstream(p.good)
    f = token_file(world, p)
    p.script.extend([p.error(error, words)] * 50)
    c = Case(daemon, sink, world, [f"  oauth2 token-file {f}"])
    c.send()
    parked(c)
    t, a = c.says(advice, error, "relayctl oauth login a@corp.test", oauth="login")
    assert t["next_probe"] is None
    c.run_past_expire()
    assert len(p.posts) <= 2 and c.logins() == 0 and len(c.up.sessions) <= 2
    p.script.clear()
    log_in(c, p)
    mended(c)
    assert len(p.grants(DEVICE)) >= 1 and c.logins() >= 1


def test_nobody_has_logged_in_yet(daemon, sink, world):
    p = world.provider()
    Case.up = world.upstream(p.good)
    c = Case(daemon, sink, world, [block(p, world, "device")])
    c.send()
    parked(c)
    c.says("nobody has logged in yet", "relayctl oauth login a@corp.test", oauth="login")
    c.run_past_expire()
    assert not p.posts and c.logins() == 0
    log_in(c, p)
    mended(c)


def test_a_token_file_is_replaced_by_hand(daemon, sink, world):
    p = world.provider()
    Case.up = world.upstream(p.good)
    f = token_file(world, p)
    p.refresh.clear()
    c = Case(daemon, sink, world, [f"  oauth2 token-file {f}"])
    c.send()
    parked(c)
    c.run_past_expire()
    assert len(p.posts) <= 2
    token_file(world, p, name="other").rename(f)
    mended(c)


@pytest.mark.parametrize("meanwhile", ["down", "auth"])
def test_a_token_file_is_replaced_while_nobody_looks(daemon, sink, world, meanwhile):
    """The daemon is down, or auth is killed: whoever starts looks once, and once only."""
    p = world.provider()
    Case.up = world.upstream(p.good)
    f = token_file(world, p)
    p.refresh.clear()
    c = Case(daemon, sink, world, [f"  oauth2 token-file {f}"])
    c.send()
    parked(c)
    asked = len(p.posts)

    def again():
        if meanwhile == "down":
            c.d.restart()
        else:
            os.kill(c.d.role("auth")[0], signal.SIGKILL)
    again()
    assert until(lambda: len(p.posts) == asked + 1 and c.account()["state"] == "parked" and c.quiet())
    assert c.account()["next_probe"] is None
    token_file(world, p, name="other").rename(f)
    again()
    mended(c)


def test_the_application_is_not_known(daemon, sink, world):
    """invalid_client: told as a mistake of the configuration, asked seldom; `account resume` once it is mended."""
    p = world.provider()
    p.secrets["app"] = "another"
    Case.up = world.upstream(p.good)
    c = Case(daemon, sink, world, [f"  oauth2 token-file {token_file(world, p, client_secret='old')}"])
    c.send()
    parked(c)
    c.says("AADSTS7000215", "its value is wanted", oauth="configuration")
    c.run_past_expire()
    assert len(p.posts) <= 2 + PROBES and c.logins() == 0
    p.secrets["app"] = "old"
    c.resume()
    mended(c)


def test_no_common_mechanism(daemon, sink, world):
    p = world.provider()
    Case.up = world.upstream(p.good, mechanisms=["NTLM", "GSSAPI"])
    c = Case(daemon, sink, world, [f"  oauth2 token-file {token_file(world, p)}"])
    c.send()
    parked(c)
    c.says("no common AUTH mechanism: the server offers NTLM GSSAPI")
    c.run_past_expire()
    assert not p.posts and c.logins() == 0 and len(c.up.sessions) <= 1 + PROBES
    c.up.mechanisms = ["XOAUTH2"]
    c.resume()
    mended(c)


MOMENTS = {"503": lambda p: (503, "text/html", "<html><body><h1>Service Unavailable</h1></body></html>"), "network": lambda p: None}


@pytest.mark.parametrize("what", MOMENTS)
def test_the_provider_is_away(daemon, sink, world, what):
    """Tried at the pace of `probe`; nobody has to do anything."""
    p = world.provider()
    p.script.extend([MOMENTS[what](p)] * 200)
    Case.up = world.upstream(p.good)
    c = Case(daemon, sink, world, [f"  oauth2 token-file {token_file(world, p)}"])
    c.send()
    assert until(lambda: c.transport()["state"] == "unreachable", 20), c.transport()
    c.says("HTTP status 503" if what == "503" else "localhost")
    c.run_past_expire()
    assert len(c.up.sessions) <= 10 and c.logins() == 0
    assert len(p.posts) <= 30, len(p.posts)
    p.script.clear()
    c.clock.step(60)
    c.all_gone()


@pytest.mark.parametrize("how", ["transport resume", "oauth refresh", "oauth login"])
def test_a_provider_that_is_back(daemon, sink, world, how):
    """Nobody need wait for the next probe."""
    p = world.provider()
    p.script.extend([MOMENTS["503"](p)] * 200)
    Case.up = world.upstream(p.good)
    c = Case(daemon, sink, world, [f"  oauth2 token-file {token_file(world, p)}"])
    c.send()
    assert until(lambda: c.transport()["state"] == "unreachable" and c.quiet(), 20), c.transport()
    p.script.clear()
    c.clock.step(2)
    if how == "oauth login":
        log_in(c, p)
    else:
        r = c.d.relayctl(*how.split(), c.user)
        assert r.returncode == 0, r
    c.all_gone()


def test_no_broker_listens(daemon, sink, world):
    p = world.provider()
    Case.up = world.upstream(p.good)
    path = world.dir / "cms.sock"
    c = Case(daemon, sink, world, [f"  oauth2 cms-socket {path}"])
    c.send()
    assert until(lambda: c.transport()["state"] != "ok" and c.quiet(), 20), c.transport()
    c.says("cms.sock", "No such file")
    c.run_past_expire()
    assert len(c.up.sessions) <= 10 and c.logins() == 0
    b = Broker(path, lambda said: b"user=a@corp.test\x01auth=Bearer %s\x01\x01" % p.issue("a@corp.test").encode())
    world.made.append(b)
    c.clock.step(2)
    assert c.d.relayctl("transport", "resume", c.user).returncode == 0
    c.all_gone()


def test_a_mailbox_quota(daemon, sink, world):
    """550 5.4.5 for the first RCPT: parked, not bounced, until the provider takes mail again."""
    p = world.provider()
    full = [1]
    Case.up = world.upstream(p.good, script=lambda stage, *_: "550 5.4.5 Daily user sending limit exceeded. For more information on Gmail"
                             if full and stage == "data" else None)
    c = Case(daemon, sink, world, [f"  oauth2 token-file {token_file(world, p)}"])
    c.send()
    parked(c)
    c.says("Daily user sending limit exceeded")
    c.run_past_expire()
    assert len([x for s in c.up.sessions for x in s.commands if x == "DATA"]) <= 3 + PROBES
    full.clear()
    c.resume()
    mended(c)


def test_a_preset_says_its_limits(daemon, sink, world):
    """What came from `provider` is in force, and can be seen."""
    d = daemon("account g@gmail.test { provider gmail; username g@gmail.test; password x }\n"
               "account own@gmail.test { provider gmail; username own@gmail.test; password x; daily 7 }\n")
    s = d.relayctl_json("status")
    daily = {(kind, t["name"]): (t["daily"], t["daily_used"]) for kind in ("transports", "accounts") for t in s[kind] if "gmail" in t["name"]}
    assert daily == {("transports", "g@gmail.test"): (500, 0), ("accounts", "g@gmail.test"): (None, 0),
                     ("transports", "own@gmail.test"): (None, 0), ("accounts", "own@gmail.test"): (7, 0)}
    assert "0 of 500" in d.relayctl("status").stdout
