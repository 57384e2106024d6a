#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""test_daemon - basestationd as a process: start, stop, reload, daemon mode, and what goes wrong."""
import json
import os
import re
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile

import bs

OK, FAILED, USAGE, CONF, PERMISSION, IN_USE, NOT_FOUND, RESOURCE = range(8)
DAEMON = bs.program("basestationd")


class Plain(bs.Node):
    """A node without a client gate: no certificates to make."""

    def __init__(self, **conf):
        conf = {"server_certificate": None, "server_key": None, "client_ca": None,
                "client_crl": None, "listen": "127.0.0.1", **conf}
        super().__init__(own_ca=True, **conf)

    def ca(self, *args, **kw):
        return None

    def daemon(self, *args, **kw):
        """basestationd -c CONF ... to its end."""
        return bs.run([DAEMON, "-c", self.conf_file, *args], ok=False, **kw)


def as_root():
    if os.getuid() != 0:
        raise bs.Skip("needs root")


def as_nobody():
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)


def refused(result, status, *parts):
    """The start failed with this status and exactly one message, which has all parts."""
    bs.equal(result.returncode, status, f"status ({result.stderr!r})")
    lines = [l for l in result.stderr.splitlines() if "key-file, made" not in l]
    bs.equal(len(lines), 1, f"messages ({lines})")
    for part in parts:
        bs.check(part in lines[0], f"{part!r} is not in {lines[0]!r}")


def taken_port(kind=socket.SOCK_DGRAM):
    s = socket.socket(socket.AF_INET, kind)
    s.bind(("127.0.0.1", 0))
    if kind == socket.SOCK_STREAM:
        s.listen(1)
    return s, s.getsockname()[1]


@bs.test
def starts_and_stops():
    """start, status, SIGTERM and SIGINT: status 0, socket gone, registry free again"""
    node = Plain()
    for sig in (signal.SIGTERM, signal.SIGINT):
        node.start()
        bs.check(node.ports["controller_port"] > 0, "port 0 became a real port")
        node.process.signal(sig)
        bs.equal(node.process.wait(), 0, "status")
        bs.check(node.process.saw(f"server, stops .{sig.name}."), node.process.output())
        bs.check(not os.path.exists(node.socket), "the control socket is still there")


@bs.test
def stop_by_bsctl():
    """bsctl stop ends it cleanly"""
    node = Plain().start()
    node.bsctl("stop")
    bs.equal(node.process.wait(), 0, "status")


@bs.test
def both_roles_on_one_port():
    """controller and attach role on one port"""
    s, port = taken_port()
    s.close()
    node = Plain(controller_port=port, attach_port=port).start()
    bs.equal(node.ports["controller_port"], port, "controller port")
    bs.equal(node.ports["attach_port"], port, "attach port")
    bs.equal(node.stop(), 0, "status")


@bs.test
def reload_reports():
    """SIGHUP: changed keys are named, those that wait for a restart too, again and again"""
    node = Plain().start()
    node.set(alive_interval="300ms", max_devices=2000)
    node.process.signal(signal.SIGHUP)
    node.process.expect("notice: conf, reloaded")
    bs.check(node.process.saw("conf, alive-interval changed now"), node.process.output())
    bs.check(node.process.saw("conf, max-devices waits for a restart"), node.process.output())
    shown = node.ask("conf", "show")
    bs.check("300ms" in json.dumps(shown), shown)
    mark = len(node.process.lines)
    node.process.signal(signal.SIGHUP)
    node.process.expect("notice: conf, reloaded", since=mark)
    bs.check(node.process.saw("conf, max-devices waits", since=mark), "it still waits")
    bs.check(not node.process.saw("alive-interval", since=mark), "nothing new")
    bs.equal(node.stop(), 0, "status")


@bs.test
def reload_of_a_bad_conf():
    """a conf with an error changes nothing and says where"""
    node = Plain().start()
    before = node.ask("conf", "show")
    node.set(alive_intervall="1s", log_level="error")
    node.process.signal(signal.SIGHUP)
    line = node.process.expect("error: conf, not reloaded")
    bs.check(f"{node.conf_file}:" in line and 'did you mean "alive-interval"?' in line, line)
    node.set(alive_intervall=None)
    bs.equal(node.ask("conf", "show"), before, "conf in force")
    node.process.signal(signal.SIGHUP)
    bs.until("the error level is in force", lambda: "error" in node.bsctl("log", "level").stdout)
    bs.equal(node.stop(), 0, "status")


