"""Delivery into maildirs, as the user concerned."""
import os
import pathlib
import pwd
import re
import shutil

import pytest

from harness.client import Client, message, send
from harness.daemon import until, work_user


def mails(path):
    """The messages of a maildir, once each."""
    new = path / "new"
    return sorted(new.iterdir()) if new.is_dir() else []


def me():
    """A user that the daemon can deliver for."""
    return work_user()


@pytest.fixture
def place(daemon):
    """A daemon that delivers what is local into a maildir of the test; (daemon, directory)."""
    def make(path, text=""):
        d = daemon(f"transport local {{ maildir {path} }}\nroute to here.test via local\n{text}", start=False)
        box = d.dir / "mail"
        box.mkdir()
        box.chmod(0o777)
        return d, box
    return make


def test_a_message_is_put_into_new_as_its_user(place):
    d, box = place("{dir}/mail/%u")
    d.start()
    body = b"line\r\n.dot\r\n\xff\r\n"
    assert send(d.port, "from@here.test", [f"{me()}@here.test"], message("m", body=body))[0] == 250
    assert until(lambda: mails(box / me()), 10)
    f, = mails(box / me())
    assert sorted(p.name for p in (box / me()).iterdir()) == ["cur", "new", "tmp"]
    st = f.stat()
    assert st.st_mode & 0o777 == 0o600 and st.st_uid == pwd.getpwnam(me()).pw_uid
    text = f.read_bytes()
    assert text.startswith(b"Return-Path: <from@here.test>\n"), text[:80]
    assert b"X-Test-Id: m\n" in text and text.endswith(b"\n\nline\n.dot\n\xff\n") and b"\r" not in text
    assert not list((box / me() / "tmp").iterdir())
    assert d.wait_event("delivery", status="sent", to=f"<{me()}@here.test>")
    assert d.wait_event("removed")


def test_percent_d_is_the_domain(place):
    d, box = place("{dir}/mail/%d-%u")
    d.start()
    send(d.port, "from@here.test", [f"{me()}@here.test"], message("m"))
    assert until(lambda: mails(box / f"here.test-{me()}"), 10)


