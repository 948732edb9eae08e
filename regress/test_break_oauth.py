"""OAuth2 against those who mean no good: owners of token files, providers, local users, and administrators in a hurry."""
import ctypes
import json
import os
import re
import signal
import socket
import struct
import subprocess
import threading
import time
import urllib.error
import urllib.request

import pytest

from harness.daemon import BIN, until
from test_oauth import Login, account, block, browse, send, token_file, world  # noqa: F401

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


def refresh(d, name="a@corp.test"):
    return subprocess.Popen([str(BIN / "relayctl"), "-f", str(d.conf), "oauth", "refresh", name], env=d.environment(), stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True)


def refresh_under_way(d, provider, delay):
    """The provider has been asked, and takes so long to answer."""
    provider.delay = delay
    r = refresh(d)
    assert until(lambda: provider.posts)
    return r


def test_a_file_that_fills_a_message(daemon, world):
    """What comes back is longer than what was read: auth lives on, and so does everybody else's mail."""
    p = world.provider()
    up = world.upstream(p.good)
    f, g = token_file(world, p, pad=""), token_file(world, p, name="second", user="b@corp.test")
    f.write_text(f.read_text().replace('"pad": ""', '"pad": "%s"' % ("x" * (32768 - f.stat().st_size))))
    assert f.stat().st_size == 32768
    d = daemon(account(world, up, f"  oauth2 token-file {f}") + account(world, up, f"  oauth2 token-file {g}", name="b@corp.test") + "retry 1s\n")
    auth = d.role("auth")
    send(d)
    assert until(lambda: up.to("r@far.test"))
    send(d, "b@corp.test", "s@far.test")
    assert until(lambda: up.to("s@far.test"))
    assert d.role("auth") == auth and json.loads(f.read_text())["refresh_token"] in p.refresh


@pytest.mark.parametrize("words", [["oauth", "status", "x" * 2000], ["oauth", "token", "x" * 2000]])
def test_a_name_that_is_too_long(daemon, world, words):
    p = world.provider()
    up = world.upstream(p.good)
    d = daemon(account(world, up, f"  oauth2 token-file {token_file(world, p)}"))
    auth = d.role("auth")
    r = d.relayctl(*words)
    assert r.returncode in (1, 64) and r.stderr, r
    assert d.relayctl("oauth", "refresh", "a@corp.test").returncode == 0
    assert d.role("auth") == auth and "garbage" not in d.log


@as_root
def test_a_directory_that_becomes_a_link(daemon, world):
    """Its owner exchanges it while we ask: what we write stays where we have read."""
    p = world.provider()
    up = world.upstream(p.good)
    home, victim = world.dir / "home", world.dir / "victim"
    home.mkdir()
    victim.mkdir()
    f = token_file(world, p).rename(home / "token")
    d = daemon(account(world, up, f"  oauth2 token-file {f}"))
    r = refresh_under_way(d, p, 1)
    home.rename(world.dir / "elsewhere")
    home.symlink_to(victim)
    r.communicate(timeout=20)
    assert not list(victim.iterdir())


@as_root
def test_anothers_file_by_a_link(daemon, world):
    """A directory that is a link of somebody who is not root does not lead to other people's files."""
    p = world.provider()
    up = world.upstream(p.good)
    victim, home = world.dir / "victim", world.dir / "home"
    victim.mkdir()
    f = token_file(world, p).rename(victim / "token")
    home.symlink_to(victim)
    d = daemon(account(world, up, f"  oauth2 token-file {home}/token"))
    assert d.relayctl("oauth", "refresh", "a@corp.test").returncode == 0      # root's own link is good
    os.chown(home, 12345, 12345, follow_symlinks=False)
    before = f.read_text()
    r = d.relayctl("oauth", "refresh", "a@corp.test")
    assert r.returncode == 1 and "symbolic link" in r.stderr, r
    assert f.read_text() == before


@pytest.mark.parametrize("how", ["replaced", "edited"])
def test_a_file_replaced_while_we_ask(daemon, world, how):
    """A human's new login is not written over with what the old one brought."""
    p = world.provider()
    up = world.upstream(p.good)
    f, other = token_file(world, p), token_file(world, p, name="other", by="a human")
    new = json.loads(other.read_text())["refresh_token"]
    d = daemon(account(world, up, f"  oauth2 token-file {f}") + "retry 1s\n")
    r = refresh_under_way(d, p, 1)
    if how == "replaced":
        other.rename(f)
    else:
        f.write_text(other.read_text())
    r.communicate(timeout=20)
    assert json.loads(f.read_text())["refresh_token"] == new
    p.delay = 0
    send(d)
    assert until(lambda: up.to("r@far.test"), 20)
    after = json.loads(f.read_text())
    assert after["by"] == "a human" and after["refresh_token"] in p.refresh and after["access_token"] in p.access


