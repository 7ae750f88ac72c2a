"""The picture: for each scenario the ratios of all contenders on one logarithmic line."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import cycle
from xml.etree.ElementTree import Element, SubElement, tostring

from benchmarks.harness.contenders import BASELINE, LIBRARY_BASELINE, Contender
from benchmarks.harness.figures import Figure, Figures
from benchmarks.harness.scenarios import Scenario

COLORS = (
    "#e15759", "#f28e2b", "#4e79a7", "#76b7b2", "#59a14f", "#edc948",
    "#b07aa1", "#ff9da7", "#9c755f", "#86bcb6", "#79706e", "#2f4b7c",
)  # fmt: skip
WIDTH, LEFT, RIGHT, TOP = 1100, 330, 30, 30
LINE, LEGEND_LINE, LEGEND_COLUMNS = 26, 22, 3
TICKS = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)


def picture(figures: Figures, contenders: Sequence[Contender], scenarios: Sequence[Scenario]) -> str:
    """An SVG document: a dot is a median, the line through it reaches from quartile to quartile."""
    shown = [contender for contender in contenders if contender.name not in (BASELINE, LIBRARY_BASELINE)]
    colors = {contender.name: color for contender, color in zip(shown, cycle(COLORS), strict=False)}
    rows = [(scenario, concurrency) for scenario in scenarios for concurrency in scenario.concurrency]
    bottom = TOP + LINE * len(rows)
    height = bottom + 50 + LEGEND_LINE * math.ceil(len(shown) / LEGEND_COLUMNS)
    svg = Element("svg", xmlns="http://www.w3.org/2000/svg", viewBox=f"0 0 {WIDTH} {height}")
    svg.set("font-family", "sans-serif")
    svg.set("font-size", "13")
    SubElement(svg, "rect", width=str(WIDTH), height=str(height), fill="white")
    _draw_axis(svg, bottom)
    for index, (scenario, concurrency) in enumerate(rows):
        y = TOP + LINE * index + LINE / 2
        title = scenario.title if scenario.kind == "start" else f"{scenario.title}, {concurrency} at once"
        _write(svg, LEFT - 12, y + 4, title, "end")
        for name, color in colors.items():
            if ratio := figures.ratio(scenario.name, name, concurrency):
                _draw_mark(svg, ratio, y, color, name)
    for index, (name, color) in enumerate(colors.items()):
        x, y = 40 + index % LEGEND_COLUMNS * 350, bottom + 44 + index // LEGEND_COLUMNS * LEGEND_LINE
        SubElement(svg, "circle", cx=str(x), cy=str(y), r="5", fill=color)
        _write(svg, x + 12, y + 4, name, "start")
    return tostring(svg, encoding="unicode") + "\n"


def _draw_axis(svg: Element, bottom: float) -> None:
    for tick in TICKS:
        x = _x(tick)
        _line(svg, (x, TOP), (x, bottom), "#333333" if tick == 1 else "#dddddd", 1)
        _write(svg, x, TOP - 10, "1 = baseline" if tick == 1 else f"{tick:g}", "middle")
    _write(svg, WIDTH - RIGHT, bottom + 18, "less CPU time →", "end")


def _draw_mark(svg: Element, ratio: Figure, y: float, color: str, name: str) -> None:
    _line(svg, (_x(ratio.low), y), (_x(ratio.high), y), color, 3)
    circle = SubElement(svg, "circle", cx=f"{_x(ratio.median):.1f}", cy=str(y), r="5", fill=color)
    SubElement(circle, "title").text = f"{name}: {ratio.median:.2f}"


def _line(svg: Element, start: tuple[float, float], end: tuple[float, float], color: str, width: int) -> None:
    (x1, y1), (x2, y2) = start, end
    line = SubElement(svg, "line", x1=f"{x1:.1f}", y1=f"{y1:.1f}", x2=f"{x2:.1f}", y2=f"{y2:.1f}", stroke=color)
    line.set("stroke-width", str(width))


def _write(svg: Element, x: float, y: float, text: str, anchor: str) -> None:
    element = SubElement(svg, "text", x=f"{x:.1f}", y=f"{y:.1f}")
    element.set("text-anchor", anchor)
    element.text = text


def _x(ratio: float) -> float:
    bounded = min(max(ratio, TICKS[0]), TICKS[-1])
    share = math.log(bounded / TICKS[0]) / math.log(TICKS[-1] / TICKS[0])
    return LEFT + share * (WIDTH - LEFT - RIGHT)
