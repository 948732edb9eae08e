"""smarthostd -n and starts that must fail: clear words, FILE:LINE, exit status 78 for the configuration."""
import os
import re
import socket
import subprocess

import pytest

from harness.client import message, send
from harness.daemon import BIN, SRC, DeadPort, check, free_port, smarthost, until, work_dir, work_user

UP = "transport up { smarthost mail.example.net }\nroute via up\n"


def test_the_example_is_accepted():
    r = subprocess.run([BIN / "smarthostd", "-f", SRC / "etc" / "smarthostd.conf", "-n"], capture_output=True, text=True, timeout=30)
    assert r.returncode == 0 and "configuration ok" in r.stdout + r.stderr, r.stderr


def test_an_empty_file_is_a_configuration():
    status, text, _ = check("")
    assert status == 0 and "configuration ok" in text


def test_three_mistakes_are_told_in_one_run_with_suggestions():
    status, text, where = check("hostnam relay.test\n\nretry soon\ntransport up {\n  smarthost mail.example.net:99999\n}\nroute via down\n")
    assert status == 78
    for line, word in ((1, "hostname"), (3, "soon"), (5, "99999"), (7, "down")):
        assert re.search(rf"(?m)^{re.escape(where)}/smarthostd\.conf:{line}: .*{word}", text), (line, text)
    assert "configuration ok" not in text


@pytest.mark.parametrize("text,line,words", [
    ("listen 127.0.0.1:2525 {\n  allow 127.0.0.0/8\n", 1, "}"),
    ("listen 127.0.0.1:2525 {\n  allow 300.0.0.0/8\n}\n", 2, "300.0.0.0/8"),
    ("listen 127.0.0.1:2525 {\n  allow 0.0.0.0/0\n}\n", 2, "open-relay-i-know-what-i-do"),
    ("client 8.8.8.0/24 { }\n", 1, "open-relay-i-know-what-i-do"),
    ("hostname a.test\nhostname b.test\n", 2, "hostname"),
    ('hostname "a.test\n', 1, "quote"),
    ("}\n", 1, "}"),
    ("max-message-size 10X\n", 1, "10X"),
    ("transport a { smarthost x.test }\ntransport a { smarthost y.test }\n", 2, "a"),
    ("transport a { }\n", 1, "a"),
    ("transport a { smarthost x.test; maildir /x }\n", 1, "maildir"),
    ("transport a { smarthost x.test; tls-verify on; tls opportunistic }\n", 1, "tls"),
    ("route to a.test\n", 1, "via"),
    ("include /nonexistent/file.conf\n", 1, "/nonexistent/file.conf"),
    ("hostname ${SURELY_NOT_SET_ANYWHERE}\n", 1, "SURELY_NOT_SET_ANYWHERE"),
    ("account a { default }\naccount b { default }\n", 2, "default"),
    ("metrics localhost:9100\n", 1, "localhost"), ("metrics 127.0.0.1\n", 1, "127.0.0.1"), ("metrics unix:/run/m.sock\n", 1, "ADDRESS:PORT"),
    ("alert {\n}\n", 1, "needs somebody to tell"),
    ("alert {\nto a@b.test\nvia nowhere\n}\n", 3, "nowhere"),
    ("alert {\nto nobody\n}\n", 2, "nobody"),
    ("alert {\nto a@b.test\nafter soon\n}\n", 3, "soon"),
    ("alert {\ncommand /nonexistent/program\n}\n", 2, "/nonexistent/program"),
    ("alert {\nto a@b.test\n}\nalert {\nto c@d.test\n}\n", 4, "twice"),
    ("\xff\xfe\n", 1, ""),
])
def test_mistakes_name_their_line(text, line, words):
    status, said, where = check(text)
    assert status == 78
    assert re.search(rf"(?m)^{re.escape(where)}/smarthostd\.conf:{line}: .*{re.escape(words)}", said), said