@bs.test
def reload_of_log_settings():
    """level and format of the log change at a reload"""
    node = Plain().start()
    node.set(log_format="json")
    mark = len(node.process.lines)
    node.process.signal(signal.SIGHUP)
    line = node.process.expect('"msg":"conf, reloaded', since=mark)
    bs.equal(json.loads(line)["level"], "notice", "level")
    bs.equal(node.stop(), 0, "status")


@bs.test
def reload_of_certificates():
    """a renewed certificate is taken; an expired one is refused and the old one stays"""
    node = bs.Node().start()
    node.process.signal(signal.SIGHUP)
    node.process.expect("notice: conf, reloaded")
    mark = len(node.process.lines)
    expired_certificate(node)
    node.process.signal(signal.SIGHUP)
    line = node.process.expect("error: conf, not reloaded", since=mark)
    bs.check("has expired on" in line and "server.crt" in line, line)
    bs.equal(node.status()["pid"], node.process.p.pid, "still serves")
    bs.equal(node.stop(), 0, "status")


def expired_certificate(node):
    """Put a self-signed certificate of the past in the place of the server's."""
    crt, key, csr, cnf = (node.path("server" + e) for e in (".crt", ".key", ".csr", ".cnf"))
    for path in (crt, key):
        os.unlink(path)
    if shutil.which("openssl") is None:
        raise bs.Skip("needs the openssl program")
    with open(cnf, "w", encoding="ascii") as f:
        f.write(f"[ca]\ndefault_ca=d\n[d]\ndatabase={node.path('index')}\n"
                f"new_certs_dir={node.dir}\nrand_serial=yes\ndefault_md=sha256\npolicy=p\n"
                "[p]\ncommonName=supplied\n")
    open(node.path("index"), "w", encoding="ascii").close()
    bs.run(["openssl", "req", "-new", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", csr,
            "-subj", "/CN=localhost"])
    bs.run(["openssl", "ca", "-batch", "-notext", "-config", cnf, "-selfsign", "-keyfile", key,
            "-in", csr, "-out", crt, "-startdate", "20200101000000Z", "-enddate",
            "20200201000000Z"])


@bs.test
def expired_certificate_at_start():
    """an expired server certificate: no start, one message"""
    node = bs.Node()
    expired_certificate(node)
    refused(bs.run([DAEMON, "-c", node.conf_file], ok=False), CONF, "server-certificate, ",
            "has expired on", "put a new certificate in its place")


@bs.test
def daemon_mode():
    """-d returns when it is ready; pid file, second daemon, stop"""
    node = Plain(log_target="syslog")
    r = node.daemon("-d")
    bs.equal(r.returncode, 0, f"start ({r.stderr})")
    with open(node.path("pid"), encoding="ascii") as f:
        pid = int(f.read())
    try:
        bs.equal(node.ask("status")[0]["pid"], pid, "pid")
        bs.equal(os.readlink(f"/proc/{pid}/cwd"), "/", "folder")
        bs.check(os.getsid(pid) not in (pid, os.getsid(0)), "a session of its own, not its leader")
        refused(node.daemon("-d"), IN_USE, node.path("pid"), f"process {pid}", "stop it first")
        bs.equal(node.ask("status")[0]["pid"], pid, "the first one serves on")
    finally:
        os.kill(pid, signal.SIGTERM)
    bs.until("daemon ended", lambda: not os.path.exists(node.path("pid")))
    bs.check(not os.path.exists(node.socket), "the control socket is still there")


@bs.test
def daemon_mode_failures():
    """-d tells its caller why it could not start"""
    s, port = taken_port()
    node = Plain(controller_port=port)
    refused(node.daemon("-d"), IN_USE, "controller", str(port))
    s.close()
    node.set(controller_port=0, pid_file=node.path("no", "such", "pid"))
    refused(node.daemon("-d"), NOT_FOUND, "pid", "set pid-file in the conf")


