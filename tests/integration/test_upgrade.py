#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Upgrade in place: a new binary takes sockets and devices over, and nobody notices but who must."""
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time

import bs

CLIENT = "user@example.test"


class Upgradable(bs.Node):
    """A node whose binary lies in its own folder, so that a test can exchange it."""

    def __init__(self, **conf):
        super().__init__(**{"drain_time": "2s", **conf})
        self.binary = self.path("basestationd")
        self.install(bs.program("basestationd"))

    def install(self, source):
        """Put another binary in place as a package does: by rename, beside the running one."""
        shutil.copy(source, self.binary + ".new")
        os.chmod(self.binary + ".new", 0o755)
        os.rename(self.binary + ".new", self.binary)

    def script(self, text):
        with open(self.path("script"), "w", encoding="utf-8") as f:
            f.write("#!/bin/sh\n" + text + "\n")
        self.install(self.path("script"))

    def start(self, *args, ready=True, **kw):
        self.process = bs.Process([self.binary, "-f", "-c", self.conf_file, *args], **kw)
        if ready:
            bs.until("basestationd ready", self._ready, 20)
        self.pid = self.process.p.pid
        return self

    def upgrade(self):
        """bsctl upgrade, and wait until the old process has left."""
        old = self.pid
        self.pid = self.ask("upgrade")[0]["pid"]
        bs.check(self.pid != old, "it is another process")
        bs.equal(self.status()["pid"], self.pid, "who answers")
        return old

    def stop(self):
        """The process that serves now is no child of ours after an upgrade."""
        os.kill(self.pid, signal.SIGTERM)
        bs.until("the end of the last process", lambda: not running(self.pid), 20)

    def kill(self):
        for line in self.process.lines:
            pass
        if running(self.pid):
            os.kill(self.pid, signal.SIGKILL)


def running(pid):
    """Whether a process is there and not just waits for its parent to look."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as f:
            return f.read().rsplit(")", 1)[1].split()[0] not in "ZX"
    except OSError:
        return False


@bs.test
def takes_over():
    """a new process takes over: same ports, old one gone, client and device served before and after"""
    node = Upgradable().start()
    cert = node.client(CLIENT)
    node.allow()
    device = node.device("d1.p2p.example.test")
    before = node.rpc(cert, device.id, "get_weather.json")
    ports = {k: v for k, v in node.ports.items() if k.endswith("_port")}
    old = node.upgrade()
    after = {k: v for k, v in node.status().items() if k.endswith("_port")}
    bs.equal(after, ports, "ports")
    bs.until("the old process has left", lambda: not running(old), 10)
    bs.equal(node.process.wait(), 0, "status of the old process")
    print(json.dumps(before), file=sys.stderr)
    node.stop()
    bs.check(not os.path.exists(node.socket), "the control socket is still there")


if __name__ == "__main__":
    bs.main()
