"""How a page looks in windows of several sizes, light and dark: nothing is cut off, and every text can be read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from playwright.sync_api import Page

from tests.browser import overflow_px, shoot

WINDOWS = {"wide": (1280, 900), "phone": (390, 844)}
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
LEAST_CONTRAST = 4.5
"""Of text and what is behind it, as WCAG 2 level AA wants it."""
# Texts that can be seen, with their contrast to what is behind them, the lowest first; what is disabled is left out.
_CONTRASTS = """() => {
  const parse = (text) => {
    const [r, g, b, a = 1] = text.match(/[\\d.]+/g).map(Number);
    return [r, g, b, a];
  };
  const over = ([r, g, b, a], below) => [r, g, b].map((value, at) => a * value + (1 - a) * below[at]).concat(1);
  const linear = (value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4);
  const light = ([r, g, b]) => 0.2126 * linear(r / 255) + 0.7152 * linear(g / 255) + 0.0722 * linear(b / 255);
  const behind = (element) => {
    if (!element) return [255, 255, 255, 1];
    const color = parse(getComputedStyle(element).backgroundColor);
    return color[3] === 1 ? color : over(color, behind(element.parentElement));
  };
  const opacity = (element) => (element ? getComputedStyle(element).opacity * opacity(element.parentElement) : 1);
  const left = "script, style, noscript, :disabled, .unseen, .skip";
  const found = new Map();
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement, text = walker.currentNode.textContent.trim();
    if (!text || element.closest(left) || !element.checkVisibility()) continue;
    const style = getComputedStyle(element), back = behind(element);
    const ink = parse(element.closest("svg") ? style.fill : style.color);
    ink[3] *= opacity(element);
    const [low, high] = [light(over(ink, back)), light(back)].sort((one, other) => one - other);
    found.set(`${element.tagName} ${ink} ${back}`, [text.slice(0, 60), (high + 0.05) / (low + 0.05)]);
  }
  return [...found.values()].sort((one, other) => one[1] - other[1]);
}"""


def contrasts(page: Page) -> list[tuple[str, float]]:
    """The texts of *page* with their contrast, the lowest first; one for each kind of text."""
    return [(text, contrast) for text, contrast in page.evaluate(_CONTRASTS)]


def in_each_window(page: Page, name: str, *, whole: bool = False) -> Iterator[str]:
    """Show *page* in each window and scheme, check it, keep a picture as *name*, and yield the name of the window.

    *whole*: the picture is of all of it, and not only of what is seen first.
    """
    for window, (width, height) in WINDOWS.items():
        page.set_viewport_size({"width": width, "height": height})
        for scheme in SCHEMES:
            page.emulate_media(color_scheme=scheme)
            shoot(page, f"{name}-{window}-{scheme}", whole=whole)
            assert overflow_px(page) == 0, (name, window)
            texts = contrasts(page)
            assert len(texts) > 5, "a page has texts of many kinds"
            assert not [one for one in texts if one[1] < LEAST_CONTRAST], (name, scheme)
        yield window
