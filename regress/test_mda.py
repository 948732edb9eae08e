"""Programs that take the mail: arguments, users, exit statuses, output, the time limit; procmail, maildrop, dovecot-lda."""
import os
import pwd
import shlex
import signal

import pytest

from harness.client import Client, message, send
from harness.daemon import check, until, work_user
from test_maildir import mails, somebody_with_a_home

me = work_user


@pytest.fixture
def place(daemon):
    """place(line, script, text): a daemon whose transport `out` runs the line; {dir}/prog is the script, {dir}/box its own place."""
    def make(line, script="", text="", local="", **kw):
        d = daemon(f'transport out {{ mda "{line}"; {local} }}\nroute to here.test via out\nretry 1s\n{text}', start=False)
        d.box = d.dir / "box"
        d.box.mkdir()
        d.box.chmod(0o777)
        d.prog = d.dir / "prog"
        d.prog.write_text("#!/bin/sh\n" + script)
        d.prog.chmod(0o755)
        return d.start() if kw.get("start", True) else d
    return make


# writes arguments, environment, place and input into a file of its own in the box
NOTE = 'cd "{box}" 2> /dev/null; f=$(mktemp {box}/XXXXXX)\n{ id -un; pwd; for a; do printf "<%s>" "$a"; done; echo; env; echo ==; cat; } > $f\nmv $f $f.done\n'


def notes(d):
    """[(user, directory, arguments, environment, message)]"""
    out = []
    for f in sorted(d.box.glob("*.done")):
        head, _, body = f.read_bytes().partition(b"==\n")
        user, cwd, args, *env = head.decode().split("\n")
        out.append((user, cwd, args, dict(e.split("=", 1) for e in env if "=" in e), body))
    return out


def note(d):
    d.prog.write_text("#!/bin/sh\nbox=%s\n" % d.box + NOTE.replace("{box}", "$box").replace('cd "$box" 2> /dev/null; ', ""))
    return d


def test_arguments_are_filled_in_after_the_split(place):
    d = note(place("{dir}/prog -f %f %u %d %r a%%b '%u x'", start=False)).start()
    assert send(d.port, "from+x@there.test", [f"{me()}@here.test"], message("m", body=b".dot\r\n\xff\r\n"))[0] == 250
    assert until(lambda: notes(d), 10), d.log
    (user, cwd, args, env, body), = notes(d)
    u = pwd.getpwnam(me())
    assert args == f"<-f><from+x@there.test><{me()}><here.test><{me()}@here.test><a%b><{me()} x>"
    assert user == me() and env["HOME"] == u.pw_dir and env["USER"] == env["LOGNAME"] == me()
    assert env["SENDER"] == "from+x@there.test" and env["RECIPIENT"] == f"{me()}@here.test"
    assert cwd == (os.path.realpath(u.pw_dir) if os.path.isdir(u.pw_dir) else "/")
    assert set(env) <= {"HOME", "USER", "LOGNAME", "SENDER", "RECIPIENT", "PATH", "SHELL", "PWD", "SHLVL", "OLDPWD", "_", "LC_CTYPE"}
    assert body.startswith(b"Return-Path: <from+x@there.test>\nReceived: ") and b"\r" not in body and body.endswith(b"\n\n.dot\n\xff\n")
    assert d.wait_event("delivery", status="sent", to=f"<{me()}@here.test>") and d.wait_empty(10)


def test_no_shell_ever(place):
    d = note(place("{dir}/prog %f", start=False)).start()
    evil = "$(touch${IFS}{dir}/box/pwned);`id`|x&y'z@there.test".replace("{dir}", str(d.dir))
    c = Client(d.port)
    code, _ = c.mail(evil.replace("/", "_"), [f"{me()}@here.test"], message("m"))
    c.quit()
    if code == 250:
        assert until(lambda: notes(d), 10)
        assert "`id`" in notes(d)[0][2]
    assert send(d.port, '"a b $(id)"@there.test', [f"{me()}@here.test"], message("m2"))[0] == 250
    assert until(lambda: any("$(id)" in n[2] for n in notes(d)), 10), notes(d)
    assert not (d.box / "pwned").exists()


