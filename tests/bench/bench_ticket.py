# SPDX-License-Identifier: Apache-2.0
"""bench_ticket - what a connection costs the server, by ticket and over TLS.

bsconnect asks a device one question, as a program does that starts, asks and ends: with a ticket in
a file, and with a session of its own each time (full handshakes; the server knows the chain).  The
whole of it is counted: CONNECT, the relay's binding, reports of the device, DISCONNECT.  What the
server uses when nobody asks is measured as well, and taken off.
"""
import time

import bench_common as common

DEVICE = "load-serial-no-000.p2p.example"
TURNS = 4
# One after the other, since each has a rate.
CLIENTS = 4


def ask(n, cert, *options):
    n.connect(cert, *options, "rpc", DEVICE, "get_weather")


def turn(n, clients, seconds, bill, by_ticket):
    """Ask for so long; add connects, CPU and time to the bill."""
    begin = time.monotonic()
    with common.Usage(n.process.p.pid) as u:
        while time.monotonic() - begin < seconds:
            cert, ticket = clients[bill["n"] % len(clients)]
            ask(n, cert, *(ticket if by_ticket else []))
            bill["n"] += 1
    bill["cpu"] += u.cpu
    bill["wall"] += time.monotonic() - begin


def row_connect_ticket(seconds):
    """Connections by ticket, all of what the server has to do for one; beside them over TLS"""
    n = common.node(10, max_clients=4000)
    n.allow()
    device = n.device(DEVICE)
    clients = [(n.client(f"bench{i}@example.test"), ["--ticket-file", n.path(f"ticket{i}")])
               for i in range(CLIENTS)]
    for cert, ticket in clients:
        ask(n, cert, *ticket)
        ask(n, cert, *ticket)
    bills = {"ticket": {"n": 0, "cpu": 0.0, "wall": 0.0}, "tls": {"n": 0, "cpu": 0.0, "wall": 0.0}}
    with common.Usage(n.process.p.pid) as idle:
        time.sleep(seconds / 2)
    idle_share = idle.cpu / (seconds / 2)
    full = n.stat("gate_handshake_full")
    by_ticket = n.stat("ticket_requests")
    for _ in range(TURNS):
        turn(n, clients, seconds / TURNS, bills["ticket"], True)
        if n.stat("gate_handshake_full") != full:
            raise SystemExit("bench: a connect by ticket made a handshake")
        turn(n, clients, seconds / TURNS, bills["tls"], False)
        full = n.stat("gate_handshake_full")
    if n.stat("ticket_requests") - by_ticket < bills["ticket"]["n"]:
        raise SystemExit("bench: not every connect was by ticket")
    device.stop()
    n.stop()
    rate = {k: b["n"] / (b["cpu"] - idle_share * b["wall"]) for k, b in bills.items()}
    return {"value": rate["ticket"], "peers": {"TLS": rate["tls"]},
            "ticket_us": 1e6 / rate["ticket"], "tls_us": 1e6 / rate["tls"],
            "connects": bills["ticket"]["n"]}


ROWS = {"connect-ticket": row_connect_ticket}
