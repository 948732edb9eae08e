"""The measurements of `make bench`: each takes servers and returns figures."""
import json
import os
import re
import subprocess
import time

from servers import Failed, Idle, Sink, cpu_seconds, disk_usage, load, memory, tool

MIB = 1 << 20
_run = 0


def next_run():
    global _run
    _run += 1
    return _run


def limits(directory, seconds):
    p = subprocess.run([tool("limits"), directory, str(seconds)], stdout=subprocess.PIPE, text=True)
    if p.returncode != 0:
        raise Failed("limits cannot be measured")
    return json.loads(p.stdout)


def store(directory, seconds):
    """What the store alone commits: {"4 KiB, 10 per commit": (messages/s, us of CPU)}."""
    os.makedirs(directory)
    p = subprocess.run([tool("store_bench"), directory, str(seconds)], stdout=subprocess.PIPE, text=True)
    found = re.findall(r"^(\S.*?)\s+(\d+) messages/s\s+([\d.]+) us", p.stdout, re.M)
    if p.returncode != 0 or not found:
        raise Failed("store_bench does not work")
    return {name: (int(rate), float(us)) for name, rate, us in found}


def relay(server, sink, sessions, messages, size=4096, seconds=30):
    """So many messages through a server: rates, CPU, latency."""
    run = next_run()
    sink.begin(run, messages)
    cpu = cpu_seconds(server.process.pid)
    a = load(server.port, sessions, messages, size, run, seconds)
    b = sink.result(seconds)
    cpu = cpu_seconds(server.process.pid) - cpu
    if b["twice"] or b["damaged"]:
        raise Failed(f"{server.name}: {b['twice']} messages came twice, {b['damaged']} damaged")
    took = (b["last_us"] - a["started_us"]) / 1e6
    return {
        "accepted/s": a["accepted"] / a["seconds"] if a["seconds"] else 0, "relayed/s": b["unique"] / took if b["unique"] else 0,
        "missing": b["missing"], "refused": a["refused"] + a["broken"], "cpu/1000": cpu * 1000 / max(b["unique"], 1), "MB/s": b["octets"] / took / 1e6 if b["unique"] else 0,
        "ack p50": a["p50_ms"], "ack p99": a["p99_ms"], "p50": b["p50_ms"], "p99": b["p99_ms"],
    }


def idle(server, sessions):
    """Octets for each of so many sessions that do nothing."""
    with_few = Idle(server.port, 5)     # what is allocated once is there
    with_few.close()
    time.sleep(0.2)
    before = memory(server.process.pid)
    held = Idle(server.port, sessions)
    after = memory(server.process.pid)
    held.close()
    return (after - before) / sessions


def spawn(argv, env, stdin):
    """Milliseconds of one run of a program, and its exit status."""
    start = time.monotonic()
    pid = os.posix_spawn(argv[0], argv, env, file_actions=[(os.POSIX_SPAWN_OPEN, 0, stdin, os.O_RDONLY, 0)])
    status = os.waitpid(pid, 0)[1]
    return (time.monotonic() - start) * 1000, os.waitstatus_to_exitcode(status)


def sendmail(server, times):
    """Milliseconds of one call of sendmail, the next after the other; the middle one of them."""
    argv, env = server.sendmail()
    message = server.dir + "/message"
    with open(message, "w") as f:
        f.write("Subject: bench\n\n" + "a line of text\n" * 60)
    argv = argv + ["-i", "-f", "sender@client.example", "rcpt@far.example"]
    runs = [spawn(argv, {**os.environ, **env}, message) for _ in range(times)]
    if any(status for _, status in runs):
        raise Failed(f"{server.name}: sendmail ends with status {max(status for _, status in runs)}")
    return sorted(ms for ms, _ in runs)[times // 2]


def fork_exec(times):
    return sorted(spawn(["/bin/true"], dict(os.environ), "/dev/null")[0] for _ in range(times))[times // 2]


def full_queue(server, mute, messages, seconds=40):
    """Fills the queue while the next hop (the socket mute) says nothing, starts anew, and lets it drain.  server is not started yet; mute is closed."""
    port = mute.getsockname()[1]
    run = next_run()
    server.start()
    cpu = cpu_seconds(server.process.pid)
    a = load(server.port, 100, messages, 4096, run, seconds)
    cpu = cpu_seconds(server.process.pid) - cpu
    disk = disk_usage(server.spool())
    server.stop()
    mute.close()
    sink = Sink(port)
    try:
        sink.begin(run, a["accepted"])
        start = time.clock_gettime(time.CLOCK_MONOTONIC)
        restart = server.start()
        b = sink.result(seconds)
    finally:
        sink.close()
    took = b["last_us"] / 1e6 - start - restart
    return {
        "accepted/s": a["accepted"] / a["seconds"] if a["seconds"] else 0, "cpu/1000": cpu * 1000 / max(a["accepted"], 1), "disk": disk / max(a["accepted"], 1),
        "restart": restart, "drained/s": b["unique"] / took if b["unique"] and took > 0 else 0, "missing": b["missing"], "twice": b["twice"],
    }
