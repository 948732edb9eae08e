"""Mail for names of this machine: aliases, users, the postmaster."""
import os
import pwd
import shutil
import signal

import pytest

from harness.client import Client, message, send
from harness.daemon import check, smarthost, until
from test_maildir import mails, somebody_with_a_home


@pytest.fixture
def local(daemon, sink):
    """local(aliases, text): a daemon with those aliases that sends the rest to .sink."""
    def make(aliases, text="", **kw):
        s = sink()
        d = daemon(f"aliases {{dir}}/aliases\nlocal-domains here.test localhost relay.test\n{smarthost(s.port)}retry 1s\n{text}", start=False, **kw)
        (d.dir / "aliases").write_text(aliases)
        d.sink = s
        d.start()
        return d
    return make


def rcpt(d, address):
    """The reply; (0, "") where the listener was just replaced."""
    try:
        c = Client(d.port)
        c.cmd("MAIL FROM:<from@there.test>")
        reply = c.cmd(f"RCPT TO:<{address}>")
        c.quit()
    except ConnectionError:
        return 0, ""
    return reply


def arrived(d, n=1):
    """Recipients at the next hop, sorted, once there are n of them."""
    def all_of_them():
        return sorted(r[0] if isinstance(r, tuple) else r for m in d.sink.messages for r in m.rcpts)
    until(lambda: len(all_of_them()) >= n, 10)
    return all_of_them()


def test_an_alias_leads_elsewhere(local):
    d = local("known: k@there.test\nTeam: known, a@there.test,\n\tb@there.test\n")
    assert send(d.port, "from@there.test", ["known@here.test"], message("one"))[0] == 250
    assert arrived(d) == ["k@there.test"]
    assert d.sink.messages[0].mail_from == "from@there.test"
    assert send(d.port, "from@there.test", ["TEAM@localhost", "a@there.test"], message("two"))[0] == 250
    assert arrived(d, 4) == ["a@there.test", "b@there.test", "k@there.test", "k@there.test"]


def test_unknown_names_are_refused_at_rcpt(local):
    d = local("known: k@there.test\npipe: |/bin/cat\nring: ring2\nring2: ring\n")
    assert rcpt(d, "known@here.test")[0] == 250
    for name, status in (("unknown", "5.1.1"), ("pipe", "5.1.1"), ("ring", "5.4.6"), ("postmaster", "5.1.1")):
        code, text = rcpt(d, f"{name}@here.test")
        assert (code, text[:5]) == (550, status), name


def test_default_takes_every_other_name(local):
    d = local("default: all@there.test\nroot: r@there.test\n")
    assert send(d.port, "from@there.test", ["anybody@here.test", "root@here.test"], message("one"))[0] == 250
    assert arrived(d, 2) == ["all@there.test", "r@there.test"]


def test_lists_are_included(local):
    d = local("list: :include:{dir}/list\nlost: :include:/nowhere/list\n".replace("{dir}", "/tmp/never"))
    (d.dir / "list").write_text("# members\na@there.test, b@there.test\nc@there.test\n")
    assert rcpt(d, "list@here.test")[0] == 451, "a list that cannot be read is no unknown user"
    (d.dir / "aliases").write_text(f"list: :include:{d.dir}/list\n")
    d.signal(signal.SIGHUP)
    assert d.wait_event("reload") and until(lambda: rcpt(d, "list@here.test")[0] == 250, 10)
    assert until(lambda: len(d.role("listener")) == 1, 10)
    assert send(d.port, "from@there.test", ["list@here.test"], message("one"))[0] == 250
    assert arrived(d, 3) == ["a@there.test", "b@there.test", "c@there.test"]


