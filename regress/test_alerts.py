"""Alerts: a message, a command, or both, once when something begins and once when it is over."""
import os
import re
import shutil
import signal
import stat
import subprocess

import pytest

from harness.client import Client, message, send
from harness.daemon import DeadPort, until, work_user

BOSS = "boss@corp.test"


@pytest.fixture
def pager(sink):
    return sink()


def alerts(pager):
    """(X-Smarthostd-Alert, subject) of all that the administrator has got."""
    out = []
    for m in pager.to(BOSS):
        head = re.sub(rb"\r\n[ \t]+", b" ", m.data.split(b"\r\n\r\n")[0]).decode()
        out.append((re.search(r"(?m)^X-Smarthostd-Alert: (.*?)\r?$", head).group(1), re.search(r"(?m)^Subject: (.*?)\r?$", head).group(1)))
    return out


def subjects(pager, kind):
    return [s for k, s in alerts(pager) if k.startswith(kind)]


def block(pager, *statements):
    return f"transport pager {{ smarthost 127.0.0.1:{pager.port} }}\nalert {{\n  to {BOSS}\n  via pager\n" + "".join(f"  {s}\n" for s in statements) + "}\n"


def program(d, body):
    """A program that the daemon's user can run, and a directory that it can write in."""
    place = d.dir / "told"
    place.mkdir()
    place.chmod(0o777)
    script = d.dir / "tell"
    script.write_text("#!/bin/sh\n" + body)
    script.chmod(0o755)
    return place


@pytest.fixture
def parking(daemon, sink, ca, pager):
    """An account whose provider refuses its password."""
    s = sink(tls=ca.server("localhost"), users={"joe": "another"})
    d = daemon(block(pager) + f"account shop {{\n default\n submission localhost:{s.port}\n tls-ca {ca.file}\n username joe\n password secret\n}}\n"
               "retry 1h\nwarn-after off\n")
    d.provider = s
    return d


def test_a_parked_account_is_told_once_and_when_it_is_over(parking, pager):
    d = parking
    for i in range(3):
        send(d.port, "a@here.test", ["x@there.test"], message(f"m{i}"))
    assert until(lambda: alerts(pager) == [("parked begin", "[smarthostd relay.test] account shop is parked")])
    text = pager.to(BOSS)[0].data.decode()
    assert pager.to(BOSS)[0].mail_from == "postmaster@relay.test" and "<postmaster@relay.test>" in re.search(r"(?m)^From: .*", text).group()
    assert "535" in text and "relayctl account resume shop" in text and "secret" not in text
    d.relayctl("queue", "retry", "--all")
    d.provider.users["joe"] = "secret"
    assert d.relayctl("account", "resume", "shop").returncode == 0
    assert until(lambda: len(d.provider.messages) == 3, 20)
    assert until(lambda: len(alerts(pager)) == 2)
    assert alerts(pager)[1] == ("parked end", "[smarthostd relay.test] account shop is not parked any more")
    assert d.wait_empty(5) and len(alerts(pager)) == 2


def test_what_was_told_is_not_told_again_after_a_crash(parking, pager):
    d = parking
    send(d.port, "a@here.test", ["x@there.test"], message("m"))
    assert until(lambda: len(alerts(pager)) == 1)
    assert d.wait_event("removed")
    was = d.role("queue")
    os.kill(was[0], signal.SIGKILL)
    assert until(lambda: d.role("queue") and d.role("queue") != was)
    assert until(lambda: d.relayctl("status").returncode == 0)
    d.restart()
    d.provider.users["joe"] = "secret"
    assert until(lambda: d.relayctl("account", "resume", "shop").returncode == 0)
    assert until(lambda: len(alerts(pager)) == 2 and d.provider.messages, 20)
    assert [k for k, _ in alerts(pager)] == ["parked begin", "parked end"]


@pytest.mark.parametrize("point", ["queue.before_commit", "queue.after_commit_before_reply"])
def test_a_crash_while_it_is_told_loses_and_repeats_nothing(daemon, sink, pager, point):
    s = sink(lambda stage, *_: "451 later" if stage == "rcpt" else None)
    d = daemon(block(pager, "after 1s") + f"transport up {{ smarthost 127.0.0.1:{s.port} }}\nroute via up\nretry 1h\nwarn-after off\n", start=False)
    mark = d.dir / "hit"
    mark.touch()
    mark.chmod(0o666)
    # the first passage is that of the message, the second that of the alert
    d.env.update(SMARTHOSTD_FAULT=f"{point}:2", SMARTHOSTD_FAULT_HIT=str(mark), SMARTHOSTD_FAULT_ONCE="1")
    d.start()
    send(d.port, "a@here.test", ["x@there.test"], message("m"))
    assert until(lambda: mark.read_text().split() == [point])
    assert until(lambda: len(alerts(pager)) == 1, 20)
    assert d.relayctl("queue", "remove", "--all").returncode == 0
    assert until(lambda: len(alerts(pager)) == 2)
    assert [k for k, _ in alerts(pager)] == ["queue begin", "queue end"]