def test_each_recipient_has_its_own_run(place):
    users = [u.pw_name for u in pwd.getpwall() if u.pw_uid not in (0,)][:3] if os.geteuid() == 0 else [me()]
    d = note(place("{dir}/prog %u", start=False)).start()
    assert send(d.port, "from@there.test", [f"{u}@here.test" for u in users], message("m"))[0] == 250
    assert until(lambda: len(notes(d)) == len(users), 15)
    assert sorted(n[0] for n in notes(d)) == sorted(users) and sorted(n[2] for n in notes(d)) == sorted(f"<{u}>" for u in users)


def test_percent_t_is_one_run_for_all(place):
    users = [u.pw_name for u in pwd.getpwall() if u.pw_uid not in (0,)][:3] if os.geteuid() == 0 else [me()]
    d = note(place("{dir}/prog -- %T", start=False)).start()
    assert send(d.port, "from@there.test", [f"{u}@here.test" for u in users] + ["no-such-user@here.test"], message("m"))[0] == 250
    assert d.wait_event("delivery", status="bounced", to="<no-such-user@here.test>")
    assert until(lambda: notes(d), 10)
    (user, _, args, env, _), = notes(d)
    assert user == me() and "RECIPIENT" not in env
    assert sorted(args[1:-1].split("><")) == sorted(["--", *users])
    for u in users:
        assert d.wait_event("delivery", status="sent", to=f"<{u}@here.test>")
    assert len(notes(d)) == 1


@pytest.mark.parametrize("status,outcome,dsn", [
    (64, "bounced", "5.3.0"), (65, "bounced", "5.6.0"), (67, "bounced", "5.1.1"), (69, "bounced", "5.3.0"), (77, "bounced", "5.7.0"),
    (73, "deferred", "4.2.0"), (74, "deferred", "4.3.0"), (75, "deferred", "4.3.0"), (1, "deferred", "4.3.0"), (255, "deferred", "4.3.0")])
def test_exit_statuses(place, status, outcome, dsn):
    d = place("{dir}/prog", f"cat > /dev/null; echo what went wrong; echo and why >&2; exit {status}\n")
    assert send(d.port, "from@there.test", [f"{me()}@here.test"], message("m"))[0] == 250
    e = d.wait_event("delivery", to=f"<{me()}@here.test>")[0]
    assert e["status"] == outcome and e["dsn"] == dsn and "what went wrong and why" in e["reply"], e


def test_the_output_is_in_the_bounce(place, sink):
    s = sink()
    d = place("{dir}/prog", "printf '5.7.1 mail about \\001money is not wanted\\n'; exit 77\n", f"transport up {{ smarthost 127.0.0.1:{s.port} }}\nroute via up\nbounce-to sender\n")
    assert send(d.port, "from@there.test", [f"{me()}@here.test"], message("m"))[0] == 250
    assert until(lambda: s.messages, 10)
    text = s.messages[0].data
    assert b"5.7.1" in text and b"money is not wanted" in text and b"\x01" not in text


def test_what_does_not_read_its_input_and_what_says_too_much(place):
    d = place("{dir}/prog", "yes line | head -c 300000; exit 0\n")
    assert send(d.port, "from@there.test", [f"{me()}@here.test"], message("m", body=b"x" * 70 + b"\r\n" * 8000))[0] == 250
    assert d.wait_event("delivery", status="sent")


def test_the_time_limit(place):
    d = place("{dir}/prog", "sleep 1000 & sleep 1000\n", local="timeout 1s")
    assert send(d.port, "from@there.test", [f"{me()}@here.test"], message("m"))[0] == 250
    e = d.wait_event("delivery", status="deferred")[0]
    assert "in time" in e["reply"]


def test_who_cannot_be_delivered_to(place):
    d = note(place("{dir}/prog %u", start=False, text="local-domains relay.test\n")).start()
    for who in ("no-such-user-here", "root", "..", "-froot"):
        c = Client(d.port)
        c.cmd("MAIL FROM:<from@there.test>")
        if c.cmd(f"RCPT TO:<{who}@here.test>")[0] == 250:
            c.cmd("DATA")
            c.send(message("m") + b".\r\n")
            c.reply()
            assert d.wait_event("delivery", status="bounced", to=f"<{who}@here.test>"), who
        c.quit()
    assert not notes(d)


