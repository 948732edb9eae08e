"""Starting, stopping, reloading, logging: what an administrator relies on."""
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import threading

import pytest

from harness.client import Client, message, send
from harness.daemon import BIN, ROLES, DeadPort, free_port, log_event, smarthost, until

RETRY = "retry 1s\nwarn-after off\n"
DELIVERY = {"id", "from", "to", "relay", "delay", "dsn", "status"}


def mode(path):
    return os.stat(path).st_mode & 0o7777


def test_ready_means_that_all_is_there(daemon):
    ports = free_port(), free_port()
    d = daemon("".join(f"listen 127.0.0.1:{p} {{ allow 127.0.0.0/8 }}\n" for p in ports))
    assert d.out_path.read_text() == "smarthostd: ready\n"
    for p in ports:
        socket.create_connection(("127.0.0.1", p), 5).close()
    assert {r: len(d.role(r)) for r in ROLES} == {r: 1 for r in ROLES}
    assert mode(d.spool) == 0o711 and mode(d.spool / "drop") == 0o1733 and mode(d.run) == 0o755
    assert mode(d.run / "control.sock") == 0o666 and mode(d.run / "submit.sock") == 0o666
    assert mode(d.spool / "queue") == 0o700


def test_it_listens_on_ipv6_and_on_sockets_in_the_file_system(daemon, sink):
    s = sink()
    six = free_port("::1")
    d = daemon(smarthost(s.port) + f"listen [::1]:{six} {{ allow ::1 }}\nlisten unix:{{dir}}/in.sock\n")
    for ident, c in (("m6", Client(six, host="::1")), ("mu", Client(unix=d.dir / "in.sock")), ("ms", Client(unix=d.run / "submit.sock"))):
        assert c.mail("from@here.test", ["to@there.test"], message(ident))[0] == 250
        c.quit()
    assert until(lambda: len(s.messages) == 3, 8)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root drops privileges")
def test_only_monitor_stays_root(daemon):
    d = daemon()
    for r in ROLES:
        status = pathlib.Path(f"/proc/{d.role(r)[0]}/status").read_text()
        fields = dict(line.split(":\t", 1) for line in status.split("\n") if ":\t" in line)
        assert "0" not in fields["Uid"].split() and "0" not in fields["Gid"].split() and "0" not in fields["Groups"].split()
        assert fields["CapEff"].strip("0") == fields["CapPrm"].strip("0") == ""