def test_a_ca_file_that_is_a_device(daemon, world):
    """Whoever owns a token file cannot make us open what is no file: to open some devices is to use them."""
    p = world.provider()
    up = world.upstream(p.good)
    fifo = world.dir / "fifo"
    os.mkfifo(fifo, 0o644)
    libc = ctypes.CDLL(None, use_errno=True)
    watch = libc.inotify_init1(os.O_NONBLOCK)
    libc.inotify_add_watch(watch, str(fifo).encode(), 0x20)      # IN_OPEN
    f = token_file(world, p, ca_bundle_file=str(fifo))
    d = daemon(account(world, up, f"  oauth2 token-file {f}"))
    r = d.relayctl("oauth", "refresh", "a@corp.test")
    assert r.returncode == 1 and "ca_bundle_file" in r.stderr, r
    with pytest.raises(BlockingIOError):
        os.read(watch, 4096)
    os.close(watch)


def exchange_under_way(daemon, world):
    """(the provider, the next hop, the token file, the refresh token that is being exchanged, the daemon, the command that waits)"""
    p = world.provider()
    up = world.upstream(p.good)
    f = token_file(world, p)
    old = json.loads(f.read_text())["refresh_token"]
    d = daemon(account(world, up, f"  oauth2 token-file {f}") + "retry 1s\n")
    return p, up, f, old, d, refresh_under_way(d, p, 1.5)


def test_a_reload_while_we_ask(daemon, world):
    """The provider has exchanged the refresh token already: who asked lives until the new one is saved."""
    p, up, f, old, d, r = exchange_under_way(daemon, world)
    d.signal(signal.SIGHUP)
    r.communicate(timeout=20)
    assert until(lambda: old not in p.refresh)
    assert until(lambda: json.loads(f.read_text())["refresh_token"] in p.refresh, 10), p.posts
    p.delay = 0
    send(d)
    assert until(lambda: up.to("r@far.test"), 20)


def test_a_stop_while_we_ask(daemon, world):
    p, _, f, old, d, r = exchange_under_way(daemon, world)
    assert d.stop() == 0
    r.communicate(timeout=20)
    assert until(lambda: old not in p.refresh)
    assert json.loads(f.read_text())["refresh_token"] in p.refresh


HIDDEN = "Sup3rSecretOfTheProxy"


@pytest.mark.parametrize("members", [{"proxy": f"gopher://me:{HIDDEN}@127.0.0.1:9"}, {"proxy": f"http://me:{HIDDEN}@127.0.0.1:9"},
                                     {"token_endpoint": f"https://me:{HIDDEN}@127.0.0.1:9/token"}, {"token_endpoint": f"ftp://me:{HIDDEN}@127.0.0.1:9/token"}])
def test_passwords_in_urls_are_not_told(daemon, world, members):
    p = world.provider()
    up = world.upstream(p.good)
    d = daemon(account(world, up, f"  oauth2 token-file {token_file(world, p, **members)}"))
    r = d.relayctl("oauth", "refresh", "a@corp.test")
    assert r.returncode == 1 and r.stderr, r
    s = d.relayctl("oauth", "status", "--json").stdout
    assert HIDDEN not in r.stderr + s + d.log, (r.stderr, s)


def test_a_secret_that_is_sent_back(daemon, world):
    """Shorter than what is hidden for its length, but it is ours."""
    p = world.provider()
    up = world.upstream(p.good)
    secret = "8Q~short.secret~of.forty.octets"
    p.script.extend([p.error("invalid_client", f"AADSTS7000215: Invalid client secret provided: '{secret}'.")] * 5)
    d = daemon(account(world, up, f"  oauth2 token-file {token_file(world, p, client_secret=secret)}"))
    r = d.relayctl("oauth", "refresh", "a@corp.test")
    assert r.returncode == 1 and "AADSTS7000215" in r.stderr, r
    assert secret not in r.stderr + d.log + d.relayctl("oauth", "status", "--json").stdout