@bs.test
def port_in_use():
    """a UDP or TCP port of another program: status 5 with the port's name"""
    s, port = taken_port()
    refused(Plain(controller_port=port).daemon(), IN_USE, "controller", str(port))
    refused(Plain(attach_port=port).daemon(), IN_USE, "attach", str(port))
    s.close()
    s, port = taken_port(socket.SOCK_STREAM)
    node = bs.Node(client_port=port, listen="127.0.0.1")
    refused(bs.run([DAEMON, "-c", node.conf_file], ok=False), IN_USE, str(port))
    s.close()


@bs.test
def port_not_permitted():
    """a port below 1024 without the right to it: status 4"""
    as_root()
    node = Plain(controller_port=81)
    os.chmod(node.dir, 0o777)
    with open("/proc/sys/net/ipv4/ip_unprivileged_port_start", encoding="ascii") as f:
        if int(f.read()) <= 81:
            raise bs.Skip("every user may bind port 81 here")
    refused(node.daemon(preexec_fn=as_nobody), PERMISSION, "controller", "81")


@bs.test
def address_of_another_machine():
    """listen names an address that is not ours: status 3"""
    refused(Plain(listen="192.0.2.1").daemon(), CONF, "192.0.2.1")


@bs.test
def drops_privileges():
    """started as root it becomes its user, for good, and so do its files"""
    as_root()
    node = Plain(user="nobody")
    os.chmod(node.dir, 0o755)
    node.start()
    with open(f"/proc/{node.process.p.pid}/status", encoding="ascii") as f:
        status = dict(l.split(":", 1) for l in f.read().splitlines() if ":" in l)
    bs.equal(status["Uid"].split(), ["65534"] * 4, "uid")
    bs.equal(set(status["Gid"].split()), {status["Gid"].split()[0]}, "gid")
    bs.equal(len(status["Groups"].split()), 1, "groups")
    bs.equal(int(status["CapEff"], 16), 0, "capabilities")
    for task in os.listdir(f"/proc/{node.process.p.pid}/task"):
        with open(f"/proc/{node.process.p.pid}/task/{task}/status", encoding="ascii") as f:
            text = f.read()
        bs.check(re.search(r"^NoNewPrivs:\t1$", text, re.M), f"thread {task}: no_new_privs")
        bs.check(re.search(r"^Uid:\t65534\t", text, re.M), f"thread {task}: uid")
    with open(f"/proc/{node.process.p.pid}/limits", encoding="ascii") as f:
        bs.check(re.search(r"Max core file size\s+0\s+0", f.read()), "core dumps")
    bs.equal(os.stat(node.path("registry")).st_uid, 65534, "owner of the registry")
    for name in os.listdir(node.path("registry")):
        bs.equal(os.stat(node.path("registry", name)).st_uid, 65534, f"owner of {name}")
    node.bsctl("device", "add", "a.example", "--secret-file", node.path("s"))
    bs.equal(node.stop(), 0, "status")


@bs.test
def user_that_does_not_exist():
    """a user or group that does not exist: status 6 and how to make it"""
    as_root()
    refused(Plain(user="no-such-user").daemon(), NOT_FOUND, "useradd --system no-such-user")
    refused(Plain(group="no-such-group").daemon(), NOT_FOUND, "groupadd --system no-such-group")


@bs.test
def conf_that_others_can_change():
    """as root a conf that others can write to is refused; a missing one is named"""
    as_root()
    node = Plain()
    os.chmod(node.conf_file, 0o666)
    refused(node.daemon(), PERMISSION, node.conf_file, f"chmod go-w {node.conf_file}")
    os.unlink(node.conf_file)
    refused(node.daemon(), NOT_FOUND, node.conf_file, "No such file or directory")


@bs.test
def conf_with_an_error():
    """a bad conf: status 3, file, line, key and remedy"""
    node = Plain(alive_interval="10")
    with open(node.conf_file, encoding="utf-8") as f:
        line = next(n for n, l in enumerate(f, 1) if l.startswith("alive-interval"))
    refused(node.daemon(), CONF, f"{node.conf_file}:{line}: alive-interval:", "has no unit",
            "write for example 10s")


