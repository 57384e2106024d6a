#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""bsctl against a real basestationd: every command, every exit code, bad input, a server that dies."""
import json
import os
import re
import shutil
import socket
import stat
import subprocess
import tempfile
import threading
import time

import bs
from bs import check, equal, test

OK, FAILED, USAGE, UNREACHABLE, REFUSED, NOT_FOUND, EXISTS, BAD_INPUT, BUSY, INTERRUPTED = range(10)
BSCTL = bs.program("bsctl")
SECRET = "00112233445566778899aabbccddeeff"
HEX32 = re.compile(r"[0-9a-f]{32}")

_node = None


def node():
    """One server for the tests that do not stop or break it."""
    global _node
    if _node is None:
        _node = bs.Node().start()
    return _node


def bsctl(*args, want=OK, n=None, **kw):
    """Run bsctl, check its status, give the process."""
    r = (n or node()).bsctl(*args, ok=False, as_json=kw.pop("as_json", True), **kw)
    equal(r.returncode, want, f"bsctl {' '.join(args)}: {r.stdout}{r.stderr}")
    if want != OK:
        check(r.stderr.strip(), "an error without a message")
    return r


def rows(*args, n=None, **kw):
    return [json.loads(x) for x in bsctl(*args, n=n, **kw).stdout.splitlines()]


def error(r):
    """The error object that --json prints."""
    return json.loads(r.stderr.splitlines()[-1])


def write(name, text, n=None):
    path = (n or node()).path(name)
    with open(path, "w", encoding="utf-8", newline="") as f:
        f.write(text)
    return path


def mode(path):
    return stat.S_IMODE(os.stat(path).st_mode)


# ---- the running server


@test
def status():
    """status shows ports, readiness and limits"""
    s = bs.until("ready", lambda: [x for x in rows("status") if x["ready"]])[0]
    for key in ("controller_port", "attach_port", "client_port", "pid", "uptime_s", "workers"):
        check(isinstance(s[key], int), f"{key} is missing")
    check(s["controller_port"] > 0, "a port of 0 is not shown as the one in use")
    for name in ("devices", "clients", "connections", "pending", "database", "descriptors"):
        check({"used", "max", "percent"} <= set(s["limits"][name]), f"limit {name}")
    text = bsctl("status", as_json=False).stdout
    check(re.search(r"^controller_port +\d+$", text, re.M), text)


@test
def stats():
    """stats leaves zeros out unless asked, and speaks Prometheus"""
    some, every = rows("stats"), rows("stats", "--all")
    check(all(x["value"] for x in some), "a zero without --all")
    check(len(every) > 150 and len(every) > len(some), f"{len(every)} counters")
    check({"attach_ok", "store_commits", "log_written"} <= {x["name"] for x in every}, "names")
    text = bsctl("stats", "--prometheus", as_json=False).stdout
    for line in text.splitlines():
        check(re.match(r"# (HELP|TYPE) \w+ .|\w+(\{[^}]*\})? -?[0-9.e+]+$", line), line)


@test
def log_level():
    """log level shows, changes, refuses"""
    equal(rows("log", "level", "info")[0]["level"], "info", "level")
    equal(rows("log", "level")[0]["level"], "info", "level")
    equal(rows("log", "level", "debug", "--dry-run")[0]["before"], "info", "level")
    equal(rows("log", "level")[0]["level"], "info", "after a dry run")
    bsctl("log", "level", "loud", want=USAGE)