def test_octets_that_drive_a_terminal(daemon, world):
    p = world.provider()
    up = world.upstream(p.good)
    esc = "\x1b]0;owned\x07\x1b[2J\u009b31m\r\n250 faked"
    f = token_file(world, p, user="a\x1b[31m@corp.test", scope=esc)
    d = daemon(account(world, up, f"  oauth2 token-file {f}"))
    p.script.append(p.error("invalid_grant" + esc, esc))
    said = d.relayctl("oauth", "refresh", "a@corp.test")
    table = d.relayctl("oauth", "status")
    p.script.append(p.json(200, {"access_token": "tok", "refresh_token": json.loads(f.read_text())["refresh_token"], "scope": esc}))
    good = d.relayctl("oauth", "refresh", "a@corp.test")
    status = d.relayctl("oauth", "status", "--json")
    everything = "".join(x.stdout + x.stderr for x in (said, table, good, status)) + d.log
    assert "\x1b" not in everything and "\x07" not in everything and "\u009b" not in everything
    assert "\n250 faked" not in everything


def login_by_browser(daemon, world):
    """(the provider, the login that waits, the URL that the provider sends the browser back to)"""
    p = world.provider()
    up = world.upstream(p.good)
    d = daemon(account(world, up, block(p, world, "code")))
    login = Login(d, "a@corp.test", "--no-browser")
    return p, login, browse(world, login.see(r"(https://\S+/authorize\S+)"))


def test_a_browser_with_anything(daemon, world):
    """What is not the provider's answer does not end the login, nor does one who breaks off."""
    p, login, back = login_by_browser(daemon, world)
    base, port = re.match(r"(http://[^/?]+:(\d+))", back).groups()
    for wrong in ("/?anything", "/?code=1", "/?error=access_denied", "/favicon.ico"):
        with pytest.raises(urllib.error.HTTPError):
            urllib.request.urlopen(base + wrong)
    s = socket.create_connection(("127.0.0.1", int(port)))
    s.sendall(b"GET /?x")
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    s.close()
    assert "close this page" in urllib.request.urlopen(back).read().decode()
    assert login.end()[0] == 0 and len(p.grants("authorization_code")) == 1


def test_a_browser_that_drips(daemon, world):
    """Somebody on this machine holds the port with an octet now and then: the human is let in."""
    _, login, back = login_by_browser(daemon, world)
    s = socket.create_connection(("127.0.0.1", int(re.search(r":(\d+)", back).group(1))))
    over = threading.Event()

    def drip():
        try:
            while not over.wait(0.5):
                s.sendall(b"x")
        except OSError:
            pass
    threading.Thread(target=drip, daemon=True).start()
    assert "close this page" in urllib.request.urlopen(back, timeout=10).read().decode()
    over.set()
    s.close()
    assert login.end()[0] == 0


def test_what_the_provider_says_of_a_login(daemon, world):
    p = world.provider()
    up = world.upstream(p.good)
    d = daemon(account(world, up, block(p, world, "code")))
    login = Login(d, "a@corp.test", "--no-browser")
    state = login.see(r"state=([^&\s]+)")
    login.proc.stdin.write(f"http://127.0.0.1/?error=access_denied&error_description=no%1b%5b2J%07more&state={state}\n")
    login.proc.stdin.flush()
    status, said = login.end()
    assert status == 1 and "the provider says: no" in said and "\x1b" not in said + login.said and "\x07" not in said


def test_three_hundred_accounts(daemon, world):
    """All want a token at once: the provider is not overrun."""
    p = world.provider()
    p.delay = 0.1
    up = world.upstream(p.good)
    text = ""
    for i in range(300):
        f = token_file(world, p, name=f"t{i}", user=f"u{i}@corp.test")
        text += account(world, up, f"  oauth2 token-file {f}", name=f"u{i}@corp.test")
    d = daemon(text + "retry 1s\n")
    began = time.monotonic()
    for i in range(300):
        send(d, f"u{i}@corp.test", f"r{i}@far.test")
    assert until(lambda: len(up.messages) == 300, 90), len(up.messages)
    print("busiest", p.busiest, "grants", len(p.grants()), time.monotonic() - began)
    assert p.busiest <= 20 and len(p.grants()) == 300


ODD = ['{"access_token":' * 100 + "1" + "}" * 100, "[" * 60000, '{"access_token": "a b"}', '{"access_token": "a\\r\\nQUIT"}', '{"access_token": "a\\u0000b"}',
       '{"access_token": "' + "x" * 10001 + '"}', '{"access_token": 5}', '{"access_token": null, "expires_in": null}', '{"access_token": "t", "token_type": "mac"}',
       '{"access_token": "\u20ac"}', '{"access_token": "t"} {"access_token": "u"}', '{"error": "invalid_grant\\u001b[2J", "access_token": "t"}', "", "/*", '"']


