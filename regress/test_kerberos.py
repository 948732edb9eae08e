"""Logins to next hops with Kerberos tickets, with a KDC and mail servers that are real: by keytab, by cache, and all that can
be wrong with either."""
import base64
import os
import pathlib
import pwd
import re
import resource
import shutil
import signal
import socket
import stat
import threading
import time

import pytest

from harness import submission
from harness.ca import CA
from harness.client import message, send
from harness.daemon import BIN, check, until, work_dir, work_user
from harness.kdc import REALM, THERE, Keeper, Realm
from harness.sink import Sink

pytestmark = [pytest.mark.skipif(not THERE, reason="krb5-kdc, krb5-admin-server, krb5-user or python3-gssapi is not installed"),
              pytest.mark.skipif(not (BIN / "kerberos").exists(), reason="built without Kerberos")]
ROOT = os.geteuid() == 0


@pytest.fixture(scope="module")
def realm():
    made = Realm()
    made.relay = made.keytab("relay")
    yield made
    made.stop()


@pytest.fixture(scope="module")
def ca():
    made = CA()
    made.context = made.server("localhost", "127.0.0.1")
    yield made
    shutil.rmtree(made.dir)


@pytest.fixture
def keeper(realm, ca):
    """keeper(...) -> a mail server that takes tickets."""
    made = []

    def make(*args, keytab=None, plain=False, **kw):
        s = Keeper(keytab or realm.dir / "smtp-localhost.keytab", realm, *args, tls=None if plain else ca.context, **kw)
        made.append(s)
        return s
    yield make
    errors = [e for s in made for e in s.errors]
    for s in made:
        s.stop()
    assert not errors, errors


@pytest.fixture
def relay(daemon, realm, ca):
    """relay(port, statements of the transport `up`) -> a daemon that uses it for everything; `retry 1s`."""
    def make(port, *statements, text="", env=None, **kw):
        tls = [] if "tls off" in statements else [f"tls-ca {ca.file}"]
        lines = [f"submission localhost:{port}", *tls, *statements]
        return daemon("retry 1s\nprobe 1s\nwarn-after off\n" + text + "transport up {\n" + "\n".join(lines) + "\n}\nroute via up\n",
                      env=env or realm.client, **kw)
    return make


def out(d, ident="m", **kw):
    assert send(d.port, "from@here.test", ["to@there.test"], message(ident), **kw)[0] == 250


def programs(d):
    """The pids of the programs that speak Kerberos for it."""
    found = []
    for p in pathlib.Path("/proc").iterdir():
        try:
            name, _, rest = (p / "stat").read_text().partition("(")[2].rpartition(")")
        except OSError:
            continue
        f = rest.split()
        if name == "kerberos" and f[0] not in "ZX" and int(f[1]) == d.proc.pid:
            found.append(int(p.name))
    return found


def state(d):
    t, = [t for t in d.relayctl_json("status")["transports"] if t["name"] == "up"]
    return t["state"], t["why"] or ""


def waits(d, words, how):
    """Mail waits for this reason, and its lane is in that state."""
    assert until(lambda: [e for e in d.events("delivery", status="deferred") if words in e["reply"]], 40), d.log[-4000:]
    assert not d.events("delivery", status="bounced")
    assert until(lambda: state(d)[0] == how, 5) and words in state(d)[1]


def mine(path):
    """The file belongs to whom the daemon's commands run as."""
    u = pwd.getpwnam(work_user())
    os.chown(path, u.pw_uid, u.pw_gid)
    return path


# ---- what works

@pytest.mark.parametrize("username", ["username relay", f"username relay@{REALM}", ""], ids=["short", "full", "none"])
def test_by_keytab(relay, realm, keeper, username):
    s = keeper()
    d = relay(s.port, f"kerberos keytab {realm.relay}", *filter(None, [username]))
    out(d)
    assert until(lambda: s.messages, 15), d.log[-3000:]
    assert s.messages[0].session.login == f"relay@{REALM}" and s.messages[0].session.tls
    assert len(programs(d)) == 1


def test_by_cache(relay, realm, keeper, tmp_path):
    s, cache = keeper(), realm.dir / "cache"
    realm.ticket("user", cache)
    d = relay(s.port, f"kerberos cache FILE:{mine(cache)}")
    out(d)
    assert until(lambda: s.messages, 15), d.log[-3000:]
    assert s.messages[0].session.login == f"user@{REALM}"


