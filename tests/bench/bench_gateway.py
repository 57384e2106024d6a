# SPDX-License-Identifier: Apache-2.0
"""bench_gateway - streams through the TCP relay, beside plain forwarders of bytes.

The value is megabytes per CPU-second of whoever stands in the middle, pinned to core 0.  Both ends
of all legs are bsbench's, on core 1, the same for the relay and for the forwarders: packets of the
size that stock devices send, each written by itself.  The forwarder has one epoll loop with read()
and write(), or SSL_read() and SSL_write() towards the client; it knows no packets, checks nothing
and counts for nobody.  splice() is there to see what is possible when nobody looks at the bytes.
"""
import os
import struct
import subprocess
import time

import bench_common as common
import test_gate

PAIRS = int(os.environ.get("LEGS_PAIRS", "8"))
# Megabytes a second, 0 = as fast as it goes.  At full speed whoever stands in the middle may fall
# into step with the sender and pay a call for each small write, or may not, from run to run.
RATE = int(os.environ.get("LEGS_RATE", "200"))
SIZE = int(os.environ.get("LEGS_SIZE", "1368"))
# Of the devices that bsbench plays itself.
SECRET = "42" + "0" * 30
# CLEAR and GW_CLEAR_CLIENT: this client can use the relay.
CAPABILITIES = 0x100 | 1 << 10
RELIABLE, CLIENT = 1, 4


def hello(answer, flags):
    """The handshake of a leg, in hexadecimal."""
    sp, co, cp = struct.unpack(">I8s4s", answer.first(0x35)[13:29])
    nonce = struct.pack(">BB4sI", 0, RELIABLE | flags, cp, sp) + co + answer.first(0x38)[10:]
    head = struct.pack(">4sIBBBBHH", cp, sp, 23, 2, 0, 0x80, 0, 66)
    return (head + co + struct.pack(">BBH", 0x32, 0, 4 + len(nonce)) + nonce).hex()


def data_prefix(nsi):
    """The beginning of a DATA packet: header with tag, CRYPTO of suite AES-CBC."""
    head = struct.pack(">IIBBBBHHH", 0, nsi, 22, 2, 0, 0x40, 1, SIZE, 1)
    return (head + struct.pack(">BBHH", 0x36, 0, SIZE - 18, 0x230A)).hex()


def pairs(n, gate, tls):
    """Lines for bsbench: a connection of its own for each device."""
    port = n.ports["gateway_port"]
    for i in range(PAIRS):
        a = gate.connect(f"bench-{i:07d}.p2p.test", bits=CAPABILITIES)
        yield (f"{port} {hello(a, 0)} {n.ports['client_port'] if tls else port} "
               f"{hello(a, CLIENT)} {data_prefix(a.sp)}")


def pump(pid, controller, lines, seconds, up, files):
    """Megabytes per CPU-second of a process, megabytes a second, and how long it waited."""
    args = ["legs", controller, PAIRS, RATE, SIZE, seconds, "up" if up else "down", *files]
    g = subprocess.Popen([*common.ON_LOAD_CORE, common.BENCH, *map(str, args)], text=True,
                         stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    g.stdout.readline()
    for line in lines():
        g.stdin.write(line + "\n")
        g.stdin.flush()
    count = None
    for line in g.stdout:
        if line.startswith("begin"):
            used, waited = common.cpu_seconds(pid), common.wait_seconds(pid)
        elif line.startswith("end"):
            count = int(line.split()[1])
            used, waited = common.cpu_seconds(pid) - used, common.wait_seconds(pid) - waited
    if g.wait() != 0 or not count:
        raise SystemExit("bench: the generator failed")
    return count / 1e6 / used, count / 1e6 / seconds, waited


def plain(args, prefix, seconds, up, files):
    """The same through a forwarder."""
    p, ports = common.start_bare(*args)
    near, far = ports.split()
    result = pump(p.pid, 0, lambda: [f"{near} - {far} - {prefix}"] * PAIRS, seconds, up, files)
    common.stop(p)
    return result


def without(value, rate, idle):
    """A value with the idle share of the processor taken out."""
    return rate / (rate / value - idle)


def row(tls, up, seconds, runs):
    n = common.node(PAIRS, rows=[f"bench-{i:07d}.p2p.test,{SECRET}\n" for i in range(PAIRS)])
    cert = n.client("b@x.y")
    n.allow("b@x.y")
    gate = test_gate.Gate(n, cert)
    gate.hello()
    files = [n.path("ca/ca.crt"), *cert] if tls else []
    peers = {"SSL_read/SSL_write": ["pipe", n.path("server.crt"), n.path("server.key")]} if tls \
        else {"read/write": ["pipe"], "splice": ["splice"]}
    # What the server needs without a single byte, for its clocks: part of the value, and no small
    # part of it where the machine is busy and little gets through.
    with common.Usage(n.process.p.pid) as idle:
        time.sleep(1)
    for _ in range(runs):
        value, rate, waited = pump(n.process.p.pid, n.ports["controller_port"],
                                   lambda: pairs(n, gate, tls), seconds, up, files)
        result = {"value": value, "mb_per_s": rate, "waited_s": waited,
                  "idle_cpu_per_s": idle.cpu, "value_without_idle": without(value, rate, idle.cpu),
                  "peers": {}}
        for name, args in peers.items():
            result["peers"][name], result[f"{name} mb_per_s"], _ = plain(
                args, data_prefix(1), seconds, up, files)
        yield result
    gate.close()
    n.stop()


def row_relay_tcp(seconds, runs):
    """Megabytes from devices to clients through the TCP relay per server CPU-second"""
    yield from row(False, False, seconds, runs)


def row_relay_tcp_up(seconds, runs):
    """The same from clients to devices, where payload lists are checked as well"""
    yield from row(False, True, seconds, runs)


def row_relay_tls(seconds, runs):
    """Megabytes from devices to clients with the clients' legs over TLS"""
    yield from row(True, False, seconds, runs)


def row_relay_tls_up(seconds, runs):
    """The same from clients to devices, a TLS record for each packet"""
    yield from row(True, True, seconds, runs)


ROWS = {"relay-tcp": row_relay_tcp, "relay-tcp-up": row_relay_tcp_up,
        "relay-tls": row_relay_tls, "relay-tls-up": row_relay_tls_up}
