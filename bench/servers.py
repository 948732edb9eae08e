"""What `make bench` runs: the sink, the load, smarthostd, and Postfix with a queue of its own.  All on loopback."""
import glob
import json
import os
import pwd
import shutil
import signal
import socket
import subprocess
import time

BUILD = os.environ.get("BUILD", os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "build"))
ROOT = os.geteuid() == 0
TICK = os.sysconf("SC_CLK_TCK")
POSTFIX = "/usr/lib/postfix/sbin/master"


class Failed(Exception):
    """The measurement cannot go on; the text says why."""


def tool(name):
    return os.path.join(BUILD, "bench", name)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_greeting(port, seconds=20):
    """Until an SMTP server answers there; the seconds that it took."""
    start = time.monotonic()
    while time.monotonic() - start < seconds:
        try:
            with socket.create_connection(("127.0.0.1", port), 1) as s:
                if s.recv(100).startswith(b"220"):
                    return time.monotonic() - start
        except OSError:
            pass
        time.sleep(0.005)       # poll
    raise Failed(f"nobody answers on port {port} within {seconds} s")


def processes(root):
    """Process numbers and the fields of their stat lines: a process and all that descend from it."""
    stat, children = {}, {}
    for path in glob.glob("/proc/[0-9]*/stat"):
        try:
            fields = open(path).read().rpartition(")")[2].split()
        except OSError:
            continue
        pid = int(path.split("/")[2])
        stat[pid] = fields
        children.setdefault(int(fields[1]), []).append(pid)
    todo, found = [root], {}
    while todo:
        pid = todo.pop()
        if pid in stat:
            found[pid] = stat[pid]
            todo += children.get(pid, [])
    return found


def cpu_seconds(root):
    """Of a server's processes, those that have ended among them."""
    return sum(sum(map(int, f[11:15])) for f in processes(root).values()) / TICK


def memory(root):
    """Octets, shared ones divided by their users; without what the kernel holds for sockets."""
    total = 0
    for pid in processes(root):
        try:
            for line in open(f"/proc/{pid}/smaps_rollup"):
                if line.startswith("Pss:"):
                    total += int(line.split()[1]) * 1024
        except OSError:
            pass
    return total


def roles_memory(root):
    """Octets of a server's processes together.  private: anonymous and other pages that nobody shares, the database's map left out.  pss: all that is
    resident, pages that several processes have divided by their number.  rss: the plain sum."""
    total = {"private": 0, "pss": 0, "rss": 0}
    for pid in processes(root):
        fields = {}
        try:
            for line in open(f"/proc/{pid}/smaps_rollup"):
                name, _, rest = line.partition(":")
                if rest.endswith("kB\n"):
                    fields[name] = int(rest.split()[0]) * 1024
        except OSError:
            continue
        total["private"] += fields.get("Pss_Anon", 0) + fields.get("Pss_Shmem", 0)
        total["pss"] += fields.get("Pss", 0)
        total["rss"] += fields.get("Rss", 0)
    return total


def disk_usage(path):
    total = 0
    for top, _, files in os.walk(path):
        for name in files:
            try:
                total += os.lstat(os.path.join(top, name)).st_blocks * 512
            except OSError:
                pass
    return total


def end(process, seconds=15):
    if process is None or process.poll() is not None:
        return
    process.terminate()
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


class Sink:
    """limit: further connections are told 432; think: ms for each message; addresses: 127.0.0.1 and so many in all."""

    def __init__(self, port=0, limit=0, think=0, addresses=1):
        self.process = subprocess.Popen([tool("sink"), "-c", str(limit), "-w", str(think), "-a", str(addresses), str(port)], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)
        self.port = int(self.process.stdout.readline() or 0)
        if self.port == 0:
            raise Failed("the sink does not start")

    def say(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def begin(self, run, messages):
        self.say(f"run {run} {messages}")

    def count(self):
        self.say("count")
        return int(self.process.stdout.readline())

    def result(self, seconds):
        """What came, after all of it or after so many seconds."""
        signal.signal(signal.SIGALRM, lambda *_: self.say("stop"))
        signal.setitimer(signal.ITIMER_REAL, max(seconds, 0.01))
        try:
            return json.loads(self.process.stdout.readline())
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)

    def close(self):
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