def test_a_transport_that_stays_unreachable(daemon, sink, pager):
    dead = DeadPort()
    d = daemon(block(pager, "after 1s") + f"transport up {{ smarthost 127.0.0.1:{dead.port} }}\nroute via up\nretry 1h\nprobe 200ms\nwarn-after off\n")
    send(d.port, "a@here.test", ["x@there.test"], message("m"))
    assert until(lambda: subjects(pager, "unreachable begin") == ["[smarthostd relay.test] transport up is unreachable"])
    s = sink(port=dead.release())
    assert until(lambda: s.messages, 20)
    assert until(lambda: subjects(pager, "unreachable end") == ["[smarthostd relay.test] transport up is reachable again"])
    assert d.wait_empty(5) and len(subjects(pager, "unreachable")) == 2


def test_one_that_comes_back_in_time_is_not_told(daemon, sink, pager):
    dead = DeadPort()
    d = daemon(block(pager, "after 1h") + f"transport up {{ smarthost 127.0.0.1:{dead.port} }}\nroute via up\nretry 1h\nprobe 200ms\nwarn-after off\n")
    send(d.port, "a@here.test", ["x@there.test"], message("m"))
    assert d.wait_event("delivery", status="deferred")
    s = sink(port=dead.release())
    assert until(lambda: s.messages, 20) and d.wait_empty(5)
    assert alerts(pager) == []


def test_mail_that_waits(daemon, sink, pager):
    s = sink(lambda stage, *_: "451 later" if stage == "rcpt" else None)
    d = daemon(block(pager, "after 1s") + f"transport up {{ smarthost 127.0.0.1:{s.port} }}\nroute via up\nretry 1h\nwarn-after off\n")
    ident = send(d.port, "a@here.test", ["x@there.test"], message("m"))[1].split()[-1]
    assert until(lambda: subjects(pager, "queue begin") == ["[smarthostd relay.test] queue has mail that waits for too long"])
    assert ident.encode() in pager.to(BOSS)[0].data
    assert d.relayctl("queue", "remove", "--all").returncode == 0
    assert until(lambda: len(subjects(pager, "queue end")) == 1)
    assert len(alerts(pager)) == 2


def test_a_disk_that_runs_short(daemon, pager):
    text = block(pager, "after 1s") + "transport none { discard }\nroute via none\n"
    d = daemon("disk-reserve 4000000G\n" + text)
    assert until(lambda: alerts(pager) == [("disk begin", f"[smarthostd relay.test] {d.spool} runs short of room")]), alerts(pager)
    c = Client(d.port)
    assert c.mail("a@here.test", ["x@there.test"], message("m"))[0] == 452
    d.configure("disk-reserve 1M\n" + text)
    d.signal(signal.SIGHUP)
    assert until(lambda: len(alerts(pager)) == 2)
    assert alerts(pager)[1] == ("disk end", f"[smarthostd relay.test] {d.spool} has room again")
    assert c.mail("a@here.test", ["x@there.test"], message("m"))[0] == 250
    c.quit()


def test_a_client_that_sends_very_much(daemon, pager):
    d = daemon(block(pager) + "transport none { discard }\nroute via none\n", log="log stderr text info")
    c = Client(d.port)
    for i in range(600):
        assert c.mail("a@here.test", ["x@there.test"], message(f"m{i}"))[0] == 250
    assert alerts(pager) == []
    for i in range(5):
        assert c.mail("a@here.test", ["x@there.test"], message(f"n{i}"))[0] == 250, "nothing is refused"
    assert until(lambda: alerts(pager) == [("runaway begin", "[smarthostd relay.test] client 127.0.0.1 sends too much")])
    c.quit()


