# SPDX-License-Identifier: Apache-2.0
"""bench_udp - rows of the registration: keepalives, attaches, memory, cost by population."""
import os

import bench_common as common
import udp_peers

# Devices of the rows: a smaller number makes a quick look out of them, and other caches.
POPULATION = int(os.environ.get("BENCH_DEVICES", "1000000"))
# Keepalives per second at which populations are compared, and these populations.
RATE = int(os.environ.get("BENCH_RATE", "100000"))
POPULATIONS = [int(p) for p in
               os.environ.get("BENCH_POPULATIONS", "10000,100000,1000000,4000000").split(",")]
# Records in a file on tmpfs instead of anonymous memory; the file must not be there yet.
STATE = {"state_file": os.environ["BENCH_STATE_FILE"]} if "BENCH_STATE_FILE" in os.environ else {}
# The generator is not to be woken: on loopback that is done in the server's CPU time, and in the
# echo's as well.
NAP = ["--nap", "0.0005", "--sockets", "1"]


def interval_ms(devices, rate):
    """The interval that makes so many devices keep alive that often; the server asks a sixteenth
    earlier in the mean, to spread its requests."""
    return max(100, round(devices / rate * 1000 * 16 / 15))


def measured(devices, rate, seconds, runs):
    """(node, report) of so many devices that keep alive at a rate, measured runs times."""
    ms = interval_ms(devices, rate)
    wait = max(20000, 3 * ms)
    n = common.node(devices, f"{ms}ms", alive_unreachable=f"{wait}ms",
                    alive_timeout=f"{2 * wait}ms", **STATE)
    r = common.load(n, "steady", "--devices", devices, "--interval", ms / 1000, "--settle",
                    min(ms / 1000 + 1, 60), "--seconds", seconds, "--repeat", runs, "--patience",
                    60, *NAP)
    return n, r


def per_cpu(phase):
    """Keepalive round trips of a phase per CPU-second of the server."""
    return phase["counts"]["requests"] / phase["server"]["cpu_s"]


def row_keepalive(seconds, runs):
    """Keepalive round trips per server CPU-second, beside a bare echo, coturn STUN, Knot DNS"""
    n, r = measured(POPULATION, RATE, seconds, runs)
    # The peers get their datagrams in the same bursts, or they would pay more system calls for
    # each.
    burst = max(1, round(n.stat("udp_rx") / max(1, n.stat("udp_rx_batches"))))
    n.stop()
    for phase in common.holds(r):
        rate = phase["counts"]["requests"] / phase["wall_s"]
        peers, carried = {}, {}
        for name, start in udp_peers.ANSWERERS.items():
            peers[name], carried[name] = udp_peers.measure(start, POPULATION, int(rate), burst,
                                                           seconds)
        yield common.note(phase, value=per_cpu(phase), peers=peers, peers_carried=carried,
                          offered_per_s=round(rate), burst=burst, devices=POPULATION)


def attaches(seconds, runs, leg):
    """Results of an attach row, beside digest registrations of Kamailio."""
    n = common.node(20000)
    r = common.load(n, "attach", "--devices", 20000, "--seconds", seconds, "--repeat", runs,
                    "--leg", leg, *NAP)
    n.stop()
    for phase in common.holds(r):
        yield common.note(phase, value=phase["counts"]["attached"] / phase["server"]["cpu_s"],
                          peers={"kamailio": udp_peers.registrations(seconds)},
                          offered_per_s=round(phase["counts"]["attached"] / phase["wall_s"]),
                          p99_ms=phase["attach"]["p99_ns"] / 1e6)


def row_attach(seconds, runs):
    """Whole attaches (controller, attach server, first keepalive) per server CPU-second, beside
    digest registrations of Kamailio"""
    yield from attaches(seconds, runs, 0)


def row_attach_leg(seconds, runs):
    """The attach server's part: invite, request, response, and the first keepalive request sent"""
    yield from attaches(seconds, runs, 1)


def row_memory(_seconds, runs):
    """Bytes of the server's own memory for each attached device, ids of 30 characters"""
    for _ in range(min(runs, 2)):
        # Keepalives take no memory, but the time in which devices attach.
        n = common.node(POPULATION, "60s", alive_unreachable="300s", alive_timeout="600s")
        r = common.load(n, "steady", "--devices", POPULATION, "--seconds", 2, "--patience", 60)
        n.stop()
        yield common.note(r["phases"][-1], value=r["bytes_per_device"], devices=POPULATION)


def row_population(seconds, runs):
    """Microseconds of the server per keepalive at a fixed rate, by population"""
    points = {}
    for devices in POPULATIONS:
        n, r = measured(devices, RATE, seconds, runs)
        n.stop()
        points[devices] = [1e6 / per_cpu(p) for p in common.holds(r)]
    for i in range(runs):
        yield {"value": points[POPULATIONS[-1]][i] / points[POPULATIONS[0]][i],
               "points": {d: v[i] for d, v in points.items()}, "x": "devices",
               "y": f"microseconds of the server per keepalive at {RATE} per second"}


ROWS = {"keepalive": row_keepalive, "attach": row_attach, "attach-leg": row_attach_leg,
        "memory": row_memory,
        "population": row_population}
