#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A few pairs of NATs in network namespaces, with the real programs; scripts/netbox has them all."""
import os
import sys

import bs

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../netbox"))
import boxes  # noqa: E402
import netbox  # noqa: E402
import scenarios  # noqa: E402

BED = []  # the network, or why it could not be built


def bed():
    """The network, built once; skip where it cannot be."""
    why = boxes.cannot()
    if why:
        raise bs.Skip(why)
    if not BED:
        boxes.prepare()
        try:
            BED.append(netbox.Bed())
        except Exception as e:  # noqa: BLE001 - it may fail in any way
            BED.append(bs.Failure(f"the network could not be built: {e}"))
    if isinstance(BED[0], bs.Failure):
        raise BED[0]
    return BED[0]


def pair(name, serial):
    """One pair must come out as expected; where a direct way is possible, within three attempts."""
    c = bed().cell(name, serial)
    bs.check(c.ok(), netbox.line_of(c))


@bs.test
def two_usual_routers():
    """Two usual routers: direct."""
    pair("port:random", 1)


@bs.test
def symmetric_client():
    """A client behind a symmetric NAT: relayed first, then direct."""
    pair("sym:port", 2)


@bs.test
def symmetric_device():
    """A device behind a symmetric NAT: relayed first, then direct."""
    pair("port:sym", 3)


@bs.test
def both_symmetric():
    """Both behind symmetric NATs: relayed, not failed."""
    pair("sym:sym", 4)


@bs.test
def one_lan():
    """Both behind one NAT without hairpinning, on one LAN: local."""
    pair("same-lan", 5)


@bs.test
def client_moves():
    """A client that changes to another network keeps its connection."""
    scenarios.move(bed(), 101)


if __name__ == "__main__":
    sys.exit(bs.main())
