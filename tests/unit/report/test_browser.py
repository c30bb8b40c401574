"""The report in a real browser: it runs no script, fits a phone, and holds against a model that writes markup.

The page itself allows no script, so the tests open a copy without its policy and with a probe at its end.
"""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from ctai.report import write_report
from tests.support.html_report import HOSTILE
from tests.support.reported import finished_run

pytestmark = pytest.mark.unit

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
PROBE = """<script>
const widest = Math.max(...[...document.body.children].map(e => e.getBoundingClientRect().right));
document.title = JSON.stringify({
  taken: window.taken === true, scripts: document.scripts.length, images: document.images.length,
  headings: [...document.querySelectorAll('h1')].map(e => e.textContent), sections: document.querySelectorAll('section').length,
  width: document.documentElement.clientWidth, scroll: document.documentElement.scrollWidth, widest: widest,
  paper: getComputedStyle(document.body).backgroundColor,
});
</script>"""

needs_browser = pytest.mark.skipif(BROWSER is None, reason="no browser is installed (chromium or google-chrome)")


def opened(page: Path, tmp_path: Path, *flags: str) -> str:
    """What a headless browser makes of a page."""
    assert BROWSER is not None
    command = [
        BROWSER,
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--hide-scrollbars",
        f"--user-data-dir={tmp_path / 'profile'}",
    ]
    done = subprocess.run(
        [*command, *flags, "--dump-dom", page.as_uri()], capture_output=True, text=True, timeout=300, check=True
    )
    return done.stdout


def measured(page: Path, tmp_path: Path, width: int, *flags: str) -> dict:
    """What the probe says, in a frame of that width: browsers do not make windows as narrow as a phone."""
    copy = tmp_path / "copy.html"
    html = page.read_text(encoding="utf-8").replace("Content-Security-Policy", "removed")
    copy.write_text(html.replace("</body>", f"{PROBE}</body>"), encoding="utf-8")
    frame = tmp_path / "frame.html"
    frame.write_text(
        f'<body><iframe src="copy.html" style="width:{width}px;height:800px;border:0"></iframe>'
        "<script>onload = () => document.title = frames[0].document.title</script></body>",
        encoding="utf-8",
    )
    dom = opened(frame, tmp_path, "--allow-file-access-from-files", "--virtual-time-budget=5000", *flags)
    found = re.search(r"<title>(.*?)</title>", dom, re.DOTALL)
    assert found, dom[:500]
    return json.loads(found.group(1).replace("&amp;", "&").replace("&lt;", "<").replace("&gt;", ">"))


@needs_browser
def test_a_browser_reads_the_page_as_it_is_meant(tmp_path):
    page = write_report(finished_run(tmp_path / "run").root)
    found = measured(page, tmp_path, 390)
    assert found["headings"] == ["All six gates passed: the trained model answers better than its base."]
    assert found["sections"] == 9
    assert found["width"] == 390
    assert found["scroll"] <= 390
    assert found["widest"] <= 390


@needs_browser
def test_hostile_text_does_nothing_in_a_browser(tmp_path):
    everything = " ".join(words[:2000] for words in HOSTILE.values())
    page = write_report(finished_run(tmp_path / "run", lambda words: f"{words} {everything}").root)
    found = measured(page, tmp_path, 390)
    assert found["taken"] is False
    assert found["scripts"] == 1  # the probe
    assert found["images"] == 0
    assert len(found["headings"]) == 1
    assert found["scroll"] <= 390


@needs_browser
def test_the_policy_of_the_page_stops_a_script(tmp_path):
    """With the policy in place even a script that were in the page would not run."""
    page = write_report(finished_run(tmp_path / "run").root)
    copy = tmp_path / "with-script.html"
    html = page.read_text(encoding="utf-8").replace("</body>", "<script>document.title = 'taken'</script></body>")
    copy.write_text(html, encoding="utf-8")
    assert "<title>taken</title>" not in opened(copy, tmp_path)
