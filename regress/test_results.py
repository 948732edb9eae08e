"""What a next hop answers, and what becomes of the message: tried again on schedule, bounced, never lost."""
import time

import pytest

from harness.client import message, send
from harness.daemon import DeadPort, smarthost, until
from harness.sink import DROP

RETRY = "retry 1s\nwarn-after off\n"


def first(n, stage, answer):
    """A script that gives an answer at the first n times that it comes to a stage."""
    seen = []

    def script(at, session, arg):
        if at == stage:
            seen.append(time.monotonic())
            if len(seen) <= n:
                return answer
        return None
    script.seen = seen
    return script


def one(d, to="to@there.test", ident="m", **kw):
    code, text = send(d.port, "from@here.test", [to] if isinstance(to, str) else to, message(ident), **kw)
    assert code == 250, text
    return text.rsplit(" ", 1)[1]


def arrives(s, ident="m", seconds=12, copies=1):
    assert until(lambda: s.ids().get((ident, "to@there.test")) == copies, seconds), s.ids()


# temporary refusals

@pytest.mark.parametrize("stage", ["mail", "rcpt", "data", "body"])
def test_a_temporary_refusal_is_tried_again_on_schedule(daemon, sink, stage):
    script = first(2, stage, "451 4.3.2 not now")
    s = sink(script)
    d = daemon(RETRY + smarthost(s.port))
    ident = one(d)
    arrives(s)
    gaps = [b - a for a, b in zip(script.seen, script.seen[1:])]
    assert len(gaps) == 2 and all(.85 < g < 2.5 for g in gaps), gaps
    assert d.wait_event("delivery", id=ident, status="sent")
    lines = d.events("delivery", id=ident)
    assert [e["status"] for e in lines] == ["deferred", "deferred", "sent"]
    assert lines[0]["dsn"] == "4.3.2" and "451 4.3.2 not now" in lines[0]["reply"]


def test_each_step_of_the_schedule_is_kept(daemon, sink):
    script = first(3, "rcpt", "450 4.2.1 later")
    s = sink(script)
    d = daemon("retry 1s 2s\nwarn-after off\n" + smarthost(s.port))
    one(d)
    arrives(s)
    a, b, c = [y - x for x, y in zip(script.seen, script.seen[1:])]
    assert .85 < a < 1.8 and 1.75 < b < 3.2 and 1.75 < c < 3.2


def test_greylisting_of_one_recipient_does_not_repeat_the_others(daemon, sink):
    seen = []

    def script(stage, session, arg):
        if stage == "rcpt" and arg == "grey@there.test":
            seen.append(arg)
            return "450 4.7.1 greylisted" if len(seen) == 1 else None
        return None
    s = sink(script)
    d = daemon(RETRY + smarthost(s.port))
    one(d, ["a@there.test", "grey@there.test", "b@there.test"])
    assert until(lambda: len(s.messages) == 2, 8)
    assert [m.rcpts for m in s.messages] == [["a@there.test", "b@there.test"], ["grey@there.test"]]


# connections that break

@pytest.mark.parametrize("stage", ["connect", "ehlo", "mail", "rcpt", "data", "body"])
def test_a_connection_that_breaks_costs_time_and_no_mail(daemon, sink, stage):
    s = sink(first(1, stage, DROP))
    d = daemon(RETRY + smarthost(s.port))
    one(d)
    arrives(s)
    assert until(lambda: d.events("removed"), 5)


@pytest.mark.parametrize("stage", ["connect", "ehlo", "mail", "rcpt", "data", "body"])
def test_a_server_that_falls_silent_is_given_up(daemon, sink, stage):
    s = sink(first(1, stage, (60, None)))
    d = daemon(RETRY + smarthost(s.port, "timeout 1s", "connect-timeout 1s"))
    began = time.monotonic()
    one(d)
    # a server that stored the message and then said nothing gets it again
    arrives(s, copies=2 if stage == "body" else 1)
    assert time.monotonic() - began > .9


def test_a_connection_that_the_server_closed_while_idle_is_replaced_at_once(daemon, sink):
    script = first(0, "mail", None)

    def closing(stage, session, arg):
        if stage == "mail" and session.number == 0 and len(session.commands) > 3:
            return DROP
        return script(stage, session, arg)
    s = sink(closing)
    d = daemon("retry 1h\n" + smarthost(s.port, "connections 1"))
    one(d, ident="m1")
    arrives(s, "m1")
    one(d, ident="m2")
    arrives(s, "m2", 5)
    assert len(s.sessions) == 2
    assert not d.events("delivery", status="deferred")


@pytest.mark.parametrize("stage", ["connect", "ehlo", "mail", "rcpt", "data", "body"])
def test_421_anywhere_means_later(daemon, sink, stage):
    s = sink(first(1, stage, "421 4.3.2 going down"))
    d = daemon(RETRY + smarthost(s.port))
    one(d)
    arrives(s)
    assert not d.events("delivery", status="bounced")


def test_421_in_place_of_an_idle_connection_does_not_harm_the_next_message(daemon, sink):
    s = sink(lambda stage, session, arg: "421 4.4.2 idle too long" if stage == "mail" and session.number == 0 and session.commands.count("DATA") else None)
    d = daemon(RETRY + smarthost(s.port, "connections 1"))
    for ident in ("m1", "m2"):
        one(d, ident=ident)
        arrives(s, ident)


