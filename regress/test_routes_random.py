"""Which transport a message takes, asked 10,000 times of random configurations: `relayctl why --if --json` against a second evaluator, written
from smarthostd.conf(5) and not from the source.  SEED=N repeats one run, ROUTE_QUESTIONS=N asks more or fewer."""
import ipaddress
import json
import os
import random
import re
import subprocess

import pytest

from harness.daemon import BIN, work_dir

QUESTIONS = int(os.environ.get("ROUTE_QUESTIONS", "10000"))
SHARDS = 8
PER_CONF = 10

DOMAINS = ["corp.test", "a.corp.test", "b.a.corp.test", "x.test", "bücher.test", "test", "[192.0.2.1]"]
LOCALS = ["joe", "Joe", "jane", "alert", "alert-long", "alert-long-1", "a"]
STARS = ["al*", "alert*", "alert-*-1", "*", "j*e", "*e", "a*t*"]
CLIENTS = [None, "10.1.2.3", "10.1.9.9", "192.168.1.1", "2001:db8::1", "2001:db8:1::1", "uid:1000", "uid:1001"]
NETS = ["10.0.0.0/8", "10.1.0.0/16", "10.1.2.0/24", "10.1.2.3", "192.168.0.0/16", "2001:db8::/32", "2001:db8:1::/48"]
LOGINS = ["printer", "scanner", "cron"]


# ---- the evaluator

def idna(domain):
    domain = domain.lower()
    return domain if domain.startswith("[") else domain.encode("idna").decode()


class Address:
    def __init__(self, text):
        self.null = text == ""
        local, _, domain = text.rpartition("@")
        self.local, self.domain = local.lower(), idna(domain) if domain else ""


class Pattern:
    def __init__(self, text):
        self.local = None
        self.star = self.null = self.below = False
        if text == "*":
            self.star, self.rank = True, (4, 0)
            return
        if text == "<>":
            self.null, self.rank = True, (0, 0)
            return
        local, at, domain = text.rpartition("@")
        if domain.startswith(".") and not local:
            self.below, domain = True, domain[1:]
        self.domain = idna(domain)
        if local:
            self.local = local.lower()
            self.rank = (1, -len(local)) if "*" in local else (0, 0)
        else:
            self.rank = (3, -len(self.domain)) if self.below else (2, 0)

    def matches(self, a):
        if self.star:
            return True
        if self.null or a.null:
            return self.null and a.null
        if self.local is not None and not re.fullmatch(".*".join(map(re.escape, self.local.split("*"))), a.local, re.S):
            return False
        return a.domain == self.domain or self.below and a.domain.endswith("." + self.domain)


def best(patterns, a):
    """The most specific that matches, the first of equals; None."""
    hits = [p for p in map(Pattern, patterns) if p.matches(a)]
    return min(hits, key=lambda p: p.rank) if hits else None


def inside(client, nets):
    if not client or client.startswith("uid:"):
        return False
    ip = ipaddress.ip_address(client)
    return any(ip.version == n.version and ip in n for n in map(ipaddress.ip_network, nets))


def account_of(conf, q):
    accounts, a = conf["accounts"], Address(q["from"])
    for login in conf["logins"]:
        if login["name"] == q["login"] and login["account"]:
            return next(x for x in accounts if x["name"] == login["account"])
    blocks = [c for c in conf["clients"] if inside(q["client"], [c["net"]])]
    if blocks:
        block = max(blocks, key=lambda c: ipaddress.ip_network(c["net"]).prefixlen)
        if block["account"]:
            return next(x for x in accounts if x["name"] == block["account"])
    chosen = None
    for x in accounts:
        use = x["use-by"]
        if use and not ("login" in use and q["login"] or inside(q["client"], [u for u in use if "." in u or ":" in u]) or
                        q["client"] and q["client"].startswith("uid:") and q["client"][4:] in use):
            continue
        p = best(x["senders"] + ([x["name"]] if "@" in x["name"] else []), a)
        if p and (chosen is None or p.rank < chosen[0]):
            chosen = (p.rank, x)
    if chosen:
        return chosen[1]
    return next((x for x in accounts if x["default"]), None)