@bs.test
def command_line():
    """usage errors: status 2, one message; -V and -h"""
    for args, part in ((["-x"], "-x: unknown option"), (["-c"], "needs an argument"),
                       (["-f", "-d"], "contradict"), (["junk"], "unexpected argument")):
        refused(bs.run([DAEMON, *args], ok=False), USAGE, part)
    bs.check(re.fullmatch(r"basestationd \d+\.\d+\.\d+\S*\n", bs.run([DAEMON, "-V"]).stdout), "-V")
    bs.check("usage: basestationd" in bs.run([DAEMON, "-h"]).stdout, "-h")


@bs.test
def test_mode():
    """-t: fine, or every fault at once; nothing is made; beside a running server too"""
    node = Plain()
    r = node.daemon("-t")
    bs.equal((r.returncode, r.stdout), (0, f"{node.conf_file}: fine\n"), f"-t ({r.stderr})")
    bs.check(not os.path.exists(node.path("registry")), "-t made the registry")
    bs.check(not os.path.exists(node.path("master.key")), "-t made the key")
    node.start()
    r = node.daemon("-t")
    bs.equal(r.returncode, 0, f"-t beside a server ({r.stderr})")
    bs.check("ports, not tried" in r.stderr, r.stderr)
    node.stop()
    s, port = taken_port()
    node.set(controller_port=port, max_devices=16777216, max_connections=4194304,
             pending_entries=16777216, workers=64, socket_buffer="1GiB",
             database=node.path("no", "such", "place"))
    r = node.daemon("-t")
    s.close()
    bs.equal(r.returncode, CONF, f"first fault ({r.stderr})")
    for part in ("error: memory, ", "error: controller-port, ", "error: database, "):
        bs.check(part in r.stderr, f"{part!r}: {r.stderr}")


@bs.test
def print_mode():
    """-T prints what parses to the same again; --json; the schema"""
    node = Plain(extensions="", log_level="info")
    first = node.daemon("-T").stdout
    again = node.path("again.conf")
    with open(again, "w", encoding="utf-8") as f:
        f.write(first)
    bs.equal(bs.run([DAEMON, "-T", "-c", again]).stdout, first, "printed twice")
    keys = json.loads(node.daemon("-T", "--json").stdout)
    bs.equal(keys["log-level"], "info", "log-level")
    rows = [l.split("\t") for l in bs.run([DAEMON, "--dump-schema"]).stdout.splitlines()]
    bs.equal({r[0] for r in rows}, set(keys), "keys of schema and conf")
    bs.check(all(len(r) == 6 for r in rows), "columns")
    schema = json.loads(bs.run([DAEMON, "--dump-schema=json"]).stdout)
    bs.equal([r["key"] for r in schema], [r[0] for r in rows], "both forms of the schema")
    with open("/dev/full", "w", encoding="ascii") as full:
        r = subprocess.run([DAEMON, "-T", "-c", again], stdout=full, stderr=subprocess.PIPE,
                           text=True, timeout=20, check=False)
    bs.equal((r.returncode, r.stderr.count("\n")), (FAILED, 1), f"full disk ({r.stderr!r})")


@bs.test
def tells_systemd():
    """READY=1 when it serves, RELOADING=1 and READY=1 at a reload, STOPPING=1 at the end"""
    node = Plain()
    s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    s.bind(node.path("notify"))
    s.settimeout(20 * bs.SLOW)
    node.start(ready=False, env={**os.environ, "NOTIFY_SOCKET": node.path("notify")})
    bs.equal(s.recv(200), b"READY=1", "first word")
    bs.equal(node.status()["pid"], node.process.p.pid, "answers when it says so")
    node.process.signal(signal.SIGHUP)
    bs.check(re.fullmatch(rb"RELOADING=1\nMONOTONIC_USEC=\d+", s.recv(200)), "reloading")
    bs.equal(s.recv(200), b"READY=1", "after the reload")
    node.process.signal(signal.SIGTERM)
    bs.equal(s.recv(200), b"STOPPING=1", "last word")
    bs.equal(node.process.wait(), 0, "status")
    s.close()


