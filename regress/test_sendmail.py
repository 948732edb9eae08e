"""The sendmail shim as programs call it: options, exit statuses of sysexits.h, the drop directory, mailq."""
import concurrent.futures
import os
import re
import subprocess

import pytest

from harness.client import message
from harness.daemon import BIN, DeadPort, smarthost, until

H = "X-Test-Id: @ID@\nSubject: x\n\n"
F = "f@here.test"
root = pytest.mark.skipif(os.geteuid() != 0, reason="another user is needed")


@pytest.fixture(scope="module")
def post(tmp_path_factory):
    """One daemon for all cases: post(args, text) -> (status, messages that arrived, stderr)."""
    from harness.daemon import Daemon
    from harness.sink import Sink
    s = Sink()
    d = Daemon("retry 1s\npostmaster pm@there.test\nlocal-domains local.test\n" + smarthost(s.port))
    d.start()
    count = [0]

    def call(args, text, want=0, **kw):
        count[0] += 1
        ident = f"s{count[0]}"
        text = (text if isinstance(text, bytes) else text.encode()).replace(b"@ID@", ident.encode())
        r = d.sendmail(*args, input=text, **kw)

        def got():
            return [m for m in list(s.messages) if b"X-Test-Id: " + ident.encode() + b"\r\n" in m.data]
        if want:
            until(lambda: sum(len(m.rcpts) for m in got()) >= want, 10)
        return r.returncode, got(), r.stderr.decode()
    call.daemon, call.sink = d, s
    yield call
    print(d.log[-20000:])
    status = d.stop()
    d.remove()
    s.stop()
    assert status == 0


def fields(m):
    head = m.data.split(b"\r\n\r\n", 1)[0] + b"\r\n"
    return re.sub(rb"\r\n[ \t]+", b" ", head).decode("utf-8", "replace")


def body(m):
    return m.data.split(b"\r\n\r\n", 1)[1]


CASES = [
    # arguments, text, recipients, sender
    (["-f", F, "a@there.test"], H + "hi\n", ["a@there.test"], F),
    (["-f" + F, "a@there.test", "b@there.test"], H, ["a@there.test", "b@there.test"], F),
    (["-r", F, "a@there.test"], H, ["a@there.test"], F),
    (["-f", "<>", "a@there.test"], H, ["a@there.test"], ""),
    (["-f", "<f@here.test>", "a@there.test"], H, ["a@there.test"], F),
    (["-f", "", "a@there.test"], H, ["a@there.test"], ""),
    (["-f", F, "--", "-a@there.test"], H, ["-a@there.test"], F),
    (["-f", F, "a@there.test,b@there.test"], H, ["a@there.test", "b@there.test"], F),
    (["-f", F, "Mister A <a@there.test>"], H, ["a@there.test"], F),
    (["-f", F, "a@there.test", "a@there.test"], H, ["a@there.test"], F),
    (["-f", F, "-t"], "To: a@there.test, B <b@there.test>\nCc: (c) c@there.test\nBcc: hidden@there.test\n" + H,
     ["a@there.test", "b@there.test", "c@there.test", "hidden@there.test"], F),
    (["-f", F, "-t"], "To: -x@there.test\n" + H, ["-x@there.test"], F),
    (["-t", "-f", F], "To: a@there.test\nbCC: h1@there.test,\n\thidden@there.test\n" + H, ["a@there.test", "h1@there.test", "hidden@there.test"], F),
    (["-t", "-f", F], "Bcc: hidden@there.test\n" + H, ["hidden@there.test"], F),
    (["-t", "-f", F], "To: team: a@there.test, b@there.test;, undisclosed:;\n" + H, ["a@there.test", "b@there.test"], F),
    (["-t", "-f", F], 'To: "Last, First" <a@there.test>, "q r"@there.test\n' + H, ["a@there.test", '"q r"@there.test'], F),
    (["-t", "-f", F, "arg@there.test"], "To: a@there.test\n" + H, ["a@there.test", "arg@there.test"], F),
    (["-t", "-f", F], "To: a@there.test\n" + H + "To: no@there.test\n", ["a@there.test"], F),
    (["-t", "-f", F], "Resent-To: r@there.test\nResent-Bcc: hidden@there.test\nTo: a@there.test\n" + H, ["r@there.test", "hidden@there.test"], F),
    (["-ti", "-f" + F], "To: a@there.test\n" + H + "a\n.\nb\n", ["a@there.test"], F),
]


