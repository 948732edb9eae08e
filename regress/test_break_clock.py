"""The clock of the machine is set while mail waits."""
from harness.client import message, send
from harness.daemon import DeadPort, smarthost, until
from harness.sink import Sink

DAY = 24 * 3600 * 1000


def set_clock(f, ms):
    with open(f, "r+" if f.exists() else "w") as out:     # the same file: the roles may open nothing any more
        out.write(f"{ms:<30}")


def test_a_clock_that_goes_back_does_not_keep_mail_waiting(daemon):
    dead = DeadPort()
    d = daemon("retry 1s\nexpire 30d\nwarn-after off\n" + smarthost(dead.port), start=False)
    clock = d.dir / "clock"
    set_clock(clock, 3 * DAY)
    d.env["SMARTHOSTD_CLOCK_OFFSET_FILE"] = str(clock)
    d.start()
    for i in range(100):
        assert send(d.port, "from@here.test", [f"to{i}@there.test"], message(f"m{i}"))[0] == 250
    assert until(lambda: len({e["id"] for e in d.events("delivery", status="deferred")}) == 100)
    set_clock(clock, 0)
    s = Sink(port=dead.release())
    try:
        assert until(lambda: len(s.messages) == 100, 10), f"{len(s.messages)} have arrived"
        assert d.wait_empty()
        assert d.relayctl("queue", "verify").returncode == 0
    finally:
        s.stop()


def test_a_clock_that_went_back_over_a_restart(daemon):
    dead = DeadPort()
    d = daemon("retry 1s\nexpire 30d\nwarn-after off\n" + smarthost(dead.port), start=False)
    clock = d.dir / "clock"
    set_clock(clock, 3 * DAY)
    d.env["SMARTHOSTD_CLOCK_OFFSET_FILE"] = str(clock)
    d.start()
    assert send(d.port, "from@here.test", ["to@there.test"], message("m"))[0] == 250
    assert d.wait_event("delivery", status="deferred")
    d.stop()
    set_clock(clock, 0)
    s = Sink(port=dead.release())
    try:
        d.start()
        assert until(lambda: s.messages, 10)
        assert d.wait_empty()
    finally:
        s.stop()