@test
def reload():
    """conf reload reports each key, and keeps the old conf when the new one is wrong"""
    n = node()
    n.set(alive_interval="300ms", workers=3)
    got = {x["key"]: x["change"] for x in rows("conf", "reload") if "key" in x}
    equal(got, {"alive-interval": "changed", "workers": "restart"}, "report")
    with open(n.conf_file, encoding="utf-8") as f:
        good = f.read()
    with open(n.conf_file, "a", encoding="utf-8") as f:
        f.write("sesion-rate = 5\n")
    e = error(bsctl("conf", "reload", "--socket", n.socket, want=BAD_INPUT))
    check("sesion-rate" in e["error"]["reason"], e)
    r = bsctl("conf", "check", want=BAD_INPUT, as_json=False)
    check(f"basestation.conf:{good.count(chr(10)) + 1}" in r.stderr, r.stderr)
    with open(n.conf_file, "w", encoding="utf-8") as f:
        f.write(good)
    n.set(alive_interval="200ms", workers=2)
    bsctl("conf", "reload")
    bsctl("conf", "check")
    equal(rows("conf", "show")[0]["workers"] in (2, "2"), True, "conf show")
    bsctl("conf", "check", "/nowhere.conf", want=NOT_FOUND)


# ---- devices


@test
def device_life():
    """a device is added, shown, tagged, disabled, enabled, deleted"""
    d = rows("device", "add", "life-1", "--tag", "b", "--tag", "a")[0]
    check(HEX32.fullmatch(d["secret"]), d)
    got = rows("device", "show", "life-1")[0]
    equal((got["state"], got["tags"], got["attachment"]), ("enabled", ["a", "b"], None), "show")
    check(d["secret"] not in json.dumps(got), "show gives the secret away")
    bsctl("device", "tag", "life-1", "--add", "c", "--remove", "a")
    equal(rows("device", "show", "life-1")[0]["tags"], ["b", "c"], "tags")
    bsctl("device", "disable", "life-1")
    equal(rows("device", "list", "--state", "disabled")[0]["id"], "life-1", "list")
    bsctl("device", "enable", "life-1")
    bsctl("device", "add", "life-1", want=EXISTS)
    bsctl("device", "delete", "life-1", "life-2", want=NOT_FOUND)
    bsctl("device", "show", "life-1")
    bsctl("device", "delete", "life-1")
    bsctl("device", "show", "life-1", want=NOT_FOUND)
    bsctl("device", "kick", "life-1", want=NOT_FOUND)


@test
def device_secrets():
    """secrets come from files and go to files, never over the command line"""
    n = node()
    out = n.path("s1.secret")
    r = rows("device", "add", "s1", "--secret-file", out)[0]
    check("secret" not in r and HEX32.fullmatch(open(out).read().strip()), r)
    equal(mode(out), 0o600, "mode of the secret")
    # The file is there already: nothing happens to the registry.
    bsctl("device", "add", "s2", "--secret-file", out, want=EXISTS)
    bsctl("device", "show", "s2", want=NOT_FOUND)
    # The device is there already: no file is left.
    bsctl("device", "add", "s1", "--secret-file", n.path("s1b.secret"), want=EXISTS)
    check(not os.path.exists(n.path("s1b.secret")), "a secret of nothing was left")
    bsctl("device", "add", "s2", "--secret-from", write("in", SECRET + "\n"))
    r = n.bsctl("device", "add", "s3", "--secret-from", "-", ok=False,
                stdin=open(write("in64", "ABEiM0RVZneImaq7zN3u/w==")))
    equal(r.returncode, 0, r.stderr)
    both = {x["id"]: x["secret"] for x in map(json.loads, bsctl(
        "device", "export", "--with-secrets", "--prefix", "s", "-f", "json").stdout.splitlines())}
    equal((both["s2"], both["s3"]), (SECRET, SECRET), "secrets")
    r = bsctl("device", "add", "s4", "--secret-from", write("bad", SECRET[:-1]), want=BAD_INPUT)
    check(SECRET[:8] not in r.stderr, "a mistyped secret is shown")
    bsctl("device", "add", "s4", "--secret", SECRET, want=USAGE)
    bsctl("device", "add", "s4", "--no-secret", want=USAGE)
    bsctl("device", "add", "s4", "--no-secret", "--legacy")
    bsctl("device", "add", "s5", "--dry-run")
    bsctl("device", "show", "s5", want=NOT_FOUND)


