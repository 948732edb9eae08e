"""Direct delivery where some servers are dead: each site is a lane of its own, closed, probed and drained by itself."""
import re
import signal
import threading

import pytest

from harness.client import Client, message, send
from harness.daemon import DeadPort, until
from test_direct import HOSTS, World
from test_lanes import needs_namespace


@pytest.fixture
def world(daemon, sink, names):
    return World(daemon, sink, names)


def attempts(world, to):
    m = [m for m in world.d.queue() if any(r["address"] == to for r in m["recipients"])]
    return m[0]["attempts"] if m else None


def transport(world, name="mx"):
    return next(t for t in world.d.relayctl_json("status")["transports"] if t["name"] == name)


def done(world, *args):
    r = world.d.relayctl(*args)
    assert r.returncode == 0, r.stdout + r.stderr


def kill_and_start(world):
    world.d.kill()
    world.d.start()


def dead(world, *letters):
    for n in letters:
        world.mx(f"{n}.dead.test", n)


# lanes

def test_a_dead_site_is_closed_alone_and_drained_when_it_is_back(world):
    world.serve("a")
    world.mx("live.test", "a")
    dead(world, "b")
    world.start("retry 1h\nprobe 300ms")
    for i in range(10):
        world.send(f"u{i}@b.dead.test")
    assert until(lambda: transport(world)["state"] == "unreachable")
    assert transport(world)["window"] < 100, "questions are no connections"
    assert "b.mx.test" in transport(world)["why"] and "next hops are not ok" in transport(world)["why"]
    for i in range(10):
        world.send(f"u{i}@live.test")
    assert until(lambda: len(world.up["a"].messages) == 10)
    assert all(m["attempts"] == 1 for m in world.d.queue())
    assert {e["next_hop"] for e in world.d.events("lane", state="unreachable")} == {"b.mx.test"}
    world.serve("b")
    assert until(lambda: len(world.up["b"].messages) == 10)
    assert world.d.wait_empty() and transport(world)["state"] == "ok"


@pytest.mark.parametrize("how", ["kill", "restart"])
def test_closed_sites_are_known_after_a_start_and_probed(world, how):
    dead(world, "b", "c")
    world.start("retry 1h\nprobe 2s")
    for n in "bc":
        for i in range(3):
            world.send(f"u{i}@{n}.dead.test")
    assert until(lambda: len({e.get("next_hop") for e in world.d.events("lane", state="unreachable")}) == 2)
    assert until(lambda: all(m["attempts"] == 1 for m in world.d.queue()))
    world.send("later@b.dead.test")     # its 250 says that what was written before is on disk, too
    if how == "kill":
        world.d.kill()
    else:
        world.d.stop()
    world.serve("b")
    world.d.start()
    assert "2 of" in transport(world)["why"], transport(world)
    assert until(lambda: len(world.up["b"].messages) == 4, 10)
    assert attempts(world, "u0@c.dead.test") == 1
    world.serve("c")
    assert until(lambda: len(world.up["c"].messages) == 3, 10)
    assert world.d.wait_empty()


def test_a_probe_finds_the_servers_that_a_domain_has_now(world):
    dead(world, "b")
    world.serve("a")
    world.start("retry 1h\nprobe 1s")
    world.send("u@b.dead.test")
    assert until(lambda: transport(world)["state"] == "unreachable")
    world.names.set("b.dead.test", "MX", "10 a.mx.test.")
    kill_and_start(world)
    world.arrives("a", "u@b.dead.test")


def test_pause_and_resume_hold_all_sites(world):
    world.serve("a", "b")
    dead(world, "c")
    world.mx("one.test", "a")
    world.mx("two.test", "b")
    world.start("retry 1h\nprobe 500ms")
    world.send("first@one.test")
    world.arrives("a", "first@one.test")
    world.send("u@c.dead.test")
    assert until(lambda: transport(world)["state"] == "unreachable")
    done(world, "transport", "pause", "mx")
    for to in ("u@one.test", "u@two.test"):
        world.send(to)
    assert until(lambda: [attempts(world, t) for t in ("u@one.test", "u@two.test")] == [1, 1])
    kill_and_start(world)
    assert transport(world)["state"] == "paused"
    world.serve("c")
    assert not world.up["a"].to("u@one.test") and not world.up["b"].messages
    done(world, "transport", "resume", "mx")
    for host, to in (("a", "u@one.test"), ("b", "u@two.test"), ("c", "u@c.dead.test")):
        world.arrives(host, to)
    assert world.d.wait_empty()


# the next transport

