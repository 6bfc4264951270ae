"""Lines in an SVG, written by hand: one picture is no reason for a library."""

from collections.abc import Mapping, Sequence

_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM = 640, 360, 56, 130, 44, 48
_COLOURS = ("#888888", "#c2570c", "#1d5fbf")


def lines(title: str, across: str, up: str, series: Mapping[str, Sequence[tuple[float, float]]]) -> str:
    """Draw lines with their names at their ends; the axes begin at nothing."""
    most_x = max(x for points in series.values() for x, _ in points)
    most_y = 1.1 * max(y for points in series.values() for _, y in points)
    right, bottom = _WIDTH - _RIGHT, _HEIGHT - _BOTTOM

    def at(x: float, y: float) -> tuple[float, float]:
        return _LEFT + x / most_x * (right - _LEFT), bottom - y / most_y * (bottom - _TOP)

    drawn = [f'<text x="{_LEFT}" y="24" font-size="15" font-weight="600">{title}</text>']
    drawn.append(f'<path d="M{_LEFT} {_TOP}V{bottom}H{right}" fill="none" stroke="#444"/>')
    step = _step(most_y)
    for count in range(1, int(most_y / step) + 1):
        _, y = at(0, count * step)
        drawn.append(f'<path d="M{_LEFT} {y:.1f}H{right}" stroke="#e4e4e4"/>')
        drawn.append(f'<text x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{count * step:g}</text>')
    for x in sorted({x for points in series.values() for x, _ in points}):
        drawn.append(f'<text x="{at(x, 0)[0]:.1f}" y="{bottom + 18}" text-anchor="middle">{x:g}</text>')
    drawn.append(f'<text x="{(_LEFT + right) / 2}" y="{_HEIGHT - 10}" text-anchor="middle">{across}</text>')
    drawn.append(f'<text transform="translate(16 {(_TOP + bottom) / 2}) rotate(-90)" text-anchor="middle">{up}</text>')
    for colour, (name, points) in zip(_COLOURS, series.items(), strict=False):
        places = [at(*point) for point in points]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        drawn.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        drawn += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in places]
        drawn.append(f'<text x="{places[-1][0] + 10:.1f}" y="{places[-1][1] + 4:.1f}" fill="{colour}">{name}</text>')
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{title}" '
        f'font-family="system-ui, sans-serif" font-size="12" fill="#222">\n'
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="#fff"/>\n' + "\n".join(drawn) + "\n</svg>\n"
    )


def _step(most: float) -> float:
    step = 1.0
    for larger in (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50):
        step = larger
        if most / larger <= 6:
            break
    return step
