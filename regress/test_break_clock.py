"""The clock of the machine is set while mail waits."""
import pytest

from harness.client import message, send
from harness.daemon import DeadPort, smarthost, until

DAY = 24 * 3600 * 1000


@pytest.fixture
def clocked(daemon):
    """clocked(text, days=0): a daemon whose clock is so many days ahead; its set_clock(days) sets that clock."""
    def make(text, days=0):
        d = daemon("warn-after off\n" + text, start=False)
        clock = d.dir / "clock"

        def set_clock(days):
            with open(clock, "r+" if clock.exists() else "w") as out:     # the same file: the roles may open nothing any more
                out.write(f"{days * DAY:<30}")
        set_clock(days)
        d.env["SMARTHOSTD_CLOCK_OFFSET_FILE"] = str(clock)
        d.set_clock = set_clock
        return d.start()
    return make


def one_is_deferred(d):
    assert send(d.port, "from@here.test", ["to@there.test"], message("m"))[0] == 250
    assert d.wait_event("delivery", status="deferred")


def not_today(stage, session, arg):
    """A script of a sink: no mail, but for reports."""
    return "451 4.2.0 not today" if stage == "mail" and "<>" not in str(arg) else None


def is_given_up(s):
    assert until(lambda: s.to("from@here.test"), 10)
    assert b"5.4.7" in s.to("from@here.test")[0].data


def test_a_clock_that_goes_back_does_not_keep_mail_waiting(clocked, sink):
    dead = DeadPort()
    d = clocked("retry 1s\nexpire 30d\n" + smarthost(dead.port), days=3)
    for i in range(100):
        assert send(d.port, "from@here.test", [f"to{i}@there.test"], message(f"m{i}"))[0] == 250
    assert until(lambda: len({e["id"] for e in d.events("delivery", status="deferred")}) == 100)
    d.set_clock(0)
    s = sink(port=dead.release())
    assert until(lambda: len(s.messages) == 100, 10), f"{len(s.messages)} have arrived"
    assert d.wait_empty()
    assert d.relayctl("queue", "verify").returncode == 0


def test_a_clock_that_went_back_over_a_restart(clocked, sink):
    dead = DeadPort()
    d = clocked("retry 1s\nexpire 30d\n" + smarthost(dead.port), days=3)
    one_is_deferred(d)
    d.stop()
    d.set_clock(0)
    s = sink(port=dead.release())
    d.start()
    assert until(lambda: s.messages, 10)
    assert d.wait_empty()


@pytest.mark.parametrize("how", ["the machine was off", "the clock was set"])
def test_nothing_is_given_up_that_could_be_delivered_now(clocked, sink, how):
    """Days have passed, by the clock, in which nothing was tried."""
    dead = DeadPort()
    d = clocked("retry 2s\nexpire 4d\nbounce-to sender\n" + smarthost(dead.port))
    one_is_deferred(d)
    s = sink(port=dead.release())
    if how == "the clock was set":
        d.set_clock(9)
    else:
        d.stop()
        d.set_clock(9)
        d.start()
    assert until(lambda: s.messages, 10)
    assert s.messages[0].rcpts == ["to@there.test"], "given up without another try"
    assert d.wait_empty()


def test_a_clock_that_is_set_forward_takes_no_time_away(clocked, sink):
    """Four days are not over because the clock says so; thirty are, whatever happened."""
    s = sink(not_today)
    d = clocked("retry 1s\nexpire 4d\nexpire-max 30d\nbounce-to sender\n" + smarthost(s.port))
    one_is_deferred(d)
    d.set_clock(9)
    assert until(lambda: len(d.events("delivery", status="deferred")) >= 4, 15)
    d.restart()
    assert until(lambda: len(d.events("delivery", status="deferred")) >= 6, 15)
    assert not d.events("delivery", status="expired")
    d.set_clock(31)
    is_given_up(s)


def test_one_that_fails_once_more_after_its_time_is_given_up(clocked, sink):
    s = sink(not_today)
    d = clocked("retry 2s\nexpire 4d\nexpire-max 4d\nbounce-to sender\n" + smarthost(s.port))
    one_is_deferred(d)
    d.set_clock(9)
    is_given_up(s)
    assert len(d.events("delivery", status="deferred")) == 2 and len(d.events("delivery", status="expired")) == 1