@test
def rotate_key():
    """a new key waits beside the old one until it is finished or undone"""
    bsctl("device", "add", "rot-1")
    check(HEX32.fullmatch(rows("device", "rotate-key", "rot-1")[0]["secret"]), "secret")
    equal(rows("device", "show", "rot-1")[0]["rotating"], True, "rotating")
    bsctl("device", "rotate-key", "rot-1", want=EXISTS)
    bsctl("device", "rotate-key", "rot-1", "--finish")
    bsctl("device", "rotate-key", "rot-1", "--undo", want=NOT_FOUND)


@test
def attachment():
    """show and list --attached see a device; kick, disable and delete end it within a second"""
    n = node()
    d = n.device("att-1")
    a = rows("device", "show", d.id)[0]["attachment"]
    check(a["address"].startswith("127.0.0.1:") and a["state"] == "online", a)
    equal([x["id"] for x in rows("device", "list", "--attached")], [d.id], "attached")
    start = time.monotonic()
    bsctl("device", "disable", d.id)
    bs.until("detached", lambda: rows("device", "show", d.id)[0]["attachment"] is None, 1)
    check(time.monotonic() - start < 1 * bs.SLOW + 1, "more than a second")
    bsctl("device", "kick", d.id, want=NOT_FOUND)
    d.stop()


# ---- import and export


@test
def import_export():
    """what is exported imports again, in both forms, and no secret leaks"""
    text = "id,secret,tags,state\r\n" + "".join(
        f"ie-{i:03d},{SECRET[:-3]}{i:03x},t1;t2,{'disabled' if i % 7 == 0 else ''}\r\n"
        for i in range(700))
    equal(rows("device", "import", write("ie.csv", text))[0]["added"], 700, "added")
    for form in ("csv", "json"):
        out = node().path("ie." + form + ".out")
        bsctl("device", "export", out, "-f", form, "--with-secrets", "--prefix", "ie-", "-q")
        equal(mode(out), 0o600, "mode of a file with secrets")
        bsctl("device", "export", out, "-f", form, want=EXISTS)
        first = open(out).read()
        equal(rows("device", "import", out, "--mode", "skip")[0]["added"], 0, "skip")
        bsctl("device", "import", out, want=BAD_INPUT)
        equal(rows("device", "import", out, "--mode", "replace")[0]["rows"], 700, "replace")
        os.unlink(out)
        bsctl("device", "export", out, "-f", form, "--with-secrets", "--prefix", "ie-", "-q")
        equal(open(out).read(), first, "second export")
        plain = bsctl("device", "export", "-f", form).stdout
        check(SECRET[:-3] not in plain and '"secret"' not in plain, "an export gives secrets away")


@test
def import_bad_rows():
    """each bad row has its line; nothing is stored; more are counted than shown"""
    before = rows("status")[0]["registry"]["devices"]
    text = (f"id,secret\nbad-1,{SECRET}\nBAD-2,{SECRET}\nbad-3,00\n\"bad\n-4\",{SECRET}\n"
            f"bad-5,{SECRET},more\nbad-6,\nbad-7,{SECRET}\n")
    path = write("bad.csv", text)
    r = bsctl("device", "import", path, want=BAD_INPUT, as_json=False)
    for line in (3, 4, 5, 7, 8):
        check(f"{path}:{line}" in r.stderr, f"line {line} in {r.stderr}")
    check("5 bad rows" in r.stderr and "nothing was imported" in r.stderr, r.stderr)
    r = bsctl("device", "import", path, "--max-errors", "2", want=BAD_INPUT, as_json=False)
    check("the last 3 are not shown" in r.stderr and f"{path}:5" not in r.stderr, r.stderr)
    # What only the server can know: ids that are there, ids that come twice.
    bsctl("device", "add", "there-1")
    path = write("there.csv", f"new-1,{SECRET}\nthere-1,{SECRET}\nnew-2,{SECRET}\nnew-2,{SECRET}\n")
    r = bsctl("device", "import", path, want=BAD_INPUT, as_json=False)
    check(f"{path}:2" in r.stderr and f"{path}:4" in r.stderr, r.stderr)
    path = write("both.csv", f"Bad,{SECRET}\nthere-1,{SECRET}\nnew-3,{SECRET}\nnew-3,{SECRET}\n")
    r = bsctl("device", "import", path, want=BAD_INPUT, as_json=False)
    check("3 bad rows" in r.stderr, r.stderr)
    path = write("there.csv", f"there-1,{SECRET}\n")
    bsctl("device", "import", path, "--dry-run", want=BAD_INPUT)
    for text in ("id,colour\na,b\n", '{"id":"a","colour":1}\n', "\x00\n", '"a\n', "{\n"):
        bsctl("device", "import", write("x", text), want=BAD_INPUT)
    bsctl("device", "import", "/nowhere.csv", want=NOT_FOUND)
    equal(rows("status")[0]["registry"]["devices"], before + 1, "devices")


