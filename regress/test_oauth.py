"""OAuth2: tokens from a provider, kept, refreshed, shown to next hops, and what happens when they are refused."""
import json
import os
import pathlib
import re
import signal
import socket
import stat
import subprocess
import threading
import time
import urllib.parse
import urllib.request

import pytest

from harness.ca import CA
from harness.client import Client, message
from harness.daemon import BIN, check, until
from harness.provider import DEVICE, JWT_BEARER, Provider, TokenSink, unpad


class World:
    def __init__(self):
        self.ca = CA()
        self.tls = self.ca.server("localhost", "127.0.0.1")
        self.made = []
        self.dir = self.ca.dir

    def provider(self, **kw):
        p = Provider(self.tls, **kw)
        self.made.append(p)
        return p

    def upstream(self, good, **kw):
        s = TokenSink(self.tls, good, **kw)
        self.made.append(s)
        return s

    def file(self, name, **members):
        p = self.dir / name
        p.write_text(json.dumps(members, indent=2) + "\n")
        p.chmod(0o600)
        return p

    def stop(self):
        for m in self.made:
            m.stop()


@pytest.fixture
def world():
    w = World()
    yield w
    w.stop()


def account(world, upstream, *statements, name="a@corp.test"):
    return "\n".join([f"account {name} {{", f"  submission 127.0.0.1:{upstream.port}", f"  tls-ca {world.ca.file}", "  tls-name localhost",
                      f"  username {name}", *statements, "}", ""])


def token_file(world, provider, name="token", user="a@corp.test", **more):
    return world.file(name, **{"refresh_token": provider.consent(user), "client_id": "app", "client_secret": "", "expiry": 0,
                               "token_endpoint": provider.token_endpoint, "ca_bundle_file": str(world.ca.file), **more})


def send(d, sender="a@corp.test", rcpt="r@far.test", n=1):
    c = Client(d.port)
    for i in range(n):
        assert c.mail(sender, [rcpt], message(f"t{i}", sender, rcpt))[0] == 250
    c.quit()


def test_token_file(daemon, world):
    """Its token is refreshed, saved with all that stood there, and shown once to a server that takes XOAUTH2."""
    p = world.provider()
    up = world.upstream(p.good)
    f = token_file(world, p, odd=12345678901234567890, nested={"a": [1, 2]}, expires_in="77")
    before = f.read_text()
    d = daemon(account(world, up, f"  oauth2 token-file {f}") + "retry 1s\n")
    send(d)
    assert until(lambda: up.to("r@far.test"))
    assert [x[0] for x in up.shown] == ["XOAUTH2"]
    after = json.loads(f.read_text())
    assert after["access_token"] in p.access and after["refresh_token"] in p.refresh
    assert isinstance(after["expiry"], str) and 3500 < int(after["expiry"]) - time.time() < 3700
    assert "12345678901234567890" in f.read_text() and after["nested"] == {"a": [1, 2]} and after["expires_in"] == "77"
    assert after["client_secret"] == "" and "client_secret" not in p.posts[0]
    st = os.stat(f)
    assert stat.S_IMODE(st.st_mode) == 0o600 and sorted(os.listdir(f.parent)) == sorted(set(os.listdir(f.parent)))
    assert not [x for x in os.listdir(f.parent) if x.startswith(".token")]
    for secret in (json.loads(before)["refresh_token"], after["refresh_token"], after["access_token"]):
        assert secret not in d.log


def test_what_is_held_is_used(daemon, world):
    """A token that lives long enough is shown without asking anybody; then the mechanism that the server has."""
    p = world.provider()
    up = world.upstream(p.good, mechanisms=["PLAIN", "OAUTHBEARER"])
    f = token_file(world, p, access_token=p.issue("a@corp.test"), expiry=int(time.time()) + 1000)
    d = daemon(account(world, up, f"  oauth2 token-file {f}"))
    send(d)
    assert until(lambda: up.to("r@far.test"))
    assert [x[:2] for x in up.shown] == [("OAUTHBEARER", "a@corp.test")] and not p.posts


@pytest.mark.parametrize("window, asked", [("0", True), ("10", False)])
def test_refresh_window(daemon, world, window, asked):
    """200 s are left: too few, unless the file says how few are enough; 0 there means the default."""
    p = world.provider()
    up = world.upstream(p.good)
    f = token_file(world, p, access_token=p.issue("a@corp.test"), expiry=str(int(time.time()) + 200), refresh_window=window)
    d = daemon(account(world, up, f"  oauth2 token-file {f}"))
    send(d)
    assert until(lambda: up.to("r@far.test"))
    assert bool(p.posts) == asked


def test_both_mechanisms(daemon, world):
    """Not Microsoft: OAUTHBEARER where it is offered; `auth-mechanisms` overrides; a name with what the syntax needs."""
    p = world.provider()
    up = world.upstream(p.good, mechanisms=["XOAUTH2", "OAUTHBEARER", "LOGIN"])
    f, g = token_file(world, p), token_file(world, p, name="second", user="b,=@corp.test")
    d = daemon(account(world, up, f"  oauth2 token-file {f}", "  auth-mechanisms XOAUTH2") +
               account(world, up, f"  oauth2 token-file {g}", name="b@corp.test").replace("username b@corp.test", 'username "b,=@corp.test"'))
    send(d)
    send(d, "b@corp.test", "s@far.test")
    assert until(lambda: up.to("r@far.test") and up.to("s@far.test"))
    assert sorted(x[:2] for x in up.shown) == [("OAUTHBEARER", "b,=@corp.test"), ("XOAUTH2", "a@corp.test")]