def test_answers_of_all_kinds(daemon, world):
    """None of them is a token, ends anything, or changes what is stored."""
    p = world.provider()
    up = world.upstream(p.good)
    f = token_file(world, p)
    before = f.read_text()
    d = daemon(account(world, up, f"  oauth2 token-file {f}"))
    auth = d.role("auth")
    for text in ODD:
        p.script.append((200, "application/json", text))
        r = d.relayctl("oauth", "refresh", "a@corp.test")
        assert r.returncode == 1 and "\x1b" not in r.stderr, (text[:60], r)
        assert f.read_text() == before
    assert d.role("auth") == auth
    assert d.relayctl("oauth", "refresh", "a@corp.test").returncode == 0


@pytest.mark.parametrize("lifetime", [-5, 0, "-1", 10 ** 30, "soon", 1e308, None, 2 ** 63])
def test_lifetimes_of_all_kinds(daemon, world, lifetime):
    p = world.provider(lifetime=lifetime)
    up = world.upstream(p.good)
    f = token_file(world, p)
    d = daemon(account(world, up, f"  oauth2 token-file {f}"))
    send(d)
    assert until(lambda: up.to("r@far.test"))
    assert time.time() - 60 < int(json.loads(f.read_text())["expiry"]) <= time.time() + 31 * 86400 and len(p.grants()) <= 2


def test_two_accounts_of_one_file(daemon, world):
    """Both use it at once: nobody shows a refresh token that the other has exchanged."""
    p = world.provider()
    p.delay = 0.3
    up = world.upstream(lambda user, token: token in p.access)
    f = token_file(world, p)
    d = daemon("".join(account(world, up, f"  oauth2 token-file {f}", name=n) for n in ("a@corp.test", "b@corp.test")))
    send(d)
    send(d, "b@corp.test", "s@far.test")
    assert until(lambda: up.to("r@far.test") and up.to("s@far.test"))
    assert len(p.grants()) == 1 and json.loads(f.read_text())["refresh_token"] in p.refresh


class Flood(threading.Thread):
    """A broker that talks without end, or says nothing, whatever it is asked."""

    def __init__(self, path, chunk):
        super().__init__(daemon=True)
        self.chunk, self.kept = chunk, []
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.bind(str(path))
        path.chmod(0o666)
        self.sock.listen(50)
        self.start()

    def run(self):
        try:
            while True:
                c = self.sock.accept()[0]
                self.kept.append(c)
                while self.chunk:
                    try:
                        c.sendall(self.chunk)
                    except OSError:
                        break
        except OSError:
            pass

    def stop(self):
        self.sock.close()


@pytest.mark.parametrize("chunk, words", [(b"user=a@corp.test" * 1000, "too long"), (b"", "does not answer")])
def test_a_broker_without_end(daemon, world, chunk, words):
    p = world.provider()
    up = world.upstream(p.good)
    world.made.append(Flood(world.dir / "cms.sock", chunk))
    d = daemon(account(world, up, f"  oauth2 cms-socket {world.dir}/cms.sock"))
    r = d.relayctl("oauth", "refresh", "a@corp.test")
    assert r.returncode == 1 and words in r.stderr, r


@pytest.mark.parametrize("flow", ["device", "code"])
@pytest.mark.parametrize("what", ["interrupt", "reload", "restart"])
def test_a_login_that_is_broken_off(daemon, world, flow, what):
    """By Ctrl-C, or by the daemon: it ends, says so, and the next one can begin at once."""
    p = world.provider()
    up = world.upstream(p.good)
    d = daemon(account(world, up, block(p, world, flow)))
    login = Login(d, "a@corp.test", "--no-browser")
    login.see(r"(https://\S+)\n")
    if what == "interrupt":
        login.proc.send_signal(signal.SIGINT)
    elif what == "reload":
        d.signal(signal.SIGHUP)
    else:
        d.restart()
    status, said = login.end()
    assert status != 0 and (said or what == "interrupt")

    def again():
        second = Login(d, "a@corp.test", "--no-browser")
        if not until(lambda: "https://" in second.said or second.proc.poll() is not None) or "https://" not in second.said:
            second.proc.kill()
            second.end()
            return False
        if flow == "device":
            for x in p.devices.values():
                x["user"] = "a@corp.test"
        else:
            urllib.request.urlopen(browse(world, second.see(r"(https://\S+/authorize\S+)")))
        return second.end()[0] == 0
    assert until(again)