@test
def import_generates():
    """rows without a secret get one, which is kept in a file"""
    path, out = write("gen.csv", "id\ngen-1\ngen-2\n"), node().path("gen.secrets")
    bsctl("device", "import", path, want=BAD_INPUT)
    bsctl("device", "import", path, "--generate", want=USAGE)
    bsctl("device", "import", path, "--generate", "--secret-file", out, "--dry-run")
    check(not os.path.exists(out), "a dry run wrote secrets")
    bsctl("device", "import", path, "--generate", "--secret-file", out)
    equal(mode(out), 0o600, "mode")
    made = dict(x.split(",") for x in open(out).read().splitlines()[1:])
    kept = {x["id"]: x["secret"] for x in map(json.loads, bsctl(
        "device", "export", "--with-secrets", "--prefix", "gen-", "-f", "json").stdout.splitlines())}
    equal(made, kept, "secrets")
    check(made["gen-1"] != made["gen-2"], "the same secret twice")
    # A failure leaves no file.
    bsctl("device", "import", path, "--generate", "--secret-file", out + "2", want=BAD_INPUT)
    equal([x for x in os.listdir(node().dir) if "gen.secrets2" in x], [], "left behind")


@test
def import_from_pipe():
    """rows come from the standard input"""
    r = subprocess.run([BSCTL, "device", "import", "-", "-c", node().conf_file, "--json"],
                       input=f"pipe-1,{SECRET}\npipe-2,{SECRET}".encode(), capture_output=True,
                       timeout=30)
    equal(r.returncode, 0, r.stderr)
    bsctl("device", "show", "pipe-2")


@test
def import_many():
    """20,000 devices in one go while the server answers others at its pace"""
    n = node()
    path = write("many.csv", "id,secret,tags\n" + "".join(
        f"many-{i:06d},{i:032x},line{i % 4}\n" for i in range(20000)))
    slowest, stop = [0.0], threading.Event()
    attached = n.device("many-attached.p2p.test")

    def poll():
        while not stop.is_set():
            start = time.monotonic()
            n.bsctl("log", "level")
            slowest[0] = max(slowest[0], time.monotonic() - start)

    t = threading.Thread(target=poll)
    t.start()
    try:
        equal(rows("device", "import", path, seconds=120)[0]["added"], 20000, "added")
    finally:
        stop.set()
        t.join()
    check(slowest[0] < 2 * bs.SLOW, f"another command waited {slowest[0]:.2f} s")
    seen = [x for x in attached.process.lines if "bs-weather: attached" in x]
    equal(len(seen), 1, "attaches of a device meanwhile")
    attached.stop()
    equal(len(rows("device", "list", "--prefix", "many-0")), 20000, "list")
    equal(len(rows("device", "list", "--prefix", "many-", "--limit", "123")), 123, "limit")
    equal(len(rows("device", "list", "--tag", "line3")), 5000, "tag")


