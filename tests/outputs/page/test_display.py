"""The page for everybody, in Chromium: names and keys, themes and their contrast, small screens, paper."""

from __future__ import annotations

import re

from playwright.sync_api import Browser, Page

from fastload.outputs.page.render import asset
from tests.browser import open_page, overflow_px, shoot
from tests.conftest import wait_until


def test_everything_has_a_name_for_those_who_do_not_see_it(shown: Page) -> None:
    without = shown.evaluate(
        """() => [...document.querySelectorAll('.plot')].filter(plot => {
             const by = (name) => document.getElementById(plot.getAttribute(name));
             return !by('aria-labelledby').textContent || !by('aria-describedby');
           }).map(plot => plot.id)"""
    )
    assert without == []
    captions = shown.eval_on_selector_all(
        "figure.chart", "all => all.map(one => [one.dataset.chart, one.querySelector('figcaption').textContent])"
    )
    assert [name for name, caption in captions if not re.search(r"\d|clock|due", caption)] == []
    unnamed = shown.evaluate(
        "[...document.querySelectorAll('button, a')].filter(one => !one.textContent.trim() && !one.ariaLabel).length"
    )
    assert unnamed == 0
    assert shown.evaluate(
        "document.querySelectorAll('table').length === document.querySelectorAll('table caption').length"
    )
    assert shown.evaluate("document.documentElement.lang") == "en"


def test_the_skip_link_is_first_and_leads_past_the_navigation(chromium: Browser, url: str) -> None:
    with open_page(chromium, url, scheme="dark") as page:
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.className") == "skip"
        page.keyboard.press("Enter")
        assert page.evaluate("document.activeElement.id") == "main"
        background = "getComputedStyle(document.body).backgroundColor"
        ink = "document.getElementById('chart-rate').data.at(-1).line.color"
        dark = page.evaluate(background), page.evaluate(ink)
        shoot(page, "report-dark-1280")
        switch = page.locator("#theme")
        switch.click()
        assert switch.text_content() == "Light"
        light = page.evaluate(background), page.evaluate(ink)
        assert light[0] == "rgb(255, 255, 255)"
        assert light[0] != dark[0]
        assert light[1] != dark[1]
        page.reload()
        assert page.locator("#theme").text_content() == "Light"
        assert page.evaluate(background) == light[0]


def test_on_a_phone_nothing_is_wider_than_the_screen(chromium: Browser, url: str) -> None:
    with open_page(chromium, url, width=390, height=844) as page:
        assert overflow_px(page) == 0
        wide = page.evaluate(
            """[...document.querySelectorAll('.plot .main-svg')]
               .filter(one => one.getBoundingClientRect().right > innerWidth).length"""
        )
        assert wide == 0
        shoot(page, "report-light-390")
        page.evaluate("fastload.dom.setTheme('dark')")
        shoot(page, "report-dark-390")


def is_paper(page: Page) -> bool:
    return bool(page.evaluate("document.documentElement.classList.contains('paper')"))


def test_paper_is_white_and_no_chart_is_cut(shown: Page) -> None:
    shown.evaluate("fastload.dom.setTheme('dark')")
    shown.emulate_media(media="print")
    wait_until(lambda: is_paper(shown))
    background, right, bar = shown.evaluate(
        """() => [getComputedStyle(document.body).backgroundColor,
                  Math.max(...fastload.plot.figures.map(({plot}) => plot.querySelector('.main-svg')
                    .getBoundingClientRect().right)) - document.getElementById('main').getBoundingClientRect().left,
                  getComputedStyle(document.querySelector('.top')).display]"""
    )
    assert background == "rgb(255, 255, 255)"
    # A4 with its margins is 688 px wide.
    assert 500 < right <= 680
    assert bar == "none"
    shown.emulate_media(media="screen")
    wait_until(lambda: not is_paper(shown))
    shown.evaluate("fastload.dom.setTheme('auto')")
    assert shown.evaluate("document.getElementById('chart-rate').data[0].line.color") == shown.evaluate(
        "fastload.dom.color('ink')"
    )


def test_a_print_job_has_paper_too(shown: Page) -> None:
    shown.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert is_paper(shown)
    shown.evaluate("dispatchEvent(new Event('afterprint'))")
    assert not is_paper(shown)


def test_texts_can_be_read_on_their_backgrounds() -> None:
    light, dark = (dict(re.findall(r"--([\w-]+): (#\w{6})", block)) for block in asset("page.css").split("}")[:2])
    for colours in (light, light | dark):
        for ink in ("ink", "soft", "link", "good", "warn", "bad"):
            for background in ("bg", "panel", "good-bg", "warn-bg", "bad-bg"):
                assert contrast(colours[ink], colours[background]) >= 4.5, (ink, background)
        for line in (*(f"c{number}" for number in range(1, 9)), "blue-1", "blue-2", "blue-3", "over", "event"):
            assert contrast(colours[line], colours["bg"]) >= 3, line


def test_both_dark_themes_are_one() -> None:
    blocks = re.findall(r"color-scheme: dark;([^}]*)}", asset("page.css"))
    assert len(blocks) == 2
    assert len({" ".join(block.split()) for block in blocks}) == 1


def contrast(one: str, other: str) -> float:
    """As WCAG 2 defines it."""
    darker, lighter = sorted(luminance(colour) for colour in (one, other))
    return (lighter + 0.05) / (darker + 0.05)


def luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