def test_changed_files_count_without_a_reload(local):
    d = local("a: a@there.test\n")
    assert rcpt(d, "b@here.test")[0] == 550
    (d.dir / "aliases").write_text(f"b: b@there.test, :include:{d.dir}/list\n")
    (d.dir / "list").write_text("c@there.test\n")
    assert until(lambda: rcpt(d, "b@here.test")[0] == 250, 20, 0.2)
    assert rcpt(d, "a@here.test")[0] == 550
    (d.dir / "list").write_text("c@there.test, d@there.test\n")

    def to_the_new_member():
        d.sink.messages.clear()
        send(d.port, "from@there.test", ["b@here.test"], message("m"))
        return arrived(d, 2)[-1] == "d@there.test"
    assert until(to_the_new_member, 20, 0.5)


def test_users_are_those_of_passwd(local):
    """Where mailboxes are in homes; in the right mailbox in the end."""
    u = somebody_with_a_home()
    name = f".smarthostd-test-{os.getpid()}"
    d = local("both: known, a@there.test\nknown: %s\n" % (u.pw_name if u else "nobody"), f"transport local {{ maildir ~/{name} }}\n")
    code, text = rcpt(d, "no-such-user-here@here.test")
    assert (code, text[:5]) == (550, "5.1.1")
    assert rcpt(d, "postmaster@here.test")[0] == 250
    if u is None:
        pytest.skip("nobody here has a home")
    try:
        assert rcpt(d, f"{u.pw_name.upper()}@here.test")[0] == 250
        assert send(d.port, "from@there.test", ["both@here.test"], message("m"))[0] == 250
        assert arrived(d) == ["a@there.test"]
        box = type(d.dir)(u.pw_dir) / name
        assert until(lambda: mails(box), 10)
        assert d.wait_event("delivery", status="sent", to=f"<{u.pw_name}@here.test>", transport="local")
    finally:
        shutil.rmtree(os.path.join(u.pw_dir, name), ignore_errors=True)


def test_any_name_is_a_mailbox_where_homes_do_not_matter(local):
    d = local("known: k@there.test\n", "transport local { maildir {dir}/mail/%d }\n")
    (d.dir / "mail").mkdir()
    (d.dir / "mail").chmod(0o777)
    assert send(d.port, "from@there.test", ["no-such-user-here@here.test", "known@here.test"], message("m"))[0] == 250
    assert until(lambda: mails(d.dir / "mail" / "here.test"), 10)
    assert arrived(d) == ["k@there.test"]


@pytest.mark.parametrize("aliases, text, goes", [
    ("root: r@there.test\n", "", ["r@there.test"]),
    ("root: root, r@there.test\n", "", ["r@there.test"]),
    ("x: y@there.test\n", "postmaster p@there.test\n", ["p@there.test"]),
    ("postmaster: p@there.test\n", "", ["p@there.test"]),
    ("postmaster: root\n", "", None),
])
def test_root_gets_no_mail_by_its_own_name(local, aliases, text, goes):
    d = local(aliases, "transport local { maildir ~/.smarthostd-never }\n" + text)
    code, _ = send(d.port, "from@there.test", ["root@here.test"], message("m"))
    if goes is None:
        assert code == 550
    else:
        assert code == 250 and arrived(d) == goes
    assert not os.path.exists(os.path.join(pwd.getpwnam("root").pw_dir, ".smarthostd-never"))


def test_bounces_go_by_the_aliases_and_name_who_was_written_to(local):
    d = local("root: r@there.test\nmember: gone@there.test\n")
    d.sink.script = lambda stage, session, arg: "550 5.1.1 no such user" if stage == "rcpt" and "gone@" in arg else None
    assert send(d.port, "root@here.test", ["member@here.test"], message("m"))[0] == 250
    assert arrived(d) == ["r@there.test"]
    assert b"Original-Recipient: rfc822; member@here.test" in d.sink.messages[0].data


def test_the_shim_takes_names_of_this_machine(local):
    d = local("known: k@there.test\n", "qualify-domain here.test\n")
    r = d.sendmail("-f", "from@there.test", "known", input="Subject: x\n\nhi\n")
    assert r.returncode == 0 and arrived(d) == ["k@there.test"]
    r = d.sendmail("-f", "from@there.test", "unknown", input="Subject: x\n\nhi\n")
    assert r.returncode == 67, r.stderr