@pytest.mark.parametrize("signo", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_and_leaves_nothing(daemon, sink, signo):
    s = sink()
    d = daemon(smarthost(s.port))
    send(d.port, "from@here.test", ["to@there.test"], message("m"))
    d.signal(signo)
    assert d.wait(12) == 0
    assert until(lambda: not d.pids(), 2)
    assert not (d.run / "control.sock").exists() and not (d.run / "submit.sock").exists()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", d.port), 5)


def test_what_is_in_flight_is_finished_before_the_end(daemon, sink):
    s = sink(lambda stage, session, arg: (1, None) if stage == "body" else None)
    d = daemon("retry 1h\n" + smarthost(s.port))
    send(d.port, "from@here.test", ["to@there.test"], message("m"))
    assert until(lambda: s.messages, 8)             # its answer comes a second later
    assert d.stop() == 0
    assert d.events("delivery", status="sent")
    d.start()
    assert d.queue() == [] and len(s.messages) == 1


def test_a_hanging_server_does_not_hold_up_the_end(daemon, sink):
    s = sink(lambda stage, session, arg: (60, None) if stage == "mail" else None)
    d = daemon("retry 1h\n" + smarthost(s.port))
    send(d.port, "from@here.test", ["to@there.test"], message("m"))
    assert until(lambda: s.sessions and any(c.startswith("MAIL") for c in s.sessions[0].commands), 8)
    assert d.stop(timeout=12) == 0
    s.script = None
    d.start()
    d.relayctl("queue", "retry", "--all")
    assert until(lambda: s.messages, 8), "it is still there"


def test_clients_hear_of_the_end(daemon):
    d = daemon()
    c = Client(d.port)
    d.signal(signal.SIGTERM)
    assert c.reply()[0] == 421 and c.closed()
    assert d.wait(12) == 0


def test_a_role_that_dies_is_started_anew(daemon, sink):
    s = sink()
    d = daemon(RETRY + smarthost(s.port))
    for i, role in enumerate(ROLES):
        old, = d.role(role)
        os.kill(old, signal.SIGKILL)
        assert until(lambda r=role, o=old: d.role(r) not in ([], [o]), 5), role

        def works(ident=f"m{i}"):
            try:
                return send(d.port, "from@here.test", ["to@there.test"], message(ident))[0] == 250
            except OSError:
                return False
        assert until(works, 8), role
        assert until(lambda i=i: (f"m{i}", "to@there.test") in s.ids(), 8), role


def test_when_monitor_is_killed_the_roles_end(daemon):
    d = daemon()
    d.proc.kill()
    d.proc.wait()
    assert until(lambda: not d.pids(), 6)


# reload

def test_a_reload_takes_the_new_configuration_while_mail_flows(daemon, sink):
    a, b = sink(), sink()
    ports = free_port(), free_port()

    def text(s, *listen):
        return RETRY + "".join(f"listen 127.0.0.1:{p} {{ allow 127.0.0.0/8; max-connections-per-client 100 }}\n" for p in listen) + smarthost(s.port)
    d = daemon(text(a, ports[0]))
    sent, problems, stop = [], [], threading.Event()

    def client(k):
        while not stop.is_set():
            ident = f"c{k}-{len(sent)}"
            try:
                code, said = send(ports[0], "from@here.test", [f"{ident}@there.test"], message(ident))
            except ConnectionRefusedError as e:
                problems.append((ident, repr(e)))
                continue
            except OSError:
                continue
            if code == 250:
                sent.append((ident, f"{ident}@there.test"))
            elif code not in (421, 451):
                problems.append((ident, code, said))
    threads = [threading.Thread(target=client, args=(k,)) for k in range(4)]
    for t in threads:
        t.start()
    try:
        for n in range(4):
            s, port = ((b, ports), (a, ports))[n % 2]
            before = len(d.events("reload"))
            d.configure(text(s, *port)).signal(signal.SIGHUP)
            got = len(s.messages)
            assert until(lambda b=before: len(d.events("reload")) > b, 8)
            assert until(lambda s=s, g=got: len(s.messages) > g + 5, 10), "mail goes by the new configuration"
        socket.create_connection(("127.0.0.1", ports[1]), 5).close()
    finally:
        stop.set()
        for t in threads:
            t.join()
    assert not problems
    want = dict.fromkeys(sent, 1)
    assert until(lambda: {**a.ids(), **b.ids()} == want, 10), "each once"


def test_a_session_that_is_open_goes_on_over_a_reload(daemon, sink):
    s = sink()
    d = daemon(RETRY + smarthost(s.port))
    c = Client(d.port)
    assert c.cmd("MAIL FROM:<from@here.test>")[0] == 250
    old, = d.role("listener")
    d.signal(signal.SIGHUP)
    assert until(lambda: d.role("listener") and d.role("listener") != [old], 8)
    assert c.cmd("RCPT TO:<to@there.test>")[0] == 250 and c.cmd("DATA")[0] == 354
    c.send(message("m") + b".\r\n")
    assert c.reply()[0] == 250
    c.quit()
    assert until(lambda: s.messages, 8)
    assert until(lambda: old not in d.role("listener"), 8)


def test_a_configuration_with_an_error_is_refused_and_the_old_one_goes_on(daemon, sink):
    s = sink()
    d = daemon(RETRY + smarthost(s.port))
    roles = {r: d.role(r) for r in ROLES}
    d.conf.write_text("nonsense here\n" + d.conf.read_text())
    d.signal(signal.SIGHUP)
    assert until(lambda: re.search(r"smarthostd\.conf:1: .*nonsense", d.log), 8)
    assert send(d.port, "from@here.test", ["to@there.test"], message("m"))[0] == 250
    assert until(lambda: s.messages, 8)
    assert {r: d.role(r) for r in ROLES} == roles


def test_a_reload_with_another_spool_is_refused(daemon, sink):
    s = sink()
    d = daemon(RETRY + smarthost(s.port))
    roles = {r: d.role(r) for r in ROLES}
    d.conf.write_text(d.conf.read_text().replace(f"spool-directory {d.spool}", f"spool-directory {d.dir}/other"))
    d.signal(signal.SIGHUP)
    assert until(lambda: [e for e in d.events("reload") if "restart" in str(e)], 8)
    assert {r: d.role(r) for r in ROLES} == roles
    assert not (d.dir / "other").exists()


def test_a_reload_moves_waiting_mail_to_its_new_route(daemon, sink):
    dead, s = DeadPort(), sink()
    d = daemon("retry 1s\n" + smarthost(dead.port))
    send(d.port, "from@here.test", ["to@there.test"], message("m"))
    assert d.wait_event("delivery", status="deferred")
    d.configure("retry 1s\n" + smarthost(s.port, name="other")).signal(signal.SIGHUP)
    assert until(lambda: s.messages, 10)


# the log

def test_a_delivery_is_one_line_with_stable_keys(daemon, sink):
    s = sink()
    d = daemon(smarthost(s.port))
    _, text = send(d.port, "from@here.test", ["to@there.test"], message("m"))
    line, = d.wait_event("delivery")
    assert DELIVERY <= line.keys()
    assert line["id"] == text.split()[-1] and line["from"] == "<from@here.test>" and line["to"] == "<to@there.test>"
    assert line["relay"] == f"127.0.0.1[127.0.0.1]:{s.port}" and line["status"] == "sent" and line["dsn"] == "2.0.0"
    assert float(line["delay"]) < 10
    assert all(log_event(x) for x in d.log.split("\n") if x and "warning:" not in x)


def test_json_lines_parse(daemon, sink):
    s = sink()
    d = daemon(smarthost(s.port), log="log stderr json debug")
    c = Client(d.port)
    c.mail('"quote\\"d"@here.test', ["to@there.test"], message("m"))
    c.cmd(b"XYZZY \xff\x01\"\\")
    c.quit()
    assert d.wait_event("delivery") and d.wait_event("removed")
    lines = [json.loads(x) for x in d.log.split("\n") if x.startswith("{")]
    assert all({"time", "role", "pid", "level", "event"} <= x.keys() for x in lines)
    assert {x["role"] for x in lines} >= {"monitor", "listener", "queue", "delivery"}
    line, = d.events("delivery")
    assert DELIVERY <= line.keys() and line["from"] == '<"quote\\"d"@here.test>'


def test_nobody_can_forge_a_line(daemon):
    d = daemon(log="log stderr text debug")
    c = Client(d.port, hello=False)
    c.cmd(b"EHLO x\x1b[31m\t2026-01-01T00:00:00.000Z queue[1] info delivery: id=1")
    c.cmd(b"MAIL FROM:<\xc2\x85\xe2\x80\xa8 status=sent>")
    c.quit()
    assert d.wait_event("disconnect")
    assert not d.events("delivery") and "\x1b" not in d.log and "\u2028" not in d.log


def test_usr1_opens_the_log_file_anew(daemon, sink):
    s = sink()
    d = daemon(smarthost(s.port), log="log {dir}/file.log json info", start=False)
    d.conf.write_text(d.conf.read_text().replace("{dir}", str(d.dir)))
    d.start()
    path, old = d.dir / "file.log", d.dir / "file.log.1"
    assert mode(path) & 0o007 == 0
    send(d.port, "from@here.test", ["first@there.test"], message("m1"))
    assert until(lambda: d.events("removed", path=path), 8)
    path.rename(old)
    d.signal(signal.SIGUSR1)
    assert until(path.exists, 5)

    def new():
        send(d.port, "from@here.test", ["later@there.test"], message("m2"))
        return {"listener", "queue"} & {e["role"] for e in d.events(path=path)}
    assert until(new, 8)
    assert until(lambda: d.events("delivery", path=path, to="<later@there.test>"), 8)
    size = old.stat().st_size
    send(d.port, "from@here.test", ["last@there.test"], message("m3"))
    assert until(lambda: d.events("delivery", path=path, to="<last@there.test>"), 8)
    assert old.stat().st_size == size and not d.events("delivery", path=path, to="<first@there.test>")


# as a daemon, and with systemd

def test_without_d_it_detaches_once_it_is_ready(daemon, sink):
    s = sink()
    d = daemon(smarthost(s.port), log="log {dir}/file.log", start=False)
    d.conf.write_text(d.conf.read_text().replace("{dir}", str(d.dir)))
    r = subprocess.run([BIN / "smarthostd", "-f", d.conf], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20, env=d.environment())
    pid = None
    try:
        assert r.returncode == 0, r.stderr
        assert r.stdout == "smarthostd: ready\n"
        pid = int((d.run / "smarthostd.pid").read_text())
        assert send(d.port, "from@here.test", ["to@there.test"], message("m"))[0] == 250
        assert until(lambda: s.messages, 8)
    finally:
        if pid:
            os.kill(pid, signal.SIGTERM)
    assert until(lambda: not pathlib.Path(f"/proc/{pid}").exists() or pathlib.Path(f"/proc/{pid}/stat").read_text().split()[2] == "Z", 12)


def test_systemd_is_told(daemon):
    d = daemon(start=False)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
        path = d.dir / "notify"
        s.bind(str(path))
        path.chmod(0o777)
        s.settimeout(10)
        d.env["NOTIFY_SOCKET"] = str(path)
        d.start()
        got = ""
        while "READY=1" not in got:
            got = s.recv(4096).decode()
        d.signal(signal.SIGTERM)
        while "STOPPING=1" not in got:
            got = s.recv(4096).decode()
    assert d.wait(12) == 0


def test_status_and_list_tell_what_is_there(daemon):
    d = daemon("retry 1h\n" + smarthost(DeadPort().port))
    _, text = send(d.port, "from@here.test", ["to@there.test"], message("m"))
    assert d.wait_event("delivery", status="deferred")
    assert until(lambda: d.relayctl_json("status")["queue"]["deferred"] == 1, 5)
    status = d.relayctl_json("status")
    assert {"version", "started", "roles", "listeners", "queue", "transports", "accounts"} <= status.keys()
    assert {r["name"] for r in status["roles"]} >= set(ROLES)
    m, = d.queue()
    assert m["id"] == text.split()[-1] and m["from"] == "from@here.test" and m["attempts"] == 1 and m["status"] == "deferred"
    assert m["recipients"][0]["address"] == "to@there.test"
