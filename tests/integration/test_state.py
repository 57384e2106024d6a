#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The state-file: attached devices stay attached when the server dies and another one starts."""
import os
import signal
import sys

import bs

# Devices have to notice nothing within the life of a test.
PATIENT = {"alive-interval": "300ms", "alive-retry": "200ms", "alive-unreachable": "10s",
           "alive-timeout": "20s", "alive-min": "1s", "alive-max": "1s"}


def node(**conf):
    """A node with a state-file and fixed ports, so that a second start has the same."""
    n = bs.Node(**{**PATIENT, "log-level": "info", **conf})
    n.set(**{"state-file": n.path("state")})
    n.start()
    n.set(**{k: n.ports[k.replace("-", "_")]
             for k in ("controller-port", "attach-port", "client-port", "gateway-port")})
    return n


def attached(n):
    """The attachments: what never changes while they last."""
    keys = ("id", "address", "local", "nat", "since", "extensions", "capabilities", "version",
            "label")
    return {tuple(str(d[k]) for k in keys) for d in n.ask("device", "list", "--attached")}


def again(n, **conf):
    """kill -9, and another process."""
    n.process.signal(signal.SIGKILL)
    n.process.wait()
    n.set(**conf)
    n.start()


def is_alive(n, devices):
    """Every device answers keepalives of this process, and none attached anew."""
    before = n.stat("alive_answered")
    bs.until("keepalives answered", lambda: n.stat("alive_answered") >= before + 2 * len(devices))
    for d in devices:
        lines = [l for l in d.process.lines if "bs-weather: attached" in l]
        bs.equal(len(lines), 1, f"times that {d.id} attached")


@bs.test
def survives_kill():
    """A device stays attached over kill -9 and is reached afterwards"""
    n = node()
    d = n.device("heat1.base.test")
    n.allow()
    cert = n.client("ann@example.com")
    was = attached(n)
    again(n)
    bs.equal(attached(n), was, "attachments")
    bs.equal(n.stat("state_kept"), 1, "state_kept")
    is_alive(n, [d])
    n.rpc(cert, d.id, "get_weather.json")
    bs.equal(n.stat("attach_ok"), 0, "attaches at the second process")
    n.stop()


if __name__ == "__main__":
    bs.main()
    sys.exit(0)