@test
def import_interrupted():
    """an import that is killed half-way leaves nothing"""
    n = node()
    before = rows("status")[0]["registry"]["devices"]
    p = subprocess.Popen([BSCTL, "device", "import", "-", "-c", n.conf_file], stdin=subprocess.PIPE,
                         stderr=subprocess.DEVNULL)
    p.stdin.write(b"".join(b"int-%06d,%032x\n" % (i, i) for i in range(5000)))
    p.stdin.flush()
    p.kill()
    p.wait()
    p.stdin.close()
    bs.until("the server lets go", lambda: rows("device", "list", "--prefix", "int-") == [])
    equal(rows("status")[0]["registry"]["devices"], before, "devices")


# ---- clients and rules


@test
def clients_and_rules():
    """clients, groups, rules and why a check says what it says"""
    n = node()
    cert, _ = n.client("Carol@Example.com")
    bsctl("device", "add", "rule-1", "--tag", "lab")
    bsctl("client", "add", "carol@example.com", "--group", "ops", "--certificate", cert,
          "--ca", n.path("ca/ca.crt"))
    c = rows("client", "list")[0]
    equal((c["identity"], c["groups"]), ("carol@example.com", ["ops"]), "client")
    want = subprocess.run(["openssl", "x509", "-in", cert, "-noout", "-pubkey"], check=True,
                          capture_output=True).stdout
    der = subprocess.run(["openssl", "pkey", "-pubin", "-outform", "der"], input=want, check=True,
                         capture_output=True).stdout
    equal(c["key_fp"], __import__("hashlib").sha256(der).hexdigest(), "key fingerprint")

    def outcome(*more):
        x = rows("access", "check", "carol@example.com", "rule-1", "--ca", n.path("ca/ca.crt"),
                 "--key-fp", c["key_fp"], *more)[0]
        return x["allow"], x["reason"]

    equal(outcome(), (False, "no-rule"), "default")
    number = rows("access", "allow", "group:ops", "tag:lab")[0]["rule"]
    equal(outcome(), (True, "rule"), "group and tag")
    bsctl("access", "allow", "group:ops", "tag:lab", want=EXISTS)
    bsctl("client", "disable", "carol@example.com", "--ca", n.path("ca/ca.crt"))
    equal(outcome(), (False, "client-disabled"), "disabled")
    bsctl("client", "enable", "carol@example.com", "--ca", n.path("ca/ca.crt"))
    bsctl("access", "deny", "*", "rule-*", "--priority", "9")
    equal(outcome(), (False, "rule"), "deny")
    bsctl("access", "delete", str(number))
    bsctl("access", "delete", str(number), want=NOT_FOUND)
    bsctl("access", "allow", "group:", "x", want=USAGE)
    bsctl("client", "show", "carol@example.com", want=NOT_FOUND)
    bsctl("client", "add", "x", "--ca", cert, want=BAD_INPUT)


# ---- database, offline


@test
def database():
    """backup while it runs, restore without a server, check both ways, offline commands"""
    n = bs.Node().start()
    bsctl("device", "add", "db-1", n=n)
    copy = n.path("copy.mdb")
    bsctl("db", "backup", copy, n=n)
    bsctl("db", "backup", copy, n=n, want=EXISTS)
    equal(rows("db", "check", n=n)[0]["problems"], 0, "check")
    bsctl("device", "delete", "db-1", n=n)
    bsctl("db", "restore", copy, n=n, want=BUSY)
    bsctl("device", "list", "--offline", n=n, want=BUSY)
    n.stop()
    bsctl("device", "show", "db-1", "--offline", n=n, want=NOT_FOUND)
    bsctl("db", "restore", n.path("no-such"), n=n, want=NOT_FOUND)
    bsctl("db", "restore", copy, n=n)
    equal(rows("device", "show", "db-1", "--offline", n=n)[0]["id"], "db-1", "restored")
    equal(rows("db", "check", "--offline", n=n)[0]["devices"], 1, "check")
    bsctl("status", "--offline", n=n, want=USAGE)
    n.start()
    equal(rows("device", "show", "db-1", n=n)[0]["id"], "db-1", "after a restart")
    bsctl("stop", n=n)
    equal(n.process.wait(), 0, "status of the server")
    n.process = None


