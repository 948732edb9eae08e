"""relayctl dnscheck: what a domain's DNS lacks, by the addresses that its routes can leave from."""
import base64
import json
import os
import shutil
import subprocess
import time

import pytest

from harness.ca import CA
from harness.daemon import BIN, DeadPort
from harness.policies import Policies

KEY = base64.b64encode(b"\x30" * 294).decode()


def good_world(names, domain="good.test", ip="192.0.2.1", ip6="2001:db8::1"):
    names.host("relay.test", ip, ip6).add("relay.test", "TXT", "v=spf1 a -all")
    names.add(domain, "MX", "10 mx.%s." % domain).host("mx." + domain, "192.0.2.25")
    names.add(domain, "TXT", f"v=spf1 ip4:{ip} ip6:{ip6} -all")
    names.add("mail._domainkey." + domain, "TXT", "v=DKIM1; k=rsa; p=" + KEY)
    names.add("_dmarc." + domain, "TXT", "v=DMARC1; p=reject; rua=mailto:d@" + domain)
    names.add("_mta-sts." + domain, "TXT", "v=STSv1; id=20260101").add("mta-sts." + domain, "A", "127.0.0.1")
    names.add("_smtp._tls." + domain, "TXT", "v=TLSRPTv1; rua=mailto:t@" + domain)
    return names


@pytest.fixture
def check(names, tmp_path):
    """check(config, domain...): exit status, {domain: [(name, status, text, publish)]}; policies: where the web server of their
    MTA-STS policies is, nobody's port else."""
    nobody = DeadPort()

    def run(config, *domains, status=None, text=False, dnssec=False, policies=nobody):
        (tmp_path / "anchors").write_text(names.anchors())
        conf = tmp_path / "c.conf"
        conf.write_text(f"spool-directory {tmp_path}/spool\nhostname relay.test\nresolver {names.address}\nlisten 127.0.0.1:2525 {{ }}\n"
                        + (f"trust-anchor {tmp_path}/anchors\n" if dnssec else "dnssec off\n") + config)
        r = subprocess.run([BIN / "relayctl", "-f", conf, "dnscheck", *domains, *([] if text else ["--json"])], capture_output=True, text=True, timeout=90,
                           env={**os.environ, "SMARTHOSTD_MTA_STS_PORT": str(policies.port)})
        assert status is None or r.returncode == status, r
        if text:
            return r
        doc = json.loads(r.stdout)
        out = {d["domain"]: [(c["name"], c["status"], c["text"], c["publish"]) for c in d["checks"]] for d in (doc if isinstance(doc, list) else [doc])}
        return out if len(domains) > 1 else out[domains[0]]
    yield run
    nobody.release()


@pytest.fixture(scope="module")
def ca():
    made = CA()
    yield made
    shutil.rmtree(made.dir)


@pytest.fixture
def web(ca):
    made = Policies(ca.server)
    yield made
    made.stop()


DIRECT = "transport out { direct; source-address 192.0.2.1 2001:db8::1 }\nroute via out\n"


def of(found, name, status=None):
    return [c for c in found if c[0] == name and status in (None, c[1])]


def test_a_domain_that_is_well(names, check, ca, web):
    good_world(names)
    web.publish("good.test", "enforce", "mx.good.test")
    found = check(f"tls-ca {ca.file}\n" + DIRECT, "good.test", status=0, policies=web)
    assert not [c for c in found if c[1] == "error"]
    assert {c[0] for c in found} == {"routes", "mx", "dane", "spf", "spf-helo", "ptr", "dkim", "dmarc", "mta-sts", "tlsrpt"}
    assert not [c for c in found if c[1] != "ok" and c[0] != "dane"], found
    assert "192.0.2.1" in str(of(found, "spf", "ok")) and "2001:db8::1" in str(of(found, "spf", "ok"))
    r = check(DIRECT, "good.test", text=True)
    assert r.returncode == 0 and "good.test" in r.stdout and "mx.good.test" in r.stdout