def test_unknown_users_are_refused_at_rcpt(place):
    d = note(place("{dir}/other", start=False, text='local-domains here2.test\ntransport local { mda "{dir}/prog %u" }\npostmaster a@there.test\n'))
    (d.dir / "other").write_text("#!/bin/sh\n")
    (d.dir / "other").chmod(0o755)
    d.start()
    c = Client(d.port)
    c.cmd("MAIL FROM:<from@there.test>")
    assert c.cmd("RCPT TO:<no-such-user@here2.test>")[1].startswith("5.1.1")
    assert c.cmd(f"RCPT TO:<{me()}@here2.test>")[0] == 250
    assert c.cmd("RCPT TO:<root@here2.test>")[0] == 250, "root's mail goes to the postmaster"
    c.quit()


def test_an_address_is_no_option(place):
    d = note(place("{dir}/prog %f", start=False)).start()
    assert send(d.port, "-oProgram@there.test", [f"{me()}@here.test"], message("m"))[0] == 250
    assert d.wait_event("delivery", status="bounced", to=f"<{me()}@here.test>")
    assert send(d.port, "", [f"{me()}@here.test"], message("m"))[0] == 250
    assert until(lambda: notes(d), 10)
    assert notes(d)[0][2] == "<>", "the null sender is an empty word"


def test_a_program_that_is_gone_is_waited_for(place):
    d = note(place("{dir}/prog %u", start=False)).start()
    d.prog.rename(d.dir / "away")
    assert send(d.port, "from@there.test", [f"{me()}@here.test"], message("m"))[0] == 250
    assert d.wait_event("delivery", status="deferred")
    (d.dir / "away").rename(d.prog)
    assert until(lambda: notes(d), 10)


@pytest.mark.parametrize("line,word", [
    ("/bin/cat '%u", "quote"), ("%u", "%"), ("/bin/cat %x", "%"), ("/bin/cat a%T", "%T"), ("/bin/cat %T %u", "together"), ("/no/such/program %u", "/no/such"),
    ("", "empty")])
def test_mistakes(line, word):
    status, text, _ = check('transport out { mda "%s" }\nroute via out\n' % line)
    assert status == 78 and ":1:" in text and word in text, text


# ---- what people use

def deliver(d, text=b"one\r\n.two\r\n\xff\r\n", **kw):
    assert send(d.port, "from@there.test", [f"{kw.get('user', me())}@here.test"], message("m", body=text))[0] == 250
    assert d.wait_event("delivery", status="sent"), d.log


def test_procmail(place):
    d = place("/usr/bin/procmail -t -m {dir}/rc {dir}/box/ %f", start=False)
    (d.dir / "rc").write_text('DEFAULT=$1\nFROM=$2\n:0\n* ^X-Test-Id: m\n$1\n')
    d.start()
    deliver(d)
    f, = mails(d.box)
    assert f.read_bytes().endswith(b"\n\none\n.two\n\xff\n") and f.stat().st_uid == pwd.getpwnam(me()).pw_uid


def test_procmail_in_mbox_form(place):
    d = place("/usr/bin/procmail -t -f %f -m {dir}/rc {dir}/box/mbox", start=False)
    (d.dir / "rc").write_text('DEFAULT=$1\n:0\n$1\n')
    d.start()
    deliver(d)
    assert (d.box / "mbox").read_bytes().startswith(b"From from@there.test ")


def test_maildrop(place):
    u = somebody_with_a_home()
    if u is None:
        pytest.skip("nobody here has a home")
    d = place("/usr/bin/maildrop {dir}/filter", start=False)
    filt = d.dir / "filter"
    (d.box / "new").mkdir()
    filt.write_text(f'if (/^X-Test-Id: m/)\n{{\n  to "{d.box}/mbox"\n}}\nEXITCODE=65\nexit\n')
    filt.chmod(0o600)
    if os.geteuid() == 0:
        os.chown(filt, u.pw_uid, u.pw_gid)
    d.start()
    deliver(d, user=u.pw_name)
    assert b"\n.two\n" in (d.box / "mbox").read_bytes()
    assert send(d.port, "from@there.test", [f"{u.pw_name}@here.test"], message("other"))[0] == 250
    assert d.wait_event("delivery", status="bounced")[0]["dsn"] == "5.6.0"