@pytest.mark.parametrize("mechanism", ["XOAUTH2", "OAUTHBEARER"])
@pytest.mark.parametrize("challenge", [True, False])
def test_a_dead_token_is_replaced_once(daemon, world, mechanism, challenge):
    """535 for a token that looked good: one refresh by force, one more session, and the message is there."""
    p = world.provider()
    up = world.upstream(p.good, mechanisms=[mechanism], challenge=challenge)
    f = token_file(world, p, access_token="dead", expiry=int(time.time()) + 3000)
    d = daemon(account(world, up, f"  oauth2 token-file {f}"))
    send(d)
    assert until(lambda: up.to("r@far.test"))
    assert [x[2] == "dead" for x in up.shown] == [True, False] and len(p.grants()) == 1
    assert up.answers == ([(mechanism, b"" if mechanism == "XOAUTH2" else b"AQ==")] if challenge else [])
    assert d.wait_empty() and "dead" not in d.log


def test_a_good_token_that_is_refused(daemon, world):
    """The server wants nobody: one refresh, two logins, then the account is parked with its words; nothing bounces."""
    p = world.provider()
    up = world.upstream(lambda *_: False, refusal="535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant")
    f = token_file(world, p)
    d = daemon(account(world, up, f"  oauth2 token-file {f}") + "retry 1h\n")
    send(d)
    assert until(lambda: d.events("delivery") or d.queue()[0]["attempts"] == 1 and d.queue()[0]["recipients"][0]["last_reply"])
    m = d.queue()[0]
    assert "SmtpClientAuthentication is disabled" in m["recipients"][0]["last_reply"] and m["status"] in ("deferred", "queued")
    assert len(up.shown) == 2 and len(p.grants()) == 2


def test_fifty_messages_one_refresh(daemon, world):
    p = world.provider()
    p.delay = 0.5
    up = world.upstream(p.good)
    f = token_file(world, p)
    d = daemon(account(world, up, f"  oauth2 token-file {f}", "  connections-per-host 20"))
    for _ in range(50):
        send(d)
    assert until(lambda: len(up.to("r@far.test")) == 50, 30)
    assert len(p.grants()) == 1 and p.busiest == 1


FAILURES = [
    ("html503", lambda p: (503, "text/html", "<html><body><h1>Service Unavailable</h1></body></html>", {"Retry-After": "1"}), "HTTP status 503"),
    ("html200", lambda p: (200, "text/html", "<html>log in to the hotel wifi</html>"), "not JSON"),
    ("cut", lambda p: (200, "application/json", '{"access_token": "abc", '), "not JSON"),
    ("drop", lambda p: None, "localhost"),
    ("later", lambda p: p.error("temporarily_unavailable"), "temporarily_unavailable"),
    ("redirect", lambda p: (302, "text/html", "", {"Location": p.url + "/elsewhere"}), "not followed"),
    ("long", lambda p: (200, "application/json", '{"x": "' + "y" * 100000 + '"}'), "too long"),
    ("no token", lambda p: p.json(200, {"token_type": "Bearer"}), "without an access token"),
    ("mac", lambda p: p.json(200, {"token_type": "mac", "access_token": "x"}), "without an access token"),
]


@pytest.mark.parametrize("what, answer, text", FAILURES, ids=[f[0] for f in FAILURES])
def test_a_bad_moment(daemon, world, what, answer, text):
    """The network, an outage, somebody in between: the mail waits, says why, and leaves by itself."""
    p = world.provider()
    p.script.append(answer(p))
    up = world.upstream(p.good)
    f = token_file(world, p)
    before = f.read_text()
    d = daemon(account(world, up, f"  oauth2 token-file {f}") + "retry 1s\n")
    send(d)
    assert until(lambda: d.events("token", level="warn"))
    assert text in d.events("token", level="warn")[0]["text"], d.events("token")
    assert f.read_text() == before or up.messages
    assert until(lambda: up.to("r@far.test"), 20)
    assert "/elsewhere" not in [r[1] for r in p.requests]


def test_what_still_lives_is_used_during_an_outage(daemon, world):
    """Too few seconds are left, but nobody can be asked for more: the token serves to its end."""
    p = world.provider()
    p.script.extend([(503, "text/html", "<h1>down</h1>")] * 50)
    up = world.upstream(p.good)
    f = token_file(world, p, access_token=p.issue("a@corp.test"), expiry=int(time.time()) + 120)
    d = daemon(account(world, up, f"  oauth2 token-file {f}"))
    send(d)
    assert until(lambda: up.to("r@far.test"))
    assert p.posts and len(up.shown) == 1


def test_nobody_is_there(daemon, world):
    p = world.provider()
    up = world.upstream(p.good)
    f = token_file(world, p)
    p.stop()
    d = daemon(account(world, up, f"  oauth2 token-file {f}") + "retry 1h\n")
    send(d)
    assert until(lambda: d.queue() and d.queue()[0]["recipients"][0]["last_reply"])
    assert "localhost" in d.queue()[0]["recipients"][0]["last_reply"] and not up.messages


class Names(threading.Thread):
    """A DNS server that knows one address for every name."""

    def __init__(self):
        super().__init__(daemon=True)
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind(("127.0.0.1", 0))
        self.port, self.asked = self.sock.getsockname()[1], []
        self.start()

    def run(self):
        while True:
            try:
                q, peer = self.sock.recvfrom(512)
            except OSError:
                return
            end = q.index(b"\0", 12) + 5
            name, kind = q[12:end - 4], int.from_bytes(q[end - 4:end - 2], "big")
            self.asked.append(name)
            a = b"\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4\x7f\0\0\1" if kind == 1 else b""
            self.sock.sendto(q[:2] + b"\x81\x80\0\1" + (b"\0\1" if a else b"\0\0") + b"\0\0\0\0" + q[12:end] + a, peer)

    def stop(self):
        self.sock.close()


