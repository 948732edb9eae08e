"""Lists and commands on some thousands of messages: in slices, with progress on a terminal, and nobody waits for them."""
import os
import pty
import re
import select
import subprocess
import threading
import time

import pytest

from harness.client import Client, message, send
from harness.daemon import BIN, until

N = 3000


def give_many(port, first, count, failed):
    try:
        c = Client(port)
        for i in range(first, first + count):
            code, text = c.pipelined(f"{'odd' if i % 2 else 'even'}@here.test", [f"r{i}@dead.test"], message(f"m{i}"))
            assert code == 250, text
        c.quit()
    except Exception as e:
        failed.append(repr(e))


def fill(d, n=N, sessions=10):
    failed = []
    threads = [threading.Thread(target=give_many, args=(d.port, k * n // sessions, n // sessions, failed)) for k in range(sessions)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not failed, failed


@pytest.fixture
def full(daemon, sink):
    """Thousands of messages behind a paused transport, beside one that works."""
    live, dead = sink(), sink()
    d = daemon(f"transport dead {{ smarthost 127.0.0.1:{dead.port} }}\ntransport live {{ smarthost 127.0.0.1:{live.port} }}\n"
               "route to dead.test via dead\nroute via live\nretry 1h\nwarn-after off\n")
    d.live, d.dead = live, dead
    assert d.relayctl("transport", "pause", "dead").returncode == 0
    fill(d)
    assert until(lambda: counts(d)["active"] == 0)
    return d


def counts(d):
    return d.relayctl_json("status")["queue"]


def total(d):
    c = counts(d)
    return c["queued"] + c["active"] + c["deferred"] + c["held"]


def waiting(d, name):
    return next(t["waiting"] for t in d.relayctl_json("status")["transports"] if t["name"] == name)


def done(r):
    assert r.returncode == 0, r.stderr
    return int(re.match(r"(\d+) done", r.stdout).group(1))


def test_a_list_ends_at_its_limit_and_status_counts_all(full):
    d = full
    listed = d.queue("--limit", "20")
    assert len(listed) == 20 and listed == d.queue()[:20], "the oldest, in order"
    assert [m["id"] for m in listed] == sorted(m["id"] for m in listed)
    assert len(d.queue("--from", "odd@here.test", "--limit", "7")) == 7
    assert len(d.queue("--to", f"r{N - 1}@dead.test")) == 1
    assert total(d) == N and waiting(d, "dead") == N
    d.restart()
    assert total(d) == N and waiting(d, "dead") == N
    d.kill()
    d.start()
    assert total(d) == N and waiting(d, "dead") == N and len(d.queue()) == N


def test_queue_watches_what_it_has_in_memory(full):
    # opened before the walls stand; what it does with it: test/store/test_due_count.c
    fds = f"/proc/{full.role('queue')[0]}/fd"
    links = [os.readlink(f"{fds}/{n}") for n in os.listdir(fds)]
    assert any(link.endswith("/statm") for link in links), links


def test_each_action_takes_what_is_selected_and_no_more(full):
    d = full
    assert done(d.relayctl("queue", "hold", "--from", "odd@here.test")) == N // 2
    assert counts(d)["held"] == N // 2 and waiting(d, "dead") == N // 2
    assert len(d.queue("--status", "held")) == N // 2
    assert done(d.relayctl("queue", "release", "--status", "held", "--limit", "1000")) == 1000
    assert counts(d)["held"] == N // 2 - 1000 and waiting(d, "dead") == N // 2 + 1000
    assert done(d.relayctl("queue", "remove", "--status", "held")) == N // 2 - 1000
    assert total(d) == N // 2 + 1000 and counts(d)["held"] == 0
    assert done(d.relayctl("queue", "move", "--transport", "live", "--from", "odd@here.test")) == 1000
    assert until(lambda: total(d) == N // 2, 30)
    assert sorted(d.live.ids().values()) == [1] * 1000 and {k[1] for k in d.live.ids()} <= {f"r{i}@dead.test" for i in range(1, N, 2)}
    assert done(d.relayctl("queue", "remove", "--all")) == N // 2
    assert total(d) == 0 and waiting(d, "dead") == 0 and d.dead.messages == []
    r = d.relayctl("queue", "remove", "--all")
    assert r.returncode == 1 and "no message matches" in r.stderr
    assert d.relayctl("queue", "verify").returncode == 0


def test_new_mail_does_not_wait_for_an_action(full):
    d = full
    slowest = 0
    for command in (["hold", "--all"], ["release", "--all"], ["remove", "--all"]):
        p = subprocess.Popen([str(BIN / "relayctl"), "-f", str(d.conf), "queue", *command], stdout=subprocess.PIPE, env=d.environment())
        while True:
            running = p.poll() is None
            start, name = time.monotonic(), f"new-{command[0]}-{time.monotonic_ns()}"
            # its recipient is not one that the action is about to find: it is gone before
            assert send(d.port, "new@here.test", ["new@live.test"], message(name))[0] == 250
            if command[0] == "release":
                assert until(lambda: (name, "new@live.test") in d.live.ids(), 10)
            slowest = max(slowest, time.monotonic() - start)
            if not running:
                break
        assert p.wait(60) == 0, p.stdout.read()
        p.stdout.close()
    assert slowest < 3, "seconds, on whatever machine this is"


def test_a_caller_that_leaves_ends_its_action_between_two_messages(full):
    d = full
    p = subprocess.Popen([str(BIN / "relayctl"), "-f", str(d.conf), "queue", "remove", "--all"], stdout=subprocess.PIPE, env=d.environment())
    until(lambda: total(d) < N, 10)
    p.kill()
    p.wait()
    p.stdout.close()
    left = []

    def still():
        left.append(total(d))
        return len(left) > 2 and left[-1] == left[-2]
    assert until(still, 20, 0.2)
    assert len(d.queue()) == left[-1] and waiting(d, "dead") == left[-1]
    r = d.relayctl("queue", "verify")
    assert r.returncode == 0, r.stdout


def on_terminal(d, *args):
    """Exit status, and what a terminal saw on standard error."""
    master, slave = pty.openpty()
    p = subprocess.Popen([str(BIN / "relayctl"), "-f", str(d.conf), *args], stdout=subprocess.DEVNULL, stderr=slave, env=d.environment())
    os.close(slave)
    seen = b""
    while True:
        try:
            if not select.select([master], [], [], 60)[0]:
                break
            piece = os.read(master, 65536)
        except OSError:         # the other side is closed
            break
        if not piece:
            break
        seen += piece
    os.close(master)
    return p.wait(60), seen.decode()


def test_progress_is_shown_on_a_terminal_and_nowhere_else(full, tmp_path):
    d = full
    status, seen = on_terminal(d, "queue", "hold", "--all")
    steps = [int(n) for n in re.findall(r"\r(\d+) done", seen)]
    assert status == 0 and len(steps) > 3 and steps == sorted(steps) and steps[-1] <= N
    assert seen.endswith("\r"), "the line is left clean"
    status, seen = on_terminal(d, "queue", "verify")
    steps = [int(n) for n in re.findall(rf"\r(\d+) of {N} messages", seen)]
    assert status == 0 and steps[-1] == N and len(steps) > 3 and seen.endswith("\r")
    status, seen = on_terminal(d, "queue", "backup", str(tmp_path / "backup.tar"))
    assert status == 0 and f"\r{N} of {N} messages" in seen
    for words in (["hold", "--all"], ["verify"], ["backup", str(tmp_path / "again.tar")]):
        r = d.relayctl("queue", *words)
        assert "\r" not in r.stderr + r.stdout


def test_a_backup_of_many_holds_them_and_nothing_else(full, tmp_path):
    d = full
    assert d.relayctl("queue", "backup", str(tmp_path / "backup.tar")).returncode == 0
    listed = subprocess.run(["tar", "-tf", str(tmp_path / "backup.tar")], capture_output=True, text=True, check=True).stdout
    assert "queue/data.mdb" in listed
    size = os.path.getsize(tmp_path / "backup.tar")
    assert N * 300 < size < N * 2000 + (1 << 20), "compacted: no free pages in it"
