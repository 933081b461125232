"""Every rule of axe that is on by default, best practices included; no page is excused from any."""

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page


def violations(page: Page) -> list[str]:
    """What axe finds: rule, impact, how to mend it, and the elements."""
    answer = Axe().run(page).response
    assert len(answer["passes"]) > 10, "axe has looked at next to nothing"
    return [
        f"{item['id']} ({item['impact']}): {item['help']}: {[node['target'] for node in item['nodes']][:5]} "
        f"{item['nodes'][0]['failureSummary']}"
        for item in answer["violations"]
    ]
