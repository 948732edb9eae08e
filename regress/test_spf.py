"""relayctl spf check: results by a real resolver against a scripted name server, JSON, exit statuses."""
import json
import subprocess

import pytest

from harness.daemon import BIN, work_dir


@pytest.fixture
def check(names, tmp_path):
    """check(ip, sender, ...) runs `spf check` without a daemon; the JSON document."""
    conf = tmp_path / "c.conf"
    conf.write_text(f"spool-directory {tmp_path}/spool\nhostname relay.test\nresolver {names.address}\ndnssec off\nlisten 127.0.0.1:2525 {{ }}\n")

    def run(*args, status=0, text=False):
        r = subprocess.run([BIN / "relayctl", "-f", conf, "spf", "check", *args, *([] if text else ["--json"])], capture_output=True, text=True, timeout=60)
        assert r.returncode == status, r
        return r if text or status else json.loads(r.stdout)

    def judge(ip, sender, *args, **kw):
        return run("--ip", ip, "--from", sender, *args, **kw)
    judge.run = run
    return judge


def test_results_mechanisms_and_explanations(names, check):
    names.add("good.test", "TXT", "something else", "v=spf1 ip4:192.0.2.1 a:mail.good.test include:inc.test exp=why.good.test -all")
    names.add("mail.good.test", "A", "192.0.2.9").add("inc.test", "TXT", "v=spf1 mx:m.test ~all").add("m.test", "MX", "10 a.m.test.")
    names.add("a.m.test", "AAAA", "2001:db8::1").add("why.good.test", "TXT", "%{i} is not allowed for %{s}, %{h}, says %{r}")
    v = check("192.0.2.1", "x@good.test")
    assert v.keys() >= {"result", "mechanism", "explanation", "lookups", "void_lookups"}
    assert (v["result"], v["mechanism"], v["explanation"], v["lookups"], v["void_lookups"]) == ("pass", "ip4:192.0.2.1", None, 0, 0)
    v = check("192.0.2.9", "x@good.test")
    assert (v["result"], v["mechanism"], v["lookups"]) == ("pass", "a:mail.good.test", 1)
    v = check("2001:db8::1", "x@good.test")
    assert (v["result"], v["mechanism"], v["lookups"], v["void_lookups"]) == ("pass", "include:inc.test", 3, 1)
    v = check("192.0.2.2", "x@good.test", "--helo", "h.test")
    assert (v["result"], v["mechanism"]) == ("fail", "-all")
    assert v["explanation"] == "192.0.2.2 is not allowed for x@good.test, h.test, says relay.test"
    assert check("192.0.2.1", "<>", "--helo", "good.test")["result"] == "pass"
    assert check("::ffff:192.0.2.1", "x@good.test")["result"] == "pass"
    r = check("192.0.2.1", "x@good.test", text=True)
    assert "pass" in r.stdout and "ip4:192.0.2.1" in r.stdout


def test_ptr_and_odd_names(names, check):
    names.host("mail.ptr.test", "192.0.2.7", "2001:db8::7").add("ptr.test", "TXT", "v=spf1 ptr -all")
    assert check("192.0.2.7", "x@ptr.test")["result"] == "pass"
    assert check("2001:db8::7", "x@ptr.test")["result"] == "pass"
    assert check("192.0.2.8", "x@ptr.test")["result"] == "fail"
    names.add("odd.test", "TXT", "v=spf1 exists:%{l}.odd.test -all").add("a\\032b\\058c.odd.test", "A", "127.0.0.2")
    assert check("192.0.2.7", "a b:c@odd.test")["result"] == "pass"
    assert check("192.0.2.7", "a b@odd.test")["result"] == "fail"
    assert check("192.0.2.7", "a..b@odd.test")["result"] == "fail", "a name that cannot be asked for is none"