@test
def damaged_database():
    """a check of a damaged database says so and survives it; a restore repairs it"""
    n = bs.Node().start()
    path = write("rows", "".join(f"dmg-{i},{SECRET}\n" for i in range(2000)), n=n)
    bsctl("device", "import", path, n=n)
    copy = n.path("copy.mdb")
    bsctl("db", "backup", copy, n=n)
    n.stop()
    data = os.path.join(n.path("registry"), "data.mdb")
    with open(data, "r+b") as f:
        f.seek(2 * 4096)
        f.write(b"\xa5" * (os.path.getsize(data) - 2 * 4096))
    r = bsctl("db", "check", "--offline", n=n, want=FAILED)
    equal(error(r)["error"]["place"], "database", r.stderr)
    os.truncate(data, 3 * 4096)
    bsctl("db", "check", "--offline", n=n, want=FAILED)
    bsctl("db", "restore", copy, n=n)
    equal(rows("db", "check", "--offline", n=n)[0]["devices"], 2000, "after the restore")


@test
def offline_first():
    """offline commands work before the server ran at all"""
    n = bs.Node()
    bsctl("device", "add", "first-1", "--offline", n=n)
    n.start()
    bsctl("device", "show", "first-1", n=n)
    n.stop()


# ---- the socket


@test
def dead_sockets():
    """no socket, a stale socket, no rights, a silent and a dying server: one message each"""
    d = tempfile.mkdtemp(prefix="bs-")
    path = os.path.join(d, "control")

    def run(*more, **kw):
        r = bs.run([BSCTL, "status", "-s", path, *more], ok=False, **kw)
        equal(len(r.stderr.splitlines()), 1, r.stderr)
        return r

    try:
        r = run()
        equal(r.returncode, UNREACHABLE, r.stderr)
        check(path in r.stderr and "start basestationd" in r.stderr, r.stderr)
        s = socket.socket(socket.AF_UNIX)
        s.bind(path)
        equal(run().returncode, UNREACHABLE, "stale")
        s.listen(1)
        r = run("--timeout", "1")
        equal(r.returncode, INTERRUPTED, r.stderr)
        if os.getuid() == 0:
            os.chmod(d, 0o755)
            os.chmod(path, 0o600)
            r = run(user="nobody", group="nogroup", extra_groups=[])
            equal(r.returncode, REFUSED, r.stderr)
            check("control-group" in r.stderr, r.stderr)

        def die():
            for answer in (b"", b'{"id":1,"item":{}}\n', b"garbage\n", b'{"id":1,"status":4,'
                           b'"error":{"place":"p","reason":"r","remedy":"m"}}\n'):
                c, _ = s.accept()
                c.recv(1000)
                c.sendall(answer)
                c.close()

        while True:  # the connection that the silent server never took
            s.settimeout(0.2)
            try:
                s.accept()[0].close()
            except TimeoutError:
                break
        s.settimeout(None)
        t = threading.Thread(target=die, daemon=True)
        t.start()
        r = run()
        equal(r.returncode, INTERRUPTED, r.stderr)
        check("went away" in r.stderr, r.stderr)
        r = bs.run([BSCTL, "device", "list", "-s", path], ok=False)
        equal(r.returncode, INTERRUPTED, r.stderr)
        equal(run().returncode, USAGE, "garbage")
        r = run()
        equal((r.returncode, r.stderr), (REFUSED, "bsctl: p: r; m\n"), "message")
        t.join(10)
    finally:
        shutil.rmtree(d)