@pytest.mark.skipif(not ROOT, reason="only root can become other users")
def test_a_cache_of_somebody_else(relay, realm, keeper):
    s, cache = keeper(), realm.dir / "games-cache"
    realm.ticket("user", cache)
    os.chown(cache, pwd.getpwnam("games").pw_uid, -1)
    d = relay(s.port, f"kerberos cache {cache} as games", text="alert { to admin@here.test }\n")
    out(d)
    assert until(lambda: s.messages, 15), d.log[-3000:]
    pid, = programs(d)
    assert os.stat(f"/proc/{pid}").st_uid in (0, pwd.getpwnam("games").pw_uid)
    assert re.search(rf"(?m)^Uid:\t{pwd.getpwnam('games').pw_uid}\t", pathlib.Path(f"/proc/{pid}/status").read_text())


@pytest.mark.skipif(not submission.THERE or not os.path.exists("/usr/lib/dovecot/modules/auth/libmech_gssapi.so"),
                    reason="dovecot-submissiond or dovecot-gssapi is not installed")
@pytest.mark.parametrize("offered", ["gssapi", "plain login scram-sha-256 gssapi"], ids=["alone", "among others"])
def test_dovecot(relay, realm, ca, sink, offered):
    s = sink(ehlo=("PIPELINING", "8BITMIME", "ENHANCEDSTATUSCODES", "XCLIENT ADDR PORT PROTO HELO LOGIN"))
    v = submission.Dovecot(s.port, ca.cert("localhost", file="dovecot"), {"relay": "x"}, offered, realm=realm)
    try:
        d = relay(v.port, "username relay", f"kerberos keytab {realm.relay}")
        out(d)
        assert until(lambda: re.search(r"Login: user=<([^>]*)>, method=GSSAPI,", v.said), 20), v.said + d.log[-3000:]
        assert until(lambda: s.messages, 15), v.said + d.log[-3000:]
        r = d.relayctl("transport", "test", "up")
        assert r.returncode == 0 and "AUTH GSSAPI" in r.stdout, r.stdout
    finally:
        v.stop()


@pytest.mark.parametrize("tls", ["tls off", "tls opportunistic"])
def test_no_secret_is_shown_so_that_tls_may_be_left_out(relay, realm, keeper, tls):
    s = keeper(plain=True)
    d = relay(s.port, tls, f"kerberos keytab {realm.relay}")
    out(d)
    assert until(lambda: s.messages, 15), d.log[-3000:]
    assert s.messages[0].session.login == f"relay@{REALM}" and not s.messages[0].session.tls


def test_by_default_tls_is_required(relay, realm, keeper):
    s = keeper(plain=True)
    d = relay(s.port, f"kerberos keytab {realm.relay}")
    out(d)
    waits(d, "TLS", "unreachable")
    assert not any(c.startswith("AUTH") for x in s.sessions for c in x.commands)


