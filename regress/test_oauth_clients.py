"""Other programs log in elsewhere with our tokens: msmtp sends, mbsync fetches, both by `relayctl oauth token`."""
import http.server
import json
import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import threading
import urllib.parse

import pytest

from harness.daemon import BIN, free_port, until, work_dir, work_user
from harness.submission import PROGRAM
from test_oauth import World, account, token_file

IMAP = "/usr/lib/dovecot/imap"


@pytest.fixture
def world():
    w = World()
    yield w
    w.stop()


def needs(*programs):
    gone = [p for p in programs if not (shutil.which(p) or os.path.exists(p))]
    return pytest.mark.skipif(bool(gone), reason=f"not installed: {' '.join(gone)}")


def token_command(d):
    return f"{BIN}/relayctl -f {d.conf} oauth token a@corp.test"


@needs("msmtp")
@pytest.mark.parametrize("method", ["oauthbearer", "xoauth2"])
def test_msmtp(daemon, world, method):
    p = world.provider()
    up = world.upstream(p.good, mechanisms=(method.upper(),))
    d = daemon(account(world, up, f"  oauth2 token-file {token_file(world, p)}"))
    rc = world.dir / "msmtprc"
    rc.write_text(f"account default\nhost localhost\nport {up.port}\ntls on\ntls_starttls on\ntls_trust_file {world.ca.file}\nauth {method}\n"
                  f"user a@corp.test\nfrom a@corp.test\npasswordeval \"{token_command(d)}\"\n")
    rc.chmod(0o600)
    r = subprocess.run(["msmtp", "-C", rc, "--", "to@far.test"], input=b"Subject: x\n\nhi\n", capture_output=True, timeout=30)
    assert r.returncode == 0, r.stderr.decode()
    assert up.to("to@far.test")[0].session.login == "a@corp.test"


class Introspection:
    """Tells Dovecot whose a token is (RFC 7662)."""

    def __init__(self, good):
        class Handler(http.server.BaseHTTPRequestHandler):
            def log_message(self, *_):
                pass

            def do_POST(self):
                form = urllib.parse.parse_qs(self.rfile.read(int(self.headers.get("Content-Length", 0))).decode())
                active = good("a@corp.test", form.get("token", [""])[0])
                body = json.dumps({"active": bool(active), **({"email": "a@corp.test"} if active else {})}).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/introspect"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


class DovecotImap:
    """IMAP with TLS; who logs in shows a token, and nothing else."""

    def __init__(self, pair, introspection):
        self.dir, self.port = work_dir("dovecot-"), free_port()
        self.log, self.box = self.dir / "log", self.dir / "home" / "box"
        user = work_user()
        me = pwd.getpwnam(user)
        for name in ("run", "state", "home", "home/box", "home/box/new", "home/box/cur", "home/box/tmp"):
            (self.dir / name).mkdir()
            os.chown(self.dir / name, me.pw_uid if name.startswith("home") else -1, -1)
        (self.dir / "oauth2").write_text(f"introspection_mode = post\nintrospection_url = {introspection}\nusername_attribute = email\n"
                                         "active_attribute = active\nactive_value = true\n")
        group = subprocess.run(["id", "-gn", user], capture_output=True, text=True).stdout.strip()
        conf = self.dir / "dovecot.conf"
        conf.write_text(f"""
base_dir = {self.dir}/run
state_dir = {self.dir}/state
log_path = {self.log}
auth_verbose = yes
protocols = imap
listen = 127.0.0.1
default_internal_user = {user}
default_internal_group = {group}
default_login_user = {user}
auth_mechanisms = oauthbearer xoauth2 plain login
auth_failure_delay = 0
ssl = required
ssl_cert = <{pair[0]}
ssl_key = <{pair[1]}
passdb {{
  driver = oauth2
  args = {self.dir}/oauth2
}}
userdb {{
  driver = static
  args = uid={me.pw_uid} gid={me.pw_gid} home={self.dir}/home
}}
first_valid_uid = 1
mail_location = maildir:{self.box}
service anvil {{
  chroot =
}}
service stats {{
  chroot =
}}
service imap-login {{
  chroot =
  inet_listener imap {{
    port = {self.port}
  }}
  inet_listener imaps {{
    port = 0
  }}
}}
""")
        self.proc = subprocess.Popen([PROGRAM, "-F", "-c", str(conf)], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=open(self.dir / "err", "wb"),
                                     start_new_session=True)
        assert until(self._answers, 15), "Dovecot does not start:\n" + self.said

    def _answers(self):
        try:
            with socket.create_connection(("127.0.0.1", self.port), 1) as s:
                return s.recv(100).startswith(b"* OK")
        except OSError:
            return False

    @property
    def said(self):
        return "".join(p.read_text(errors="replace") for p in (self.dir / "err", self.log) if p.exists())

    def stop(self):
        if self.proc.poll() is None:
            self.proc.send_signal(signal.SIGTERM)
            try:
                self.proc.wait(10)
            except subprocess.TimeoutExpired:
                self.proc.kill()
                self.proc.wait()
        shutil.rmtree(self.dir, ignore_errors=True)


@needs("mbsync", PROGRAM, IMAP)
def test_mbsync(daemon, world):
    p = world.provider()
    d = daemon(account(world, world.upstream(p.good), f"  oauth2 token-file {token_file(world, p)}"))
    asked = Introspection(p.good)
    v = DovecotImap(world.ca.cert("localhost", file="imap"), asked.url)
    try:
        (v.box / "new" / "1.1.x").write_bytes(b"Subject: fetched with a token\n\nhi\n")
        shutil.chown(v.box / "new" / "1.1.x", work_user())
        rc, here = world.dir / "mbsyncrc", world.dir / "mail"
        here.mkdir()

        def sync(command):
            rc.write_text(f"IMAPAccount up\nHost localhost\nPort {v.port}\nUser a@corp.test\nPassCmd \"{command}\"\nSSLType STARTTLS\n"
                          f"CertificateFile {world.ca.file}\nAuthMechs PLAIN LOGIN\n\nIMAPStore far\nAccount up\n\n"
                          f"MaildirStore near\nPath {here}/\nInbox {here}/inbox\n\nChannel all\nFar :far:\nNear :near:\nPatterns INBOX\nCreate Near\nSyncState *\n")
            rc.chmod(0o600)
            return subprocess.run(["mbsync", "-c", rc, "all"], capture_output=True, text=True, timeout=60, env={**os.environ, "HOME": str(world.dir)})
        r = sync("echo no-token-at-all")
        assert r.returncode != 0 and not list(here.glob("inbox/*/*"))
        r = sync(token_command(d))
        assert r.returncode == 0, r.stdout + r.stderr + v.said
        got = [f.read_text() for f in here.glob("inbox/*/*") if f.is_file()]
        assert len(got) == 1 and re.search("Subject: fetched with a token", got[0])
    finally:
        v.stop()
        asked.stop()