@pytest.mark.parametrize("args,text,rcpts,sender", CASES, ids=[" ".join(c[0]) for c in CASES])
def test_envelopes(post, args, text, rcpts, sender):
    status, got, err = post(args, text, len(rcpts))
    assert status == 0, err
    assert sorted(r for m in got for r in m.rcpts) == sorted(rcpts) and len(got) == 1
    assert got[0].mail_from == sender
    assert not re.search("(?im)^(resent-)?bcc:|hidden", fields(got[0]))
    assert not re.search(rb"(?<!\r)\n|\r(?!\n)", got[0].data)


def test_what_is_missing_in_the_header_is_added(post):
    _, (m,), _ = post(["-f", F, "a@there.test"], H, 1)
    assert len(re.findall("(?m)^(?:Date|Message-ID|From): ", fields(m))) == 3 and re.search(r"(?m)^From: <?f@here\.test", fields(m))
    _, (m,), _ = post(["-f", F, "a@there.test"], "Date: Fri, 20 Nov 2026 04:05:06 +0000\nFrom: Me <me@here.test>\nMessage-ID: <own@here.test>\n" + H, 1)
    assert "From: Me <me@here.test>" in fields(m) and "Message-ID: <own@here.test>" in fields(m) and m.mail_from == F
    assert len(re.findall("(?m)^(?:Date|Message-ID|From): ", fields(m))) == 3


@pytest.mark.parametrize("args,name", [(["-F", "Full Name"], "Full Name"), (["-FFull Name"], "Full Name"), (["-F", 'O"Neil, (x) \\'], r'O\"Neil, (x) \\'),
                                       (["-F", "Ünï"], "Ünï"), (["-F", "a\r\nBcc: x@y.test"], "a  Bcc: x@y.test")])
def test_the_full_name(post, args, name):
    _, (m,), _ = post([*args, "-f", F, "a@there.test"], H, 1)
    assert f'From: "{name}" <f@here.test>\r\n' in fields(m) and not re.search("(?m)^Bcc", fields(m))
    _, (m,), _ = post([*args, "-f", F, "a@there.test"], "From: Me <me@here.test>\n" + H, 1)
    assert "From: Me <me@here.test>\r\n" in fields(m) and name not in fields(m)


@pytest.mark.parametrize("args,text,out", [
    ([], "a\n.\nb\n", b"a\r\n"), ([], "a\n..\nb\n", b"a\r\n..\r\nb\r\n"), (["-i"], "a\n.\nb\n..\n", b"a\r\n.\r\nb\r\n..\r\n"),
    (["-oi"], "a\n.\nb\n", b"a\r\n.\r\nb\r\n"), (["-oi", "-oem", "-odb"], ".\n", b".\r\n"), (["-i"], "a\n.", b"a\r\n.\r\n"),
    (["-i"], "a\r\n\r\nb\r\n", b"a\r\n\r\nb\r\n"), ([], "end", b"end\r\n"), ([], "", b""), (["-i"], "From here\n", b"From here\r\n"),
    (["-i"], "x" * 5000 + "\n", b"x" * 5000 + b"\r\n"), (["-i"], ("m" * 70 + "\n") * 40000, (b"m" * 70 + b"\r\n") * 40000)],
    ids=["dot", "two dots", "-i", "-oi", "-oi -oem -odb", "-i without newline", "CRLF", "no newline", "empty", "From", "long line", "large"])
def test_bodies(post, args, text, out):
    status, got, err = post([*args, "-f", F, "a@there.test"], H + text, 1)
    assert status == 0, err
    assert body(got[0]) == out


def test_eight_bit_and_a_mailbox_line_and_no_header(post):
    _, (m,), _ = post(["-i", "-f", F, "a@there.test"], H.encode() + b"caf\xc3\xa9 \xff\xfe\n", 1)
    assert body(m) == b"caf\xc3\xa9 \xff\xfe\r\n" and "BODY=8BITMIME" in m.params
    _, (m,), _ = post(["-i", "-f", F, "a@there.test"], "From f@here.test Fri Nov 20 04:05:06 2026\n" + H + "x\n", 1)
    assert not re.search("(?m)^>?From ", fields(m)) and body(m) == b"x\r\n"
    _, (m,), _ = post(["-i", "-f", F, "a@there.test"], "\nX-Test-Id: @ID@\nbody only\n", 1)
    assert body(m).endswith(b"body only\r\n") and "X-Test-Id" not in fields(m)
    _, (m,), _ = post(["-i", "-f", F, "a@there.test"], "no field at all\nX-Test-Id: @ID@\n", 1)
    assert body(m).startswith(b"no field at all\r\n")