@pytest.mark.parametrize("stage,answer", [("connect", "554 5.7.1 no service for you"), ("connect", "450 4.7.1 too busy"),
                                          ("ehlo", "550 5.7.1 who are you")])
def test_a_server_that_refuses_us_altogether_bounces_nothing(daemon, sink, stage, answer):
    # EHLO refused for good means HELO is tried; both are refused here
    def script(at, session, arg):
        if at == stage or (stage == "ehlo" and at == "helo"):
            return answer if len(s.sessions) <= 2 else None
        return None
    s = sink(script)
    d = daemon(RETRY + smarthost(s.port))
    one(d)
    arrives(s)
    assert not d.events("delivery", status="bounced")


def test_a_server_without_ehlo_gets_helo(daemon, sink):
    s = sink(lambda stage, session, arg: "502 5.5.2 what?" if stage == "ehlo" else None)
    d = daemon(RETRY + smarthost(s.port))
    one(d)
    arrives(s)
    assert s.messages[0].params == ""
    assert s.sessions[-1].commands[1].startswith("HELO ")


def test_a_server_that_is_down_gets_its_mail_when_it_is_back(daemon, sink):
    dead = DeadPort()
    d = daemon(RETRY + smarthost(dead.port))
    idents = [f"m{i}" for i in range(10)]
    for i in idents:
        one(d, ident=i)
    assert d.wait_event("delivery", status="deferred")
    s = sink(port=dead.release())
    assert until(lambda: s.ids() == {(i, "to@there.test"): 1 for i in idents}, 12), s.ids()


@pytest.mark.parametrize("size", [100, 60_000, 700_000], ids=["inline", "in the database", "a file"])
def test_what_waits_survives_a_restart_octet_by_octet(daemon, sink, size):
    dead = DeadPort()
    d = daemon(RETRY + smarthost(dead.port))
    body = bytes(range(14, 256)) * (size // 242) + b"\r\n..\r\n"
    assert send(d.port, "from@here.test", ["a@there.test", "b@there.test"], message("m", body=body))[0] == 250
    assert d.wait_event("delivery", status="deferred")
    d.restart()
    s = sink(port=dead.release())
    assert until(lambda: s.messages, 10)
    m, = s.messages
    assert m.rcpts == ["a@there.test", "b@there.test"] and m.data.endswith(message("m", body=body))
    assert until(lambda: d.events("removed"), 5)
    assert until(lambda: not left(d), 5)


def left(d):
    """Bodies in files of the spool."""
    return [f for x in d.spool.iterdir() if len(x.name) == 2 for f in x.iterdir()]


# servers that lie

LIES = {
    "data is answered 250": ("data", "250 2.0.0 whatever you say"),
    "no code": ("mail", b"hello there\r\n"),
    "code out of range": ("rcpt", "999 no"),
    "code of two digits": ("rcpt", "25 no"),
    "empty line": ("ehlo", b"\r\n"),
    "NUL": ("mail", b"250 2.1.0 o\0k\r\n"),
    "8-bit garbage": ("connect", bytes(range(128, 256)) + b"\r\n"),
    "codes that differ": ("mail", b"250-a\r\n550 b\r\n"),
    "never the last line": ("ehlo", b"250-x\r\n" * 200000),
    "a line without end": ("body", b"250 " + b"x" * 300000),
    "an intermediate reply to the message": ("body", "354 more"),
    "HTTP": ("connect", b"HTTP/1.1 400 Bad Request\r\n\r\n"),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_server_that_talks_nonsense_is_no_delivery(daemon, sink, lie):
    stage, answer = LIES[lie]
    s = sink(first(1, stage, answer))
    d = daemon(RETRY + smarthost(s.port, "timeout 2s"))
    pids = d.role("delivery")
    one(d)
    arrives(s)
    assert d.role("delivery") == pids, "delivery lives on"


def test_replies_that_come_before_their_commands_do_not_confuse_the_next_message(daemon, sink):
    """A server that is one reply ahead would take one message for the other."""
    def script(stage, session, arg):
        if stage == "mail" and session.number == 0:
            return b"250 2.1.0 ok\r\n250 2.1.5 ok\r\n354 go on\r\n250 2.0.0 taken already\r\n"
        if session.number == 0 and stage == "body":
            return "554 5.6.0 refused"
        return None
    s = sink(script)
    d = daemon(RETRY + smarthost(s.port, "connections 1", "timeout 2s"))
    one(d, ident="m1")
    one(d, ident="m2")
    assert until(lambda: len(d.events("removed")) >= 2, 12)
    assert s.ids().get(("m2", "to@there.test")) == 1


def test_a_server_that_takes_some_recipients_and_then_drops_the_line_gets_all_again(daemon, sink):
    s = sink(first(1, "data", DROP))
    d = daemon(RETRY + smarthost(s.port))
    one(d, ["a@there.test", "b@there.test"])
    assert until(lambda: len(s.messages) == 1, 8)
    assert s.messages[0].rcpts == ["a@there.test", "b@there.test"]
