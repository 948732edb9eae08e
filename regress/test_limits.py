"""What a provider allows and what the administrator has written: connections, rates, daily numbers; and that nobody waits for
somebody else's."""
import signal
import time

import pytest

from harness.ca import CA
from harness.client import Client, message, send
from harness.daemon import smarthost, until

RETRY = "retry 1s\nwarn-after off\n"


def many(d, n, to="to@there.test", sender="from@here.test", start=0):
    c = Client(d.port)
    for i in range(start, start + n):
        assert c.mail(sender, [to], message(f"m{i}"))[0] == 250
    c.quit()


class Counted:
    """A script that serves so many sessions at once and refuses the others at the stage."""

    def __init__(self, allowed, stage, answer="432 4.3.2 Concurrent connections limit exceeded", work=.05):
        self.allowed, self.stage, self.answer, self.work = allowed, stage, answer, work
        self.inside, self.refused, self.taken = set(), 0, 0

    def __call__(self, stage, session, arg):
        if stage == "quit":
            self.inside.discard(session)
        elif stage == self.stage and session not in self.inside:
            if len(self.inside) >= self.allowed:
                self.refused += 1
                return self.answer
            self.inside.add(session)
        elif stage == "body":
            self.taken += 1
            return (self.work, None)
        return None


# connections

@pytest.mark.parametrize("stage", ["connect", "ehlo", "auth", "mail"])
def test_a_provider_that_allows_three_connections_is_used_fully_and_not_pressed(daemon, sink, stage):
    script = Counted(3, stage)
    n = 200
    if stage == "auth":
        ca = CA()
        s = sink(script, tls=ca.server("localhost"), users={"me": "secret"})
        d = daemon(f"transport up {{\n submission localhost:{s.port}\n tls-ca {ca.file}\n username me\n password secret\n}}\n"
                   f"route via up\n{RETRY}")
    else:
        s = sink(script)
        d = daemon(smarthost(s.port) + RETRY)
    begun = time.monotonic()
    many(d, n)
    assert until(lambda: len(s.messages) == n, 60)
    took = time.monotonic() - begun
    assert s.most <= 4
    assert 1 <= script.refused <= 3
    # at least 80 % of what it can take, and a second to begin
    assert took <= n / (3 / script.work) / .8 + 1
    # nobody's failure, and no attempt
    assert until(lambda: len(d.events("delivery", status="sent")) == n, 10)
    assert not d.events("delivery", status="deferred")
    assert not d.events("unusable")


@pytest.mark.parametrize("processes,most", [(2, 5), (3, 4), (3, 2)])
def test_several_processes_together_keep_to_the_number(daemon, sink, processes, most):
    s = sink(lambda stage, session, arg: (.05, None) if stage == "body" else None)
    d = daemon(f"processes listener 1 delivery {processes}\n" + smarthost(s.port, f"connections {most}") + RETRY)
    many(d, 80)
    assert until(lambda: len(s.messages) == 80)
    assert s.most == most


def test_a_reload_does_not_open_more(daemon, sink):
    """The old process ends what it has, the new one may have the rest."""
    s = sink(lambda stage, session, arg: (.3, None) if stage == "body" else None)
    d = daemon(smarthost(s.port, "connections 4") + RETRY)
    many(d, 40)
    assert until(lambda: s.open == 4)
    d.configure(smarthost(s.port, "connections 4", "idle-timeout 20s") + RETRY)
    d.signal(signal.SIGHUP)
    assert until(lambda: len(s.messages) == 40)
    assert s.most <= 4


def test_one_server_of_two_that_is_down_costs_no_attempt(daemon, sink):
    """Behind one name: sessions live with the other."""
    served = []

    def script(stage, session, arg):
        if stage == "connect" and session.number % 2:
            return "554 5.3.2 out of order"
        if stage == "body":
            served.append(session)
            return (.02, None)
        return None
    s = sink(script)
    d = daemon(smarthost(s.port) + RETRY)
    many(d, 100)
    assert until(lambda: len(s.messages) == 100)
    assert not d.events("delivery", status="deferred")


def test_sessions_are_resumed(daemon, sink):
    ca = CA()
    s = sink(tls=ca.server("localhost"))
    d = daemon(f"transport up {{\n smarthost localhost:{s.port}\n tls required\n tls-verify on\n tls-ca {ca.file}\n connections 1\n"
               f" messages-per-connection 2\n}}\nroute via up\n{RETRY}")
    many(d, 10)
    assert until(lambda: len(s.messages) == 10)
    assert [x.resumed for x in s.sessions] == [False, True, True, True, True]


# rates

def arrivals(s):
    """The script's, noting when each message came."""
    s.times = []

    def script(stage, session, arg):
        if stage == "body":
            s.times.append(time.monotonic())
    s.script = script
    return s