@bs.test
def second_daemon():
    """a second daemon on the same registry or control socket: status 5, the first serves on"""
    node = Plain().start()
    refused(node.daemon(), IN_USE)
    other = Plain(database=node.path("registry"), key_file=node.path("master.key"))
    refused(other.daemon(), IN_USE)
    bs.equal(node.status()["pid"], node.process.p.pid, "the first one")
    bs.equal(node.stop(), 0, "status")


@bs.test
def survives_kill():
    """kill -9 leaves a socket file and locks behind; the next start takes them over"""
    node = Plain().start()
    node.bsctl("device", "add", "a.example", "--secret-file", node.path("s"))
    node.kill()
    bs.check(os.path.exists(node.socket), "the dead socket")
    node.start()
    bs.equal(len(node.ask("device", "list")), 1, "devices")
    bs.equal(node.stop(), 0, "status")


@bs.test
def missing_master_key():
    """a registry without its key: status 6, and no new key is made"""
    node = Plain().start()
    node.stop()
    os.unlink(node.path("master.key"))
    refused(node.daemon(), NOT_FOUND, node.path("master.key"))
    bs.check(not os.path.exists(node.path("master.key")), "a key was made")


@bs.test
def control_socket_places():
    """a folder of the control socket that is missing: status 6 and its path"""
    node = Plain()
    node.socket = node.path("no", "such", "control")
    node.set(control_socket=node.socket)
    refused(node.daemon(), NOT_FOUND, node.socket)


@bs.test
def full_disk():
    """a full disk under the registry: status 7, one message"""
    as_root()
    node = Plain()
    os.mkdir(node.path("small"))
    node.set(database=node.path("small", "registry"))
    script = 'mount -t tmpfs -o size=4k none "$1" || exit 99; shift; exec "$@"'
    r = bs.run(["unshare", "-m", "sh", "-c", script, "sh", node.path("small"), DAEMON, "-c",
                node.conf_file], ok=False)
    if r.returncode in (1, 99) and "basestationd" not in r.stderr:
        raise bs.Skip("no mount namespaces here")
    refused(r, RESOURCE, "registry")


def preloaded(node, source):
    """The environment that puts functions of ours before those of the C library."""
    cc = os.environ.get("CC", "cc").split()
    src, lib = node.path("r.c"), node.path("r.so")
    with open(src, "w", encoding="ascii") as f:
        f.write(source)
    r = bs.run([*cc, "-shared", "-fPIC", "-o", lib, src], ok=False)
    if r.returncode != 0:
        raise bs.Skip("no compiler for a preloaded library")
    with open(DAEMON, "rb") as f:
        text = f.read()
    if b"libasan" in text or b"__asan_init" in text or b"__tsan_init" in text:
        raise bs.Skip("sanitizers and preloaded libraries do not go together")
    return {**os.environ, "LD_PRELOAD": lib}


@bs.test
def no_random_numbers():
    """without random numbers nothing starts: status 7, one message"""
    node = Plain()
    env = preloaded(node, "#include <errno.h>\n#include <sys/types.h>\n"
                    "ssize_t getrandom(void *b, size_t n, unsigned f)\n"
                    "{ (void)b; (void)n; (void)f; errno = ENOSYS; return -1; }\n")
    refused(node.daemon(env=env), RESOURCE, "random numbers", "getrandom")


@bs.test
def clock_jumps():
    """a jump of the clock, forth and back, is told once each and detaches no device"""
    node = Plain()
    env = preloaded(node, '''
        #define _GNU_SOURCE
        #include <sys/syscall.h>
        #include <time.h>
        #include <unistd.h>
        int clock_gettime(clockid_t id, struct timespec *ts)
        {
            int rc = (int)syscall(SYS_clock_gettime, id, ts);
            if (id == CLOCK_REALTIME && access("''' + node.path("jump") + '''", F_OK) == 0)
                ts->tv_sec += 86400;
            return rc;
        }
        ''')
    node.start(env=env)
    device = node.device("clock.p2p.test")
    with open(node.path("jump"), "w", encoding="ascii"):
        pass
    node.process.expect(r"notice: clock, jumped by 86\d\d\d s")
    os.unlink(node.path("jump"))
    node.process.expect(r"notice: clock, jumped by -86\d\d\d s")
    answered = node.stat("alive_answered")
    bs.until("keep-alives go on", lambda: node.stat("alive_answered") > answered)
    bs.equal(len([x for x in node.process.lines if "clock, jumped" in x]), 2, "notices")
    bs.equal(len([x for x in device.process.lines if "bs-weather: attached" in x]), 1, "attaches")
    device.stop()
    bs.equal(node.stop(), 0, "status")