def test_spf_that_does_not_pass_is_an_error_with_the_record_to_publish(names, check):
    good_world(names).set("good.test", "TXT", "v=spf1 ip4:192.0.2.1 include:x.test ~all").add("x.test", "TXT", "v=spf1 ?all")
    found = check(DIRECT, "good.test", status=1)
    bad, = of(found, "spf", "error")
    assert "2001:db8::1" in bad[2] and "softfail" in bad[2] and "~all" in bad[2]
    assert bad[3] == 'good.test. TXT "v=spf1 ip4:192.0.2.1 include:x.test ip6:2001:db8::1 ~all"'
    names.drop("good.test", "TXT")
    found = check(DIRECT, "good.test", status=1)
    assert [c[3] for c in of(found, "spf", "error")] == ['good.test. TXT "v=spf1 ip4:192.0.2.1 ip6:2001:db8::1 mx ~all"'] * 2
    names.set("good.test", "TXT", "v=spf1 ip4:192.0.2.1 redirect=x.test")
    bad, = of(check(DIRECT, "good.test", status=1), "spf", "error")
    assert "ip6:2001:db8::1 redirect=x.test" in bad[3]


def test_a_wrong_record_and_too_many_lookups(names, check):
    good_world(names).set("good.test", "TXT", "v=spf1 ip4:192.0.2.1 ip6:2001:db8::1 " + "a:x.test " * 10 + "a:y.test -all")
    found = check(DIRECT, "good.test", status=1)
    assert "11 lookups" in of(found, "spf", "error")[0][2]
    names.set("good.test", "TXT", "v=spf1 ip4:192.0.2.1 ip6:2001:db8::1 " + "a:x.test " * 10 + "-all")
    found = check(DIRECT, "good.test", status=0)
    assert "10 lookups" in of(found, "spf", "warning")[0][2]
    names.set("good.test", "TXT", "v=spf1 ip4:192.0.2.1 ipv6:2001:db8::1 -all")
    assert "ipv6" in of(check(DIRECT, "good.test", status=1), "spf", "error")[0][2]
    names.rule("good.test", "servfail", "TXT")
    assert len(of(check(DIRECT, "good.test", status=1), "spf", "error")) == 2


def test_the_helo_name(names, check):
    good_world(names).drop("relay.test", "TXT")
    found = check(DIRECT, "good.test", status=0)
    assert {c[3] for c in of(found, "spf-helo", "warning")} == {'relay.test. TXT "v=spf1 a -all"'}
    names.add("relay.test", "TXT", "v=spf1 -all")
    found = check(DIRECT, "good.test", status=1)
    assert len(of(found, "spf-helo", "error")) == 2
    names.host("other.test", "192.0.2.1").add("other.test", "TXT", "v=spf1 a ip6:2001:db8::1 -all")
    found = check(DIRECT.replace("direct;", "direct; helo other.test;"), "good.test", status=0)
    assert len(of(found, "spf-helo", "ok")) == 2


def test_ptr_and_forward_match(names, check):
    good_world(names)
    names.drop("1.2.0.192.in-addr.arpa")
    found = check(DIRECT, "good.test", status=1)
    bad, = of(found, "ptr", "error")
    assert bad[3] == "1.2.0.192.in-addr.arpa. PTR relay.test."
    names.add("1.2.0.192.in-addr.arpa", "PTR", "elsewhere.test.")
    bad, = of(check(DIRECT, "good.test", status=1), "ptr", "error")
    assert "elsewhere.test" in bad[2] and bad[3] == "elsewhere.test. A 192.0.2.1"
    names.add("elsewhere.test", "A", "192.0.2.1")
    warned, = of(check(DIRECT, "good.test", status=0), "ptr", "warning")
    assert "elsewhere.test" in warned[2] and "relay.test" in warned[2]


@pytest.mark.parametrize("mx,status,word", [
    (None, "error", "no way"), (["0 ."], "error", "null MX"), (["10 gone.test."], "error", "no MX host has an address"), ("nothing", "error", "no such domain")])
def test_no_way_to_receive_mail(names, check, mx, status, word):
    good_world(names).drop("good.test", "MX")
    if mx == "nothing":
        names.drop("good.test")
        names.rule("good.test", "nxdomain")
    elif mx:
        names.add("good.test", "MX", *mx)
    found = check(DIRECT, "good.test", status=1)
    assert any(word in c[2] for c in of(found, "mx", "error")), found


