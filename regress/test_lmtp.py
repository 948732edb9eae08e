"""LMTP: a reply for each recipient, by TCP and by a UNIX socket that monitor connects to; a real Dovecot."""
import shutil

import pytest

from harness.client import Client, message, send
from harness.daemon import until, work_dir
from harness.dovecot import Dovecot, usable
from harness.sink import DROP


def lmtp(port):
    return f"transport box {{ lmtp 127.0.0.1:{port} }}\nroute to here.test via box\nretry 1s\n"


@pytest.fixture(params=["tcp", "unix"])
def boxes(request, daemon, sink):
    """boxes(script, text): an LMTP server and a daemon that delivers here.test to it; (daemon, server)"""
    made = []

    def make(script=None, text="", **kw):
        if request.param == "unix":
            d = work_dir("smarthostd-lmtp-")
            made.append(d)
            s = sink(script, lmtp=True, path=str(d / "lmtp"), **kw)
            (d / "lmtp").chmod(0o666)
            conf = f"transport box {{ lmtp unix:{d}/lmtp }}\nroute to here.test via box\nretry 1s\n"
        else:
            s = sink(script, lmtp=True, **kw)
            conf = lmtp(s.port)
        return daemon(conf + text), s
    yield make
    for d in made:
        shutil.rmtree(d)


def test_a_message_goes_by_lhlo(boxes):
    d, s = boxes()
    body = b".dot\r\n\xff\r\n"
    assert send(d.port, "from@there.test", ["a@here.test", "b@here.test"], message("m", body=body))[0] == 250
    assert until(lambda: s.messages, 10)
    m, = s.messages
    assert m.mail_from == "from@there.test" and sorted(m.rcpts) == ["a@here.test", "b@here.test"] and m.data.endswith(b"\r\n\r\n" + body)
    assert m.session.commands[0].startswith("LHLO relay.test")
    assert d.wait_empty(10)
    e = d.wait_event("delivery", status="sent", to="<a@here.test>")
    assert ("unix:" in str(e)) == (s.path is not None)


def test_each_recipient_has_its_own_reply_at_the_end(boxes):
    full = []

    def script(stage, session, arg):
        if stage == "rcpt" and arg.startswith("nobody"):
            return "550 5.1.1 no such mailbox"
        if stage == "body":
            answers = {"a@here.test": None, "over@here.test": "552 5.2.2 mailbox full", "later@here.test": None if full else "452 4.2.2 quota"}
            out = [answers[r] for r in arg.rcpts]
            full.append(1)
            return out
        return None
    d, s = boxes(script)
    assert send(d.port, "", ["a@here.test", "over@here.test", "nobody@here.test", "later@here.test"], message("m"))[0] == 250
    assert d.wait_event("delivery", status="sent", to="<a@here.test>")
    assert "mailbox full" in str(d.wait_event("delivery", status="bounced", to="<over@here.test>"))
    assert "no such mailbox" in str(d.wait_event("delivery", status="bounced", to="<nobody@here.test>"))
    assert "quota" in str(d.wait_event("delivery", status="deferred", to="<later@here.test>"))
    assert d.wait_event("delivery", status="sent", to="<later@here.test>")
    assert d.wait_empty(10)
    assert s.ids() == {("m", "a@here.test"): 1, ("m", "later@here.test"): 1}


def test_a_connection_that_dies_between_the_replies(boxes):
    broken = []

    def script(stage, session, arg):
        if stage == "body" and not broken:
            broken.append(1)
            return [None, DROP]
        return None
    d, s = boxes(script)
    assert send(d.port, "from@there.test", ["a@here.test", "b@here.test"], message("m"))[0] == 250
    assert d.wait_empty(15)
    assert s.ids()[("m", "a@here.test")] == 1, "what got its reply is not sent again"
    assert s.ids()[("m", "b@here.test")] >= 1


def test_a_reply_too_many_is_never_the_next_messages(boxes):
    def script(stage, session, arg):
        if stage == "body" and b"X-Test-Id: first" in arg.data:
            return [None, "250 2.0.0 taken\r\n550 5.7.1 one too many\r\n550 5.7.1 and another"]
        return None
    d, s = boxes(script)
    c = Client(d.port)
    for ident in ("first", "next", "last"):
        assert c.mail("from@there.test", ["a@here.test", "b@here.test"], message(ident))[0] == 250
    c.quit()
    assert d.wait_empty(15), d.log
    assert not d.events("delivery", status="bounced"), d.log
    assert s.ids() == {(i, f"{n}@here.test"): 1 for i in ("first", "next", "last") for n in "ab"}