def test_many_at_once_have_one_ticket(relay, realm, keeper):
    s = keeper(lambda stage, session, arg: (0.2, None) if stage == "data" else None)
    before = realm.log.count("AS_REQ")
    d = relay(s.port, "username relay", f"kerberos keytab {realm.relay}", "messages-per-connection 1")
    threads = [threading.Thread(target=out, args=(d, f"m{n}")) for n in range(20)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert until(lambda: len(s.messages) == 20, 40), d.log[-3000:]
    assert len({m.session.number for m in s.messages}) == 20 and {m.session.login for m in s.messages} == {f"relay@{REALM}"}
    assert len(s.ids()) == 20 and len(programs(d)) == 1
    assert realm.log.count("AS_REQ") - before <= 2


def test_what_is_told(relay, realm, keeper):
    s = keeper()
    d = relay(s.port, "username relay", f"kerberos keytab {realm.relay}")
    why = d.relayctl_json("why", "--if", "from=a@here.test", "to=b@there.test")
    assert (why["credential"], why["username"]) == ("kerberos", "relay")
    assert ", as relay (kerberos)" in d.relayctl("why", "--if", "from=a@here.test", "to=b@there.test").stdout
    r = d.relayctl("transport", "test", "up")
    assert r.returncode == 0 and re.search(r"(?m)^C: AUTH GSSAPI$", r.stdout), r.stdout
    assert re.search(r"(?m)^ok +auth +AUTH GSSAPI: 235", r.stdout)
    talk = r.stdout[r.stdout.index("C: AUTH "):]
    for line in talk[:talk.index("\n\n")].split("\n"):
        assert re.fullmatch(r"C: (AUTH GSSAPI( \[hidden\])?|\[hidden\]|QUIT|)|S: (334 (\[challenge\])?|235 .*|221 .*)", line), line
    assert f"kerberos keytab {realm.relay}" in d.relayctl("config", "show").stdout


# ---- what is refused, and whose failure it is

def ticket_of(name, *options):
    def make(realm):
        cache = realm.dir / f"{name}.cache"
        realm.ticket(name, cache, *options)
        return [f"kerberos cache {mine(cache)}"]
    return make


def no_key(realm):
    return ["username other", f"kerberos keytab {realm.relay}"]


def old_key(realm):
    file = realm.keytab("old")
    data = file.read_bytes()
    realm.keytab("old")
    file.write_bytes(data)
    return ["username old", f"kerberos keytab {file}"]


def removed_principal(realm):
    file = realm.keytab("removed")
    realm.admin("delprinc -force removed")
    return ["username removed", f"kerberos keytab {file}"]


def expired_principal(realm):
    return [f"kerberos keytab {realm.keytab('ended', '-expire', 'yesterday')}"]


def unknown_server(realm):
    return ["tls-name mx.test", "tls-verify off", f"kerberos keytab {realm.relay}"]


def other_principal(realm):
    return ["username relay", *ticket_of("user")(realm)]


def keytab_of(data):
    def make(realm):
        return [f"kerberos keytab {made(realm, data=data)}"]
    return make


def no_cache(realm):
    return [f"kerberos cache {realm.dir}/none"]


MINE = [("empty", keytab_of(b"\5\2"), "the keytab holds no key", "klist -k"),
        ("damaged", keytab_of(b"\5\2\0\0\0\x40damaged"), "the keytab holds no key", "klist -k"),
        ("no key of it", no_key, "holds no key of other", "klist -k"), ("old key", old_key, "Decrypt integrity check failed", "ktadd"),
        ("no such principal", removed_principal, "not found in Kerberos database", "username"),
        ("principal has expired", expired_principal, "has expired", None),
        ("server unknown", unknown_server, f"Server smtp/mx.test@{REALM} not found in Kerberos database", "tls-name"),
        ("another's ticket", other_principal, "does not match desired name", "kinit"), ("no cache", no_cache, "/none)", "kinit")]


@pytest.mark.parametrize("make,words,advice", [m[1:] for m in MINE], ids=[m[0] for m in MINE])
def test_only_a_human_can_mend_it(relay, realm, keeper, make, words, advice):
    s = keeper()
    d = relay(s.port, *make(realm))
    out(d)
    waits(d, words, "parked")
    r = d.relayctl("transport", "test", "up")
    assert r.returncode == 1 and words in r.stdout and (advice or "") in r.stdout, r.stdout
    assert not s.messages and not any(c.startswith("AUTH") for x in s.sessions for c in x.commands)


def test_a_ticket_expires_and_another_one_comes(relay, realm, keeper):
    s = keeper()
    statements = ticket_of("short", "-l", "1s")(realm)
    d = relay(s.port, *statements)

    def expired():
        return "Ticket expired" in d.relayctl("transport", "test", "up").stdout
    assert until(expired, 20, 0.5)
    out(d)
    waits(d, "Ticket expired", "parked")
    assert "kinit" in d.relayctl("why", "last").stdout
    ticket_of("short")(realm)
    d.relayctl("transport", "resume", "up")
    assert until(lambda: s.messages, 15), d.log[-3000:]


def test_a_server_that_refuses(relay, realm, keeper):
    s = keeper(lambda stage, session, login: "535 5.7.8 you may not" if stage == "auth" else None)
    d = relay(s.port, f"kerberos keytab {realm.relay}")
    out(d)
    waits(d, "535 5.7.8 you may not", "parked")
    first = programs(d)
    s.script = None
    d.relayctl("transport", "resume", "up")
    assert until(lambda: s.messages, 15), d.log[-3000:]
    # its tickets may have been of an old key of the server's
    assert programs(d) and programs(d) != first


def flip(step, octets):
    return octets[:-1] + bytes([octets[-1] ^ 1])


LIES = [("garbage", {"twist": lambda step, octets: b"garbage"}, "Invalid token", "unreachable"),
        ("not the server", {"twist": lambda step, octets: flip(step, octets) if step == 0 else octets}, "the server broke the exchange", "unreachable"),
        ("layers forged", {"twist": lambda step, octets: flip(step, octets) if step == 1 else octets}, "its offer of layers", "unreachable"),
        ("nothing", {"twist": lambda step, octets: b""}, "", "unreachable"),
        ("insists on a layer", {"layers": 6}, "insists on a security layer", "parked")]


@pytest.mark.parametrize("how,words,lane", [x[1:] for x in LIES], ids=[x[0] for x in LIES])
def test_a_server_that_lies(relay, realm, keeper, how, words, lane):
    s = keeper(**how)
    d = relay(s.port, f"kerberos keytab {realm.relay}")
    out(d)
    waits(d, words, lane)
    assert not s.messages


def test_a_server_with_another_key(relay, realm, keeper):
    s = keeper(keytab=realm.keytab("smtp/other.test"))
    d = relay(s.port, f"kerberos keytab {realm.relay}")
    out(d)
    waits(d, "AUTH", "parked")
    assert not s.messages


@pytest.mark.parametrize("named", ["", "auth-mechanisms GSSAPI"])
def test_nothing_else_is_tried(relay, realm, sink, ca, named):
    s = sink(tls=ca.context, users={"relay": ""})
    d = relay(s.port, "username relay", f"kerberos keytab {realm.relay}", named)
    out(d)
    waits(d, "the server offers PLAIN LOGIN", "parked")
    assert not any(c.startswith("AUTH") for x in s.sessions for c in x.commands) and not programs(d)


def test_nothing_else_is_tried_when_it_fails(relay, realm, keeper):
    s = keeper(mechanisms="GSSAPI PLAIN LOGIN SCRAM-SHA-256 EXTERNAL ANONYMOUS")
    d = relay(s.port, *old_key(realm))
    out(d)
    waits(d, "Decrypt integrity check failed", "parked")
    assert not any(c.startswith("AUTH") for x in s.sessions for c in x.commands)


def test_who_has_a_password_is_told_what_the_server_wants(relay, keeper):
    s = keeper()
    d = relay(s.port, "username relay", "password x")
    out(d)
    waits(d, "a Kerberos ticket is needed (`kerberos`)", "parked")


# ---- what comes back by itself

def test_a_dead_kdc_is_waited_for(relay, realm, keeper):
    s = keeper()
    realm.kill()
    try:
        d = relay(s.port, f"kerberos keytab {realm.relay}")
        out(d)
        waits(d, "Cannot contact any KDC", "unreachable")
        r = d.relayctl("transport", "test", "up")
        assert r.returncode == 1 and "krb5.conf" in r.stdout
    finally:
        realm.start()
    assert until(lambda: s.messages, 30), d.log[-3000:]


def test_tickets_outlive_the_kdc(relay, realm, keeper):
    s = keeper()
    d = relay(s.port, f"kerberos keytab {realm.relay}", "messages-per-connection 1")
    out(d, "one")
    assert until(lambda: len(s.messages) == 1, 15), d.log[-3000:]
    realm.kill()
    try:
        out(d, "two")
        assert until(lambda: len(s.messages) == 2, 15), d.log[-3000:]
        assert s.messages[0].session is not s.messages[1].session
    finally:
        realm.start()


def test_a_new_keytab_is_read_by_itself(relay, realm, keeper):
    s = keeper()
    d = relay(s.port, *old_key(realm))
    out(d)
    waits(d, "Decrypt integrity check failed", "parked")
    realm.keytab("old")
    assert until(lambda: s.messages, 30), d.log[-3000:]


def test_a_keytab_that_is_gone(relay, realm, keeper):
    s, file = keeper(), realm.keytab("going")
    d = relay(s.port, f"kerberos keytab {file}")
    file.rename(file.with_suffix(".away"))
    out(d)
    waits(d, "going.keytab: No such file or directory", "parked")
    file.with_suffix(".away").rename(file)
    assert until(lambda: s.messages, 30), d.log[-3000:]


class Silent:
    """A KDC that takes all that comes and says nothing; closed by stop()."""

    def __init__(self):
        while True:
            self.udp, self.tcp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM), socket.socket()
            self.udp.bind(("127.0.0.1", 0))
            self.port = self.udp.getsockname()[1]
            try:
                self.tcp.bind(("127.0.0.1", self.port))
            except OSError:     # somebody else's
                self.stop()
                continue
            break
        self.tcp.listen(64)

    def stop(self):
        self.udp.close()
        self.tcp.close()


