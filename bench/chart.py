"""A chart with logarithmic axes as SVG, readable on light and on dark ground, without a library."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 850, 460
LEFT, RIGHT, TOP, BOTTOM = 70, 250, 40, 56

STYLE = """
  text { font: 13px system-ui, sans-serif; fill: #24292f; }
  .title { font-size: 15px; font-weight: 600; }
  [class^=name] { font-weight: 600; }
  .grid { stroke: #8c959f; stroke-opacity: 0.35; }
  .ground { fill: #ffffff; }
  @media (prefers-color-scheme: dark) { text { fill: #e6edf3; } .ground { fill: #0d1117; } }
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """Points, with a name at the last one. `colours` are those on light and on dark ground."""

    name: str
    points: Sequence[tuple[float, float]]
    colours: tuple[str, str]
    dashed: bool = False


def chart(
    title: str,
    across: str,
    lines: Sequence[Line],
    *,
    marks: Sequence[tuple[float, str]],
    ticks: Sequence[tuple[float, str]],
) -> str:
    """Lines over powers of ten; `marks` are horizontal lines with names, `ticks` what stands below the axis."""
    xs = [x for line in lines for x, _ in line.points]
    ys = [y for line in lines for _, y in line.points] + [y for y, _ in marks]
    low_x, high_x = math.log10(min(xs)), math.log10(max(xs))
    low_y, high_y = math.floor(math.log10(min(ys))), math.ceil(math.log10(max(ys)))

    def right(x: float) -> float:
        return LEFT + (math.log10(x) - low_x) / (high_x - low_x) * (WIDTH - LEFT - RIGHT)

    def down(y: float) -> float:
        return HEIGHT - BOTTOM - (math.log10(y) - low_y) / (high_y - low_y) * (HEIGHT - TOP - BOTTOM)

    colours = sorted({line.colours for line in lines})
    light, dark = (
        " ".join(
            f".line{n} {{ stroke: {each[ground]}; }} .name{n} {{ fill: {each[ground]}; }}"
            for n, each in enumerate(colours)
        )
        for ground in (0, 1)
    )
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">',
        f"<title>{escape(title)}</title>",
        f"<style>{STYLE}  {light}\n  @media (prefers-color-scheme: dark) {{ {dark} }}\n</style>",
        f'<rect class="ground" width="{WIDTH}" height="{HEIGHT}"/>',
        f'<text class="title" x="{LEFT}" y="22">{escape(title)}</text>',
        f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 12}" text-anchor="middle">{escape(across)}</text>',
    ]
    for y, name in marks:
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{down(y):.1f}" y2="{down(y):.1f}"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{down(y) + 4:.1f}" text-anchor="end">{escape(name)}</text>')
    for x, name in ticks:
        parts.append(f'<line class="grid" x1="{right(x):.1f}" x2="{right(x):.1f}" y1="{TOP}" y2="{HEIGHT - BOTTOM}"/>')
        parts.append(f'<text x="{right(x):.1f}" y="{HEIGHT - BOTTOM + 20}" text-anchor="middle">{escape(name)}</text>')
    taken: list[float] = []
    for line in sorted(lines, key=lambda each: -each.points[-1][1]):
        which = colours.index(line.colours)
        path = " ".join(f"{right(x):.1f},{down(y):.1f}" for x, y in line.points)
        dashes = ' stroke-dasharray="6 4"' if line.dashed else ""
        parts.append(f'<polyline points="{path}" fill="none" class="line{which}" stroke-width="2.5"{dashes}/>')
        at = max([down(line.points[-1][1]) + 4, *(before + 17 for before in taken[-1:])])
        taken.append(at)
        parts.append(f'<text x="{WIDTH - RIGHT + 8}" y="{at:.1f}" class="name{which}">{escape(line.name)}</text>')
    return "\n".join([*parts, "</svg>", ""])
