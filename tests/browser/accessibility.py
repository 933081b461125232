"""Every rule of axe that is on by default, best practices included; no page is excused from any."""

from collections.abc import Sequence

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page


def violations(page: Page, *, rules: Sequence[str] | None = None) -> list[str]:
    """What axe finds, of all its rules or of some: rule, impact, how to mend it, and the elements."""
    options = {} if rules is None else {"runOnly": list(rules)}
    answer = Axe().run(page, options={"resultTypes": ["violations"], **options}).response
    looked = {item["id"] for kind in ("passes", "violations", "incomplete", "inapplicable") for item in answer[kind]}
    assert looked == set(rules) if rules else len(answer["passes"]) > 10, f"axe has looked at {sorted(looked)} only"
    return [
        f"{item['id']} ({item['impact']}): {item['help']}: {[node['target'] for node in item['nodes']][:5]} "
        f"{item['nodes'][0]['failureSummary']}"
        for item in answer["violations"]
    ]
