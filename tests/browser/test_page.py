"""The page in a real browser: what a reader does with it, and what it must never do."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.browser

HOSTILE = "<script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">"
ADDRESS = f"https://example.org/{'long/' * 30}?a=1&b=(2)#table-2"
Open = Callable[[str], Any]


def shown(browser: Any) -> list[str]:
    """The ids of the claims that a reader sees."""
    return browser.execute_script(
        "return [...document.querySelectorAll('.claim')].filter(it => it.offsetParent).map(it => it.id)"
    )


def ground(browser: Any) -> str:
    """The colour of the page."""
    return browser.execute_script("return getComputedStyle(document.body).backgroundColor")


def test_the_console_stays_silent_and_no_network_is_asked(go: Open) -> None:
    """Opening the page logs no error and no violation of its policy, and requests nothing but the file itself."""
    browser = go("")

    assert [entry for entry in browser.get_log("browser") if entry["level"] in {"SEVERE", "WARNING"}] == []
    messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    asked = {it["params"]["request"]["url"] for it in messages if it["method"] == "Network.requestWillBeSent"}
    assert {url.partition(":")[0] for url in asked} <= {"file", "about", "data"}
    assert all(url.startswith(("about:", "data:,")) or url.endswith("report.html") for url in asked)


def test_hostile_strings_do_not_run(go: Open) -> None:
    """A sentence, prompt, label or continuation that is a script is shown and not executed."""
    browser = go("")

    assert "owned" not in browser.title
    assert browser.execute_script("return document.images.length") == 0
    assert HOSTILE in browser.execute_script("return document.getElementById('day1.hostile').textContent")


def test_a_source_that_is_a_web_address_leads_there(go: Open) -> None:
    """It is the one link that leads out, seen to be one, with no handle on this page; a script is no address."""
    browser = go("")

    links = browser.execute_script("return [...document.links].filter(it => it.protocol !== 'file:')")
    assert [(it.get_attribute("href"), it.text, it.get_attribute("rel")) for it in links] == [
        (ADDRESS, ADDRESS, "noopener noreferrer")
    ]
    assert links[0].value_of_css_property("text-decoration-line") == "underline"


def test_the_policy_stops_a_script_that_got_in(go: Open) -> None:
    """Even an element added afterwards may neither run a script nor load a picture."""
    browser = go("")

    browser.execute_script(
        "const it = document.createElement('script'); it.textContent = arguments[0]; document.body.append(it)",
        "document.title = 'owned'",
    )

    assert "owned" not in browser.title
    assert any("Content Security Policy" in entry["message"] for entry in browser.get_log("browser"))


def test_the_filters_narrow_the_claims(go: Open) -> None:
    """Verdict, subject and text each hide what does not fit, together and until they are cleared."""
    browser = go("")
    assert len(shown(browser)) == 23

    browser.find_element("css selector", ".chip[data-word='refuted']").click()
    assert shown(browser) == ["day1.novice-more-than-expert", "day1.expert-fewest"]
    assert browser.find_element("id", "_shown").text == "2 of 23 claims shown"

    browser.find_element("css selector", "#_subject option[value='finch']").click()
    assert shown(browser) == ["day1.novice-more-than-expert"]
    visible = (
        "return [...document.querySelectorAll('.probe')].filter(it => it.offsetParent).map(it => it.dataset.subject)"
    )
    assert browser.execute_script(visible) == ["finch"]

    browser.find_element("id", "_text").send_keys("nothing like it")
    assert shown(browser) == []
    assert browser.find_element("id", "_none").is_displayed()


def test_a_deep_link_scrolls_to_its_claim_and_opens_it(go: Open) -> None:
    """Of many claims the evidence is closed at first, and that of the claim linked to is open and in sight."""
    browser = go("#day1.expert-fewest")

    state = (
        "return [...document.querySelectorAll('.claim')].filter(it => it.querySelector('details.all-evidence').open)"
    )
    assert browser.execute_script(state + ".map(it => it.id)") == ["day1.expert-fewest"]
    top = browser.execute_script("return document.getElementById('day1.expert-fewest').getBoundingClientRect().top")
    assert 0 <= top < 450


def test_a_link_to_a_filtered_claim_lifts_the_filter(go: Open) -> None:
    """Following a link never ends at something hidden."""
    browser = go("")
    browser.find_element("id", "_text").send_keys("filler")
    assert "day1.expert-fewest" not in shown(browser)

    browser.execute_script("location.hash = '#day1.expert-fewest@sparrow'")
    browser.execute_async_script("requestAnimationFrame(() => requestAnimationFrame(arguments[0]))")

    assert "day1.expert-fewest" in shown(browser)


def test_the_dark_switch_changes_the_page_and_is_remembered(go: Open, browser: Any) -> None:
    """The switch darkens the page, says so to a screen reader, and holds when the page is opened again."""
    go("?theme=light")
    assert ground(browser) == "rgb(253, 252, 249)"

    browser.find_element("id", "_theme").click()
    assert ground(browser) == "rgb(21, 23, 26)"
    assert browser.find_element("id", "_theme").get_attribute("aria-pressed") == "true"

    browser.get(browser.current_url.partition("?")[0])
    assert ground(browser) == "rgb(21, 23, 26)"


def test_the_language_switch_speaks_chinese_and_back(go: Open) -> None:
    """The interface's own words change, with what fills them; the claims do not."""
    browser = go("")
    sentence = browser.find_element("css selector", ".claim h3").text

    browser.find_element("id", "_language").click()
    assert browser.find_element("id", "_claims-title").text == "论断"
    assert "条论断" in browser.title
    assert browser.find_element("id", "_shown").text == "显示 23 条论断中的 23 条"
    assert browser.find_element("tag name", "html").get_attribute("lang") == "zh-Hans"
    assert browser.find_element("id", "_text").get_attribute("placeholder") == "搜索论断"
    assert browser.find_element("css selector", ".claim h3").text == sentence

    browser.find_element("id", "_language").click()
    assert browser.find_element("id", "_claims-title").text == "Claims"


def test_the_page_can_be_worked_from_the_keyboard(go: Open) -> None:
    """The first stop of the Tab key skips to the claims, and a filter answers to the space bar."""
    from selenium.webdriver import ActionChains, Keys

    browser = go("")

    ActionChains(browser).send_keys(Keys.TAB).perform()
    assert browser.switch_to.active_element.get_attribute("href").endswith("#_claims")
    chip = browser.find_element("css selector", ".chip[data-word='refuted']")
    browser.execute_script("arguments[0].focus()", chip)
    ActionChains(browser).send_keys(Keys.SPACE).perform()
    assert len(shown(browser)) == 2


def test_a_phone_needs_no_sideways_scrolling(go: Open, browser: Any) -> None:
    """At a width of 360 pixels nothing is wider than the screen."""
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {"width": 360, "height": 740, "deviceScaleFactor": 1, "mobile": True}
    )
    try:
        go("")
        browser.execute_script("document.getElementById('_open').click()")
        assert browser.execute_script("return document.documentElement.scrollWidth") <= 360
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_without_script_everything_is_there(browser: Any, page: Path) -> None:
    """With JavaScript switched off all evidence is open and the tools that need it are not shown."""
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        browser.get(page.as_uri())
        open_parts = browser.find_elements("css selector", "details.all-evidence[open]")
        assert len(open_parts) == 24
        assert not browser.find_element("css selector", ".tools").is_displayed()
        assert not browser.find_element("css selector", ".switches").is_displayed()
    finally:
        browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