@pytest.mark.parametrize("option", [["-B", "8BITMIME"], ["-B8BITMIME"], ["-B7BIT"], ["-G"], ["-U"], ["-v"], ["-O", "DeliveryMode=b"], ["-ODeliveryMode=b"],
                                    ["-o", "em"], ["-oMrsmtp"], ["-Am"], ["-Ac"], ["-bm"], ["-X", "/dev/null"], ["-N", "never"], ["-N", "failure,delay"],
                                    ["-R", "hdrs"], ["-Rfull"], ["-V", "env1"], ["-t"]], ids=" ".join)
def test_options_of_other_mail_systems_are_taken(post, option):
    status, got, err = post([*option, "-f", F, "a@there.test"], "To: a@there.test\n" + H, 1)
    assert status == 0 and len(got) == 1, err


@pytest.mark.parametrize("args,text,status", [
    (["-f", F], H, 64), (["-Z", "-f", F, "a@there.test"], H, 64), (["-bz"], H, 64), (["-R", "some", "a@there.test"], H, 64), (["-f"], H, 64),
    (["-f", F, "a@b@c"], H, 65), (["-f", "a b@@c", "a@there.test"], H, 65), (["-t", "-f", F], H, 65), (["-t", "-f", F], "To: a@b@c@\n" + H, 65),
    (["-C", "/nonexistent/file", "a@there.test"], H, 78)], ids=lambda x: " ".join(x) if isinstance(x, list) else None)
def test_refusals(post, args, text, status):
    got, arrived, err = post(args, text)
    assert got == status and err.strip() and not arrived


def test_what_the_daemon_refuses_is_said(post):
    status, got, err = post(["-f", F, "a@there.test"], H + "x" * 60_000_000)
    assert status == 69 and "552" in err


def test_of_a_configuration_only_the_directories_matter(post, tmp_path):
    odd = tmp_path / "odd.conf"
    d = post.daemon
    odd.write_text(f"spool-directory {d.spool}\nruntime-directory \"{d.run}\"\nlogin x {{\n  password file /nonexistent/secret\n}}\nnonsense here\n")
    r = subprocess.run([BIN / "smarthost-sendmail", "-C", odd, "-f", F, "odd@there.test"], input=b"Subject: odd\n\n", capture_output=True, timeout=30)
    assert r.returncode == 0, r.stderr
    assert until(lambda: post.sink.to("odd@there.test"), 8)


def test_a_caller_that_is_cut_off_leaves_nothing(post):
    d = post.daemon
    post(["-f", F, "a@there.test"], H, 1)
    before = len(d.wait_event("received"))
    p = subprocess.Popen([BIN / "smarthost-sendmail", "-C", d.conf, "-i", "-f", F, "a@there.test"], stdin=subprocess.PIPE, stderr=subprocess.DEVNULL)
    p.stdin.write(b"X-Test-Id: cut\nSubject: x\n\nhalf a mess")
    p.stdin.flush()
    p.kill()
    p.wait()
    p.stdin.close()
    status, got, _ = post(["-f", F, "a@there.test"], H, 1)
    assert status == 0 and not [m for m in post.sink.messages if b"half a mess" in m.data]
    assert until(lambda: len(d.events("received")) > before, 5)


def test_smtp_on_standard_input(post):
    d = post.daemon
    r = d.sendmail("-bs", input=b"EHLO me\r\nMAIL FROM:<f@here.test>\r\nRCPT TO:<bs@there.test>\r\nDATA\r\n" + message("bs") + b".\r\nQUIT\r\n")
    assert r.returncode == 0
    assert re.findall(rb"(?m)^(\d{3}) ", r.stdout) == [b"220", b"250", b"250", b"250", b"354", b"250", b"221"]
    assert until(lambda: post.sink.to("bs@there.test"), 8)
    r = d.sendmail("-bs", input=b"EHLO me\r\nMAIL FROM:<f@here.test>\r\n")         # no QUIT: the end of input is one
    assert r.returncode == 0