def test_a_name_in_dns(daemon, world):
    """Resolved by our own resolver, behind the wall."""
    world.tls = world.ca.server("idp.example.net", file="idp")
    p = world.provider()
    p.url = p.url.replace("localhost", "idp.example.net")
    up = world.upstream(p.good)
    names = Names()
    world.made.append(names)
    f = token_file(world, p)
    d = daemon(account(world, up, f"  oauth2 token-file {f}").replace("tls-name localhost", "tls-name idp.example.net") +
               f"resolver 127.0.0.1:{names.port}\ndnssec off\n")
    send(d)
    assert until(lambda: up.to("r@far.test"), 20)
    assert b"\3idp\7example\3net\0" in names.asked


def test_a_provider_that_is_not_trusted(daemon, world):
    p = world.provider()
    up = world.upstream(p.good)
    f = token_file(world, p, ca_bundle_file=str(CA().file))
    d = daemon(account(world, up, f"  oauth2 token-file {f}") + "retry 1h\n")
    send(d)
    assert until(lambda: d.events("token", level="warn"))
    assert "not trusted" in d.events("token", level="warn")[0]["text"] and not p.posts


WORDS = [
    ("invalid_grant", "AADSTS700082: The refresh token has expired due to inactivity.", "login", "90 days"),
    ("invalid_grant", "Token has been expired or revoked.", "login", "log in again"),
    ("interaction_required", "AADSTS50076: Due to a configuration change you must use multi-factor authentication.", "login", "multi-factor"),
    ("consent_required", "AADSTS65001: The user or administrator has not consented", "login", "consent"),
    ("invalid_client", "AADSTS7000222: The provided client secret keys are expired.", "configuration", "make a new one"),
    ("invalid_client", "AADSTS7000215: Invalid client secret provided.", "configuration", "its value is wanted"),
    ("unauthorized_client", "AADSTS700016: Application with identifier was not found", "configuration", "not known in this tenant"),
    ("invalid_scope", "AADSTS70011: The provided value for scope is not valid", "configuration", "scope"),
]


@pytest.mark.parametrize("error, words, state, advice", WORDS, ids=[f"{w[0]} {i}" for i, w in enumerate(WORDS)])
def test_what_a_human_must_do(daemon, world, error, words, state, advice):
    """The provider's word, its number, and what that means; asked once, nothing bounces, the stored token stays."""
    p = world.provider()
    p.script.extend([p.error(error, words)] * 9)
    up = world.upstream(p.good)
    f = token_file(world, p)
    before = f.read_text()
    d = daemon(account(world, up, f"  oauth2 token-file {f}") + "retry 1h\n")
    send(d)
    assert until(lambda: d.queue() and d.queue()[0]["recipients"][0]["last_reply"])
    reply = d.queue()[0]["recipients"][0]["last_reply"]
    s = d.relayctl_json("oauth", "status", "a@corp.test")
    assert sorted(s) == sorted("account flow state why expires scope".split())
    assert s["account"] == "a@corp.test" and s["flow"] == "token-file" and s["state"] == state
    number = re.search(r"AADSTS\d+", words)
    assert advice in s["why"] and error in s["why"] and (not number or number.group() in s["why"])
    assert (s["why"].startswith("invalid_grant:")) == (state == "login") and advice in reply
    assert f.read_text() == before and len(p.posts) <= 2 and not up.messages


def test_secrets_in_a_providers_words_are_hidden(daemon, world):
    p = world.provider()
    up = world.upstream(p.good)
    f = token_file(world, p)
    secret = json.loads(f.read_text())["refresh_token"] + "x" * 40
    p.script.append(p.error("invalid_grant", f"the token {secret} is not good"))
    d = daemon(account(world, up, f"  oauth2 token-file {f}") + "retry 1h\n")
    send(d)
    assert until(lambda: d.events("token", level="warn"))
    assert "the token (hidden) is not good" in d.events("token", level="warn")[0]["text"] and secret not in d.log


def test_a_secret_that_needs_encoding(daemon, world):
    p = world.provider()
    p.secrets["app"] = "a~b+c/d=e&f%g h"
    up = world.upstream(p.good)
    f = token_file(world, p, client_secret=p.secrets["app"])
    d = daemon(account(world, up, f"  oauth2 token-file {f}"))
    send(d)
    assert until(lambda: up.to("r@far.test"))
    assert "client_secret=a~b%2Bc%2Fd%3De%26f%25g%20h" in p.posts[0]["raw"]


def test_expires_in_as_text_or_not_at_all(daemon, world):
    p = world.provider(lifetime="1234")
    up = world.upstream(p.good)
    f = token_file(world, p)
    d = daemon(account(world, up, f"  oauth2 token-file {f}"))
    send(d)
    assert until(lambda: up.to("r@far.test"))
    assert 1200 < int(json.loads(f.read_text())["expiry"]) - time.time() < 1300


# ---- files ----

def test_a_file_that_is_locked_is_waited_for(daemon, world):
    """Another program refreshes: we wait, then find its token."""
    import fcntl
    p = world.provider()
    up = world.upstream(p.good)
    f = token_file(world, p)
    held = open(f)
    fcntl.flock(held, fcntl.LOCK_EX)
    d = daemon(account(world, up, f"  oauth2 token-file {f}"))
    send(d)
    assert until(lambda: d.queue() and d.queue()[0]["status"] == "active")
    new = f.with_name("new")
    new.write_text(json.dumps({**json.loads(f.read_text()), "access_token": p.issue("a@corp.test"), "expiry": int(time.time()) + 2000}))
    new.chmod(0o600)
    new.rename(f)
    held.close()
    assert until(lambda: up.to("r@far.test"))
    assert not p.posts