@pytest.mark.parametrize("how", ["dead", "servfail"])
def test_attempts_3_via_backup_is_exact(world, how):
    backup = world.sink()
    if how == "dead":
        dead(world, "b")
        to = "@b.dead.test"
    else:
        world.names.rule("bad.test", "servfail")
        to = "@bad.test"
    world.start(f"retry 700ms 700ms 700ms 1h\nprobe 1h\ntransport backup {{ smarthost 127.0.0.1:{backup.port} }}\nroute attempts 3 via backup")
    seen = set()
    for i in range(4):
        world.send(f"u{i}{to}")

    def moved():
        seen.update((m["attempts"], m["transport"]) for m in world.d.queue())
        return len(backup.messages) == 4
    assert until(moved, 15, .1)
    assert world.d.wait_empty()
    assert {n for n, t in seen if t == "mx"} >= {1, 2, 3} and max(n for n, _ in seen) <= 4
    for i in range(4):
        tried = [e for e in world.d.events("delivery") if e.get("to") == f"<u{i}{to}>"]
        assert [(e["transport"], e["status"]) for e in tried][-1] == ("backup", "sent")
        by_log = [e for e in tried if e["status"] == "deferred"] + [e for e in world.d.events("moved-to-next", to=f"<u{i}{to}>")]
        assert len(by_log) <= 3


def test_via_direct_then_backup_takes_the_same_due_time(world):
    backup = world.sink()
    dead(world, "b")
    world.start(f"retry 1h\nprobe 1h\ntransport backup {{ smarthost 127.0.0.1:{backup.port} }}\nroute to .dead.test via mx backup")
    for i in range(12):
        world.send(f"u{i}@b.dead.test")
        assert until(lambda: len(backup.messages) == i + 1), i
    assert world.d.wait_empty()
    assert transport(world)["state"] == "unreachable" and transport(world, "backup")["state"] == "ok"
    assert len(world.d.events("lane", state="unreachable")) == 1
    assert not world.d.events("delivery", status="deferred")


# how much

def four_to_each(world, letters, limit):
    """Starts with the limit and sends four messages to each of the sites; a function that counts those that have arrived."""
    world.serve(*letters)
    for n in letters:
        world.mx(f"{n}.live.test", n)
    world.start("retry 1h", block=limit)
    for i in range(4):
        for n in letters:
            world.send(f"u{i}@{n}.live.test")
    return lambda: sum(len(world.up[n].messages) for n in letters)


def test_a_rate_is_over_all_sites(world):
    count = four_to_each(world, "abc", "rate 4/2s")
    assert until(lambda: count() >= 4)
    assert count() <= 8
    assert until(lambda: count() == 12, 20)
    assert world.d.wait_empty()


def test_daily_closes_all_sites(world):
    count = four_to_each(world, "ab", "daily 5")
    assert until(lambda: count() == 5 and transport(world)["state"] == "parked", 10), (count(), transport(world))
    assert "daily" in transport(world)["why"]
    world.send("later@a.live.test")     # its 250 says that what was written before is on disk, too
    kill_and_start(world)
    assert transport(world)["state"] == "parked" and count() == 5
    world.send("new@a.live.test")
    assert until(lambda: attempts(world, "new@a.live.test") is not None)
    assert count() == 5


def test_questions_close_no_lane_and_are_no_jobs(world):
    world.serve("a")
    world.mx("live.test", "a")
    world.names.rule(".bad.test", "servfail")
    world.start("retry 1h")
    for i in range(8):
        world.send(f"u@{i}.bad.test")
    assert until(lambda: len([m for m in world.d.queue() if m["recipients"][0]["last_reply"]]) == 8)
    assert transport(world)["state"] == "ok" and not world.d.events("lane")
    world.send("u@live.test")
    world.arrives("a", "u@live.test")


def test_each_site_has_its_own_connections_and_a_host_its_limit(world):
    def slow(stage, s, arg):
        return (.15, None) if stage == "body" else None
    world.serve("a", "b", script=slow)
    for i in range(3):
        world.mx(f"a{i}.test", "a", f"{20 + i} h{i}")
        world.mx(f"b{i}.test", "b", f"{20 + i} h{i}")
    world.start("retry 1h", block="connections 2; connections-per-host 3; idle-timeout 1s")
    for i in range(30):
        world.send(f"u{i}@a{i % 3}.test")
        world.send(f"u{i}@b{i % 3}.test")
    assert until(lambda: len(world.up["a"].messages) == len(world.up["b"].messages) == 30, 30)
    assert 2 <= world.up["a"].most <= 3 and 2 <= world.up["b"].most <= 3


# proxies

def test_a_dead_proxy_closes_the_lane_and_is_named(world, proxy):
    world.serve("a")
    world.mx("live.test", "a")
    gone = DeadPort()
    world.start("retry 1h\nprobe 500ms", block=f"socks5 127.0.0.1:{gone.port}")
    world.send("u@live.test")
    assert until(lambda: transport(world)["state"] == "unreachable")
    assert "proxy" in transport(world)["why"] and str(gone.port) in transport(world)["why"], transport(world)
    r = world.waits("u@live.test")
    assert "proxy" in r["last_reply"] and r["status"] == "deferred"
    proxy(port=gone.release())
    world.arrives("a", "u@live.test")
    assert world.d.wait_empty() and transport(world)["state"] == "ok"