def test_dovecot_lda(place):
    d = place("/usr/lib/dovecot/dovecot-lda -c {dir}/dovecot.conf -f %f -a %r", start=False)
    (d.dir / "dovecot.conf").write_text(f"mail_location = maildir:{d.box}/mail\nmail_home = {d.box}\nlog_path = {d.box}/log\nssl = no\nfirst_valid_uid = 1\n"
                                        "postmaster_address = postmaster@here.test\nhostname = relay.test\nprotocol lda {\n}\n")
    d.start()
    deliver(d)
    f, = mails(d.box / "mail")
    text = f.read_bytes().replace(b"\r\n", b"\n")
    assert text.endswith(b"\n\none\n.two\n\xff\n") and b"Return-Path: <from@there.test>" in text


def test_quotes_in_the_line(place):
    d = note(place("'{dir}/prog' " + shlex.quote("a b").replace('"', '\\"') + " %u", start=False)).start()
    deliver(d)
    assert notes(d)[0][2] == f"<a b><{me()}>"


# ---- programs that misbehave

def test_who_is_left_behind_and_goes_on_talking(place):
    """What a program's child says when the program has ended is nobody's, and keeps nobody busy."""
    d = place("{dir}/prog", "yes a lot of text &\nyes and more >&2 &\nexit 0\n")
    for i in range(3):
        assert send(d.port, "from@there.test", [f"{me()}@here.test"], message(f"m{i}"))[0] == 250
    assert until(lambda: len(d.events("delivery", status="sent")) == 3, 15), d.log
    assert d.relayctl("status").returncode == 0
    assert d.wait_empty(5)


def test_a_hundred_at_once_and_each_once(place):
    d = note(place("{dir}/prog %f", start=False)).start()
    c = Client(d.port)
    for i in range(100):
        assert c.mail(f"f{i}@there.test", [f"{me()}@here.test"], message(f"m{i}", body=b"x" * 70 + b"\r\n" * (i % 7 * 30000)))[0] == 250
    c.quit()
    assert until(lambda: len(notes(d)) == 100, 60, 0.2), d.log
    assert d.wait_empty(20)
    assert sorted(n[2] for n in notes(d)) == sorted(f"<f{i}@there.test>" for i in range(100))
    for n in notes(d):
        i = int(n[2][2:n[2].index("@")])
        assert n[4].rstrip(b"\n").endswith(b"\n\n" + b"x" * 70) and n[4].count(b"\n") >= i % 7 * 30000, "whole"


def test_no_descriptor_but_three_and_no_signal_is_ignored(place):
    # (signals 32 and 33 are libc's own: nobody can set them, and some who start tests have them ignored)
    d = place("{dir}/prog", 'for f in /proc/self/fd/*; do n=${f##*/}; [ "$n" -gt 2 ] && case $(readlink $f) in /proc/*|""|*/prog) ;; *) echo "open: $(readlink $f)"; exit 77;; esac; done\n'
              'grep -E "^Sig(Ign|Blk)" /proc/$$/status | grep -v "0000000[01][08]0000000" && exit 77\nulimit -c; exit 65\n')
    assert send(d.port, "from@there.test", [f"{me()}@here.test"], message("m"))[0] == 250
    e = d.wait_event("delivery", to=f"<{me()}@here.test>")[0]
    assert e["dsn"] == "5.6.0", e


def test_a_program_that_is_killed_is_tried_again(place):
    d = place("{dir}/prog", "[ -e {box}/once ] && exec cat > {box}/got\ntouch {box}/once\nkill -9 $$\n".replace("{box}", "$(dirname $0)/box"))
    assert send(d.port, "from@there.test", [f"{me()}@here.test"], message("m"))[0] == 250
    assert "signal 9" in d.wait_event("delivery", status="deferred")[0]["reply"]
    assert d.wait_event("delivery", status="sent") and (d.box / "got").read_bytes().endswith(b"\n\nhello\n")