def test_mx_warnings(names, check):
    good_world(names).add("good.test", "MX", "20 gone.test.")
    found = check(DIRECT, "good.test", status=0)
    assert "gone.test" in of(found, "mx", "warning")[0][2]
    names.drop("good.test", "MX").add("good.test", "A", "192.0.2.25")
    found = check(DIRECT, "good.test", status=0)
    assert of(found, "mx", "warning")[0][3] == "good.test. MX 10 relay.test."
    names.rule("good.test", "servfail", "MX")
    assert of(check(DIRECT, "good.test", status=1), "mx", "error")


def test_keys_and_policies(names, check):
    good_world(names)
    names.set("mail._domainkey.good.test", "TXT", "v=DKIM1; p=" + base64.b64encode(b"\x30" * 162).decode())
    names.add("s1._domainkey.good.test", "TXT", "v=DKIM1; p=").add("k1._domainkey.good.test", "TXT", "k=ed25519; p=" + base64.b64encode(b"x" * 32).decode())
    names.set("_dmarc.good.test", "TXT", "v=DMARC1; p=maybe").set("_mta-sts.good.test", "TXT", "v=STSv1; id=").set("_smtp._tls.good.test", "TXT", "v=TLSRPTv1")
    found = check(DIRECT, "good.test", status=0)
    texts = {c[2].split("`")[1]: c for c in of(found, "dkim")}
    assert "2048" in texts["mail"][2] and texts["mail"][1] == "warning" and "revoked" in texts["s1"][2] and texts["k1"][1] == "ok"
    for name in ("dmarc", "mta-sts", "tlsrpt"):
        assert of(found, name, "warning")[0][3], name
    names.drop("_mta-sts.good.test").drop("_smtp._tls.good.test").drop("_dmarc.good.test").add("_dmarc.good.test", "TXT", "v=DMARC1; p=none", "v=DMARC1; p=reject")
    for s in ("mail", "s1", "k1"):
        names.drop(s + "._domainkey.good.test")
    found = check(DIRECT, "good.test", status=0)
    assert of(found, "dkim", "warning") and "2 records" in of(found, "dmarc", "warning")[0][2]
    assert of(found, "mta-sts", "warning")[0][3] == '_mta-sts.good.test. TXT "v=STSv1; id=1"'
    assert of(found, "tlsrpt", "warning")[0][3].startswith('_smtp._tls.good.test. TXT "v=TLSRPTv1; rua=mailto:')


def sts(check, ca, web, statement=None):
    statement = f"tls-ca {ca.file}\n" if statement is None else statement
    return [(c[1], c[2]) for c in of(check(statement + DIRECT, "good.test", status=0, policies=web), "mta-sts")]


def test_a_policy_of_mta_sts(names, check, ca, web):
    good_world(names).add("good.test", "MX", "20 other.mx.test.").add("other.mx.test", "A", "192.0.2.26")
    web.publish("good.test", "enforce", "*.good.test", age=14 * 86400)
    record, policy, unlisted = sts(check, ca, web)
    assert record[0] == policy[0] == "ok" and "mode enforce" in policy[1] and "14d" in policy[1]
    assert unlisted == ("warning", "the policy does not list other.mx.test: senders with MTA-STS do not deliver there")
    web.publish("good.test", "testing", "*.good.test", "*.mx.test", age=600)
    record, policy, short = sts(check, ca, web)
    assert policy[0] == "ok" and "mode testing" in policy[1] and short[0] == "warning" and "10m is short" in short[1]
    web.publish("good.test", "none")
    assert sts(check, ca, web)[1:] == [("warning", "a policy, mode none (senders demand nothing), for 7d")]
    names.drop("good.test", "MX").add("good.test", "A", "192.0.2.25")
    web.publish("good.test", "enforce", "mx.good.test")
    assert "without an MX record" in sts(check, ca, web)[2][1]


@pytest.mark.parametrize("page, why", [(dict(text="hello"), "is no policy: line 1"), (dict(type="text/html", text=""), "no text/plain"),
                                       (dict(status=302, headers={"Location": "/"}, text=""), "redirect (302)"), (dict(status=404, text=""), "answers with 404"),
                                       (dict(text="version: STSv1\nmode: enforce\nmax_age: 1\n"), "`mx` is missing")])
def test_a_policy_that_does_not_count(names, check, ca, web, page, why):
    good_world(names)
    web.publish("good.test", "enforce", "mx.good.test")
    web.answer("good.test", **page)
    record, policy = sts(check, ca, web)
    assert record[0] == "ok" and policy[0] == "warning" and why in policy[1], policy


