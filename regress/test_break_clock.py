"""The clock of the machine is set while mail waits."""
import pytest

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


@pytest.mark.parametrize("how", ["the machine was off", "the clock was set"])
def test_nothing_is_given_up_that_could_be_delivered_now(daemon, how):
    """Days have passed, by the clock, in which nothing was tried."""
    dead = DeadPort()
    d = daemon("retry 2s\nexpire 4d\nwarn-after off\nbounce-to sender\n" + smarthost(dead.port), start=False)
    clock = d.dir / "clock"
    set_clock(clock, 0)
    d.env["SMARTHOSTD_CLOCK_OFFSET_FILE"] = str(clock)
    d.start()
    assert send(d.port, "from@here.test", ["to@there.test"], message("m"))[0] == 250
    assert d.wait_event("delivery", status="deferred")
    s = Sink(port=dead.release())
    try:
        if how == "the clock was set":
            set_clock(clock, 9 * DAY)
        else:
            d.stop()
            set_clock(clock, 9 * DAY)
            d.start()
        assert until(lambda: s.messages, 10)
        assert s.messages[0].rcpts == ["to@there.test"], "given up without another try"
        assert d.wait_empty()
    finally:
        s.stop()


def test_a_clock_that_is_set_forward_takes_no_time_away(daemon, sink):
    """Four days are not over because the clock says so; thirty are, whatever happened."""
    s = sink(lambda stage, session, arg: "451 4.2.0 not today" if stage == "mail" and "<>" not in str(arg) else None)
    d = daemon("retry 1s\nexpire 4d\nexpire-max 30d\nwarn-after off\nbounce-to sender\n" + smarthost(s.port), start=False)
    clock = d.dir / "clock"
    set_clock(clock, 0)
    d.env["SMARTHOSTD_CLOCK_OFFSET_FILE"] = str(clock)
    d.start()
    assert send(d.port, "from@here.test", ["to@there.test"], message("m"))[0] == 250
    assert d.wait_event("delivery", status="deferred")
    set_clock(clock, 9 * DAY)
    assert until(lambda: len(d.events("delivery", status="deferred")) >= 4, 15)
    d.stop()
    d.start()
    assert until(lambda: len(d.events("delivery", status="deferred")) >= 6, 15)
    assert not d.events("delivery", status="expired")
    set_clock(clock, 31 * DAY)
    assert until(lambda: s.to("from@here.test"), 10)
    assert b"5.4.7" in s.to("from@here.test")[0].data


def test_one_that_fails_once_more_after_its_time_is_given_up(daemon, sink):
    s = sink(lambda stage, session, arg: "451 4.2.0 not today" if stage == "mail" and "<>" not in str(arg) else None)
    d = daemon("retry 2s\nexpire 4d\nexpire-max 4d\nwarn-after off\nbounce-to sender\n" + smarthost(s.port), start=False)
    clock = d.dir / "clock"
    set_clock(clock, 0)
    d.env["SMARTHOSTD_CLOCK_OFFSET_FILE"] = str(clock)
    d.start()
    assert send(d.port, "from@here.test", ["to@there.test"], message("m"))[0] == 250
    assert d.wait_event("delivery", status="deferred")
    set_clock(clock, 9 * DAY)
    assert until(lambda: s.to("from@here.test"), 10)
    assert b"5.4.7" in s.to("from@here.test")[0].data
    assert len(d.events("delivery", status="deferred")) == 2 and len(d.events("delivery", status="expired")) == 1