def test_verbose_shows_the_dialogue(post, tmp_path):
    _, _, err = post(["-v", "-f", F, "a@there.test"], H, 1)
    assert "MAIL FROM:<f@here.test>" in err and "250 2.0.0" in err
    trace = tmp_path / "trace"
    post(["-X", str(trace), "-f", F, "a@there.test"], H, 1)
    assert "RCPT TO:<a@there.test>" in trace.read_text()


def test_aliases_need_no_making(post, tmp_path):
    (tmp_path / "newaliases").symlink_to(BIN / "smarthost-sendmail")
    for args in ([tmp_path / "newaliases", "-C", post.daemon.conf], [BIN / "smarthost-sendmail", "-C", post.daemon.conf, "-bi"]):
        assert subprocess.run(args, stdin=subprocess.DEVNULL, timeout=20).returncode == 0


@root
def test_an_ordinary_user_is_known_by_its_uid(post):
    d = post.daemon
    # it cannot read the configuration of the test: a copy with the directories
    copy = d.dir / "dirs.conf"
    copy.write_text(f"spool-directory {d.spool}\nruntime-directory {d.run}\n")
    copy.chmod(0o644)
    r = subprocess.run([BIN / "smarthost-sendmail", "-C", copy, "user@there.test"], input=b"Subject: u\n\nu\n", user="games", capture_output=True, timeout=30)
    assert r.returncode == 0, r.stderr
    assert until(lambda: post.sink.to("user@there.test"), 8)
    m, = post.sink.to("user@there.test")
    assert m.mail_from == "games@relay.test" and "uid 5" in fields(m)


def test_fifty_at_the_same_time_all_arrive(post):
    def one(i):
        return post.daemon.sendmail("-i", "-f", F, f"p{i}@there.test", input=f"X-Test-Id: par{i}\nSubject: p\n\n" + "x" * 60 * i + "\n").returncode
    with concurrent.futures.ThreadPoolExecutor(50) as pool:
        assert list(pool.map(one, range(50))) == [0] * 50
    want = {(f"par{i}", f"p{i}@there.test"): 1 for i in range(50)}
    assert until(lambda: want.items() <= post.sink.ids().items(), 15)


# the daemon is down

def waiting(d):
    return [f for f in (d.spool / "drop").iterdir()]


def test_mail_is_kept_while_the_daemon_is_down(daemon, sink):
    s = sink()
    d = daemon("retry 1s\n" + smarthost(s.port))
    assert d.stop() == 0
    for i in range(5):
        r = d.sendmail("-i", "-f", F, f"down{i}@there.test", input=f"X-Test-Id: down{i}\nSubject: d\n\n.\nbody {i}\n")
        assert r.returncode == 0, r.stderr
    files = waiting(d)
    assert len(files) == 5
    assert all(f.stat().st_mode & 0o7777 == 0o600 and f.stat().st_uid == os.geteuid() for f in files)
    assert d.sendmail("-t", "-f", F, input="Subject: nobody\n\nx\n").returncode == 65, "what is wrong is wrong without a daemon too"
    d.start()
    want = {(f"down{i}", f"down{i}@there.test"): 1 for i in range(5)}
    assert until(lambda: s.ids() == want, 15), s.ids()
    m, = s.to("down3@there.test")
    assert m.mail_from == F and m.data.endswith(b"\r\n\r\n.\r\nbody 3\r\n")
    assert until(lambda: not waiting(d), 5)


def test_what_is_no_message_of_its_writer_is_not_taken_from_the_drop_directory(daemon, sink):
    s = sink()
    d = daemon("retry 1s\n" + smarthost(s.port))
    d.stop()
    drop = d.spool / "drop"

    def put(name):
        before = set(waiting(d))
        d.sendmail("-i", "-f", F, f"{name}@there.test", input=f"X-Test-Id: {name}\n\nx\n")
        return (set(waiting(d)) - before).pop()
    os.link(put("hard"), d.dir / "away-hard")
    soft = put("soft")
    os.rename(soft, d.dir / "away-soft")
    soft.symlink_to(d.dir / "away-soft")
    cut = put("cut")
    cut.write_bytes(cut.read_bytes()[:-8])
    os.mkfifo(drop / "1.fifo", 0o666)
    (drop / "1.directory").mkdir()
    (drop / "1.empty").write_bytes(b"")
    (drop / "1.noise").write_bytes(os.urandom(10000))
    (drop / ".hidden").write_bytes(b"MAIL FROM:<a@here.test>\r\nRCPT TO:<hidden@there.test>\r\nDATA\r\n\r\n.\r\n")
    put("good")
    d.start()
    assert until(lambda: s.messages, 10)
    # what comes now comes behind all of the others
    assert d.sendmail("-f", F, "last@there.test", input="X-Test-Id: last\n\n").returncode == 0
    assert until(lambda: s.to("last@there.test"), 8)
    assert sorted(m.rcpts[0] for m in s.messages) == ["good@there.test", "last@there.test"]


