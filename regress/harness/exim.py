"""An Exim of the test's own, unpacked beside the system (contrib/install-deps), as it cannot be installed beside Postfix."""
import os
import pathlib
import pwd
import grp
import shutil
import subprocess

import pytest

from harness.client import Client
from harness.daemon import free_port, until, work_dir

PLACES = (pathlib.Path("/var/cache/smarthostd-peers"), pathlib.Path(os.environ.get("XDG_CACHE_HOME", os.path.expanduser("~/.cache"))) / "smarthostd-peers",
          pathlib.Path("/"))
PROGRAM = next((p / "usr/sbin/exim4" for p in PLACES if (p / "usr/sbin/exim4").exists()), None)
NEEDED = pytest.mark.skipif(PROGRAM is None or os.geteuid() != 0 or subprocess.run(["unshare", "-m", "true"], capture_output=True).returncode != 0,
                            reason="needs root, mount namespaces, and exim4 (contrib/install-deps --test)")
# It knows its user by name, whatever its configuration says: a view of its own on /etc/passwd and group has one.
START = """mount --bind "$1/passwd" /etc/passwd && mount --bind "$1/group" /etc/group && exec "$2" -C "$1/exim.conf" -bdf -q1s"""


SEND = """mount --bind "$1/passwd" /etc/passwd && mount --bind "$1/group" /etc/group && exec "$2" -C "$1/send.conf" -odf -f "$3" "$4" """


class Exim:
    """Takes everything and keeps it in one maildir; or only sends, where start is not wanted."""

    def __init__(self, *settings, start=True):
        self.dir, self.port, self.proc = work_dir("exim-"), free_port(), None
        user = pwd.getpwnam("nobody")
        group = grp.getgrgid(user.pw_gid).gr_name
        for name in ("passwd", "group"):
            text = pathlib.Path("/etc", name).read_text()
            if "Debian-exim:" not in text:
                text += f"Debian-exim:x:{user.pw_uid}:" + ("\n" if name == "group" else f"{user.pw_gid}::/nonexistent:/bin/false\n")
            (self.dir / name).write_text(text)
        for name in ("spool", "log", "mail"):
            (self.dir / name).mkdir()
            os.chown(self.dir / name, user.pw_uid, user.pw_gid)
        self.user, self.group = user.pw_name, group
        if not start:
            return
        conf = self.dir / "exim.conf"
        conf.write_text("\n".join([
            f"exim_path = {PROGRAM}", f"exim_user = {user.pw_name}", f"exim_group = {group}", f"spool_directory = {self.dir}/spool",
            f"log_file_path = {self.dir}/log/%slog", f"pid_file_path = {self.dir}/spool/exim.pid", "primary_hostname = exim.test",
            "acl_smtp_rcpt = accept", "acl_smtp_data = accept", "local_interfaces = 127.0.0.1", f"daemon_smtp_ports = {self.port}", "never_users =",
            "host_lookup =", "rfc1413_hosts =", "disable_ipv6 = true", "message_size_limit = 100M", "deliver_drop_privilege = true",
            "check_spool_space = 0", "check_log_space = 0", "keep_environment =", "add_environment = PATH=/usr/bin:/bin", "tls_advertise_hosts =",
            "log_selector = +smtp_protocol_error", *settings,
            "begin routers", "all:", "  driver = accept", "  transport = box", "begin transports", "box:", "  driver = appendfile", "  maildir_format",
            f"  directory = {self.dir}/mail/box", "  create_directory", "  envelope_to_add", f"  user = {user.pw_name}", f"  group = {group}",
            "begin retry", "* * F,2h,1m", ""]))
        conf.chmod(0o644)
        with open(self.dir / "err", "wb") as err:
            self.proc = subprocess.Popen(["unshare", "-m", "sh", "-c", START, "sh", self.dir, PROGRAM], stdout=subprocess.DEVNULL, stderr=err)
        assert until(self.answers, 20), self.text()

    def answers(self):
        try:
            Client(self.port).quit()
        except OSError:
            return False
        return True

    def text(self):
        return "".join(f.read_text(errors="replace") for f in [self.dir / "err", *sorted((self.dir / "log").iterdir())] if f.exists())

    def box(self):
        new = self.dir / "mail" / "box" / "new"
        return sorted(new.iterdir()) if new.is_dir() else []

    def send_by(self, port, ca, sock, sender, rcpt):
        """One message by a smarthost that wants XOAUTH2, with a token from a token server; its output."""
        conf = self.dir / "send.conf"
        conf.write_text("\n".join([
            f"exim_path = {PROGRAM}", f"exim_user = {self.user}", f"exim_group = {self.group}", f"spool_directory = {self.dir}/spool",
            f"log_file_path = {self.dir}/log/%slog", "primary_hostname = exim.test", "disable_ipv6 = true", "keep_environment =",
            "add_environment = <; PATH=/bin:/usr/bin", f"trusted_users = root : {self.user}", "never_users =",
            "begin routers", "smarthost:", "  driver = manualroute", "  transport = remote", f"  route_data = 127.0.0.1::{port}", "  self = send",
            "begin transports", "remote:", "  driver = smtp", "  hosts_require_auth = *", "  hosts_require_tls = *", "  tls_tempfail_tryclear = false",
            f"  tls_verify_certificates = {ca}", "  tls_verify_cert_hostnames = :", "begin retry", "* * F,1h,1m",
            "begin authenticators", "xoauth2:", "  driver = plaintext", "  client_condition = ${if !eq{$tls_out_cipher}{}}", "  public_name = XOAUTH2",
            "  client_ignore_invalid_base64 = true", f"  client_send = : ${{readsocket{{{sock}}}{{SMTP {sender}}}}}", ""]))
        conf.chmod(0o644)
        r = subprocess.run(["unshare", "-m", "sh", "-c", SEND, "sh", self.dir, PROGRAM, sender, rcpt], input="Subject: by exim\nFrom: x@corp.test\n\nhi\n",
                           capture_output=True, text=True, timeout=30)
        return r.stdout + r.stderr

    def stop(self):
        if self.proc is not None:
            self.proc.terminate()
            self.proc.wait(10)
        shutil.rmtree(self.dir, ignore_errors=True)