@pytest.mark.parametrize("point", ["monitor.token_sync", "monitor.token_rename", "monitor.token_dir_sync"])
def test_a_rotated_token_that_cannot_be_saved(daemon, world, point):
    """It is kept, saved as soon as that works, and what came with it is not used before."""
    p = world.provider()
    up = world.upstream(p.good)
    f = token_file(world, p)
    d = daemon(account(world, up, f"  oauth2 token-file {f}") + "retry 1s\n", env={"SMARTHOSTD_FAULT": f"{point}:1=ENOSPC"})
    send(d)
    assert until(lambda: d.events("token", level="warn"))
    assert "cannot be saved" in d.events("token", level="warn")[0]["text"]
    assert until(lambda: up.to("r@far.test"), 20)
    after = json.loads(f.read_text())
    assert after["refresh_token"] in p.refresh and after["access_token"] in p.access
    assert len(p.grants()) == 1


@pytest.mark.parametrize("point", ["auth.token_got", "auth.token_saved", "monitor.token_sync", "monitor.token_rename", "monitor.token_dir_sync"])
def test_killed_during_a_rotation(daemon, world, point):
    """kill -9 at any point: the credential works after the next start (the provider lets an unanswered one be used again)."""
    p = world.provider()
    up = world.upstream(p.good)
    f = token_file(world, p)
    old = json.loads(f.read_text())["refresh_token"]
    once = world.dir / "once"
    d = daemon(account(world, up, f"  oauth2 token-file {f}") + "retry 1s\n", start=False,
               env={"SMARTHOSTD_FAULT": f"{point}:1=kill", "SMARTHOSTD_FAULT_HIT": str(once), "SMARTHOSTD_FAULT_ONCE": str(once)})
    once.touch()
    once.chmod(0o666)
    d.start()
    send(d)
    if point.startswith("monitor."):
        assert d.wait(20) is not None
        if json.loads(f.read_text())["refresh_token"] == old:
            p.refresh[old] = "a@corp.test"      # nobody has seen the answer
        d.start()
    else:
        assert until(lambda: once.read_text())
        p.refresh[old] = "a@corp.test"
    assert until(lambda: up.to("r@far.test"), 30)
    after = json.loads(f.read_text())
    assert after["refresh_token"] in p.refresh or after["refresh_token"] == old
    assert after["access_token"] in p.access


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_owner_and_mode_are_kept(daemon, world):
    p = world.provider()
    up = world.upstream(p.good)
    f = token_file(world, p)
    os.chown(f, 12345, 54321)
    f.chmod(0o640)
    d = daemon(account(world, up, f"  oauth2 token-file {f}"))
    send(d)
    assert until(lambda: up.to("r@far.test"))
    st = os.stat(f)
    assert (st.st_uid, st.st_gid, stat.S_IMODE(st.st_mode)) == (12345, 54321, 0o640) and len(p.grants()) == 1


def test_another_file_is_seen_while_all_waits(daemon, world):
    """invalid_grant: nobody asks again, until somebody puts another file there."""
    p = world.provider()
    up = world.upstream(p.good)
    f = token_file(world, p)
    p.refresh.clear()
    d = daemon(account(world, up, f"  oauth2 token-file {f}") + "retry 1h\n")
    send(d)
    assert until(lambda: d.queue() and d.queue()[0]["recipients"][0]["last_reply"])
    asked = len(p.posts)
    other = token_file(world, p, name="other")
    other.rename(f)
    assert d.wait_event("credential", 40, transport="a@corp.test")
    assert len(p.posts) == asked + 1 and d.relayctl_json("oauth", "status", "a@corp.test")["state"] == "ok"


def test_refreshed_ahead_and_once_a_week(daemon, world, tmp_path):
    """In use: before its window; idle: when a week has passed; else never."""
    offset = world.dir / "offset"
    offset.write_text("0")
    p = world.provider()
    up = world.upstream(p.good)
    f = token_file(world, p)
    d = daemon(account(world, up, f"  oauth2 token-file {f}"), env={"SMARTHOSTD_CLOCK_OFFSET_FILE": str(offset)})
    send(d)
    assert until(lambda: up.to("r@far.test"))
    assert len(p.grants()) == 1
    offset.write_text(str(3310 * 1000))
    assert until(lambda: len(d.events("token", level="info")) == 2, 20)
    assert p.good("a@corp.test", json.loads(f.read_text())["access_token"]) and len(up.shown) == 1
    # nobody has used that one
    offset.write_text(str(3 * 86400 * 1000))
    assert not until(lambda: len(p.grants()) > 2, 5.5)        # it looks every 5 s
    offset.write_text(str(8 * 86400 * 1000))
    assert until(lambda: len(p.grants()) == 3, 20)
    assert until(lambda: json.loads(f.read_text())["refresh_token"] in p.refresh)


def test_login_for_a_token_file(daemon, world):
    """The same file, with what it says of the client, gets what a new login brought."""
    p = world.provider()
    up = world.upstream(p.good)
    f = token_file(world, p, scope="mail", odd=[1])
    p.refresh.clear()
    d = daemon(account(world, up, f"  oauth2 token-file {f}"))
    login = Login(d, "a@corp.test", "--flow=device")
    code = login.see(r"enter the code\s+(\S+)")
    x = next(x for x in p.devices.values() if x["user_code"] == code)
    assert x["scope"] == "mail"
    x["user"] = "a@corp.test"
    assert login.end() == (0, "")
    after = json.loads(f.read_text())
    assert after["refresh_token"] in p.refresh and after["odd"] == [1] and after["client_id"] == "app"
    send(d)
    assert until(lambda: up.to("r@far.test"))


class Acceptor:
    """Serves each connection on a thread of its own."""

    def __init__(self, sock):
        self.sock = sock
        threading.Thread(target=self.main, daemon=True).start()

    def main(self):
        while True:
            try:
                c, _ = self.sock.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(c,), daemon=True).start()

    def stop(self):
        self.sock.close()