def test_a_kdc_that_hangs_keeps_nobody_up(relay, realm, keeper, ca):
    """The library would wait for longer than 20 s."""
    k, s = Silent(), keeper()
    other = Sink(tls=ca.context, users={"me": "x"})
    conf = work_dir("krb-hang-")
    (conf / "krb5.conf").write_text(realm.conf.read_text().replace(f":{realm.port}\n", f":{k.port}\n"))
    try:
        d = relay(s.port, f"kerberos keytab {realm.relay}", env={"KRB5_CONFIG": str(conf / "krb5.conf")},
                  text=f"transport other {{ submission localhost:{other.port}; tls-ca {ca.file}; username me; password x }}\nroute to .other.test via other\n")
        began = time.monotonic()
        for n in range(5):
            out(d, f"m{n}")
        assert until(lambda: programs(d), 10)
        # auth goes on meanwhile
        assert send(d.port, "from@here.test", ["to@other.test"], message("o"))[0] == 250
        assert until(lambda: other.messages, 5), d.log[-3000:]
        assert not d.events("delivery", transport="up")
        waits(d, "AUTH: GSSAPI: its program has ended or does not answer", "unreachable")
        assert time.monotonic() - began < 35
        assert [e for e in d.events("kerberos") if "signal 14" in e["text"]]
    finally:
        k.stop()
        other.stop()
        shutil.rmtree(conf)