# who builds one of these takes it out of here
LATER = [
    "dashboard 127.0.0.1:9101",
    "listen 127.0.0.1:2525 {\n@proxy-protocol 10.0.0.0/8\n}",
    "listen 127.0.0.1:2525 {\n@auth-mechanisms DIGEST-MD5\n}", "transport x {\nsubmission a.test\n@auth-mechanisms SCRAM-SHA-512\n}",
]


@pytest.mark.parametrize("text", LATER, ids=lambda t: re.sub(r".*@", "", t, flags=re.S).split("\n")[0])
def test_what_a_later_version_brings_is_refused_and_not_ignored(text):
    line = next((n for n, x in enumerate(text.split("\n"), 1) if x.startswith("@")), 1)
    status, said, where = check(text.replace("@", "", 1) if "\n@" in text else text)
    assert status == 78
    assert re.search(rf"(?m)^{re.escape(where)}/smarthostd\.conf:{line}: .*not supported yet", said), said


# secrets

SECRETS = ["login x {\n  password file pw\n}\n", UP + "transport y {\n  submission a.test\n  username u\n  password file pw\n}\n"]


@pytest.mark.parametrize("text", SECRETS)
@pytest.mark.parametrize("mode,status", [(0o600, 0), (0o400, 0), (0o640, 78), (0o604, 78), (0o644, 78)])
def test_a_secrets_file_that_others_can_read_is_an_error(text, mode, status):
    got, said, where = check(text, {"pw": ("verysecret\n", mode)})
    assert got == status and "verysecret" not in said
    if status:
        assert re.search(rf"(?m)^{re.escape(where)}/smarthostd\.conf:\d+: .*pw", said)


def test_a_configuration_with_a_secret_in_it_must_be_private():
    d = work_dir("conf-")
    f = d / "smarthostd.conf"
    f.write_text("login x { password verysecret }\n")
    for mode, status in ((0o600, 0), (0o644, 78)):
        f.chmod(mode)
        r = subprocess.run([BIN / "smarthostd", "-f", f, "-n"], capture_output=True, text=True, timeout=30)
        assert r.returncode == status and "verysecret" not in r.stdout + r.stderr, r.stderr
    f.unlink()
    d.rmdir()


def test_no_secret_is_shown():
    d = work_dir("conf-")
    (d / "pw").write_text("filesecret\n")
    (d / "pw").chmod(0o600)
    f = d / "smarthostd.conf"
    f.write_text(f"login x {{ password inlinesecret }}\ntransport y {{\n submission a.test\n username u\n password file {d}/pw\n}}\n")
    f.chmod(0o600)
    r = subprocess.run([BIN / "relayctl", "-f", f, "config", "show"], capture_output=True, text=True, timeout=30)
    assert r.returncode == 0 and "secret" not in r.stdout + r.stderr, r.stdout
    assert "submission a.test" in r.stdout


# a bad start

def ends(d, status=None, words=""):
    """The daemon must end by itself: with that status, or any but 0, and say why."""
    before = len(d.out_path.read_text()) if d.out_path.exists() else 0
    d.start_raw()
    got = d.wait(15)
    assert got == status if status is not None else got not in (None, 0), got
    assert re.search(words, d.log), d.log
    assert "smarthostd: ready" not in d.out_path.read_text()[before:]
    assert until(lambda: not d.pids(), 6)


def test_a_bad_configuration_ends_the_start_with_78(daemon):
    ends(daemon("nonsense here\n", start=False), 78, r"smarthostd\.conf:1: .*nonsense")


def test_a_missing_configuration_ends_the_start_with_78(daemon):
    d = daemon(start=False)
    d.conf.unlink()
    ends(d, 78, r"smarthostd\.conf.*No such file")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root changes users")
def test_an_unknown_user_is_named(daemon):
    d = daemon(start=False)
    d.conf.write_text(d.conf.read_text().replace(f"user {work_user()}", "user no-such-user-here"))
    ends(d, None, "no-such-user-here")


def test_a_port_that_is_taken_is_named(daemon):
    d = daemon(start=False)
    with socket.socket() as s:
        s.bind(("127.0.0.1", d.port))
        s.listen()
        ends(d, None, rf"127\.0\.0\.1:{d.port}.*in use")