class Proxy(Acceptor):
    """An HTTP proxy that knows CONNECT."""

    def __init__(self):
        self.asked = []
        super().__init__(socket.create_server(("127.0.0.1", 0)))
        self.port = self.sock.getsockname()[1]

    def serve(self, c):
        head = b""
        while b"\r\n\r\n" not in head:
            head += c.recv(4096)
        where = head.split()[1].decode()
        self.asked.append(where)
        o = socket.create_connection(("127.0.0.1", int(where.rpartition(":")[2])))
        c.sendall(b"HTTP/1.1 200 go on\r\n\r\n")

        def pump(a, b):
            while True:
                try:
                    data = a.recv(65536)
                except OSError:
                    data = b""
                if not data:
                    break
                b.sendall(data)
            try:
                b.shutdown(socket.SHUT_WR)
            except OSError:
                pass
        threading.Thread(target=pump, args=(o, c), daemon=True).start()
        pump(c, o)


@pytest.mark.parametrize("where", ["file", "block", "environment"])
def test_a_proxy(daemon, world, where):
    """The one that is named, and none from the environment."""
    p = world.provider()
    p.secrets["app"] = "s"
    up = world.upstream(p.good)
    proxy = Proxy()
    world.made.append(proxy)
    url = f"http://localhost:{proxy.port}"
    env = {"https_proxy": url, "HTTPS_PROXY": url, "ALL_PROXY": url} if where == "environment" else {}
    if where == "block":
        text = account(world, up, block(p, world, "client-credentials", "    client-secret s", f"    proxy {url}"), name="box@corp.test")
        sender = "box@corp.test"
    else:
        f = token_file(world, p, client_secret="s", **({"proxy": url} if where == "file" else {}))
        text, sender = account(world, up, f"  oauth2 token-file {f}"), "a@corp.test"
    d = daemon(text, env=env)
    send(d, sender)
    assert until(lambda: up.to("r@far.test"))
    assert len(proxy.asked) == (where != "environment")


@pytest.mark.parametrize("issuer, good", [(None, True), ("https://evil.test", False)])
def test_endpoints_that_the_provider_names(daemon, world, issuer, good):
    p = world.provider()
    p.secrets["app"], p.issuer = "s", issuer
    up = world.upstream(p.good)
    d = daemon(account(world, up, f"  oauth2 {{ flow client-credentials; provider {p.url}/; client-id app; client-secret s; scope x; ca-file {world.ca.file} }}",
                       name="box@corp.test") + "retry 1h\n")
    send(d, "box@corp.test")
    if good:
        assert until(lambda: up.to("r@far.test"))
    else:
        assert until(lambda: d.events("token", level="warn"))
        assert "another issuer" in d.events("token", level="warn")[0]["text"] and not p.posts


# ---- commands and brokers ----

def test_a_token_from_a_command(daemon, world):
    p = world.provider()
    up = world.upstream(p.good)
    script = world.dir / "token.sh"
    store = world.dir / "value"
    store.write_text(p.issue("a@corp.test") + "\n")
    store.chmod(0o644)
    script.write_text(f"#!/bin/sh\ncat {store}\n")
    script.chmod(0o755)
    d = daemon(account(world, up, f'  oauth2 command "{script}"'))
    send(d)
    assert until(lambda: up.to("r@far.test"))
    p.access.clear()
    store.write_text(p.issue("a@corp.test") + "\n")
    d.restart()
    send(d, rcpt="s@far.test")
    assert until(lambda: up.to("s@far.test"))


class Broker(Acceptor):
    """A CMS broker: answers once the client has ended its side."""

    def __init__(self, path, answer):
        self.answer, self.requests = answer, []
        sock = socket.socket(socket.AF_UNIX)
        sock.bind(str(path))
        path.chmod(0o666)
        sock.listen(50)
        super().__init__(sock)

    def serve(self, c):
        said = b""
        while more := c.recv(4096):
            said += more
        self.requests.append(said)
        c.sendall(self.answer(said))
        c.close()


def test_a_broker(daemon, world):
    """Asked exactly, for each session anew; no answer, another user's answer, no socket: the mail waits."""
    p = world.provider()
    up = world.upstream(p.good)
    state = {"user": "a@corp.test"}

    def answer(said):
        if state["user"] is None:
            return b""
        return b"user=%s\x01auth=Bearer %s\x01\x01" % (state["user"].encode(), p.issue("a@corp.test").encode())
    b = Broker(world.dir / "cms.sock", answer)
    world.made.append(b)
    d = daemon(account(world, up, f"  oauth2 cms-socket {world.dir}/cms.sock", "  idle-timeout 1s") + "retry 1s\n")
    send(d)
    assert until(lambda: up.to("r@far.test"))
    assert b.requests == [b"SMTP a@corp.test"]
    p.access.clear()
    state["user"] = "x@corp.test"
    assert until(lambda: not up.open)
    send(d, rcpt="s@far.test")
    assert until(lambda: [e for e in d.events("token", level="warn") if "another user" in e["text"]])
    state["user"] = None
    assert until(lambda: [e for e in d.events("token", level="warn") if "has no token" in e["text"]])
    state["user"] = "a@corp.test"
    assert until(lambda: up.to("s@far.test"), 20)
    assert p.posts == []


def test_no_broker(daemon, world):
    p = world.provider()
    up = world.upstream(p.good)
    d = daemon(account(world, up, f"  oauth2 cms-socket {world.dir}/nothing.sock") + "retry 1h\n")
    send(d)
    assert until(lambda: d.queue() and d.queue()[0]["recipients"][0]["last_reply"])
    assert "nothing.sock" in d.queue()[0]["recipients"][0]["last_reply"] and "No such file" in d.queue()[0]["recipients"][0]["last_reply"]


# ---- flows ----

def block(p, world, flow, *more):
    return "\n".join(["  oauth2 {", f"    flow {flow}", "    client-id app", "    scope mail offline_access", f"    token-endpoint {p.token_endpoint}",
                      f"    authorization-endpoint {p.url}/common/oauth2/v2.0/authorize", f"    device-endpoint {p.url}/common/oauth2/v2.0/devicecode",
                      f"    ca-file {world.ca.file}", *more, "  }"])