class Dead:
    """Hosts on 127.0.NET.1 and up that take no mail: how is refuse, 421 or silent."""

    def __init__(self, how, net=0, addresses=1):
        self.process = subprocess.Popen([tool("dead"), "-n", str(net), "-a", str(addresses), how, "0"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.port = int(self.process.stdout.readline() or 0)
        if self.port == 0:
            raise Failed("the dead host does not start")

    def count(self):
        """Connections that they have seen; None where that cannot be known."""
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        n = int(self.process.stdout.readline())
        return n if n >= 0 else None

    def close(self):
        if not self.process.stdin.closed:
            self.process.stdin.close()
            self.process.wait()
            self.process.stdout.close()


def load(port, sessions, messages, size, run, seconds, more=()):
    p = subprocess.run([tool("load"), "-c", str(sessions), "-n", str(messages), "-s", str(size), "-r", str(run), "-t", str(seconds), *more, str(port)],
                       stdout=subprocess.PIPE, text=True)
    if not p.stdout:
        raise Failed(f"load ended with status {p.returncode}")
    return json.loads(p.stdout)


class Paced:
    """A trickle of new mail while the block runs; then what came of it, where a sink is named."""

    def __init__(self, port, sink, run, domain, domains=0, rate=50):
        self.sink, self.result = sink, None
        if sink is not None:
            sink.begin(run, 1000000)
        self.process = subprocess.Popen([tool("load"), "-c", "4", "-n", "1000000", "-r", str(run), "-t", "36000", "-R", str(rate), "-d", domain, "-D", str(domains),
                                         str(port)], stdout=subprocess.PIPE, text=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        sent = json.loads(self.process.communicate()[0] or "{}")
        if self.sink is None:
            return
        until = time.monotonic() + 10
        while time.monotonic() < until and self.sink.count() < sent.get("accepted", 0):
            time.sleep(0.02)    # poll
        self.result = self.sink.result(0)
        self.result["missing"] = max(0, sent.get("accepted", 0) - self.result["unique"])


class Idle:
    """Sessions that have said EHLO and do nothing."""

    def __init__(self, port, sessions):
        self.process = subprocess.Popen([tool("load"), "-i", str(sessions), str(port)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.process.stdout.readline()

    def close(self):
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


class Smarthostd:
    name = "smarthostd"

    def __init__(self, directory, sink_port):
        self.dir, self.sink_port, self.port, self.process = directory, sink_port, free_port(), None
        os.makedirs(directory + "/spool")
        os.makedirs(directory + "/run")
        user = "nobody" if ROOT else pwd.getpwuid(os.geteuid()).pw_name
        if ROOT:
            shutil.chown(directory + "/spool", user)
        self.conf = directory + "/smarthostd.conf"
        with open(self.conf, "w") as f:
            f.write(f"""spool-directory {directory}/spool
runtime-directory {directory}/run
{f'user {user}' if ROOT else ''}
hostname relay.example
postmaster postmaster@far.example
log {directory}/log
listen 127.0.0.1:{self.port} {{
  allow 127.0.0.0/8
  max-connections 2000
  max-connections-per-client 2000
}}
transport up {{
  smarthost 127.0.0.1:{sink_port}
  connections 20
  connections-per-host 20
  tls off
}}
route via up
""")

    def start(self):
        self.process = subprocess.Popen([BUILD + "/bin/smarthostd", "-f", self.conf, "-d"], env={**os.environ, "SMARTHOSTD_LIBEXEC": BUILD + "/bin"},
                                        stdout=subprocess.DEVNULL, stderr=open(self.dir + "/err", "ab"))
        try:
            return wait_greeting(self.port)
        except Failed as e:
            raise Failed(f"smarthostd: {e}; {open(self.dir + '/err').read()[-500:]}") from None

    def stop(self):
        end(self.process)

    def spool(self):
        return self.dir + "/spool"

    def sendmail(self):
        return [BUILD + "/bin/smarthost-sendmail", "-C", self.conf], {}


class Postfix:
    """A private instance: no other Postfix on the machine notices."""
    name = "Postfix"
    services = """127.0.0.1:{port} inet n - n - - smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
smtp unix - - n - - smtp
relay unix - - n - - smtp
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""

    @staticmethod
    def here():
        return ROOT and os.path.exists(POSTFIX)

    def __init__(self, directory, sink_port):
        self.dir, self.port, self.process = directory, free_port(), None
        spool = directory + "/spool"
        for name in "active bounce corrupt defer deferred flush hold incoming private saved trace".split():
            self.make(f"{spool}/{name}", "postfix", "root", 0o700)
        self.make(spool + "/maildrop", "postfix", "postdrop", 0o1730)
        self.make(spool + "/public", "postfix", "postdrop", 0o2710)
        self.make(spool + "/pid", "root", "root", 0o755)
        self.make(directory + "/data", "postfix", "postfix", 0o700)
        self.make(directory + "/conf", "root", "root", 0o755)
        settings = {
            "compatibility_level": "3.6", "queue_directory": spool, "data_directory": directory + "/data", "daemon_directory": os.path.dirname(POSTFIX),
            "command_directory": "/usr/sbin", "meta_directory": "/etc/postfix", "shlib_directory": "/usr/lib/postfix", "mail_owner": "postfix",
            "setgid_group": "postdrop", "myhostname": "relay.example", "mydestination": "", "mynetworks": "127.0.0.0/8", "inet_interfaces": "127.0.0.1",
            "inet_protocols": "ipv4", "alias_maps": "", "alias_database": "", "local_recipient_maps": "", "relayhost": f"[127.0.0.1]:{sink_port}",
            "smtpd_recipient_restrictions": "permit_mynetworks, reject", "smtpd_relay_restrictions": "", "smtpd_peername_lookup": "no", "disable_dns_lookups": "yes",
            "message_size_limit": "104857600", "maillog_file": directory + "/maillog", "maillog_file_prefixes": directory, "biff": "no", "smtputf8_enable": "no",
            # as fast as it goes
            "default_process_limit": "600", "in_flow_delay": "0", "initial_destination_concurrency": "20", "default_destination_concurrency_limit": "20",
            "smtp_connection_cache_destinations": f"[127.0.0.1]:{sink_port}", "smtpd_client_connection_count_limit": "0", "qmgr_message_active_limit": "50000",
            "smtp_tls_security_level": "none",
        }
        with open(directory + "/conf/main.cf", "w") as f:
            f.writelines(f"{k} = {v}\n" for k, v in settings.items())
        with open(directory + "/conf/master.cf", "w") as f:
            f.write(self.services.format(port=self.port))
        open(directory + "/conf/dynamicmaps.cf", "w").close()

    @staticmethod
    def make(path, user, group, mode):
        os.makedirs(path)
        shutil.chown(path, user, group)
        os.chmod(path, mode)

    def start(self):
        conf = self.dir + "/conf"
        self.process = subprocess.Popen([POSTFIX, "-c", conf, "-d"], env={**os.environ, "MAIL_CONFIG": conf}, stdout=subprocess.DEVNULL,
                                        stderr=open(self.dir + "/err", "ab"), start_new_session=True)
        return wait_greeting(self.port)

    def stop(self):
        end(self.process)
        # The children end by themselves once master is gone; a new instance must not meet them.
        until = time.monotonic() + 10
        while time.monotonic() < until and self.left():
            time.sleep(0.02)    # poll

    def left(self):
        mark = self.dir + "/spool"
        for path in glob.glob("/proc/[0-9]*/cwd"):
            try:
                if os.readlink(path).startswith(mark):
                    return True
            except OSError:
                pass
        return False

    def spool(self):
        return self.dir + "/spool"

    def sendmail(self):
        return ["/usr/sbin/sendmail", "-C", self.dir + "/conf"], {"MAIL_CONFIG": self.dir + "/conf"}
