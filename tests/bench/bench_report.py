# SPDX-License-Identifier: Apache-2.0
"""bench_report - medians, spreads, the printed table, and a plot without any library."""
import math
import statistics


def median(values):
    values = [v for v in values if v is not None]
    return statistics.median(values) if values else None


def peers(raw):
    """Names of the peers of a row."""
    names = []
    for r in raw:
        for name in r.get("peers", {}):
            if name not in names:
                names.append(name)
        if r.get("peer") and r["peer"] not in names:
            names.append(r["peer"])
    return names


def peer_value(result, name):
    if "peers" in result:
        return result["peers"].get(name)
    return result.get("peer_value") if result.get("peer") == name else None


def number(v):
    return f"{v:.0f}" if v >= 100 else f"{v:.2f}"


def head():
    return f"{'row':22} {'median':>10} {'spread':>7}  peers: median (ratio)"


def line(name, raw):
    """One row of the table."""
    mine = [r["value"] for r in raw]
    mid = statistics.median(mine)
    parts = [f"{name:22} {number(mid):>10} {100 * (max(mine) - min(mine)) / mid:6.0f}%"]
    for peer in peers(raw):
        theirs = median(peer_value(r, peer) for r in raw)
        if theirs is None:
            parts.append(f"{peer}: not installed")
            continue
        ratio = median(r["value"] / peer_value(r, peer) for r in raw if peer_value(r, peer))
        parts.append(f"{peer} {number(theirs)} ({ratio:.2f})")
    if "busy" in raw[0]:
        parts.append(busy(raw))
    if "crypto_share" in raw[0]:
        parts.append(f"{100 * median(r['crypto_share'] for r in raw):.0f}% in the cipher")
    if any(r.get("bottleneck") for r in raw):
        why = next(r["bottleneck"] for r in raw if r.get("bottleneck"))
        parts.append(f"[generator: {why}]")
    if "splits" in raw[0]:
        parts += split_lines(raw)
    return "  ".join(parts)


def busy(raw):
    """How much of a processor each server of the row used: idle ones pay for going to sleep."""
    first = raw[0]["busy"]
    if not isinstance(first, dict):
        return f"{100 * median(r['busy'] for r in raw):.0f}% busy"
    return "busy: " + ", ".join(
        f"{name} {100 * median(r['busy'][name] for r in raw):.0f}%" for name in first)


def split_lines(raw):
    """A line for each kind of thing whose cost is split: medians, and shares of the total."""
    for kind, parts in raw[0]["splits"].items():
        mid = {name: median(r["splits"][kind][name] for r in raw) for name in parts}
        total = mid.pop("total")
        yield f"\n  {kind:20} {number(total):>10}         " + ", ".join(
            f"{name} {number(v)} ({100 * v / total:.0f}%)" for name, v in mid.items())


def curve(raw):
    """[(x, lowest, median, highest)] of a row that has points."""
    xs = sorted(raw[0]["points"], key=float)
    rows = []
    for x in xs:
        ys = [r["points"][x] for r in raw]
        rows.append((float(x), min(ys), statistics.median(ys), max(ys)))
    return rows


def _ticks(top):
    """Steps of 1, 2 or 5 that reach top in about five."""
    step = 10 ** math.floor(math.log10(top / 4 or 1))
    step = next(s for s in (step, 2 * step, 5 * step, 10 * step) if s * 6 >= top)
    return [i * step for i in range(int(top / step) + 2)]


def svg(title, x_name, y_name, points):
    """A curve over a logarithmic x axis; the bars are the spread of the runs."""
    w, h, left, bottom, top = 640, 400, 70, 50, 40
    ticks = _ticks(max(p[3] for p in points))
    x0, x1 = math.log10(points[0][0]), math.log10(points[-1][0])

    def px(x):
        return left + (w - left - 30) * ((math.log10(x) - x0) / (x1 - x0) if x1 > x0 else 0.5)

    def py(y):
        return h - bottom - (h - bottom - top) * y / ticks[-1]

    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{w}" height="{h}" '
           f'font-family="sans-serif" font-size="12">',
           f'<rect width="{w}" height="{h}" fill="white"/>',
           f'<text x="{w / 2}" y="20" text-anchor="middle" font-size="14">{title}</text>',
           f'<text x="{w / 2}" y="{h - 10}" text-anchor="middle">{x_name}</text>',
           f'<text x="14" y="{h / 2}" text-anchor="middle" '
           f'transform="rotate(-90 14 {h / 2})">{y_name}</text>']
    for t in ticks:
        out.append(f'<line x1="{left}" y1="{py(t):.1f}" x2="{w - 30}" y2="{py(t):.1f}" '
                   f'stroke="#ddd"/><text x="{left - 6}" y="{py(t) + 4:.1f}" '
                   f'text-anchor="end">{t:g}</text>')
    for x, low, mid, high in points:
        out.append(f'<line x1="{px(x):.1f}" y1="{py(low):.1f}" x2="{px(x):.1f}" '
                   f'y2="{py(high):.1f}" stroke="#36c"/>'
                   f'<circle cx="{px(x):.1f}" cy="{py(mid):.1f}" r="4" fill="#36c"/>'
                   f'<text x="{px(x):.1f}" y="{h - bottom + 16}" '
                   f'text-anchor="middle">{int(x):,}</text>')
    path = " ".join(f"{px(x):.1f},{py(mid):.1f}" for x, _, mid, _ in points)
    out.append(f'<polyline points="{path}" fill="none" stroke="#36c" stroke-width="2"/></svg>')
    return "\n".join(out) + "\n"