@bs.test
def reader_of_stderr_gone():
    """whoever read its stderr ends: the server serves on"""
    node = Plain(log_level="debug")
    r, w = os.pipe()
    p = subprocess.Popen([DAEMON, "-c", node.conf_file], stdin=subprocess.DEVNULL,
                         stdout=subprocess.DEVNULL, stderr=w)
    os.close(w)
    try:
        bs.until("ready", lambda: node.bsctl("status", ok=False).returncode == 0)
        os.close(r)
        p.send_signal(signal.SIGHUP)
        for _ in range(3):
            bs.equal(node.status()["pid"], p.pid, "answers")
        p.send_signal(signal.SIGTERM)
        bs.equal(p.wait(20 * bs.SLOW), 0, "status")
    finally:
        if p.poll() is None:
            p.kill()
            p.wait()


@bs.test
def control_fd_that_is_none():
    """--control-fd with a descriptor that is not open: one message"""
    node = Plain()
    r = node.daemon("--control-fd", "99")
    bs.check(r.returncode != 0 and r.stderr.count("\n") == 1 and "control-fd" in r.stderr, r.stderr)


@bs.test
def notice_before_a_limit():
    """a full table: a notice, a counted refusal, and those inside are not harmed"""
    node = Plain(workers=1, max_devices=2).start()
    devices = [node.device(f"d{i}.example") for i in range(2)]
    node.process.expect(r"notice: limits, max-devices comes near \(2 of 2 in use\)")
    third = node.device("d3.example", start=False).start(attached=False)
    bs.until("it is put off, with a word", lambda: node.stat("invite_no_room") > 0)
    bs.equal(node.stat("invite_retry"), node.stat("invite_no_room"), "told")
    bs.equal(node.stat("attach_slab_full"), 0, "refused after a proof")
    third.kill()
    third = node.device("d4.example", "--extensions", "0", start=False).start(attached=False)
    bs.until("the refusal is counted", lambda: node.stat("attach_slab_full") > 0)
    bs.equal(node.status()["devices_attached"], 2, "attached")
    third.kill()
    bs.equal(len([l for l in node.process.lines if "max-devices comes near" in l]), 1, "notices")
    for d in devices:
        bs.equal(d.stop(), 0, "device")
    bs.equal(node.stop(), 0, "status")


@bs.test
def descriptor_limits():
    """too few descriptors: -t computes it, and a start raises what it may"""
    node = bs.Node(max_clients=3000, listen="127.0.0.1", user="nobody")

    def few():
        resource.setrlimit(resource.RLIMIT_NOFILE, (64, 512))
        if os.getuid() == 0:
            as_nobody()
    os.chmod(node.dir, 0o755)
    for name in ("server.key", "server.crt", "ca/ca.crt", "ca/ca.crl", "ca"):
        os.chmod(node.path(name), 0o755)
    r = bs.run([DAEMON, "-t", "-c", node.conf_file], ok=False, preexec_fn=few)
    bs.check(re.search(r"error: descriptors, \d+ needed and 512 allowed; raise RLIMIT_NOFILE "
                       r"\(systemd: LimitNOFILE=\d+\) or lower max-clients", r.stderr), r.stderr)


@bs.test
def example_conf_loads():
    """the installed example is a valid conf"""
    example = os.path.join(bs.SRC, "conf/basestation.conf.example")
    folder = tempfile.mkdtemp(prefix="bs-")
    copy = os.path.join(folder, "c.conf")
    shutil.copyfile(example, copy)
    r = bs.run([DAEMON, "-T", "-c", copy], ok=False)
    shutil.rmtree(folder)
    bs.equal((r.returncode, r.stderr), (0, ""), "-T of the example")


if __name__ == "__main__":
    bs.main()
    sys.exit(0)
