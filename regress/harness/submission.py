"""Dovecot's submission service, in a directory of its own: a next hop that knows SASL."""
import base64
import grp
import os
import pwd
import shutil
import signal
import subprocess

from harness.daemon import free_port, until, work_dir, work_user

PROGRAM = shutil.which("dovecot") or "/usr/sbin/dovecot"
THERE = os.path.exists(PROGRAM) and os.path.exists("/usr/lib/dovecot/submission")


class Dovecot:
    """Dovecot(relay port, certificate, users, mechanisms): users is {name: password}; plain where there is no
    certificate; ca: clients may show a certificate of it, and EXTERNAL is offered."""

    def __init__(self, relay, certificate=None, users=None, mechanisms="PLAIN", ca=None):
        self.dir, self.port, self.relay = work_dir("dovecot-"), free_port(), relay
        self.log = self.dir / "log"
        user = work_user()
        uid, gid = pwd.getpwnam(user).pw_uid, pwd.getpwnam(user).pw_gid
        (self.dir / "users").write_text("".join(f"{u}:{{PLAIN.B64}}{base64.b64encode(p.encode()).decode()}\n" for u, p in (users or {}).items()))
        tls = f"ssl = required\nssl_cert = <{certificate[0]}\nssl_key = <{certificate[1]}\n" if certificate else "ssl = no\ndisable_plaintext_auth = no\n"
        external = (f"ssl_ca = <{ca}\nssl_verify_client_cert = yes\nauth_ssl_username_from_cert = yes\nssl_require_crl = no\n"
                    "passdb {\n driver = static\n args = nopassword\n mechanisms = external\n}\n") if ca else ""
        self.conf = self.dir / "dovecot.conf"
        self.conf.write_text(f"""
base_dir = {self.dir}/run
state_dir = {self.dir}/state
log_path = {self.log}
auth_verbose = yes
protocols = submission
listen = 127.0.0.1
default_internal_user = {user}
default_internal_group = {grp.getgrgid(gid).gr_name}
default_login_user = {user}
auth_mechanisms = {mechanisms}
auth_failure_delay = 0
{tls}{external}
passdb {{
  driver = passwd-file
  args = {self.dir}/users
}}
userdb {{
  driver = static
  args = uid={uid} gid={gid} home={self.dir}/home
}}
first_valid_uid = 1
mail_location = maildir:{self.dir}/home
hostname = dovecot.test
submission_relay_host = 127.0.0.1
submission_relay_port = {relay}
submission_relay_trusted = yes
service anvil {{
  chroot =
}}
service stats {{
  chroot =
}}
service submission-login {{
  chroot =
  inet_listener submission {{
    port = {self.port}
  }}
}}
""")
        for name in ("run", "state", "home"):
            (self.dir / name).mkdir()
            os.chown(self.dir / name, uid if name == "home" else -1, -1)
        self.proc = subprocess.Popen([PROGRAM, "-F", "-c", str(self.conf)], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                     stderr=open(self.dir / "err", "wb"), start_new_session=True)
        assert until(self._answers, 15), "Dovecot does not start:\n" + self.said

    def _answers(self):
        import socket
        try:
            with socket.create_connection(("127.0.0.1", self.port), 1) as s:
                return s.recv(100).startswith(b"220")
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