def test_client_credentials(daemon, world):
    p = world.provider()
    p.secrets["app"] = "s3+cret"
    up = world.upstream(p.good)
    d = daemon(account(world, up, block(p, world, "client-credentials", '    client-secret "s3+cret"'), name="box@corp.test"))
    send(d, "box@corp.test")
    assert until(lambda: up.to("r@far.test"))
    assert p.posts[0]["grant_type"] == "client_credentials" and p.posts[0]["scope"] == "mail offline_access"
    assert not list((d.spool / "tokens").iterdir())


def test_a_secret_from_a_command(daemon, world):
    p = world.provider()
    p.secrets["app"] = "from a command"
    up = world.upstream(p.good)
    d = daemon(account(world, up, block(p, world, "client-credentials", "    client-secret command \"/bin/echo 'from a command'\""), name="box@corp.test"))
    send(d, "box@corp.test")
    assert until(lambda: up.to("r@far.test"))


def verify(jwt, public):
    """The header and the claims of one that was signed by that key."""
    head, _, sig = jwt.rpartition(".")
    files = [pathlib.Path(f"{public}.{n}") for n in ("in", "sig")]
    files[0].write_bytes(head.encode())
    files[1].write_bytes(unpad(sig))
    subprocess.run(["openssl", "dgst", "-sha256", "-verify", public, "-signature", files[1], files[0]], check=True, capture_output=True)
    return [json.loads(unpad(x)) for x in head.split(".")]


def public_key(key):
    out = key.with_suffix(".pub")
    subprocess.run(["openssl", "pkey", "-in", key, "-pubout", "-out", out], check=True, capture_output=True)
    return out


def test_a_certificate(daemon, world):
    """private_key_jwt: signed by its key, with the thumbprints of the certificate, for this endpoint."""
    p = world.provider()
    up = world.upstream(p.good)
    crt, key = world.ca.cert("app.test", rsa=True)
    d = daemon(account(world, up, block(p, world, "client-credentials", f"    certificate {crt} key {key}"), name="box@corp.test"))
    send(d, "box@corp.test")
    assert until(lambda: up.to("r@far.test"))
    head, claims = verify(p.posts[0]["client_assertion"], public_key(key))
    assert head["alg"] == "RS256" and unpad(head["x5t#S256"]).hex() == world.ca.fingerprint("app.test").replace(":", "").lower()
    assert len(unpad(head["x5t"])) == 20
    assert claims["aud"] == p.token_endpoint and claims["iss"] == claims["sub"] == "app" and claims["exp"] - time.time() < 301
    assert p.posts[0]["client_assertion_type"].endswith("jwt-bearer") and "client_secret" not in p.posts[0]


def test_a_service_account(daemon, world):
    p = world.provider()
    up = world.upstream(p.good)
    _, key = world.ca.cert("service", rsa=True)
    k = world.file("service.json", type="service_account", private_key=key.read_text(), private_key_id="kid1", client_email="s@p.iam.test",
                   token_uri=p.url + "/token")
    d = daemon(account(world, up, "  oauth2 {", "    flow service-account", f"    key-file {k}", f"    ca-file {world.ca.file}", "  }"))
    send(d)
    assert until(lambda: up.to("r@far.test"))
    assert p.posts[0]["grant_type"] == JWT_BEARER
    head, claims = verify(p.posts[0]["assertion"], public_key(key))
    assert head == {"alg": "RS256", "typ": "JWT", "kid": "kid1"}
    assert claims["iss"] == "s@p.iam.test" and claims["sub"] == "a@corp.test" and claims["scope"] == "https://mail.google.com/"
    assert claims["aud"] == p.url + "/token" and claims["exp"] - claims["iat"] <= 3600


# ---- a human logs in ----

