#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The EXAMPLES of the manual, run line by line as they stand there.

Only places change: /etc/basestation and /var/backups become the test's folder, the name of the
machine becomes the node's address, and programs are found where they were built.
"""
import os
import re
import shlex
import shutil
import stat

import bs

MAN = os.path.join(bs.SRC, "man")


def examples(page):
    """The example lines of a page: (command or output), in their order."""
    with open(os.path.join(MAN, page), encoding="utf-8") as f:
        text = f.read()
    section = re.search(r"^\.Sh EXAMPLES\n(.*?)^\.Sh ", text, re.M | re.S).group(1)
    section = section.replace("\\e\n", "\\\n").replace("\\\n\t", "")
    lines, literal = [], False
    for line in section.splitlines():
        if line.startswith(".Bd -literal"):
            literal = True
        elif line == ".Ed":
            literal = False
        elif line.startswith(".Dl "):
            lines.append(line[4:])
        elif literal and line:
            lines.append(line)
    bs.check(lines, f"{page} has no examples")
    return lines


class Shell:
    """Runs example lines in a node's folder."""

    def __init__(self, node):
        self.node = node
        os.mkdir(node.path("bin"))
        conf = shlex.quote(node.conf_file)
        self.program("bsctl", f'''case $1 in
            ca) set -- "$@" --dir {shlex.quote(node.path("ca"))} ;; esac
            case $1.$2 in ca.init | ca.issue) exec "$real" "$@" --bits 2048 ;; esac
            exec "$real" "$@" --conf {conf}''')
        self.program("basestationd", 'exec "$real" "$@"')
        self.program("bsconnect", 'exec "$real" "$@"')

    def program(self, name, script):
        path = self.node.path("bin", name)
        with open(path, "w", encoding="utf-8") as f:
            f.write(f"#!/bin/sh\nreal={shlex.quote(bs.program(name))}\n{script}\n")
        os.chmod(path, stat.S_IRWXU)

    def run(self, line):
        """The output of one line, which must succeed."""
        line = line.replace("/etc/basestation", self.node.dir)
        line = line.replace("/var/backups", self.node.dir)
        line = line.replace("base.example.com", f"localhost:{self.node.ports.get('client_port')}")
        env = {**os.environ, "PATH": self.node.path("bin") + ":" + os.environ["PATH"]}
        return bs.run(["/bin/sh", "-c", line], cwd=self.node.dir, env=env).stdout


@bs.test
def bsctl_page():
    """bsctl(8): from nothing to a client that may reach a device, and what comes after"""
    node = bs.Node()
    # The examples make their own.
    shutil.rmtree(node.path("ca"))
    for name in ("server.crt", "server.key"):
        os.unlink(node.path(name))
    with open(node.path("run-17.csv"), "w", encoding="ascii") as f:
        f.write("id,tags\ncam-170.p2p.example.com,lab\ncam-171.p2p.example.com,lab\n")
    shell = Shell(node)
    for line in examples("bsctl.8"):
        if line == "systemctl start basestationd":
            node.start()
        else:
            out = shell.run(line)
        if line.startswith("bsctl access check"):
            bs.check("allow" in out, out)
    with open(node.path("run-17.secrets"), encoding="ascii") as f:
        bs.equal(len(f.readlines()), 3, "lines of secrets, title included")
    bs.check([x for x in os.listdir(node.dir) if re.match(r"basestation-.*\.mdb$", x)], "backup")
    bs.equal([x["identity"] for x in node.ask("client", "revoked")], ["alice@example.com"], "revoked")
    bs.equal(node.stop(), 0, "status")


@bs.test
def bsconnect_page():
    """bsconnect(1): the commands, and the output that the page shows"""
    node = bs.Node().start()
    cert = node.client("me@example.com")
    for made, name in zip(cert, ("me.crt", "me.key")):
        shutil.copy(made, node.path(name))
    shutil.copy(node.path("ca/ca.crt"), node.path("ca.crt"))
    shutil.copy(bs.XML, node.path("bs-weather.xml"))
    node.allow("me@example.com", "*")
    device = node.device("w1.p2p.example.com")
    shell = Shell(node)
    got, shown = [], []
    for line in examples("bsconnect.1"):
        if line.startswith("$ "):
            got += shell.run(line[2:]).splitlines()
        else:
            shown.append(line)
    bare = [[re.sub(r"\d{4}-\d\d-\d\dT[\d:.]+Z", "TIME", x).split() for x in y] for y in (got, shown)]
    bs.equal(bare[0], bare[1], "output")
    device.stop()
    bs.equal(node.stop(), 0, "status")


@bs.test
def basestationd_page():
    """basestationd(8): check, start, take a renewed certificate into use"""
    node = bs.Node(log_target="syslog")
    shell = Shell(node)
    try:
        for line in examples("basestationd.8"):
            shell.run(line)
        bs.check(node.status()["pid"] > 0, "it serves")
    finally:
        node.bsctl("stop", ok=False)
    bs.until("daemon ended", lambda: not os.path.exists(node.path("pid")))


if __name__ == "__main__":
    bs.main()