def test_an_address_that_is_not_ours_is_named(daemon):
    ends(daemon(f"listen 192.0.2.1:{free_port()} {{ allow 127.0.0.0/8 }}\n", start=False), None, r"192\.0\.2\.1")


def test_a_spool_that_cannot_be_made_is_named(daemon):
    d = daemon(start=False)
    (d.dir / "file").write_text("")
    d.conf.write_text(d.conf.read_text().replace(str(d.spool), str(d.dir / "file" / "spool")))
    ends(d, None, "file/spool.*Not a directory|Not a directory.*file|mkdir.*file")


def test_a_spool_that_is_a_file_is_named(daemon):
    d = daemon(start=False)
    d.spool.write_text("")
    ends(d, None, f"{d.spool}")


@pytest.mark.skipif(os.geteuid() != 0, reason="needs a directory of somebody else")
def test_a_spool_of_somebody_else_is_named(daemon):
    d = daemon(start=False)
    d.spool.mkdir()
    os.chown(d.spool, 12345, 12345)
    ends(d, None, f"{d.spool}.*12345")


def test_a_spool_directory_whose_parents_are_missing_is_made(daemon, sink):
    s = sink()
    d = daemon(smarthost(s.port), start=False)
    deep = d.dir / "a" / "b" / "spool"
    d.conf.write_text(d.conf.read_text().replace(str(d.spool), str(deep)))
    d.start()
    assert deep.is_dir()
    assert send(d.port, "from@here.test", ["to@there.test"], message("m"))[0] == 250
    assert until(lambda: s.messages, 8)


def test_a_second_daemon_on_the_same_directories_is_refused(daemon):
    a = daemon()
    b = daemon(start=False)
    b.conf.write_text(b.conf.read_text().replace(str(b.dir), str(a.dir)))
    ends(b, None, "(?i)running|lock|already")
    assert a.proc.poll() is None and not a.events("role", level="error")



def test_a_queue_of_a_newer_version_is_left_alone(daemon, sink):
    dead = DeadPort()
    d = daemon("retry 1h\n" + smarthost(dead.port))
    assert send(d.port, "from@here.test", ["to@there.test"], message("m"))[0] == 250
    assert d.stop() == 0
    schema("99", d)
    ends(d, None, "(?i)newer|version")
    schema("01", d)
    s = sink(port=dead.release())
    d.start()
    d.relayctl("queue", "retry", "--all")
    assert until(lambda: s.messages, 8), "what was in it is still there"


def schema(number, d):
    """Changes the number of the version that is written in the queue."""
    queue = d.spool / "queue"
    text = subprocess.run(["mdb_dump", "-s", "meta", queue], capture_output=True, text=True, check=True).stdout
    out = re.sub(r"(?m)^( 736368656d61\n 000000)..$", rf"\g<1>{number}", text)
    subprocess.run(["mdb_load", "-s", "meta", queue], input=out, text=True, check=True)


def test_a_queue_that_is_garbage_is_left_alone(daemon):
    d = daemon()
    assert d.stop() == 0
    data = d.spool / "queue" / "data.mdb"
    garbage = os.urandom(8192)
    with open(data, "r+b") as f:
        f.write(garbage)
    ends(d)
    with open(data, "rb") as f:
        assert f.read(8192) == garbage


def test_a_queue_that_is_cut_off_ends_the_start(daemon):
    d = daemon()
    assert d.stop() == 0
    os.truncate(d.spool / "queue" / "data.mdb", 5000)
    ends(d)


@pytest.mark.parametrize("args,status,words", [(["--version"], 0, "smarthostd"), (["--help"], 0, "usage"), (["-Z"], 64, "(?i)usage|unknown|invalid|--help"),
                                               (["-f"], 64, "(?i)argument|usage|--help"), (["surplus"], 64, "(?i)usage|--help|surplus")])
def test_the_command_line(args, status, words):
    r = subprocess.run([BIN / "smarthostd", *args], capture_output=True, text=True, timeout=20)
    assert r.returncode == status and re.search(words, r.stdout + r.stderr)