def test_large_and_many_messages_arrive_once_each(place):
    d, box = place("{dir}/mail/%u")
    d.start()
    c = Client(d.port)
    for i in range(30):
        size = 700000 if i % 10 == 0 else 100
        assert c.mail("from@here.test", [f"{me()}@here.test"], message(f"m{i}", body=b"y" * 70 + b"\r\n" * (size // 70)))[0] == 250
    c.quit()
    assert until(lambda: len(mails(box / me())) == 30, 20)
    idents = [re.search(rb"X-Test-Id: (\S+)", f.read_bytes()).group(1).decode() for f in mails(box / me())]
    assert sorted(idents) == sorted(f"m{i}" for i in range(30))


def somebody_with_a_home():
    """A user of the machine for whom the daemon can deliver, and who has a home to write in; None."""
    for u in [pwd.getpwuid(os.geteuid())] if os.geteuid() else pwd.getpwall():
        try:
            if u.pw_uid != 0 and os.stat(u.pw_dir).st_uid == u.pw_uid and pathlib.Path(u.pw_dir).resolve() == pathlib.Path(u.pw_dir):
                return u
        except OSError:
            pass
    return None


def test_a_tilde_is_the_users_home(place):
    u = somebody_with_a_home()
    if u is None:
        pytest.skip("nobody here has a home")
    name = f".smarthostd-test-{os.getpid()}"
    d, _ = place(f"~/{name}")
    d.start()
    path = pathlib.Path(u.pw_dir) / name
    try:
        send(d.port, "from@here.test", [f"{u.pw_name}@here.test"], message("m"))
        assert until(lambda: mails(path), 10)
        assert mails(path)[0].stat().st_uid == u.pw_uid and path.stat().st_uid == u.pw_uid
    finally:
        shutil.rmtree(path, ignore_errors=True)


@pytest.mark.parametrize("user", ["no-such-user-here", "..", "a/b", "-froot"])
def test_a_user_that_cannot_be_one_gets_no_maildir(place, user):
    d, box = place("~/Maildir", "local-domains here.test\n")
    d.start()
    c = Client(d.port)
    assert c.cmd("MAIL FROM:<from@here.test>")[0] == 250
    code, text = c.cmd(f"RCPT TO:<{user}@here.test>")
    if code == 250:         # told later then
        assert c.cmd("DATA")[0] == 354
        c.send(message("m") + b".\r\n")
        code, text = c.reply()
        if code == 250:
            assert d.wait_event("delivery", status="bounced")
    c.quit()
    assert not list(box.iterdir())


def test_root_gets_no_mail_by_its_own_rights(place):
    d, box = place("{dir}/mail/%u")
    d.start()
    send(d.port, "", ["root@here.test"], message("m"))
    assert d.wait_event("delivery", to="<root@here.test>")
    assert not [f for f in mails(box / "root") if f.stat().st_uid == 0]


def test_a_maildir_that_cannot_be_written_is_tried_again(place):
    d, box = place("{dir}/mail/%u", "retry 1s\n")
    (box / me()).write_text("in the way")
    d.start()
    send(d.port, "from@here.test", [f"{me()}@here.test"], message("m"))
    assert d.wait_event("delivery", status="deferred")
    (box / me()).unlink()
    assert until(lambda: mails(box / me()), 10)


def test_a_damaged_file_is_never_delivered(place):
    """The message waits in a file of the spool; an octet of it turns over, or its end is lost."""
    d, box = place("{dir}/mail/%u", "retry 1h\n")
    (box / me()).write_text("in the way")
    d.start()
    for what in ("turned", "cut"):
        size = 300000
        assert send(d.port, "from@here.test", [f"{me()}@here.test"], message(what, body=b"z" * 70 + b"\r\n" * (size // 2)))[0] == 250
        assert until(lambda: len(d.events("delivery", status="deferred")) == (1 if what == "turned" else 2), 10), d.log
        f, = [p for p in d.spool.rglob("*") if p.is_file() and size <= p.stat().st_size < size + 2000 and b"X-Test-Id: " + what.encode() in p.read_bytes()]
        with open(f, "r+b") as body:
            if what == "cut":
                body.truncate(size // 2)
            else:
                body.seek(size // 2)
                body.write(b"!")
    (box / me()).unlink()
    assert d.relayctl("queue", "retry", "--all").returncode == 0
    assert until(lambda: len(d.events("body")) == 2, 10), d.log
    assert {e["why"] for e in d.events("body")} == {"the body's checksum is wrong", "the body's file is too short"}
    assert not mails(box / me())


def test_one_mailbox_however_its_name_is_written(place):
    """Case says nothing, quotes say nothing, and both forms of an internationalised domain are one."""
    d, box = place("{dir}/mail/%d-%u", "route to xn--bcher-kva.test via local\n")
    d.start()
    for to in ("virtual@here.test", "Virtual@HERE.Test", '"VIRTUAL"@here.test'):
        assert send(d.port, "from@here.test", [to], message("m"))[0] == 250
    for to in ("virtual@xn--bcher-kva.test", "virtual@XN--Bcher-KVA.test"):
        assert send(d.port, "from@here.test", [to], message("m"))[0] == 250
    assert send(d.port, "from@here.test", ["virtual@bücher.test"], message("m"), params=" SMTPUTF8")[0] == 250
    assert send(d.port, "from@here.test", ["jürgen@here.test"], message("m"), params=" SMTPUTF8")[0] == 250
    assert d.wait_empty(10)
    assert {p.name: len(mails(p)) for p in box.iterdir()} == {"here.test-virtual": 3, "xn--bcher-kva.test-virtual": 3, "here.test-jürgen": 1}


def test_two_hundred_recipients_of_one_message(place):
    d, box = place("{dir}/mail/%u")
    d.start()
    body = b"z" * 70 + b"\r\n" * 100000
    names = [f"virtual{i}" for i in range(200)]
    assert send(d.port, "from@here.test", [f"{n}@here.test" for n in names], message("m", body=body))[0] == 250
    assert until(lambda: len(list(box.iterdir())) == 200, 60) and d.wait_empty(30), d.log
    for n in names:
        f, = mails(box / n)
        assert f.stat().st_size > 100000 and f"for <{n}@here.test>".encode() in f.read_bytes()[:1000]


@pytest.mark.skipif(os.geteuid() != 0, reason="started as root")
def test_the_daemons_user_is_not_root_either(place):
    d, box = place("{dir}/mail/%u", "user root\nretry 1s\n")
    d.start()
    assert send(d.port, "from@here.test", ["virtual@here.test"], message("m"))[0] == 250
    assert "as root" in d.wait_event("delivery", status="deferred")[0]["reply"]
    assert not list(box.iterdir())
    assert send(d.port, "from@here.test", [f"{me()}@here.test"], message("m2"))[0] == 250
    assert until(lambda: mails(box / me()), 10)
