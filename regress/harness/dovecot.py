"""Dovecots of the test's own: what they have in common, and one with LMTP, IMAP, and a configuration for dovecot-lda."""
import grp
import imaplib
import os
import pwd
import shutil
import signal
import socket
import subprocess

from harness.daemon import free_port, until, work_dir, work_user

PROGRAM = shutil.which("dovecot") or "/usr/sbin/dovecot"
PASSWORD = "tolerable"

COMMON = """
base_dir = {dir}/run
state_dir = {dir}/state
log_path = {log}
auth_verbose = yes
auth_failure_delay = 0
listen = 127.0.0.1
default_internal_user = {user}
default_internal_group = {group}
default_login_user = {user}
first_valid_uid = 1
service anvil {{
  chroot =
}}
service stats {{
  chroot =
}}
"""


class Server:
    """A Dovecot with a directory and a port of its own, whose processes are work_user()'s; a kind of it calls start() with
    what it adds to the configuration."""

    greeting = b"* OK"

    def __init__(self):
        self.dir, self.port = work_dir("dovecot-"), free_port()
        self.log, self.conf = self.dir / "log", self.dir / "dovecot.conf"
        self.user = pwd.getpwnam(work_user())
        for name in ("run", "state"):
            (self.dir / name).mkdir()

    def own_dir(self, name):
        """A directory of work_user()'s."""
        d = self.dir / name
        d.mkdir()
        os.chown(d, self.user.pw_uid, -1)
        return d

    def start(self, statements):
        group = grp.getgrgid(self.user.pw_gid).gr_name
        self.conf.write_text(COMMON.format(dir=self.dir, log=self.log, user=self.user.pw_name, group=group) + statements)
        with open(self.dir / "err", "wb") as err:
            self.proc = subprocess.Popen([PROGRAM, "-F", "-c", str(self.conf)], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=err,
                                         start_new_session=True)
        if not until(lambda: self.proc.poll() is not None or self._answers(), 20) or self.proc.poll() is not None:
            said = self.said
            self.stop()
            raise AssertionError("Dovecot does not start:\n" + said)

    def _answers(self):
        try:
            with socket.create_connection(("127.0.0.1", self.port), 1) as s:
                return s.recv(100).startswith(self.greeting)
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


MAILBOXES = """
protocols = lmtp imap
ssl = no
disable_plaintext_auth = no
mail_location = maildir:{dir}/mail/%Ln
first_valid_gid = 0
postmaster_address = postmaster@here.test
hostname = relay.test
auth_mechanisms = plain
auth_username_format = %Ln
passdb {{
  driver = passwd-file
  args = {dir}/users
}}
userdb {{
  driver = passwd-file
  args = {dir}/users
}}
service stats {{
  unix_listener stats-writer {{
    mode = 0666
  }}
}}
service imap-login {{
  chroot =
  inet_listener imap {{
    port = {imap}
  }}
  inet_listener imaps {{
    port = 0
  }}
}}
service lmtp {{
  unix_listener {dir}/lmtp {{
    mode = 0666
  }}
  inet_listener lmtp {{
    port = {lmtp}
  }}
}}
"""


class Dovecot(Server):
    """Dovecot(names): mailboxes, for root only, those of users of this machine their own; ended by stop().  port is IMAP's, lmtp LMTP's."""

    def __init__(self, names):
        super().__init__()
        self.lmtp = free_port()
        (self.dir / "mail").mkdir()
        (self.dir / "mail").chmod(0o1777)
        lines = []
        users = {u.pw_name: u for u in pwd.getpwall()}
        for n in names:
            u = users.get(n, self.user)
            lines.append(f"{n}:{{plain}}{PASSWORD}:{u.pw_uid}:{u.pw_gid}::{self.dir}/mail/{n}\n")
        (self.dir / "users").write_text("".join(lines))
        self.log.touch()
        self.log.chmod(0o666)
        self.start(MAILBOXES.format(dir=self.dir, imap=self.port, lmtp=self.lmtp))

    def _answers(self):
        return super()._answers() and (self.dir / "lmtp").exists()

    def session(self, user):
        c = imaplib.IMAP4("127.0.0.1", self.port, timeout=20)
        c.login(user, PASSWORD)
        return c

    def mails(self, user):
        """The messages of a mailbox as a reader gets them, oldest first."""
        c = self.session(user)
        try:
            n = int(c.select("INBOX", readonly=True)[1][0])
            return [c.fetch(str(i + 1), "(BODY.PEEK[])")[1][0][1] for i in range(n)]
        finally:
            c.logout()


def usable():
    return os.geteuid() == 0 and os.access(PROGRAM, os.X_OK) and os.access("/usr/lib/dovecot/imap", os.X_OK)