# why

def test_why_tells_what_was_recorded_and_not_what_would_be_chosen_now(world):
    backup = world.sink()
    dead(world, "b")
    d = world.start("retry 1h\nprobe 1h")
    world.send("u@b.dead.test")
    world.waits("u@b.dead.test")
    before = d.relayctl_json("why", "u@b.dead.test")
    then = d.conf.read_text()
    line = 1 + then.split("\n").index("route via mx")
    d.conf.write_text(f"transport other {{ smarthost 127.0.0.1:{backup.port} }}\nroute to .elsewhere.test via other\n# one\n# two\n" +
                      then.replace("route via mx", "route from nobody@x.test via mx\nroute via bounces"))
    done(world, "transport", "pause", "bounces")
    # its lane is probed now, and the probe finds that its route has changed: that is no attempt
    d.signal(signal.SIGHUP)
    assert d.wait_event("queue", text="new configuration in place")
    after = d.relayctl_json("why", "u@b.dead.test")
    text = d.relayctl("why", "u@b.dead.test").stdout
    for doc in (before, after):
        doc = doc[0] if isinstance(doc, list) else doc
        said = str(doc)
        assert f"smarthostd.conf:{line}" in said and "b.mx.test" in said, said
    assert f"smarthostd.conf:{line}" in text and re.search(r"\bmx\b", text), text


# everything at once

def test_a_thousand_domains_on_three_hundred_sites_under_kill(daemon, sink, names):
    world = World(daemon, sink, names)
    live = "abcdef"
    world.serve(*live)
    for i in range(300):
        # a third of the sites is dead: their first host, and only one, is g or h
        first = "gh"[i % 2] if i % 3 == 0 else live[i % 6]
        names.add(f"s{i}.mx.test", "A", HOSTS[first])
    for i in range(1000):
        names.add(f"d{i}.big.test", "MX", f"10 s{i % 300}.mx.test.", ttl=300)
    world.start("retry 500ms 1s 2s\nprobe 1s\nexpire 1d")
    d = world.d
    sent = []
    lock = threading.Lock()

    def put(part):
        c = None
        for i in range(part, 1000, 4):
            to = f"u@d{i}.big.test"
            for _ in range(60):
                try:
                    if c is None:
                        c = Client(d.port)
                    if c.mail("from@here.test", [to], message(f"id{i}"))[0] == 250:
                        with lock:
                            sent.append(to)
                        break
                except OSError:
                    c = None
                    if done_killing.wait(.2):
                        pass
    done_killing = threading.Event()
    threads = [threading.Thread(target=put, args=(p,)) for p in range(4)]
    for t in threads:
        t.start()
    for n in (200, 500):
        assert until(lambda: len(sent) >= n, 60), len(sent)
        kill_and_start(world)
    done_killing.set()
    for t in threads:
        t.join()
    assert len(sent) == 1000

    def arrived():
        return {r for n in world.up for m in list(world.up[n].messages) for r in m.rcpts}
    alive = {f"u@d{i}.big.test" for i in range(1000) if i % 300 % 3 != 0}
    assert until(lambda: arrived() >= alive, 60, .2), len(alive - arrived())
    world.serve("g", "h")
    assert until(lambda: len(arrived()) == 1000, 60, .2), len(arrived())
    assert d.wait_empty(30)
    copies = sum(len(s.messages) for s in world.up.values())
    assert copies - 1000 <= 2 * 150, copies     # what was under way at the two kills
    assert d.relayctl("queue", "verify").returncode == 0


# no network

@needs_namespace
def test_without_a_network_names_are_nobodys_failure(daemon):
    """Nobody answers questions then: that is no attempt, and no sign of a network either."""
    d = daemon("retry 1h\nprobe 200ms\nresolver 192.0.2.53\nroute via direct\nlisten 127.0.0.1:{port} { allow 127.0.0.0/8 }\n",
               prefix=("unshare", "-n", "sh", "-c", 'ip link set lo up; exec "$@"', "sh"))
    for i in range(3):
        assert d.sendmail("-i", "-f", "from@here.test", f"u@d{i}.example.com", input=f"Subject: {i}\n\nhello\n").returncode == 0
    assert d.wait_event("offline", 40)
    seen = set()

    def probed():
        seen.update(t["next_probe"] for t in d.relayctl_json("status")["transports"] if t["name"] == "direct")
        return len(seen) >= 4
    assert until(probed, 60, .1), seen
    assert [m["attempts"] for m in d.queue()] == [0, 0, 0]
    assert not d.events("online") and len(d.events("offline")) == 1
    assert not d.events("delivery", status="deferred")