@pytest.mark.parametrize("where", ["transport", "account"])
def test_a_rate_is_kept_and_waiting_is_no_attempt(daemon, sink, where):
    s = arrivals(sink())
    d = daemon(smarthost(s.port, *["rate 5/2s"] * (where == "transport")) + RETRY
               + "account a { default; rate 5/2s }\n" * (where == "account"))
    begun = time.monotonic()
    many(d, 14)
    assert until(lambda: len(s.messages) == 14, 20)
    # Counted where an attempt begins: a busy machine hands it over later, and never sooner.
    assert all(at - begun > 2 * (i // 5) - .05 for i, at in enumerate(s.times)), (begun, s.times)
    assert s.times[-1] - s.times[0] < 10
    assert not d.events("delivery", status="deferred")
    assert {e["attempt"] for e in d.events("delivery") if "attempt" in e} <= {"1"}


@pytest.mark.parametrize("limit", ["rate 6/4s", "daily 6"])
def test_mail_that_waits_for_a_connection_counts_for_its_account(daemon, sink, limit):
    """A greeting that is slow: all of them have been looked at before the first has gone."""
    s = arrivals(sink())
    noted = s.script
    s.script = lambda stage, session, arg: (1, None) if stage == "connect" else noted(stage, session, arg)
    d = daemon(smarthost(s.port) + RETRY + f"account a {{ default; {limit} }}\n")
    many(d, 10)
    assert until(lambda: len(s.messages) >= 6, 20)
    time.sleep(1.5)  # settle: what must not happen
    assert len(s.messages) == 6
    if limit.startswith("rate"):
        assert until(lambda: len(s.messages) == 10, 20)


def test_a_rate_takes_no_other_transport(daemon, sink):
    s, other = sink(), sink()
    d = daemon(smarthost(s.port, "rate 2/3s", name="up") .replace("route via up", "")
               + f"transport other {{ smarthost 127.0.0.1:{other.port} }}\nroute via up other\n" + RETRY)
    many(d, 4)
    assert until(lambda: len(s.messages) == 4)
    assert not other.messages


def set_clock(f, ms):
    with open(f, "r+" if f.exists() else "w") as out:     # the same file: the roles may open nothing any more
        out.write(f"{ms:<30}")


HOUR = 3600 * 1000


@pytest.mark.parametrize("where", ["transport", "account"])
def test_a_daily_number_is_kept_across_a_restart_and_a_day_later_there_is_more(daemon, sink, where):
    s = sink()
    d = daemon(smarthost(s.port, *["daily 3"] * (where == "transport")) + RETRY
               + "account a { default; daily 3 }\n" * (where == "account"), start=False)
    clock = d.dir / "clock"
    set_clock(clock, 0)
    d.env["SMARTHOSTD_CLOCK_OFFSET_FILE"] = str(clock)
    d.start()

    def state():
        rows = d.relayctl_json("status")[where + "s"]
        return next(r["state"] for r in rows if r["name"] == ("up" if where == "transport" else "a"))
    many(d, 5)
    assert until(lambda: len(s.messages) == 3 and state() == "parked")
    d.restart()
    many(d, 1, start=5)
    assert state() == "parked"
    set_clock(clock, 23 * HOUR)
    time.sleep(1.5)  # settle: what must not happen
    assert len(s.messages) == 3
    set_clock(clock, 24 * HOUR + 60 * 1000)
    assert until(lambda: len(s.messages) == 6, 20)
    d.restart()
    many(d, 1, start=6)
    assert until(lambda: state() == "parked")
    assert len(s.messages) == 6


def test_when_the_daily_number_is_used_up_the_next_transport_is_taken(daemon, sink):
    s, other = sink(), sink()
    d = daemon(f"transport up {{ smarthost 127.0.0.1:{s.port}; daily 2 }}\ntransport other {{ smarthost 127.0.0.1:{other.port} }}\n"
               "route via up other\n" + RETRY)
    many(d, 5)
    assert until(lambda: len(s.messages) == 2 and len(other.messages) == 3)
    assert not d.events("delivery", status="deferred")


# nobody waits for somebody else

def test_one_message_is_not_kept_by_a_flood(daemon, sink):
    """In one lane: from another sender, behind four hundred."""
    s = sink(lambda stage, session, arg: (.05, None) if stage == "body" else None)
    d = daemon(smarthost(s.port, "connections 2") + RETRY + "account bulk { senders bulk@here.test }\naccount rest { default }\n")
    many(d, 400, sender="bulk@here.test")
    before = len(s.messages)
    assert before < 300
    assert send(d.port, "from@here.test", ["one@there.test"], message("one"))[0] == 250
    assert until(lambda: s.to("one@there.test"), 5)
    assert len(s.messages) - before < 60
    assert until(lambda: len(s.messages) == 401, 30)


def test_a_provider_that_stands_still_keeps_nobody(daemon, sink):
    slow, quick = sink(lambda stage, session, arg: (600, None) if stage == "mail" else None), sink()
    d = daemon(f"transport slow {{ smarthost 127.0.0.1:{slow.port}; connections 50; connections-per-host 50 }}\n"
               f"transport quick {{ smarthost 127.0.0.1:{quick.port} }}\nroute to slow.test via slow\nroute via quick\n" + RETRY)
    many(d, 300, to="to@slow.test")
    begun = time.monotonic()
    many(d, 100)
    assert until(lambda: len(quick.messages) == 100, 15)
    assert time.monotonic() - begun < 10