def test_a_reload_in_the_middle_neither_loses_nor_doubles(place):
    d = place("{dir}/prog %f", 'touch $(dirname $0)/box/begun\nuntil [ -e $(dirname $0)/box/go ]; do sleep 0.05; done\necho "$1" >> $(dirname $0)/box/list\n')
    for i in range(3):
        assert send(d.port, f"f{i}@there.test", [f"{me()}@here.test"], message(f"m{i}"))[0] == 250
    assert until(lambda: (d.box / "begun").exists(), 10)
    d.configure(d.conf.read_text().split("spool-directory")[0] + "expire 3d\n")
    d.signal(signal.SIGHUP)
    assert d.wait_event("reload")
    (d.box / "go").touch()
    assert until(lambda: len(d.events("delivery", status="sent")) == 3, 20), d.log
    assert sorted((d.box / "list").read_text().split()) == [f"f{i}@there.test" for i in range(3)]


def test_a_stop_waits_for_what_runs(place):
    d = place("{dir}/prog %f", 'touch $(dirname $0)/box/begun\nsleep 1\necho "$1" >> $(dirname $0)/box/list\n')
    assert send(d.port, "f@there.test", [f"{me()}@here.test"], message("m"))[0] == 250
    assert until(lambda: (d.box / "begun").exists(), 10)
    assert d.stop() == 0
    d.start()
    assert until(lambda: d.queue() == [], 15, 0.1)
    assert (d.box / "list").read_text().split() == ["f@there.test"], d.log


def test_kill_in_the_middle_loses_nothing(place):
    d = place("{dir}/prog %f", 'b=$(dirname $0)/box; if mkdir $b/first 2> /dev/null; then while [ -d $b ]; do sleep 0.2; done; fi\necho "$1" >> $b/list\n')
    assert send(d.port, "f@there.test", [f"{me()}@here.test"], message("m"))[0] == 250
    assert until(lambda: (d.box / "first").exists(), 10)
    d.kill()
    d.start()
    assert until(lambda: d.queue() == [], 30, 0.1), d.log
    assert (d.box / "list").read_text().split() == ["f@there.test"]


def test_the_time_limit_outlives_the_queue(place):
    """The queue ends in the middle; the program is not waited for, but neither is it forgotten."""
    d = place("{dir}/prog %f", 'b=$(dirname $0)/box; if mkdir $b/first 2> /dev/null; then echo $$ > $b/new; mv $b/new $b/pid; while [ -d $b ]; do sleep 0.1; done; fi\n'
              'echo "$1" >> $b/list\n', local="timeout 2s")
    assert send(d.port, "f@there.test", [f"{me()}@here.test"], message("m"))[0] == 250
    assert until(lambda: (d.box / "pid").exists(), 10)
    pid = int((d.box / "pid").read_text())
    os.kill(d.role("queue")[0], signal.SIGKILL)
    assert until(lambda: (d.box / "list").exists(), 20), d.log
    assert until(lambda: not os.path.exists(f"/proc/{pid}"), 10), "it still runs"
    assert until(lambda: d.queue() == [], 10, 0.1)
    assert (d.box / "list").read_text().split() == ["f@there.test"]


@pytest.mark.parametrize("who", ['"{me}"', '"{ME}"'])
def test_idle_quotes_are_no_other_user(place, who):
    d = note(place("{dir}/prog %u", start=False)).start()
    assert send(d.port, "f@there.test", [who.format(me=me(), ME=me().upper()) + "@here.test"], message("m"))[0] == 250
    assert until(lambda: notes(d), 10), d.log
    assert notes(d)[0][2] == f"<{me()}>"


@pytest.mark.parametrize("who", ['"-froot"', '"../x"', '"."', '"a b"', '"$(id)"', '"root"', '"ro\\ot"', "Root", '""'])
def test_quotes_hide_nothing(place, who):
    d = note(place("{dir}/prog %u", start=False)).start()
    c = Client(d.port)
    c.cmd("MAIL FROM:<>")
    if c.cmd(f"RCPT TO:<{who}@here.test>")[0] == 250:
        c.cmd("DATA")
        c.send(message("m") + b".\r\n")
        assert c.reply()[0] == 250
        assert d.wait_event("delivery", status="bounced"), d.log
    c.quit()
    assert not notes(d)
