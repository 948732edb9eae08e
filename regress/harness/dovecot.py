"""A Dovecot of the test's own: LMTP, IMAP, and a configuration for dovecot-lda."""
import grp
import imaplib
import os
import pwd
import shutil
import subprocess

from harness.daemon import free_port, until, work_dir, work_user

PASSWORD = "tolerable"

CONFIGURATION = """
base_dir = {dir}/run
state_dir = {dir}/run
log_path = {dir}/log
protocols = lmtp imap
ssl = no
disable_plaintext_auth = no
mail_location = maildir:{dir}/mail/%Ln
first_valid_uid = 1
first_valid_gid = 0
postmaster_address = postmaster@here.test
hostname = relay.test
auth_mechanisms = plain
auth_username_format = %Ln
default_login_user = {user}
default_internal_user = {user}
default_internal_group = {group}
passdb {{
  driver = passwd-file
  args = {dir}/users
}}
userdb {{
  driver = passwd-file
  args = {dir}/users
}}
service anvil {{
  chroot =
}}
service stats {{
  chroot =
  unix_listener stats-writer {{
    mode = 0666
  }}
}}
service imap-login {{
  chroot =
  inet_listener imap {{
    address = 127.0.0.1
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
    address = 127.0.0.1
    port = {lmtp}
  }}
}}
"""


class Dovecot:
    """Dovecot(names): mailboxes, for root only, those of users of this machine their own; ended by stop()."""

    def __init__(self, names):
        self.dir = work_dir("smarthostd-dovecot-")
        self.lmtp, self.imap = free_port(), free_port()
        (self.dir / "mail").mkdir()
        (self.dir / "mail").chmod(0o1777)
        me = pwd.getpwnam(work_user())
        lines = []
        users = {u.pw_name: u for u in pwd.getpwall()}
        for n in names:
            u = users.get(n, me)
            lines.append(f"{n}:{{plain}}{PASSWORD}:{u.pw_uid}:{u.pw_gid}::{self.dir}/mail/{n}\n")
        (self.dir / "users").write_text("".join(lines))
        (self.dir / "log").touch()
        (self.dir / "log").chmod(0o666)
        self.conf = self.dir / "conf"
        self.conf.write_text(CONFIGURATION.format(dir=self.dir, user=me.pw_name, group=grp.getgrgid(me.pw_gid).gr_name, imap=self.imap, lmtp=self.lmtp))
        with open(self.dir / "err", "wb") as err:
            self.proc = subprocess.Popen(["/usr/sbin/dovecot", "-F", "-c", str(self.conf)], stdout=subprocess.DEVNULL, stderr=err)
        if not until(lambda: self.proc.poll() is not None or self._answers(), 20) or self.proc.poll() is not None:
            said = (self.dir / "err").read_text() + ((self.dir / "log").read_text() if (self.dir / "log").exists() else "")
            self.stop()
            raise AssertionError("dovecot does not answer: " + said)

    def _answers(self):
        try:
            imaplib.IMAP4("127.0.0.1", self.imap, timeout=5).logout()
        except (OSError, imaplib.IMAP4.error):
            return False
        return (self.dir / "lmtp").exists()

    def stop(self):
        self.proc.terminate()
        self.proc.wait(20)
        shutil.rmtree(self.dir, ignore_errors=True)

    def session(self, user):
        c = imaplib.IMAP4("127.0.0.1", self.imap, timeout=20)
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
    return os.geteuid() == 0 and os.access("/usr/sbin/dovecot", os.X_OK) and os.access("/usr/lib/dovecot/imap", os.X_OK)
