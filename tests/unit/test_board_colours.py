"""The board's colours: WCAG 2.2 asks of text for a contrast of 4.5 (1.4.3), and of graphics for one of 3 (1.4.11)."""

from __future__ import annotations

import math
import re

import pytest

from taxiway.loads.month_state import STATES
from taxiway.paths import ROOT

STATIC = ROOT / "plugins/taxiway/board/static"
TEXT, GRAPHICS = 4.5, 3.0
GROUNDS = ("bg", "panel", "soft-bg")
"""What is behind texts: the page, the box of a source, and that of a sentence."""

SIGNS = {
    look: sign
    for sign, look in re.findall(r'sign: "(.?)", look: "([a-z-]+)"', (STATIC / "states.js").read_text(encoding="utf-8"))
}
"""The signs of the states by the classes that give them their colours."""


def rules() -> dict[str, str]:
    """Return the declarations of the page's stylesheets, by selector."""
    sheets = "".join((STATIC / name).read_text(encoding="utf-8") for name in ("board.css", "loads.css"))
    found = re.findall(r"([^{}]+)\{([^{}]*)\}", re.sub(r"/\*.*?\*/", "", sheets, flags=re.DOTALL))
    return {selector.strip(): declarations for selector, declarations in found}


RULES = rules()
LIGHT = dict(re.findall(r"--([a-z-]+): ([^;]+);", RULES[":root"]))
THEMES = {"light": LIGHT, "dark": LIGHT | dict(re.findall(r"--([a-z-]+): ([^;]+);", RULES[':root[data-theme="dark"]']))}


def luminance(colour: str) -> float:
    """Return the relative luminance of an opaque colour that is written in hexadecimal, or as ``oklch()``.

    The way from OKLab to linear sRGB is that of CSS Color 4; sRGB and its weights are those of WCAG 2.2.
    """
    if re.fullmatch("#([0-9a-f]{3}){1,2}", colour):
        digits = colour[1:] if len(colour) == 7 else "".join(2 * digit for digit in colour[1:])
        shares = [int(digits[place : place + 2], 16) / 255 for place in (0, 2, 4)]
        linear = [share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4 for share in shares]
    else:
        found = re.fullmatch(r"oklch\(([0-9.]+) ([0-9.]+) ([0-9.]+)\)", colour)
        assert found, f"{colour} is in no form that this test reads"
        light, chroma, hue = map(float, found.groups())
        a, b = chroma * math.cos(math.radians(hue)), chroma * math.sin(math.radians(hue))
        of_lab = ((0.3963377774, 0.2158037573), (-0.1055613458, -0.0638541728), (-0.0894841775, -1.2914855480))
        cones = [(light + of_a * a + of_b * b) ** 3 for of_a, of_b in of_lab]
        of_cones = (
            (4.0767416621, -3.3077115913, 0.2309699292),
            (-1.2684380046, 2.6097574011, -0.3413193965),
            (-0.0041960863, -0.7034186147, 1.7076147010),
        )
        shares = [sum(map(math.prod, zip(weights, cones, strict=True))) for weights in of_cones]
        linear = [min(1.0, max(0.0, share)) for share in shares]
    return sum(map(math.prod, zip((0.2126, 0.7152, 0.0722), linear, strict=True)))


def contrast(one: str, other: str) -> float:
    dark, light = sorted(map(luminance, (one, other)))
    return (light + 0.05) / (dark + 0.05)


def colours(look: str, declared: str, theme: str) -> list[str]:
    """Return the colours of a class that the declarations of some names have.

    :param declared: a regular expression that matches the names
    """
    found = re.findall(rf"(?:^|[ ;])(?:{declared}): ([^;]+);", RULES[f".{look}"])
    return [THEMES[theme][name] for value in found for name in re.findall(r"var\(--([a-z-]+)\)", value)]


def test_every_state_is_looked_at() -> None:
    assert len(SIGNS) == len(STATES) + 1, "those of the ledger, and that of a load that waits"


def test_contrasts_are_those_of_the_specification() -> None:
    assert contrast("#000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#fff") == pytest.approx(4.48, abs=0.005)
    # Red and white, as CSS Color 4 has them in OKLCH.
    assert contrast("oklch(0.62796 0.25768 29.234)", "#f00") == pytest.approx(1, abs=0.001)
    assert contrast("oklch(1 0 0)", "#fff") == pytest.approx(1, abs=0.001)


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("look", SIGNS)
def test_each_state_can_be_read_and_told_from_the_page(look: str, theme: str) -> None:
    for ground in ("bg", "panel"):
        behind = THEMES[theme][ground]
        cell = colours(look, "background", theme)
        if SIGNS[look]:
            (ink,) = colours(look, "color", theme)
            assert contrast(ink, cell[0] if cell else behind) >= TEXT, ground
        # Nothing is known of a month that isn't due: its cell is as quiet as the page, and its sign says so.
        if look != "not-due":
            seen = [*cell, *colours(look, "border(?:-color)?", theme)]
            assert max(contrast(each, behind) for each in seen) >= GRAPHICS, ground


@pytest.mark.parametrize("theme", THEMES)
def test_texts_can_be_read_and_edges_seen(theme: str) -> None:
    found = THEMES[theme]
    assert contrast(found["running"], found["on-running"]) >= TEXT, "the button that loads"
    for ground in GROUNDS:
        for text in ("ink", "soft", "link", "late"):
            assert contrast(found[text], found[ground]) >= TEXT, (text, ground)
        # Of buttons, of selected and focused cells, of a problem.
        for edge in ("strong", "link", "ink", "failed"):
            assert contrast(found[edge], found[ground]) >= GRAPHICS, (edge, ground)