def failing(r, q):
    """The first criterion that fails, in the order of the statement's synopsis; None: it matches."""
    if r["from"] and not best(r["from"], Address(q["from"])):
        return "from"
    if r["to"] and not best(r["to"], Address(q["to"])):
        return "to"
    if q["attempts"] < r["attempts"]:
        return "attempts"
    if r["login"] and q["login"] not in r["login"]:
        return "login"
    if r["client"] and not inside(q["client"], r["client"]):
        return "client"
    if r["larger"] is not None and q["size"] <= r["larger"]:
        return "larger"
    if q["age"] < r["age"]:
        return "age"
    return None


def answer(conf, q):
    account = account_of(conf, q)
    sender = Address(q["from"])
    lists = [account["routes"]] if account else []
    matching = [d for d in conf["domains"] if Pattern(d["pattern"]).matches(sender)]
    lists += [d["routes"] for d in sorted(matching, key=lambda d: Pattern(d["pattern"]).rank)]
    lists.append(conf["routes"])
    considered = []
    for r in (r for routes in lists for r in routes):
        why = failing(r, q)
        considered.append((r["line"], why is None, why))
        if why is None:
            return account, r["line"], r["via"], considered
    if account and account["own"]:
        return account, None, [account["name"]], considered
    return account, None, ["direct"], considered


# ---- random configurations and questions

def pattern(rng):
    d = rng.choice(DOMAINS)
    kinds = ["@" + d, d, rng.choice(LOCALS) + "@" + d, rng.choice(STARS) + "@" + d, "*", "<>"]
    if not d.startswith("["):
        kinds += ["." + d, "@." + d]
    return rng.choice(kinds)


def patterns(rng, chance):
    return [pattern(rng) for _ in range(rng.randint(1, 3))] if rng.random() < chance else []


def route(rng, transports):
    return {"from": patterns(rng, .4), "to": patterns(rng, .6), "attempts": rng.choice([0, 0, 0, 1, 3, 5]),
            "login": rng.sample(LOGINS, rng.randint(1, 2)) if rng.random() < .1 else [], "client": rng.sample(NETS, rng.randint(1, 2)) if rng.random() < .15 else [],
            "larger": rng.choice([0, 1000, 5 << 20]) if rng.random() < .15 else None, "age": rng.choice([0, 0, 0, 0, 60, 14400]),
            "via": rng.sample(transports, rng.randint(1, min(3, len(transports))))}


def routes(rng, transports, most):
    return [route(rng, transports) for _ in range(rng.randint(0, most))]


def quote(words):
    return " ".join(f'"{w}"' if any(c in w for c in " {};#") else w for w in words)


def route_text(r):
    out = ["route"]
    for name in ("from", "to"):
        out += [name, quote(r[name])] if r[name] else []
    out += ["attempts", str(r["attempts"])] if r["attempts"] else []
    for name in ("login", "client"):
        out += [name, *r[name]] if r[name] else []
    out += ["larger", str(r["larger"])] if r["larger"] is not None else []
    out += ["age", f"{r['age']}s"] if r["age"] else []
    return " ".join(out + ["via", *r["via"]])


