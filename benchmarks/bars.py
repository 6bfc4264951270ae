"""Bars of phases in an SVG, written by hand as `plot` is."""

from collections.abc import Mapping, Sequence

_WIDTH, _LEFT, _RIGHT, _TOP, _ROW, _BAR = 760, 170, 60, 70, 34, 20
_COLOURS = ("#8ea6c8", "#1d5fbf", "#2f8f5b", "#c2570c", "#7a4fb5")


def bars(title: str, phases: Sequence[str], rows: Mapping[str, Sequence[float]]) -> str:
    """Draw a row for each name: how long each phase took, one after the other, in seconds."""
    most = max(sum(row) for row in rows.values())
    height = _TOP + _ROW * len(rows) + 20
    drawn = [f'<text x="20" y="26" font-size="15" font-weight="600">{title}</text>']
    for number, phase in enumerate(phases):
        x = 20 + number * (_WIDTH - 40) / len(phases)
        drawn.append(f'<rect x="{x:.0f}" y="40" width="11" height="11" fill="{_COLOURS[number]}"/>')
        drawn.append(f'<text x="{x + 16:.0f}" y="50">{phase}</text>')
    for row, (name, seconds) in enumerate(rows.items()):
        y, x = _TOP + row * _ROW, float(_LEFT)
        drawn.append(f'<text x="{_LEFT - 10}" y="{y + 15}" text-anchor="end">{name}</text>')
        for number, one in enumerate(seconds):
            width = one / most * (_WIDTH - _LEFT - _RIGHT)
            drawn.append(f'<rect x="{x:.1f}" y="{y}" width="{width:.1f}" height="{_BAR}" fill="{_COLOURS[number]}"/>')
            x += width
        drawn.append(f'<text x="{x + 6:.1f}" y="{y + 15}">{sum(seconds):.2f} s</text>')
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" role="img" aria-label="{title}" '
        f'font-family="system-ui, sans-serif" font-size="12" fill="#222">\n'
        f'<rect width="{_WIDTH}" height="{height}" fill="#fff"/>\n' + "\n".join(drawn) + "\n</svg>\n"
    )