def test_a_program_that_is_killed_in_the_middle(relay, realm, keeper):
    killed = []

    def twist(step, octets):
        if not killed:
            killed.extend(programs(d))
            os.kill(killed[0], signal.SIGKILL)
            assert until(lambda: not programs(d), 5)
        return octets
    s = keeper(twist=twist)
    d = relay(s.port, f"kerberos keytab {realm.relay}")
    out(d)
    waits(d, "AUTH: GSSAPI: its program has ended", "unreachable")
    assert until(lambda: s.messages, 20), d.log[-3000:]
    assert d.events("kerberos") and programs(d) != killed


def test_a_program_that_stands_still_is_replaced(relay, realm, keeper):
    s = keeper()
    d = relay(s.port, f"kerberos keytab {realm.relay}", "messages-per-connection 1")
    out(d, "one")
    assert until(lambda: s.messages, 15), d.log[-3000:]
    pid, = programs(d)
    os.kill(pid, signal.SIGSTOP)
    out(d, "two")
    waits(d, "its program has ended or does not answer", "unreachable")
    assert until(lambda: len(s.messages) == 2, 20), d.log[-3000:]
    assert until(lambda: pid not in programs(d), 5) and len(programs(d)) == 1


def test_it_ends_with_its_auth_and_with_the_daemon(relay, realm, keeper):
    s = keeper()
    d = relay(s.port, f"kerberos keytab {realm.relay}", "messages-per-connection 1")
    out(d, "one")
    assert until(lambda: s.messages, 15), d.log[-3000:]
    pid, = programs(d)
    os.kill(d.role("auth")[0], signal.SIGKILL)
    assert until(lambda: not programs(d), 5)
    out(d, "two")
    assert until(lambda: len(s.messages) == 2, 20), d.log[-3000:]
    pid, = programs(d)
    d.signal(signal.SIGHUP)
    assert until(lambda: d.events("reload") and not programs(d), 20), d.log[-3000:]
    out(d, "three")
    assert until(lambda: len(s.messages) == 3, 20), d.log[-3000:]
    pid, = programs(d)
    d.stop()
    assert until(lambda: not os.path.exists(f"/proc/{pid}"), 5)


