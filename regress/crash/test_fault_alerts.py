"""Fault points of alerts: a process dies while an administrator is told, and he is told all the same: by mail once, by the
command at least once."""
import signal

import pytest

from harness.client import message, send
from harness.daemon import until
from test_alerts import BOSS, alerts, program
from test_fault_points import points

OF_ALERTS = [p for p in points() if p.startswith(("queue.alert.", "monitor.alert."))]


def test_all_of_them_are_here():
    assert len(OF_ALERTS) >= 4


@pytest.mark.parametrize("nth", [1, 2])
@pytest.mark.parametrize("point", OF_ALERTS)
def test_a_process_dies_there(daemon, sink, look, point, nth):
    """While it is told that something begins, and that it is over.  What waits is not touched."""
    pager, s = sink(), sink(lambda stage, *_: "451 4.3.0 later" if stage == "rcpt" else None)
    by_mail = point != "queue.alert.before_commit"      # a message has points of its own
    d = daemon(f"transport pager {{ smarthost 127.0.0.1:{pager.port} }}\nalert {{\n after 200ms\n command {{dir}}/tell\n" +
               (f" to {BOSS}\n via pager\n" if by_mail else "") + "}\n"
               f"transport up {{ smarthost 127.0.0.1:{s.port} }}\nroute via up\nretry 1h\nwarn-after off\n", start=False)
    place = program(d, f'echo "$SMARTHOSTD_ALERT_KIND $SMARTHOSTD_ALERT_STATE" >> {d.dir}/told/all\n')
    hit = d.dir / "hit"
    hit.touch()
    hit.chmod(0o666)
    d.env.update(SMARTHOSTD_FAULT=f"{point}:{nth}=kill", SMARTHOSTD_FAULT_HIT=str(hit), SMARTHOSTD_FAULT_ONCE="1")

    def told():
        return (place / "all").read_text().split("\n")[:-1] if (place / "all").exists() else []

    def died():
        assert until(lambda: hit.read_text().split() == [point], 20), f"{point} is never passed"
        if point.startswith("monitor."):
            assert d.wait(20) == -signal.SIGKILL
            assert until(lambda: not d.pids(), 6)
            d.start()
        assert until(lambda: d.relayctl("status").returncode == 0)

    d.start()
    ident = send(d.port, "a@here.test", ["x@there.test"], message("m"))[1].split()[-1]
    if nth == 1:
        died()
    assert until(lambda: "queue begin" in told(), 20), told()
    assert [m["id"] for m in d.queue("--to", "x@there.test")] == [ident]
    assert until(lambda: d.relayctl("queue", "remove", ident).returncode == 0)
    if nth == 2:
        died()
    assert until(lambda: "queue end" in told(), 20), told()
    assert until(lambda: [k for k, _ in alerts(pager)] == (["queue begin", "queue end"] if by_mail else [])), alerts(pager)
    assert all(told().count(x) <= 2 for x in set(told())) and len(told()) <= 3, told()
    look.verify(d)