def test_long_records_over_tcp_in_several_strings(names, check):
    names.add("long.test", "TXT", "v=spf1 " + " ".join(f"ip4:198.51.100.{i}" for i in range(200)) + " ip4:192.0.2.1 -all").rule("long.test", "truncate")
    assert check("192.0.2.1", "x@long.test")["result"] == "pass"
    assert any(q[2] == "tcp" for q in names.questions)


@pytest.mark.parametrize("rule,result", [("servfail", "temperror"), ("refused", "temperror"), ("nxdomain", "none"), ("nodata", "none")])
def test_what_dns_fails_to_say(names, check, rule, result):
    names.add("x.test", "TXT", "v=spf1 -all").rule("x.test", rule)
    v = check("192.0.2.1", "u@x.test")
    assert v["result"] == result and v["explanation"] and v["mechanism"] is None


def test_a_mistake_in_the_record_and_too_many_lookups(names, check):
    names.add("bad.test", "TXT", "v=spf1 ipv4:192.0.2.1 -all").add("two.test", "TXT", "v=spf1 -all", "v=spf1 +all")
    v = check("192.0.2.1", "u@bad.test")
    assert v["result"] == "permerror" and "ipv4:192.0.2.1" in v["explanation"]
    assert check("192.0.2.1", "u@two.test")["result"] == "permerror"
    names.add("many.test", "TXT", "v=spf1 " + "include:i.test " * 11 + "-all").add("i.test", "TXT", "v=spf1 ?all")
    v = check("192.0.2.1", "u@many.test")
    assert v["result"] == "permerror" and "10 lookups" in v["explanation"] and v["lookups"] == 11
    names.add("void.test", "TXT", "v=spf1 a:a.void.test a:b.void.test a:c.void.test -all")
    v = check("192.0.2.1", "u@void.test")
    assert v["result"] == "permerror" and v["void_lookups"] == 3


def test_a_wrong_signature_is_no_answer(names, tmp_path):
    names.sign("signed.test").add("signed.test", "TXT", "v=spf1 ip4:192.0.2.1 -all").add("wrong.signed.test", "TXT", "v=spf1 +all")
    names.rule("wrong.signed.test", "bogus")
    (tmp_path / "anchors").write_text(names.anchors())
    conf = tmp_path / "c.conf"
    conf.write_text(f"spool-directory {tmp_path}/spool\nresolver {names.address}\ntrust-anchor {tmp_path}/anchors\nlisten 127.0.0.1:2525 {{ }}\n")
    for domain, result in (("signed.test", "pass"), ("wrong.signed.test", "temperror")):
        r = subprocess.run([BIN / "relayctl", "-f", conf, "spf", "check", "--ip", "192.0.2.1", "--from", f"u@{domain}", "--json"], capture_output=True,
                           text=True, timeout=60)
        assert json.loads(r.stdout)["result"] == result, r


def test_usage_and_a_configuration_with_an_error(check):
    for args in (["--ip", "192.0.2.1"], ["--from", "a@b.test"], ["--ip", "192.0.2", "--from", "a@b.test"], ["--ip", "192.0.2.1", "--from", "<>"],
                 ["--ip", "192.0.2.1", "--from", "a@b.test", "--to", "c@d.test"], ["--ip", "192.0.2.1", "--from", "a@b.test", "more"]):
        r = check.run(*args, status=64)
        assert r.stderr.startswith("relayctl: ")
    d = work_dir()
    (d / "c.conf").write_text("nonsense\n")
    r = subprocess.run([BIN / "relayctl", "-f", d / "c.conf", "spf", "check", "--ip", "192.0.2.1", "--from", "a@b.test"], capture_output=True, text=True)
    assert r.returncode == 78 and "c.conf:1:" in r.stderr
    r = subprocess.run([BIN / "relayctl", "-f", d / "missing", "spf", "check", "--ip", "192.0.2.1", "--from", "a@b.test"], capture_output=True, text=True)
    assert r.returncode == 78
