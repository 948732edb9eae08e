"""metrics: numbers for Prometheus, by HTTP and by relayctl."""
import os
import re
import signal
import socket
import subprocess

import pytest

from harness.client import Client, message, send
from harness.daemon import BIN, DeadPort, free_port, until


def http(port, request, timeout=10):
    """All that is answered to these octets."""
    with socket.create_connection(("127.0.0.1", port), timeout) as s:
        s.sendall(request)
        out = b""
        while True:
            piece = s.recv(65536)
            if not piece:
                return out
            out += piece


def get(port, path):
    """(status, body)"""
    head, body = http(port, f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode()).split(b"\r\n\r\n", 1)
    assert int(re.search(rb"Content-Length: (\d+)", head).group(1)) == len(body)
    return int(head.split()[1]), body.decode()


def numbers(text):
    """{name with labels: value}; every line is well-formed, every name has its type."""
    out, types = {}, {}
    for line in text.splitlines():
        g = re.fullmatch(r"# TYPE (smarthostd_\w+) (counter|gauge|histogram)", line)
        if g:
            assert g.group(1) not in types
            types[g.group(1)] = g.group(2)
            continue
        g = re.fullmatch(r'(smarthostd_\w+)((?:\{\w+="(?:[^"\\\n]|\\.)*"(?:,\w+="(?:[^"\\\n]|\\.)*")*\})?) (\d+(?:\.\d+)?(?:e[+-]\d+)?)', line)
        assert g, line
        base = re.sub(r"_(bucket|sum|count)$", "", g.group(1))
        assert g.group(1) in types or types.get(base) == "histogram", line
        assert g.group(1) + g.group(2) not in out
        out[(g.group(1) + g.group(2)).replace("smarthostd_", "", 1)] = float(g.group(3))
    return out


@pytest.fixture
def counted(daemon, sink):
    up, dead, port = sink(lambda stage, _, arg: "550 no" if stage == "rcpt" and "nobody" in str(arg) else "451 later" if stage == "rcpt" and "later" in str(arg)
                          else None), DeadPort(), free_port()
    d = daemon(f"metrics 127.0.0.1:{port}\ntransport up {{ smarthost 127.0.0.1:{up.port} }}\ntransport dead {{ smarthost 127.0.0.1:{dead.port} }}\n"
               "account shop { default }\nroute to dead.test via dead\nroute via up\nretry 1h\nwarn-after off\nbounce-to postmaster\npostmaster pm@there.test\n")
    d.metrics = port
    return d


def test_what_is_counted(counted):
    d = counted
    for to in ("x@there.test", "y@there.test", "nobody@there.test", "later@there.test", "z@dead.test"):
        send(d.port, "a@here.test", [to], message("m"))
    c = Client(d.port)
    assert c.cmd("MAIL FROM:<a@here.test> SIZE=999999999999")[0] == 552
    c.quit()
    assert until(lambda: len(d.events("delivery")) >= 6)
    listener = f'messages_received_total{{listener="127.0.0.1:{d.port}"}}'
    assert until(lambda: any(k.startswith("messages_rejected_total{reason=") for k in numbers(get(d.metrics, "/metrics")[1])))
    n = numbers(get(d.metrics, "/metrics")[1])
    assert n[listener] == 5
    assert n['deliveries_total{transport="up",result="delivered"}'] == 3 and n['deliveries_total{transport="up",result="bounced"}'] == 1
    assert n['deliveries_total{transport="up",result="deferred"}'] == 1 and n['deliveries_total{transport="dead",result="deferred"}'] == 1
    assert n['connections_total{transport="up",result="ok"}'] >= 1 and n['connections_total{transport="dead",result="failed"}'] >= 1
    assert n['queue_messages{status="deferred"}'] == 2 and n['queue_messages{status="held"}'] == 0 and "queue_oldest_seconds" in n
    assert n['transport_up{transport="up"}'] == 1 and n['transport_up{transport="dead"}'] == 0
    assert n['account_parked{account="shop"}'] == 0 and n["spool_free_bytes"] > 0
    assert n["delivery_seconds_count"] == 3 == n['delivery_seconds_bucket{le="+Inf"}'] and 0 <= n["delivery_seconds_sum"] < 30
    assert n["commit_seconds_count"] == n["commit_messages_count"] > 0 and n["commit_messages_sum"] >= 5
    assert {k for k in n if k.startswith("role_restarts_total")} == {f'role_restarts_total{{role="{r}"}}' for r in ("listener", "queue", "delivery", "auth")}
    for name in ("delivery_seconds", "commit_seconds", "commit_messages"):
        v = [n[k] for k in n if k.startswith(name + "_bucket")]
        assert v == sorted(v) and v[-1] == n[name + "_count"]


def test_relayctl_prints_the_same(counted):
    r = counted.relayctl("metrics")
    assert r.returncode == 0 and r.stderr == ""
    assert numbers(r.stdout).keys() == numbers(get(counted.metrics, "/metrics")[1]).keys()
    counted.stop()
    r = counted.relayctl("metrics")
    assert r.returncode == 69 and "not running" in r.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to be somebody else")
def test_others_may_not_ask_relayctl(counted):
    r = subprocess.run([str(BIN / "relayctl"), "-s", str(counted.run / "control.sock"), "metrics"], capture_output=True, text=True, user="daemon", group="daemon",
                       extra_groups=[])
    assert r.returncode == 77