def test_held_mail_hides_nothing_behind_it(daemon, pager):
    d = daemon(block(pager, "after 3s") + f"transport up {{ smarthost 127.0.0.1:{DeadPort().port} }}\nroute via up\nretry 1h\nwarn-after off\n", log="log stderr text info")
    assert d.relayctl("transport", "pause", "up").returncode == 0
    c = Client(d.port)
    for i in range(300):
        assert c.mail("a@here.test", ["x@there.test"], message(f"m{i}"))[0] == 250
    assert d.relayctl("queue", "hold", "--all").returncode == 0
    assert until(lambda: len(subjects(pager, "queue begin")) == len(subjects(pager, "queue end")))
    told = len(subjects(pager, "queue begin"))
    late = c.mail("a@here.test", ["x@there.test"], message("late"))[1].split()[-1]
    c.quit()
    assert until(lambda: len(subjects(pager, "queue begin")) == told + 1, 20), alerts(pager)
    assert late.encode() in pager.to(BOSS)[-1].data


def test_a_clock_that_is_put_back_keeps_nothing_from_being_told(daemon, pager):
    d = daemon(block(pager, "after 2s") + f"transport up {{ smarthost 127.0.0.1:{DeadPort().port} }}\nroute via up\nretry 1h\nprobe 1h\nwarn-after off\n", start=False)
    clock = d.dir / "clock"
    clock.write_text("7200000")
    d.env["SMARTHOSTD_CLOCK_OFFSET_FILE"] = str(clock)
    d.start()
    send(d.port, "a@here.test", ["x@there.test"], message("m"))
    assert d.wait_event("lane", state="unreachable")
    clock.write_text("0")
    assert until(lambda: subjects(pager, "unreachable begin"))


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to mount a small disk")
def test_a_disk_with_room_in_the_database_alone(daemon, pager):
    """Mail that is a file of its own is refused then, and somebody must know."""
    d = daemon("disk-reserve 1M\n" + block(pager, "after 1s") + "transport none { discard }\nroute via none\n", start=False)
    d.spool.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24M,mode=0755", "none", d.spool], capture_output=True).returncode != 0:
        pytest.skip("cannot mount")
    shutil.chown(d.spool, work_user())
    try:
        d.start()
        with open(d.spool / "filler", "wb") as f, pytest.raises(OSError):
            while True:
                f.write(b"x" * 65536)
                f.flush()
        assert until(lambda: subjects(pager, "disk begin") == [f"[smarthostd relay.test] {d.spool} runs short of room"])
        assert b"for large messages" in pager.to(BOSS)[0].data
        c = Client(d.port)
        assert c.mail("a@here.test", ["x@there.test"], message("big", body=b"x" * 70 + b"\r\n" * 200000))[0] == 452
        assert Client(d.port).mail("a@here.test", ["x@there.test"], message("small"))[0] == 250
        (d.spool / "filler").unlink()
        assert until(lambda: subjects(pager, "disk end"))
        assert c.mail("a@here.test", ["x@there.test"], message("big", body=b"x" * 70 + b"\r\n" * 200000))[0] == 250
        assert d.stop() == 0
    finally:
        d.kill()
        subprocess.run(["umount", "-l", d.spool])


def test_more_commands_than_may_run_at_a_time(daemon):
    """40 things begin in one moment: the command is run for each."""
    dead = DeadPort()
    names = [f"t{i}" for i in range(40)]
    d = daemon("".join(f"transport {n} {{ smarthost 127.0.0.1:{dead.port} }}\nroute to {n}.test via {n}\n" for n in names) +
               'retry 1h\nprobe 1h\nwarn-after off\nalert {\n  after 2s\n  command "{dir}/tell"\n}\n', start=False)
    place = program(d, f'sleep 0.5\necho "$SMARTHOSTD_ALERT_STATE" >> "{d.dir}/told/$SMARTHOSTD_ALERT_KIND.$SMARTHOSTD_ALERT_OBJECT"\n')
    d.start()
    for n in names:
        send(d.port, "a@here.test", [f"x@{n}.test"], message(n))
    assert until(lambda: {f.name for f in place.glob("unreachable.*")} == {f"unreachable.{n}" for n in names}, 30)
    assert {f.read_text() for f in place.glob("unreachable.*")} == {"begin\n"}