def test_why_tells_what_an_alias_comes_to(local):
    d = local("team: a@there.test, b@there.test\n")
    why = d.relayctl_json("why", "--if", "from=x@there.test", "to=team@here.test")
    assert why["recipients"] == ["a@there.test", "b@there.test"] and why["transport"] == "up"
    assert "a@there.test, b@there.test" in d.relayctl("why", "--if", "from=x@there.test", "to=team@here.test").stdout
    assert d.relayctl_json("why", "--if", "from=x@there.test", "to=nobody@here.test")["transport"] is None


def test_mistakes_are_warnings_with_their_lines():
    status, said, where = check("aliases al\n", {"al": ("a: b@there.test\nb: |/bin/prog, /a/file\nc d: e\nf: :include:/nowhere/list\n", 0o644)})
    assert status == 0 and "configuration ok" in said
    for line, words in ((2, "command"), (2, "file"), (3, "NAME: TARGET"), (4, "/nowhere/list")):
        assert any(x.startswith(f"{where}/al:{line}: warning: ") and words in x for x in said.split("\n")), (line, said)
    status, said, where = check("aliases al\n")
    assert status == 78 and f"{where}/smarthostd.conf:1: {where}/al: " in said


@pytest.mark.parametrize("target, warned", [("daemon", False), ("DAEMON", False), ("no-such-user-here", True), ("p@there.test", False)])
def test_the_postmaster_may_be_any_user(target, warned):
    """Who the alias leads to must be there, not somebody called postmaster."""
    status, said, _ = check('aliases al\ntransport local { mda "/bin/cat %u" }\n', {"al": (f"postmaster: {target}\n", 0o644)})
    assert status == 0 and ("nowhere to go" in said) == warned, said


def test_who_is_written_to_twice_gets_one(local):
    """By a list and by name, in this order or the other."""
    d = local("list: bin, daemon\n", "transport local { maildir {dir}/mail/%u }\n")
    (d.dir / "mail").mkdir()
    (d.dir / "mail").chmod(0o1777)
    for ident, to in (("a", ["daemon", "list"]), ("b", ["list", "daemon"]), ("c", ['"daemon"', "Daemon", "daemon"])):
        assert send(d.port, "from@there.test", [f"{name}@here.test" for name in to], message(ident))[0] == 250
    assert d.wait_empty(15), d.log
    assert len(d.events("delivery", status="sent")) == 5, d.log


def test_a_list_that_is_no_file_keeps_nobody_waiting(local):
    """Whoever owns a list could put something else there."""
    d = local("known: k@there.test\n")
    os.mkfifo(d.dir / "fifo")
    (d.dir / "list").write_text("a@there.test\n")
    (d.dir / "aliases").write_text(f"fifo: :include:{d.dir}/fifo\nzero: :include:/dev/zero\ndir: :include:{d.dir}\nlist: :include:{d.dir}/list\n")
    d.signal(signal.SIGHUP)
    assert d.wait_event("reload") and until(lambda: rcpt(d, "list@here.test")[0] == 250, 10), d.log
    for name in ("fifo", "zero", "dir"):
        assert rcpt(d, f"{name}@here.test")[0] == 451, name
    assert d.relayctl("status").returncode == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="files of two users")
def test_somebody_elses_link_is_not_followed(local):
    """A list that belongs to a user: monitor may read more than he may."""
    d = local("mine: a@there.test\n")
    (d.dir / "secret").write_text("secret@there.test\n")
    (d.dir / "secret").chmod(0o600)
    for name in ("theirs", "ours"):
        (d.dir / name).symlink_to(d.dir / "secret")
    os.lchown(d.dir / "theirs", 1, 1)
    (d.dir / "aliases").write_text(f"theirs: :include:{d.dir}/theirs\nours: :include:{d.dir}/ours\n")
    d.signal(signal.SIGHUP)
    assert d.wait_event("reload") and until(lambda: rcpt(d, "ours@here.test")[0] == 250, 10), d.log
    assert rcpt(d, "theirs@here.test")[0] == 451 and "secret@there.test" not in d.log