class Login:
    """relayctl oauth login, running."""

    def __init__(self, d, *args):
        self.proc = subprocess.Popen([str(BIN / "relayctl"), "-f", str(d.conf), "oauth", "login", *args], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                     stderr=subprocess.PIPE, text=True, env=d.environment(),
                                     # (who starts tests in the background has Ctrl-C ignored)
                                     preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
        self.said = ""
        self.thread = threading.Thread(target=self.read, daemon=True)
        self.thread.start()

    def read(self):
        for line in self.proc.stdout:
            self.said += line

    def see(self, pattern):
        assert until(lambda: re.search(pattern, self.said)), (self.said, self.proc.stderr.read() if self.proc.poll() is not None else "")
        return re.search(pattern, self.said).group(1)

    def end(self):
        status = self.proc.wait(20)
        self.thread.join(5)
        return status, self.proc.stderr.read()


def test_login_by_device(daemon, world):
    """URL and code while it waits, pending and slow_down, what was granted; the mail that waited leaves."""
    p = world.provider()
    p.pending = 1
    p.script.append(p.error("slow_down"))
    up = world.upstream(p.good)
    d = daemon(account(world, up, block(p, world, "device")) + "retry 1s\n")
    send(d)
    assert until(lambda: [e for e in d.events("token", level="warn") if "relayctl oauth login" in e["text"]])
    assert d.relayctl_json("oauth", "status", "a@corp.test")["state"] == "login"
    login = Login(d, "a@corp.test")
    code = login.see(r"enter the code\s+(\S+)")
    assert login.see(r"(https://\S+/devicelogin)") == p.url + "/devicelogin"
    assert until(lambda: p.grants(DEVICE))
    # one at a time
    r = d.relayctl("oauth", "login", "a@corp.test")
    assert r.returncode == 1 and "under way already" in r.stderr, r
    began = time.monotonic()
    next(x for x in p.devices.values() if x["user_code"] == code)["user"] = "a@corp.test"
    assert login.end() == (0, "")
    assert time.monotonic() - began > 4         # slow_down: 5 s more
    assert "granted: mail offline_access" in login.said and "good until" in login.said
    assert until(lambda: up.to("r@far.test"), 20)
    stored = list((d.spool / "tokens").iterdir())
    assert [stat.S_IMODE(s.stat().st_mode) for s in stored] == [0o600] and stat.S_IMODE((d.spool / "tokens").stat().st_mode) == 0o700
    kept = json.loads(stored[0].read_text())
    assert kept["refresh_token"] in p.refresh
    s = d.relayctl_json("oauth", "status")
    assert [x["state"] for x in s] == ["ok"] and s[0]["scope"] == "mail offline_access" and s[0]["flow"] == "device"
    assert "ok" in d.relayctl("oauth", "status").stdout
    # nobody else's business
    assert d.relayctl("queue", "verify").returncode == 0
    assert d.relayctl("queue", "backup", d.dir / "backup.tar").returncode == 0
    assert kept["refresh_token"].encode() not in (d.dir / "backup.tar").read_bytes()
    # it is there after a restart
    d.restart()
    send(d, rcpt="s@far.test")
    assert until(lambda: up.to("s@far.test"))
    assert not p.grants() and kept["refresh_token"] not in d.log and kept["access_token"] not in d.log


def test_login_that_is_declined(daemon, world):
    p = world.provider()
    up = world.upstream(p.good)
    d = daemon(account(world, up, block(p, world, "device")))
    login = Login(d, "a@corp.test")
    code = login.see(r"enter the code\s+(\S+)")
    next(x for x in p.devices.values() if x["user_code"] == code)["declined"] = True
    status, said = login.end()
    assert status == 1 and "declined" in said
    assert d.relayctl("oauth", "login", "nosuch").returncode == 1


def browse(world, url):
    """Follows the provider's redirect, as a browser does; where it ends."""
    class Stop(urllib.request.HTTPRedirectHandler):
        def redirect_request(self, *args):
            return None
    o = urllib.request.build_opener(Stop, urllib.request.HTTPSHandler(context=world.ca.client()))
    try:
        o.open(url)
    except urllib.error.HTTPError as e:
        return e.headers["Location"]


def test_login_by_code(daemon, world):
    """A browser on this machine comes to the loopback port; PKCE, state and redirect are checked by the provider."""
    p = world.provider()
    up = world.upstream(p.good)
    d = daemon(account(world, up, block(p, world, "code")))
    login = Login(d, "a@corp.test", "--no-browser")
    url = login.see(r"(https://\S+/authorize\S+)")
    asked = dict(urllib.parse.parse_qsl(url.partition("?")[2]))
    assert asked["code_challenge_method"] == "S256" and asked["login_hint"] == "a@corp.test" and len(asked["state"]) == 43
    back = browse(world, url)
    # somebody else's answer first: it is refused, and the login goes on
    wrong = back.replace(asked["state"], "x" * 43)
    with pytest.raises(urllib.error.HTTPError):
        urllib.request.urlopen(wrong)
    page = urllib.request.urlopen(back).read().decode()
    assert "close this page" in page
    status, said = login.end()
    assert status == 0 and "state differs" in said, (login.said, said)
    send(d)
    assert until(lambda: up.to("r@far.test"))
    redeemed = p.grants("authorization_code")[0]
    for secret in (redeemed["code"], redeemed["code_verifier"], asked["state"]):
        assert secret not in d.log + login.said.replace(url, "")


@pytest.mark.parametrize("bare", [False, True])
def test_login_by_pasting(daemon, world, bare):
    p = world.provider()
    up = world.upstream(p.good)
    d = daemon(account(world, up, block(p, world, "device")))
    login = Login(d, "a@corp.test", "--flow", "code", "--no-browser")
    back = browse(world, login.see(r"(https://\S+/authorize\S+)"))
    if bare:
        back = dict(urllib.parse.parse_qsl(back.partition("?")[2]))["code"]
    login.proc.stdin.write(back + "\n")
    login.proc.stdin.flush()
    assert login.end() == (0, "")
    send(d)
    assert until(lambda: up.to("r@far.test"))


def test_refresh_token_and_revoke(daemon, world):
    """`oauth refresh` saves what it got; `oauth token` in its three forms; `oauth revoke` forgets."""
    p = world.provider()
    up = world.upstream(p.good)
    d = daemon(account(world, up, block(p, world, "device")))
    login = Login(d, "a@corp.test")
    code = login.see(r"enter the code\s+(\S+)")
    next(x for x in p.devices.values() if x["user_code"] == code)["user"] = "a@corp.test"
    assert login.end()[0] == 0
    stored = next((d.spool / "tokens").iterdir())
    first = json.loads(stored.read_text())
    r = d.relayctl("oauth", "refresh", "a@corp.test")
    assert r.returncode == 0 and "good until" in r.stdout, r
    second = json.loads(stored.read_text())
    assert second["refresh_token"] in p.refresh and second["refresh_token"] != first["refresh_token"]
    t = d.relayctl("oauth", "token", "a@corp.test")
    assert t.stdout == second["access_token"] + "\n"
    x = d.relayctl("oauth", "token", "a@corp.test", "--output", "xoauth2", "--no-newline")
    assert x.stdout == f"user=a@corp.test\x01auth=Bearer {second['access_token']}\x01\x01"
    b = d.relayctl("oauth", "token", "a@corp.test", "--output=xoauth2-b64")
    import base64
    assert base64.b64decode(b.stdout).decode() == x.stdout
    r = d.relayctl("oauth", "revoke", "a@corp.test")
    assert r.returncode == 0 and not stored.exists(), r
    assert d.relayctl_json("oauth", "status", "a@corp.test")["state"] == "login"
    r = d.relayctl("oauth", "token", "a@corp.test")
    assert r.returncode == 1 and "oauth login" in r.stderr and r.stdout == ""


def test_no_secret_is_shown(daemon, world):
    p = world.provider()
    up = world.upstream(p.good)
    d = daemon(account(world, up, block(p, world, "client-credentials", "    client-secret verysecret"), name="box@corp.test"))
    send(d, "box@corp.test")
    assert until(lambda: up.to("r@far.test") or d.events("token", level="warn"))
    r = d.relayctl("config", "show")
    assert r.returncode == 0 and "verysecret" not in r.stdout and "client-secret" in r.stdout, r
    assert "verysecret" not in d.log
    for pid in d.pids():
        assert b"verysecret" not in pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_others_may_not(daemon, world):
    """Tokens are for those who may do everything."""
    p = world.provider()
    up = world.upstream(p.good)
    f = token_file(world, p)
    d = daemon(account(world, up, f"  oauth2 token-file {f}") + "group daemon\n")
    for c in ("status", "token", "refresh", "revoke", "login"):
        r = subprocess.run([str(BIN / "relayctl"), "-s", str(d.run / "control.sock"), "oauth", c, "a@corp.test"], capture_output=True, text=True,
                           user=54321, group=54321, extra_groups=[], timeout=30)
        assert r.returncode == 77 and r.stdout == "", (c, r)
    r = subprocess.run([str(BIN / "relayctl"), "-s", str(d.run / "control.sock"), "oauth", "token", "a@corp.test"], capture_output=True, text=True,
                       user=54321, group=1, extra_groups=[], timeout=30)
    assert r.returncode == 0 and r.stdout.strip() in p.access


MISTAKES = [
    ('{"refresh_token": "verysecret", }', 0o600, "line 1, column 33"),
    ('{"access_token": "verysecret"}', 0o600, "no refresh_token"),
    ('{"refresh_token": "verysecret"}', 0o644, "chmod 600"),
    ("", 0o600, "an object is expected"),
    (None, 0o600, "No such file"),
]


@pytest.mark.parametrize("text, mode, words", MISTAKES)
def test_mistakes_in_token_files(text, mode, words):
    files = {} if text is None else {"tok": (text, mode)}
    status, said, _ = check("account a@b.test { submission h.test; oauth2 token-file tok }\n", files)
    assert status == 78 and words in said and "verysecret" not in said, said


BROKEN = [t for t in MISTAKES if t[1] == 0o600]


@pytest.mark.parametrize("text, mode, words", BROKEN)
def test_a_broken_token_file_parks_its_account_and_nothing_else(daemon, sink, world, text, mode, words):
    p = world.provider()
    up, other = world.upstream(p.good), sink()
    f = token_file(world, p)
    good = f.read_text()

    def break_it():
        f.unlink()
        if text is not None:
            f.write_text(text)
            f.chmod(mode)
    break_it()
    d = daemon(account(world, up, f"  oauth2 token-file {f}") + f"transport other {{ smarthost 127.0.0.1:{other.port} }}\n"
               "route to other.test via other\nretry 1h\n")
    assert words in d.log, d.log
    send(d)
    send(d, rcpt="x@other.test")
    assert until(lambda: other.messages, 10)
    row = lambda: next(a for a in d.relayctl_json("account", "list") if a["name"] == "a@corp.test")     # noqa: E731
    assert until(lambda: row()["state"] == "parked" and str(f) in row()["why"], 10), row()
    assert not up.messages
    r = d.relayctl("config", "check")
    assert r.returncode == 78 and words in r.stderr and "ok" not in r.stdout
    # a reload takes it, too, and says it again
    d.signal(signal.SIGHUP)
    assert until(lambda: d.events("reload"), 10)
    assert [e for e in d.events("configuration", level="error") if words in e["text"]], d.log
    f.write_text(good)
    f.chmod(0o600)
    assert until(lambda: up.messages, 30), d.log[-3000:]
    assert "verysecret" not in d.log


def test_a_directory_that_cannot_be_written():
    status, said, _ = check("account a@b.test { submission h.test; oauth2 token-file /proc/self/status }\n")
    assert status == 78 and "/proc/self" in said, said


def test_keys_and_certificates_are_tried(world):
    crt, key = world.ca.cert("one.test", rsa=True)
    _, other = world.ca.cert("two.test", rsa=True)
    base = "account a@b.test {{ submission h.test; oauth2 {{ flow client-credentials; provider microsoft; tenant t; client-id x; {} }} }}\n"
    assert check(base.format(f"certificate {crt} key {key}"))[0] == 0
    for text in (f"certificate {crt} key {other}", f"client-secret x; ca-file {key}"):
        status, said, _ = check(base.format(text))
        assert status == 78 and "smarthostd.conf:1" in said, said
    status, said, _ = check("account a@b.test { submission h.test; oauth2 { key-file k } }\n", {"k": ("{", 0o600)})
    assert status == 78 and "key-file" in said
    status, said, _ = check("account a@b.test { submission h.test; oauth2 { key-file k } }\n", {"k": ("{}", 0o644)})
    assert status == 78 and "chmod 600" in said


def test_commands_for_nobody(daemon, world):
    d = daemon("login x { password y }\n")
    for c in ("status", "refresh", "revoke", "token", "login"):
        r = d.relayctl("oauth", c, "nosuch")
        assert r.returncode == 1 and "no account" in r.stderr, (c, r)
    assert d.relayctl("oauth", "token").returncode == 64
    assert d.relayctl("oauth", "token", "x", "--output", "y").returncode == 64
    assert d.relayctl("oauth", "login", "x", "--flow", "y").returncode == 64
    assert d.relayctl_json("oauth", "status") == []


def test_providers(daemon, world):
    d = daemon("", start=False)
    for o in d.relayctl_json("providers"):
        assert set("name host port tls mechanisms limits oauth".split()) <= set(o)
    one = d.relayctl_json("providers", "gmail")
    assert one["host"] == "smtp.gmail.com" and one["oauth"]["provider"] == "google"
    assert d.relayctl("providers", "gmial").returncode == 1