def test_the_command_and_its_environment(daemon):
    d = daemon(f"transport up {{ smarthost 127.0.0.1:{DeadPort().port} }}\nroute via up\nretry 1h\nprobe 1h\nwarn-after off\n"
               'alert {\n  after 1s\n  command "{dir}/tell \'two words\' $HOME"\n}\n', start=False)
    place = program(d, f'env > "{d.dir}/told/$SMARTHOSTD_ALERT_KIND.$SMARTHOSTD_ALERT_STATE.$$"\nprintf "%s\\n" "$@" > {d.dir}/told/args\nid -u > {d.dir}/told/uid\n')
    d.start()
    send(d.port, "a@here.test", ["x@there.test"], message("m"))
    assert until(lambda: list(place.glob("queue.begin.*")) and list(place.glob("unreachable.begin.*")))
    f = place.glob("unreachable.begin.*").__next__()
    assert until(lambda: "SMARTHOSTD_ALERT_TEXT" in f.read_text())
    env = dict(line.split("=", 1) for line in f.read_text().splitlines() if "=" in line)
    assert env["SMARTHOSTD_ALERT_OBJECT"] == "up" and env["SMARTHOSTD_ALERT_STATE"] == "begin"
    assert env["SMARTHOSTD_ALERT_TEXT"].startswith("transport up is unreachable: ") and len(env["SMARTHOSTD_ALERT_TEXT"]) <= 1024
    assert env["SMARTHOSTD_ALERT_TEXT"].isprintable()
    assert {k for k in env if not k.startswith("SMARTHOSTD_ALERT_")} <= {"PATH", "HOME", "USER", "LOGNAME", "PWD", "SHLVL", "_", "OLDPWD"}
    assert until(lambda: (place / "uid").exists() and (place / "uid").read_text())
    assert (place / "args").read_text() == "two words\n$HOME\n", "no shell"
    assert int((place / "uid").read_text()) == os.stat(place / "uid").st_uid != 0 or os.geteuid() != 0
    assert d.relayctl("queue", "remove", "--all").returncode == 0
    assert until(lambda: list(place.glob("queue.end.*")))
    assert len(list(place.glob("queue.*"))) == 2 and len(list(place.glob("unreachable.*"))) == 1
    assert stat.S_ISREG(os.stat(place / "args").st_mode)


@pytest.mark.parametrize("body, said", [("echo no pager >&2; exit 3\n", "no pager"), ("kill -9 $$\n", "signal 9")], ids=["fails", "dies"])
def test_a_command_that_fails_is_a_line_in_the_log(daemon, pager, body, said):
    d = daemon(block(pager, "after 1s", 'command "{dir}/tell"') + f"transport up {{ smarthost 127.0.0.1:{DeadPort().port} }}\n"
               "route via up\nretry 1h\nprobe 1h\nwarn-after off\n", start=False)
    program(d, body)
    d.start()
    send(d.port, "a@here.test", ["x@there.test"], message("m"))
    assert until(lambda: [e for e in d.events("alert", command="failed") if said in e["said"]])
    assert until(lambda: subjects(pager, "queue begin")), "the message goes all the same"


def test_an_alert_that_cannot_be_delivered_causes_nothing(daemon, sink):
    dead = DeadPort()
    d = daemon(f"transport up {{ smarthost 127.0.0.1:{dead.port} }}\nroute via up\nretry 200ms\nprobe 200ms\nwarn-after 1s\nbounce-to sender\n"
               f"alert {{ to {BOSS}; via up; after 1s }}\npostmaster pm@there.test\n")
    send(d.port, "", ["x@there.test"], message("m"))
    assert until(lambda: d.events("alert", kind="unreachable") and d.events("alert", kind="queue"))
    assert d.relayctl("queue", "remove", "--to", "x@there.test").returncode == 0
    assert until(lambda: len(d.events("alert", kind="queue")) == 2), "alerts that wait do not count"
    assert until(lambda: max(m["attempts"] for m in d.queue("--to", BOSS)) >= 5)
    assert len(d.events("alert")) == 3 and {m["recipients"][0]["address"] for m in d.queue()} == {BOSS}
    s = sink(port=dead.release(), script=lambda stage, _, arg: "550 no such boss" if stage == "rcpt" and BOSS in str(arg) else None)
    assert d.wait_empty(20)
    assert not [m for m in s.messages if "pm@there.test" in m.rcpts], "nobody is told that an alert failed"


def test_it_takes_another_way_than_the_one_it_is_about(daemon, sink):
    dead, other = DeadPort(), sink()
    d = daemon(f"transport up {{ smarthost 127.0.0.1:{dead.port} }}\ntransport other {{ smarthost 127.0.0.1:{other.port} }}\n"
               f"route attempts 50 via other\nroute via up\nretry 1h\nprobe 1h\nwarn-after off\nalert {{ to {BOSS}; via up; after 1s }}\n")
    send(d.port, "a@here.test", ["x@there.test"], message("m"))
    assert until(lambda: subjects(other, "unreachable begin") == ["[smarthostd relay.test] transport up is unreachable"])