def test_a_policy_that_cannot_be_fetched(names, check, ca, web):
    good_world(names)
    web.publish("good.test", "enforce", "mx.good.test", context=ca.server("elsewhere.test"))
    assert "certificate is not good" in sts(check, ca, web)[1][1]
    web.publish("good.test", "enforce", "mx.good.test", context=ca.server("mta-sts.good.test"))
    assert "certificate is not good" in sts(check, ca, web, "")[1][1]
    bad = ca.dir / "bad.pem"
    bad.write_text("no certificate\n")
    assert "holds no PEM certificate" in sts(check, ca, web, f"tls-ca {bad}\n")[1][1]
    web.pages["mta-sts.good.test"]["slow"] = 60
    began = time.monotonic()
    assert "cannot be fetched from here: no answer in time" in sts(check, ca, web)[1][1]
    assert time.monotonic() - began < 20
    web.stop()
    assert "cannot be fetched from here" in sts(check, ca, web)[1][1]
    web.start()
    names.drop("mta-sts.good.test")
    assert "has no address" in sts(check, ca, web)[1][1]


def test_dmarc_of_the_domain_above(names, check):
    good_world(names, "sub.org.test").drop("_dmarc.sub.org.test").add("_dmarc.org.test", "TXT", "v=DMARC1; p=none")
    assert "_dmarc.org.test" in of(check(DIRECT, "sub.org.test", status=0), "dmarc", "ok")[0][2]
    names.drop("_dmarc.org.test")
    assert of(check(DIRECT, "sub.org.test", status=0), "dmarc", "warning")[0][3].startswith('_dmarc.sub.org.test. TXT "v=DMARC1; p=none;')


def test_dane_needs_signatures(names, check):
    good_world(names.sign("good.test")).add("_25._tcp.mx.good.test", "TLSA", "3 1 1 " + "ab" * 32)
    found = check(DIRECT, "good.test", status=0, dnssec=True)
    assert of(found, "dane", "ok"), found
    assert of(check(DIRECT, "good.test", status=0), "dane", "warning"), "without DNSSEC it counts for nothing"
    names.set("_25._tcp.mx.good.test", "TLSA", "1 1 1 " + "ab" * 32)
    assert "usage 1" in of(check(DIRECT, "good.test", status=0, dnssec=True), "dane", "warning")[0][2]
    names.rule("_25._tcp.mx.good.test", "servfail")
    assert of(check(DIRECT, "good.test", status=0, dnssec=True), "dane", "warning")


def test_only_the_routes_that_the_domain_can_take(names, check):
    good_world(names).set("good.test", "TXT", "v=spf1 ip4:192.0.2.7 -all").host("relay.test", "192.0.2.7", "192.0.2.8", "192.0.2.9")
    conf = """
transport one { direct; source-address 192.0.2.7 }
transport two { direct; source-address 192.0.2.8 }
transport three { direct; source-address 192.0.2.9 }
transport up { smarthost up.test }
route from @other.test via two
route from @good.test to @x.test via up
%s
"""
    found = check(conf % "route from .test via one\nroute via three", "good.test", status=0)
    assert {c[2].split()[0] for c in of(found, "ptr")} == {"192.0.2.7"}
    assert any("up.test" in c[2] for c in of(found, "routes"))
    found = check(conf % "domain good.test { route attempts 3 via one three }\nroute via one", "good.test", status=1)
    assert {c[2].split()[0] for c in of(found, "spf", "error")} == {"192.0.2.9"}
    # an account that gives the domain to a provider: nothing leaves from here
    found = check(conf.replace("route from @good.test to @x.test via up", "") % "account a { senders @good.test; submission h.test; username u; password p }",
                  "good.test", status=0)
    assert not of(found, "ptr") and any("h.test" in c[2] for c in of(found, "routes"))