@test
def killed_server():
    """kill -9 in mid-import: one message, and the next start takes the socket over"""
    n = bs.Node().start()
    p = subprocess.Popen([BSCTL, "device", "import", "-", "-c", n.conf_file, "-j"],
                         stdin=subprocess.PIPE, stderr=subprocess.PIPE)
    p.stdin.write(b"".join(b"k-%05d,%032x\n" % (i, i) for i in range(3000)))
    p.stdin.flush()
    n.kill()
    _, err = p.communicate(b"".join(b"l-%05d,%032x\n" % (i, i) for i in range(3000)), 30)
    equal(p.returncode, INTERRUPTED, err)
    equal(json.loads(err)["name"], "interrupted", err)
    bsctl("status", n=n, want=UNREACHABLE)
    n.start()
    equal(rows("device", "list", n=n), [], "devices")
    n.stop()


@test
def strangers():
    """another user is refused by the socket's mode"""
    if os.getuid() != 0:
        raise bs.Skip("only root can try as somebody else")
    n = node()
    os.chmod(n.dir, 0o755)
    try:
        r = bs.run([BSCTL, "status", "-s", n.socket], ok=False, user="nobody", group="nogroup",
                   extra_groups=[])
        equal(r.returncode, REFUSED, r.stderr)
        # A mode that somebody has opened does not help: the peer's rights are asked as well.
        os.chmod(n.socket, 0o666)
        r = bs.run([BSCTL, "status", "-s", n.socket], ok=False, user="nobody", group="nogroup",
                   extra_groups=[])
        equal(r.returncode, REFUSED, r.stderr)
    finally:
        os.chmod(n.socket, 0o600)
        os.chmod(n.dir, 0o700)


# ---- command line


@test
def usage():
    """unknown commands and options are refused with what would fit"""
    for args, words in ((["frob"], ["frob", "bsctl help"]), (["device"], ["device add"]),
                        (["device", "show"], ["ID is missing", "usage"]),
                        (["device", "show", "x", "--nope"], ["--nope", "usage"]), ([], ["help"])):
        r = bs.run([BSCTL, *args], ok=False)
        equal(r.returncode, USAGE, r.stderr)
        for w in words:
            check(w in r.stderr, f"{args}: {r.stderr}")
    table = json.loads(bs.run([BSCTL, "help", "--json"]).stdout)
    for c in table["commands"]:
        for args in ([*c["name"].split(), "--help"], ["help", *c["name"].split()]):
            check(c["name"] in bs.run([BSCTL, *args]).stdout, c["name"])
    check(bs.run([BSCTL, "--version"]).stdout.startswith("bsctl "), "version")
    bsctl("device", "add", "first-2")
    r = bs.run([BSCTL, "--json", "-c", node().conf_file, "dev", "sh", "first-2"], ok=False)
    equal(json.loads(r.stdout or "{}").get("id"), "first-2", f"options first: {r.stderr}")


@test
def completion():
    """bash completes commands, their words and their options"""
    if not shutil.which("bash"):
        raise bs.Skip("bash is not installed")

    def complete(*words):
        script = (f". '{bs.SRC}/src/tools/bsctl/completion/bsctl'; COMP_WORDS=(\"$@\"); "
                  "COMP_CWORD=$(($# - 1)); _bsctl; printf '%s\\n' \"${COMPREPLY[@]}\"")
        return sorted(set(bs.run(["bash", "-c", script, "-", BSCTL, *words]).stdout.split()))

    equal(complete("sta"), ["stats", "status"], "command")
    check({"add", "import", "show"} <= set(complete("device", "")), "second word")
    equal(complete("ca", "issue", "c"), ["client"], "third word")
    equal(complete("device", "add", "cam-1", "--secret-f"), ["--secret-file", "--secret-from"], "option")
    equal(complete("device", "show", "c"), [], "argument")


@test
def pipe_closed():
    """a reader that leaves is no error worth a word"""
    p = subprocess.run(["sh", "-c", f"'{BSCTL}' help | head -1"], capture_output=True, timeout=30)
    equal((p.returncode, p.stderr), (0, b""), "head")


if __name__ == "__main__":
    bs.main()