def test_a_reply_too_few_is_none(boxes):
    """The server says nothing about the second recipient, and goes on waiting."""
    once = []

    def script(stage, session, arg):
        if stage == "body" and not once:
            once.append(1)
            return [None, " "]
        return None
    d, s = boxes(script)
    assert send(d.port, "from@there.test", ["a@here.test", "b@here.test"], message("m"))[0] == 250
    assert d.wait_event("delivery", status="sent", to="<a@here.test>")
    assert d.wait_event("delivery", status="deferred", to="<b@here.test>"), "no line that a reply could be"
    assert d.wait_empty(15)
    assert s.ids()[("m", "a@here.test")] == 1


def test_every_recipient_refused_is_no_message(boxes):
    d, s = boxes(lambda stage, session, arg: "550 5.1.1 no such mailbox" if stage == "rcpt" else None)
    assert send(d.port, "", ["a@here.test", "b@here.test"], message("m"))[0] == 250
    assert d.wait_empty(15)
    assert len(d.events("delivery", status="bounced")) == 2 and not s.messages


def test_one_session_for_many_messages(boxes):
    d, s = boxes(text="")
    c = Client(d.port)
    for i in range(20):
        assert c.mail("from@there.test", [f"u{i}@here.test"], message(f"m{i}"))[0] == 250
    c.quit()
    assert d.wait_empty(15) and len(s.messages) == 20
    assert len(s.sessions) <= 20


def test_a_server_of_another_protocol_is_told(daemon, sink):
    s = sink()
    d = daemon(lmtp(s.port))
    assert send(d.port, "from@there.test", ["a@here.test"], message("m"))[0] == 250
    assert "LHLO" in str(d.wait_event("delivery", status="deferred"))


def test_a_socket_that_is_not_there_is_waited_for(daemon, sink):
    box = work_dir("smarthostd-lmtp-")
    try:
        d = daemon(f"transport box {{ lmtp unix:{box}/lmtp }}\nroute via box\nretry 1s\n")
        assert send(d.port, "from@there.test", ["a@here.test"], message("m"))[0] == 250
        e = d.wait_event("delivery", status="deferred")
        assert f"unix:{box}/lmtp" in str(e) and "No such file" in str(e)
        (box / "lmtp").write_text("no socket")
        assert until(lambda: "refused" in d.log, 10)
        (box / "lmtp").unlink()
        s = sink(lmtp=True, path=str(box / "lmtp"))
        (box / "lmtp").chmod(0o666)
        assert until(lambda: s.messages, 15) and d.wait_empty(10)
    finally:
        shutil.rmtree(box)


# ---- Dovecot

@pytest.fixture
def dovecot():
    if not usable():
        pytest.skip("dovecot is started as root only")
    d = Dovecot(["anna", "bert"])
    yield d.dir, d.lmtp
    d.stop()


@pytest.mark.parametrize("kind", ["unix", "tcp"])
def test_a_real_dovecot(dovecot, daemon, kind):
    box, port = dovecot
    where = f"unix:{box}/lmtp" if kind == "unix" else f"127.0.0.1:{port}"
    d = daemon(f"transport box {{ lmtp {where} }}\nroute to here.test via box\nretry 1s\n")
    assert send(d.port, "from@there.test", ["anna@here.test", "bert@here.test", "nobody@here.test"], message("m", body=b".x\r\n\xff\r\n" * 20000))[0] == 250
    assert d.wait_event("delivery", status="sent", to="<anna@here.test>"), d.log
    assert d.wait_event("delivery", status="sent", to="<bert@here.test>")
    e = d.wait_event("delivery", status="bounced", to="<nobody@here.test>")
    assert "5.1.1" in str(e)
    for n in ("anna", "bert"):
        f, = (box / "mail" / n / "new").iterdir()
        text = f.read_bytes().replace(b"\r\n", b"\n")
        assert b"X-Test-Id: m\n" in text and text.endswith(b".x\n\xff\n" * 20000)
        assert text.startswith(b"Return-Path: <from@there.test>\n")
