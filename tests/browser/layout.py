"""What an eye would find wrong with a laid-out page: too wide, text upon text, focus that cannot be seen."""

from dataclasses import dataclass

from playwright.sync_api import Page

# Elements that stick out of the page to the right, boxes that cut off what they hold and cannot be scrolled by
# keyboard, and words of plots that reach beyond their edge.
TOO_WIDE = """
() => {
  const name = (item) => item.tagName.toLowerCase() + (item.id ? '#' + item.id : '') +
    [...item.classList].map((part) => '.' + part).join('');
  const items = [...document.body.querySelectorAll('*')].filter((item) => !(item instanceof SVGElement));
  const isContained = (item) => {
    for (let up = item.parentElement; up && up !== document.body; up = up.parentElement)
      if (getComputedStyle(up).overflowX !== 'visible') return true;
    return false;
  };
  const width = document.documentElement.clientWidth, found = [];
  if (document.documentElement.scrollWidth > width) {
    const outside = items.filter((item) => item.getBoundingClientRect().right > width + 0.5 && !isContained(item));
    found.push(`the page is ${document.documentElement.scrollWidth} wide of ${width}`, ...outside.map((item) =>
      `${name(item)} reaches ${Math.round(item.getBoundingClientRect().right)} of ${width}`));
  }
  for (const item of items) {
    const isCut = getComputedStyle(item).overflowX !== 'visible' && item.scrollWidth > item.clientWidth + 1;
    const isSeen = item.checkVisibility() && item.clientWidth > 2;
    if (isCut && isSeen && item.tabIndex < 0)
      found.push(`${name(item)} cuts off ${item.scrollWidth - item.clientWidth}`);
  }
  for (const text of document.querySelectorAll('svg.main-svg text')) {
    const box = text.getBoundingClientRect(), frame = text.closest('svg').getBoundingClientRect();
    const isCut = box.right > frame.right + 1 || box.left < frame.left - 1 || box.bottom > frame.bottom + 1;
    if (box.width && isCut) found.push(`"${text.textContent}" leaves ${name(text.closest('.plot') ?? text)}`);
  }
  return found.slice(0, 20);
}
"""
# Pairs of texts of which a good part of one lies on the other. Slanted ones have boxes that say nothing about them, and
# what stands still while the rest scrolls is on top of it by intent.
TEXT_ON_TEXT = """
() => {
  const modal = [...document.querySelectorAll('dialog[open]')].find((item) => item.matches(':modal'));
  const root = modal || document.body, found = [], boxes = [];
  const isSlanted = (item) => {
    for (let up = item; up && up !== document.body; up = up.parentElement) {
      const turn = /rotate\\((-?[\\d.]+)/.exec(up.getAttribute('transform') || '');
      if (turn && Number(turn[1]) % 90 !== 0) return true;
      const matrix = new DOMMatrix(getComputedStyle(up).transform);
      if (Math.abs(matrix.b) > 0.01 && Math.abs(matrix.a) > 0.01) return true;
    }
    return false;
  };
  const isPinned = (item) => {
    for (let up = item; up && up !== document.body; up = up.parentElement)
      if (['sticky', 'fixed'].includes(getComputedStyle(up).position) && up !== modal) return true;
    return false;
  };
  const seen = (item, box) => {
    let {left, top, right, bottom} = box;
    for (let up = item; up && up !== document.body; up = up.parentElement) {
      const style = getComputedStyle(up), frame = up.getBoundingClientRect();
      if (style.clipPath !== 'none' || (style.clip !== 'auto' && style.position === 'absolute')) return null;
      if (style.overflowX !== 'visible') { left = Math.max(left, frame.left); right = Math.min(right, frame.right); }
      if (style.overflowY !== 'visible') { top = Math.max(top, frame.top); bottom = Math.min(bottom, frame.bottom); }
      if (up === modal) break;
    }
    return right - left > 2 && bottom - top > 2 ? {left, top, right, bottom} : null;
  };
  const texts = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
  for (let node = texts.nextNode(); node; node = texts.nextNode()) {
    const item = node.parentElement, text = node.data.trim();
    if (!text || ['SCRIPT', 'STYLE', 'OPTION', 'TITLE'].includes(item.tagName)) continue;
    if (!item.checkVisibility({opacityProperty: true, visibilityProperty: true, contentVisibilityAuto: true})) continue;
    if (isPinned(item) || isSlanted(item)) continue;
    const range = document.createRange();
    range.selectNodeContents(node);
    for (const rectangle of range.getClientRects()) {
      const box = seen(item, rectangle);
      if (box) boxes.push({...box, text, node});
    }
  }
  boxes.sort((one, other) => one.top - other.top);
  boxes.forEach((one, place) => {
    for (let next = place + 1; next < boxes.length && boxes[next].top < one.bottom; next += 1) {
      const other = boxes[next];
      const across = Math.min(one.right, other.right) - Math.max(one.left, other.left);
      const down = Math.min(one.bottom, other.bottom) - other.top;
      const height = Math.min(one.bottom - one.top, other.bottom - other.top);
      if (one.node !== other.node && across > 2 && down > 0.35 * height)
        found.push(`"${one.text.slice(0, 40)}" and "${other.text.slice(0, 40)}" at ` +
          `${Math.round(one.left)}, ${Math.round(one.top + scrollY)}`);
    }
  });
  return found.slice(0, 20);
}
"""
FOCUSED = """
() => {
  let item = document.activeElement;
  if (!item || item === document.body) return null;
  const style = getComputedStyle(item), box = item.getBoundingClientRect();
  const isOutlined = style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) > 0;
  return {
    tag: item.tagName.toLowerCase(),
    id: item.id,
    name: (item.getAttribute('aria-label') || item.labels?.[0]?.textContent || item.textContent || '').trim(),
    isMarked: isOutlined || style.boxShadow !== 'none',
    isInView: box.bottom > 0 && box.top < innerHeight && box.right > 0 && box.left < innerWidth,
  };
}
"""


@dataclass(frozen=True)
class Focused:
    """The element that has the focus; ``name`` is what it is called, ``is_marked`` whether anything shows the focus."""

    tag: str
    id: str
    name: str
    is_marked: bool
    is_in_view: bool


def too_wide(page: Page) -> list[str]:
    """What makes the page scroll to the side."""
    found: list[str] = page.evaluate(TOO_WIDE)
    return found


def text_on_text(page: Page) -> list[str]:
    """Texts that cover each other, in the modal dialog if one is open."""
    found: list[str] = page.evaluate(TEXT_ON_TEXT)
    return found


def focused(page: Page) -> Focused | None:
    """The element that has the focus."""
    found = page.evaluate(FOCUSED)
    if found is None:
        return None
    return Focused(found["tag"], found["id"], found["name"], found["isMarked"], found["isInView"])


def press_tab_until(page: Page, name: str, *, most: int = 60, key: str = "Tab") -> list[Focused]:
    """Press Tab until the element called ``name`` has the focus; the elements on the way, that one last."""
    way: list[Focused] = []
    for _ in range(most):
        page.keyboard.press(key)
        here = focused(page)
        if here is not None:
            way.append(here)
            if here.name == name:
                return way
    raise AssertionError(f"{most} presses of {key} do not lead to {name!r}: {[item.name[:30] for item in way]}")