def test_programs_that_stay_keep_no_alert_away(daemon, realm, keeper, ca):
    """They are no sign that alerts should wait for a better time."""
    s, n = keeper(), 33
    to = f"submission localhost:{s.port}; tls-ca {ca.file};"
    d = daemon("warn-after off\n" + "".join(f"transport t{i} {{ {to} kerberos keytab {realm.relay} }}\nroute to d{i}.test via t{i}\n" for i in range(n))
               + f"transport bad {{ {to} username a; password b }}\nroute to bad.test via bad\n"
               + "alert { command \"/bin/sh -c 'exit 9'\" }\n", env=realm.client)
    for i in range(n):
        assert send(d.port, "from@here.test", [f"to@d{i}.test"], message(f"m{i}"))[0] == 250
    assert until(lambda: len(s.messages) == n, 60), d.log[-3000:]
    assert len(programs(d)) == n
    assert send(d.port, "from@here.test", ["to@bad.test"], message("bad"))[0] == 250
    assert until(lambda: [e for e in d.events("alert") if e.get("status") == "9"], 15), d.log[-3000:]


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="no prlimit")
def test_a_monitor_without_descriptors_is_no_fault_of_the_account(relay, realm, keeper):
    s = keeper()
    d = relay(s.port, f"kerberos keytab {realm.relay}")
    most = resource.prlimit(d.proc.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(d.proc.pid, resource.RLIMIT_NOFILE, (3, most[1]))
    try:
        out(d)
        waits(d, "Too many open files", "unreachable")
    finally:
        resource.prlimit(d.proc.pid, resource.RLIMIT_NOFILE, most)
    assert until(lambda: s.messages, 20), d.log[-3000:]


# ---- what it has, and what nobody sees

def test_it_is_apart_and_has_nothing_that_it_does_not_need(relay, realm, keeper):
    s = keeper()
    d = relay(s.port, "username relay", f"kerberos keytab {realm.relay}", env={**realm.client, "SECRET_OF_MINE": "x"})
    out(d)
    assert until(lambda: s.messages, 15), d.log[-3000:]
    pid, = programs(d)
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    assert re.search(r"(?m)^NoNewPrivs:\t1$", status) and re.search(r"(?m)^CapEff:\t0+$", status)
    assert re.search(rf"(?m)^Uid:\t{pwd.getpwnam(work_user()).pw_uid}\t", status)
    assert pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[:-1] == [b"kerberos", b"keytab", b"relay"]
    # not dumpable: what is private in /proc is root's
    assert os.stat(f"/proc/{pid}/environ").st_uid == 0
    if ROOT:
        names = {v.split("=")[0] for v in pathlib.Path(f"/proc/{pid}/environ").read_text().split("\0") if v}
        assert names == {"PATH", "HOME", "USER", "LOGNAME", "KRB5_CONFIG"}
        kinds = [os.readlink(f"/proc/{pid}/fd/{n}") for n in os.listdir(f"/proc/{pid}/fd")]
        assert not [k for k in kinds if k.startswith("/")], kinds
    # auth, which has the ticket's octets in its hands, is no less confined than before
    assert not [e for e in d.events("role") if e["level"] == "error"]


def keys(file):
    """The octets of the keys in a keytab."""
    data, found, at = file.read_bytes(), [], 2
    while at + 4 <= len(data):
        size = int.from_bytes(data[at:at + 4], "big", signed=True)
        entry = data[at + 4:at + 4 + abs(size)]
        # the key is counted, behind version and type
        for n in (16, 32):
            i = entry.find(n.to_bytes(2, "big"), 20)
            while i >= 0 and size > 0:
                found.append(entry[i + 2:i + 2 + n])
                i = entry.find(n.to_bytes(2, "big"), i + 1)
        at += 4 + abs(size)
    return [k for k in found if len(k) in (16, 32)]


def test_no_key_and_no_ticket_is_anywhere(relay, realm, keeper):
    said = []
    s = keeper(twist=lambda step, octets: said.append(octets) or octets)
    d = relay(s.port, "username relay", f"kerberos keytab {realm.relay}")
    out(d)
    assert until(lambda: s.messages, 15), d.log[-3000:]
    r = d.relayctl("transport", "test", "up")
    shown = (r.stdout + r.stderr + d.log + d.relayctl("config", "show").stdout).encode()
    secrets = keys(realm.relay)
    assert len(secrets) >= 2
    for k in secrets + [x for x in said if len(x) > 8]:
        for form in (k, k.hex().encode(), base64.b64encode(k)):
            assert form not in shown
    # and tickets are in no file
    assert not [f for f in d.spool.rglob("*") if f.is_file() and b"krbtgt" in f.read_bytes()]
    uid = pwd.getpwnam(work_user()).pw_uid
    assert not [f for f in pathlib.Path("/tmp").glob(f"krb5cc_{uid}*") if f.stat().st_mtime > time.time() - 60]


# ---- the configuration

def made(realm, mode=0o600, data=None):
    f = realm.dir / f"made-{mode:o}-{len(data or b'')}.keytab"
    f.write_bytes(realm.relay.read_bytes() if data is None else data)
    f.chmod(mode)
    return f


def test_a_keytab_is_judged_as_any_secret(realm, monkeypatch):
    monkeypatch.setenv("SMARTHOSTD_LIBEXEC", str(BIN))
    text = "transport up {{\nsubmission a.test\nkerberos {}\n}}\nroute via up\nhostname h.test\n"
    status, said, _ = check(text.format(f"keytab {realm.relay}"))
    assert status == 0 and "kerberos" not in said, said
    for statement, words in ((f"keytab {realm.dir}/none", "No such file"), (f"keytab {made(realm, 0o644)}", "others can read or change it"),
                             (f"keytab {made(realm, 0o640)}", "others can read or change it"), (f"keytab {made(realm, data=b'password')}", "is no keytab"),
                             (f"keytab {realm.dir}", "not a regular file"), (f"cache {made(realm, 0o644)}", "others can read or change it")):
        status, said, where = check(text.format(statement))
        assert status == 78 and f"smarthostd.conf:3: " in said and words in said, said
    status, said, _ = check(text.format(f"cache {realm.dir}/none"))
    assert status == 0 and "warning" in said and "kinit" in said, said


def test_a_build_without_it_says_so(realm, monkeypatch):
    d = work_dir("libexec-")
    for f in BIN.iterdir():
        if f.name != "kerberos":
            (d / f.name).symlink_to(f)
    monkeypatch.setenv("SMARTHOSTD_LIBEXEC", str(d))
    status, said, where = check(f"transport up {{\nsubmission a.test\nkerberos keytab {realm.relay}\n}}\nroute via up\n")
    assert status == 78 and re.search(r"smarthostd\.conf:1: .*/kerberos is not there: install libkrb5-dev", said), said
    assert check("transport up { smarthost a.test }\nroute via up\nhostname h.test\n")[0] == 0
    shutil.rmtree(d)


def test_it_leaves_no_core_while_it_reads_the_keytab():
    """It waits for the rest of one, with what it has read in its memory."""
    import subprocess
    r, w = os.pipe()
    ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)

    def begin():
        os.dup2(r, 3)
        resource.setrlimit(resource.RLIMIT_CORE, (resource.getrlimit(resource.RLIMIT_CORE)[1],) * 2)
    p = subprocess.Popen([str(BIN / "kerberos"), "keytab"], stdin=its, stderr=subprocess.DEVNULL, pass_fds=(3,), preexec_fn=begin)
    try:
        os.write(w, b"\5")
        assert until(lambda: "pipe" in pathlib.Path(f"/proc/{p.pid}/wchan").read_text() or "read" in pathlib.Path(f"/proc/{p.pid}/syscall").read_text(), 10)
        assert re.search(r"(?m)^Max core file size +0 +0 ", pathlib.Path(f"/proc/{p.pid}/limits").read_text())
    finally:
        p.kill()
        p.wait()
        for x in (ours, its):
            x.close()
        os.close(r)
        os.close(w)


def test_by_hand_it_is_not_started():
    import subprocess
    for args in ((), ("ticket",), ("cache",), ("keytab", "a", "b")):
        r = subprocess.run([str(BIN / "kerberos"), *args], capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=20)
        assert r.returncode == 64 and "started by smarthostd" in r.stderr
    assert stat.S_IMODE(os.stat(BIN / "kerberos").st_mode) & 0o6000 == 0