def make(rng):
    transports = [f"t{i}" for i in range(rng.randint(1, 5))]
    names = rng.sample(["scans", "devices", "joe@corp.test", "jane@a.corp.test", "alert@x.test", "rest", "press"], rng.randint(0, 5))
    accounts, lines = [], ["hostname here.test", "local-domains nowhere.invalid"]
    default = rng.choice(names) if names and rng.random() < .4 else None
    lines += [f"transport {t} {{ smarthost 127.0.0.1:{2525 + i} }}" for i, t in enumerate(transports)]
    for n in names:
        accounts.append({"name": n, "senders": patterns(rng, .7), "default": n == default, "own": rng.random() < .3, "routes": routes(rng, transports, 3),
                         "use-by": rng.sample(NETS + ["login", "1000", "1001"], rng.randint(1, 2)) if rng.random() < .25 else []})
    conf = {"accounts": accounts, "routes": routes(rng, transports, 4),
            "logins": [{"name": n, "account": rng.choice(names) if names and rng.random() < .6 else None} for n in LOGINS],
            "clients": [{"net": n, "account": rng.choice(names) if names and rng.random() < .6 else None}
                        for n in rng.sample([n for n in NETS if not n.startswith("2001")], rng.randint(0, 3))],
            "domains": []}
    seen = set()
    for _ in range(rng.randint(0, 4)):
        p = pattern(rng)
        if (key := p.lstrip("@").lower()) not in seen:
            seen.add(key)
            conf["domains"].append({"pattern": p, "routes": routes(rng, transports, 3)})

    def put(rs, indent):
        for r in rs:
            lines.append(indent + route_text(r))
            r["line"] = len(lines)
    parts = ["accounts", "domains", "routes", "logins", "clients"]
    rng.shuffle(parts)
    for part in parts:
        if part == "routes":
            put(conf["routes"], "")
        for x in conf[part] if part != "routes" else []:
            if part == "logins":
                lines.append(f"login {x['name']} {{ password secret" + (f"; account {x['account']}" if x["account"] else "") + " }")
            elif part == "clients":
                lines.append(f"client {x['net']} {{" + (f" account {x['account']}" if x["account"] else "") + " }")
            elif part == "domains":
                lines.append(f"domain {quote([x['pattern']])} {{")
                put(x["routes"], "  ")
                lines.append("}")
            else:
                lines.append(f"account {x['name']} {{")
                lines += [f"  senders {quote(x['senders'])}"] if x["senders"] else []
                lines += [f"  use-by {'uid ' if u.isdigit() else ''}{u}" for u in x["use-by"]]
                lines += ["  default"] if x["default"] else []
                lines += ["  submission 127.0.0.1:2587", "  username me", "  password secret"] if x["own"] else []
                put(x["routes"], "  ")
                lines.append("}")
    return conf, "\n".join(lines) + "\n"


def address(rng):
    return rng.choice(LOCALS) + "@" + rng.choice(DOMAINS + ["other.test", "z.corp.test", "CORP.test", "xn--bcher-kva.test"])


def question(rng):
    return {"from": "" if rng.random() < .1 else address(rng), "to": address(rng), "login": rng.choice([None] * 4 + LOGINS), "client": rng.choice(CLIENTS),
            "attempts": rng.choice([0, 0, 1, 2, 3, 4, 5]), "size": rng.choice([0, 1, 1000, 1001, (5 << 20) + 1]), "age": rng.choice([0, 59, 60, 14400])}


@pytest.mark.parametrize("shard", range(SHARDS))
def test_a_second_evaluator_finds_the_same(shard):
    seed = int(os.environ.get("SEED", "7")) * 1000 + shard
    rng = random.Random(seed)
    d = work_dir("routes-")
    path = d / "c"
    for n in range(QUESTIONS // SHARDS):
        if n % PER_CONF == 0:
            conf, text = make(rng)
            path.write_text(text)
            path.chmod(0o600)
        q = question(rng)
        args = [f"from={q['from'] or '<>'}", f"to={q['to']}"] + [f"{k}={q[k]}" for k in ("login", "client", "attempts", "size") if q[k]]
        args += [f"age={q['age']}s"] if q["age"] else []
        r = subprocess.run([BIN / "relayctl", "-f", path, "why", "--if", *args, "--json"], capture_output=True, text=True, timeout=20)
        where = f"seed {seed}, question {n}: {args}\n{text}"
        assert r.returncode == 0, r.stderr + where
        got = json.loads(r.stdout)
        account, line, via, considered = answer(conf, q)
        want = (account["name"] if account else None, f"{path}:{line}" if line else None, via, [(f"{path}:{ln}", ok, why) for ln, ok, why in considered])
        assert (got["account"], got["route"], got["transports"], [(c["route"], c["matched"], c["reason"]) for c in got["considered"]]) == want, where
    path.unlink()
    d.rmdir()