def test_addresses_of_proxies(names, check):
    good_world(names).set("good.test", "TXT", "v=spf1 ip4:198.51.100.7 -all")
    names.host("out.test", "198.51.100.7", "198.51.100.8").add("out.test", "TXT", "v=spf1 a -all")
    conf = """
transport out {
  direct
  socks5 127.0.0.1:1080 { remote-address 198.51.100.7; remote-hostname out.test }
  socks5 127.0.0.1:1081 { remote-address 198.51.100.8 }
  socks5 127.0.0.1:1082 { }
}
route via out
"""
    found = check(conf, "good.test", status=1)
    assert {c[2].split()[0] for c in of(found, "spf", "ok") if "proxy" in c[2]} == {"198.51.100.7"}
    bad, = of(found, "spf", "error")
    assert "198.51.100.8" in bad[2] and bad[3] == 'good.test. TXT "v=spf1 ip4:198.51.100.7 ip4:198.51.100.8 -all"'
    assert "127.0.0.1:1082" in of(found, "routes", "warning")[0][2]
    assert {(c[1], c[2].split()[0]) for c in of(found, "ptr")} == {("ok", "198.51.100.7"), ("warning", "198.51.100.8")}
    assert any("out.test from 198.51.100.7" in c[2] for c in of(found, "spf-helo", "ok"))


def test_several_domains_and_idna(names, check):
    good_world(names), good_world(names, "xn--bcher-kva.test")
    names.add("bad.test", "TXT", "v=spf1 -all").add("bad.test", "MX", "10 relay.test.")
    found = check(DIRECT, "good.test", "bad.test", status=1)
    assert set(found) == {"good.test", "bad.test"} and not of(found["good.test"], "spf", "error") and of(found["bad.test"], "spf", "error")
    r = check(DIRECT, "Bücher.test", text=True)
    assert r.returncode == 0 and "xn--bcher-kva.test" in r.stdout


def test_the_machine_itself(names, check):
    good_world(names)
    found = check("", "good.test")
    if not of(found, "ptr"):
        assert of(found, "routes", "warning"), "no address in the world, and that is told"
    else:
        assert all(c[1] in ("ok", "error") for c in of(found, "spf"))


def test_usage(check):
    assert check(DIRECT, text=True).returncode == 64
    for bad in ("a@b.test", "[192.0.2.1]", "a b", "-x.test"):
        assert check(DIRECT, "--", bad, text=True).returncode == 64, bad
    assert check("nonsense\n", "good.test", text=True).returncode == 78


@pytest.mark.timeout(60)
def test_answers_of_absurd_size_and_text(names, check):
    """They cost neither minutes nor the terminal."""
    good_world(names)
    names.set("_dmarc.good.test", "TXT", "v=DMARC1;p=none;" + "".join(f"t{i}=;" for i in range(8500)))
    names.set("mail._domainkey.good.test", "TXT", b"v=DKIM1; p=" + b"\x1b[31m\x00\xff" * 9000)
    names.set("_mta-sts.good.test", "TXT", b"v=STSv1; id=\x00\x1b[2J\xff")
    names.set("_smtp._tls.good.test", "TXT", *(f"v=TLSRPTv1; rua=mailto:{i}@x" for i in range(300)))
    names.add("good.test", "TXT", *("noise " + "z" * 100 + str(i) for i in range(200)))
    names.host("many.test", *(f"10.{i // 250}.1.{i % 250 + 1}" for i in range(2000)))
    names.set("good.test", "MX", "0 mx.good.test.", *(f"10 many.test." for i in range(1)), *(f"20 no{i}.test." for i in range(40)))
    found = check(DIRECT, "good.test", status=0)
    assert of(found, "mx", "ok") and len(of(found, "mx", "warning")) == 40 and of(found, "spf", "ok")
    for name in ("dmarc", "dkim", "mta-sts", "tlsrpt"):
        assert of(found, name, "warning"), (name, of(found, name))
    r = check(DIRECT, "good.test", text=True)
    assert r.returncode == 0 and not any(ord(c) < 32 and c != "\n" for c in r.stdout)


@pytest.mark.parametrize("record", [
    "v=spf1 " + "ip4:192.0.2.9 " * 4000 + "-all", "v=spf1 " + "a:%{l1r-}%{d}.x.test " * 3000, "v=spf1 exists:" + "%{s}" * 250 + ".x.test -all",
    "v=spf1 include:good.test -all", "v=spf1 redirect=good.test", "v=spf1 " + "include:%{d} " * 11 + "-all", "v=spf1 -all " + "x=" + "y" * 60000])
@pytest.mark.timeout(60)
def test_hostile_records_end_at_once(names, check, record):
    good_world(names)
    names.set("good.test", "TXT", record)
    found = check(DIRECT, "good.test", status=1)
    assert of(found, "spf", "error")