def test_health(counted):
    d = counted
    assert get(d.metrics, "/healthz") == (200, "ok\n") and get(d.metrics, "/readyz") == (200, "ready\n")
    pid = d.role("queue")[0]
    os.kill(pid, signal.SIGSTOP)
    os.kill(pid, signal.SIGKILL)
    assert until(lambda: get(d.metrics, "/readyz")[0] == 200), "the queue is back"
    assert until(lambda: numbers(get(d.metrics, "/metrics")[1])['role_restarts_total{role="queue"}'] == 1)


@pytest.mark.parametrize("request_, status", [
    (b"GET /nothing HTTP/1.1\r\n\r\n", b"404"), (b"POST /metrics HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc", b"405"), (b"GET /metrics\r\n\r\n", b"400"),
    (b"nonsense\r\n\r\n", b"400"), (b"\r\n\r\n", b"400"), (b"GET /metrics SMTP/1\r\n\r\n", b"400"), (b"GET /metricsx HTTP/1.1\r\n\r\n", b"404"),
    (b"GET /metrics?x=1 HTTP/1.0\r\n\r\n", b"200"), (b"HEAD /healthz HTTP/1.1\n\n", b"200"), (b"GET\0/metrics HTTP/1.1\r\n\r\n", b"400")], ids=repr)
def test_requests(counted, request_, status):
    answer = http(counted.metrics, request_)
    assert answer.split()[1] == status, answer
    assert b"\r\nConnection: close\r\n" in answer
    if request_.startswith(b"HEAD"):
        assert answer.endswith(b"\r\n\r\n")


def test_garbage_and_silence_harm_nobody(counted):
    d = counted
    assert http(d.metrics, b"GET /" + b"a" * 100000).split()[1] == b"431"
    idle = [socket.create_connection(("127.0.0.1", d.metrics)) for _ in range(7)]
    assert get(d.metrics, "/healthz")[0] == 200
    for s in idle:
        s.close()
    assert until(lambda: not d.role("local")), "each answer has its own process, and it ends"


def test_a_queue_that_hangs_is_not_ready(counted):
    d = counted
    pid = d.role("queue")[0]
    os.kill(pid, signal.SIGSTOP)
    try:
        assert get(d.metrics, "/healthz") == (200, "ok\n") and get(d.metrics, "/readyz")[0] == 503 and get(d.metrics, "/metrics")[0] == 503
    finally:
        os.kill(pid, signal.SIGCONT)
    assert until(lambda: get(d.metrics, "/readyz")[0] == 200)


def test_those_who_ask_nothing_do_not_keep_others_for_long(counted):
    idle = [socket.create_connection(("127.0.0.1", counted.metrics)) for _ in range(40)]
    idle[0].sendall(b"GET /metr")
    assert http(counted.metrics, b"GET /healthz HTTP/1.1\r\n\r\n", 30).split()[1] == b"200"
    for s in idle:
        s.close()


@pytest.mark.parametrize("more", [b"GET /healthz HTTP/1.1\r\n\r\n" * 2000, b"x" * 300000], ids=["pipelined", "body"])
def test_what_is_sent_behind_a_request_costs_nobody_the_answer(counted, more):
    answer = http(counted.metrics, b"GET /metrics HTTP/1.1\r\n\r\n" + more)
    assert answer.startswith(b"HTTP/1.1 200 ") and answer.count(b"HTTP/1.1") == 1 and b"role_restarts_total" in answer


def test_many_at_once(counted):
    asked = [socket.create_connection(("127.0.0.1", counted.metrics), 30) for _ in range(100)]
    for s in asked:
        s.sendall(b"GET /readyz HTTP/1.1\r\n\r\n")
    assert all(s.recv(65536).startswith(b"HTTP/1.1 200 ") for s in asked)
    for s in asked:
        s.close()


def test_sums_are_told_to_the_last_digit(daemon, sink):
    """What grows by less than a millionth must be seen to grow."""
    s = sink(lambda stage, *_: "451 later" if stage == "rcpt" and not clock.stat().st_size > 1 else None)
    d = daemon(f"transport up {{ smarthost 127.0.0.1:{s.port} }}\nroute via up\nretry 1h\nexpire 25d\nwarn-after off\n", start=False)
    clock = d.dir / "clock"
    clock.write_text("0")
    d.env["SMARTHOSTD_CLOCK_OFFSET_FILE"] = str(clock)
    d.start()
    send(d.port, "a@here.test", ["x@there.test"], message("m"))
    assert d.wait_event("delivery", status="deferred")
    clock.write_text(str(20 * 86400 * 1000))
    d.relayctl("queue", "retry", "--all")       # it is due, and may be gone already
    assert until(lambda: s.messages) and d.wait_empty()
    text = d.relayctl("metrics").stdout
    assert re.search(r"(?m)^smarthostd_delivery_seconds_sum 17280\d\d\.\d{3}$", text), text
    assert re.search(r"(?m)^smarthostd_commit_messages_sum \d+$", text), text


def test_a_reload_moves_it(counted):
    d, port = counted, free_port()
    d.conf.write_text(d.conf.read_text().replace(f"metrics 127.0.0.1:{d.metrics}", f"metrics 127.0.0.1:{port}"))
    d.signal(signal.SIGHUP)

    def answers(p):
        try:
            return get(p, "/healthz")[0] == 200
        except ConnectionRefusedError:
            return False
    assert until(lambda: answers(port)) and until(lambda: not answers(d.metrics))