@root
def test_each_user_keeps_its_own_identity_through_the_drop_directory(daemon, sink):
    s = sink()
    d = daemon("retry 1s\n" + smarthost(s.port))
    d.stop()
    copy = d.dir / "dirs.conf"
    copy.write_text(f"spool-directory {d.spool}\nruntime-directory {d.run}\n")
    copy.chmod(0o644)
    r = subprocess.run([BIN / "smarthost-sendmail", "-C", copy, "user@there.test"], input=b"Subject: u\n\nu\n", user="games", capture_output=True, timeout=30)
    assert r.returncode == 0, r.stderr
    d.start()
    assert until(lambda: s.messages, 10)
    assert s.messages[0].mail_from == "games@relay.test" and d.wait_event("received", client="uid:5")


def test_without_a_place_to_keep_it_the_caller_hears_of_it(daemon):
    d = daemon(start=False)
    r = d.sendmail("-f", F, "a@there.test", input=H)
    assert r.returncode in (73, 75) and b"not running" in r.stderr


# the queue

def mailq(d, tmp_path, *args, **kw):
    link = tmp_path / "mailq"
    if not link.exists():
        link.symlink_to(BIN / "smarthost-sendmail")
    return subprocess.run([link, "-C", d.conf, *args], capture_output=True, text=True, timeout=30, env=d.environment(), **kw)


def test_mailq_lists_what_waits(daemon, sink, tmp_path):
    dead = DeadPort()
    d = daemon("retry 1h\n" + smarthost(dead.port))
    for r in (mailq(d, tmp_path), d.sendmail("-bp")):
        assert r.returncode == 0 and "Mail queue is empty" in (r.stdout if isinstance(r.stdout, str) else r.stdout.decode())
    assert d.sendmail("-f", F, "waits@there.test", input=H).returncode == 0
    assert d.wait_event("delivery", status="deferred")
    r = mailq(d, tmp_path)
    assert r.returncode == 0 and "waits@there.test" in r.stdout and F in r.stdout
    # -q: all of it now
    s = sink(port=dead.release())
    assert d.sendmail("-q").returncode == 0
    assert until(lambda: s.messages, 8)
    assert until(lambda: "Mail queue is empty" in mailq(d, tmp_path).stdout, 8)


def test_mailq_claims_nothing_that_it_does_not_know(daemon, tmp_path):
    d = daemon("retry 1h\n" + smarthost(DeadPort().port))
    d.stop()
    assert d.sendmail("-f", F, "waits@there.test", input=H).returncode == 0
    assert "Mail queue is empty" not in mailq(d, tmp_path).stdout


@root
def test_mailq_shows_users_their_own_mail_only(daemon, tmp_path):
    d = daemon("retry 1h\n" + smarthost(DeadPort().port))
    copy = d.dir / "dirs.conf"
    copy.write_text(f"spool-directory {d.spool}\nruntime-directory {d.run}\n")
    copy.chmod(0o644)
    d.sendmail("-f", F, "waits@there.test", input=H)
    subprocess.run([BIN / "smarthost-sendmail", "-C", copy, "games-waits@there.test"], input=b"Subject: u\n\nu\n", user="games", timeout=30, check=True)
    r = subprocess.run([BIN / "smarthost-sendmail", "-C", copy, "-bp"], user="games", capture_output=True, text=True, timeout=30, env=d.environment())
    assert r.returncode == 0 and "games-waits@" in r.stdout and F not in r.stdout
    r = mailq(d, tmp_path)
    assert "games-waits@" in r.stdout and F in r.stdout
