// A panel: a titled part of the page that is loading, drawn, empty or in error, each by design.

import { Problem } from "./api.js";
import { h } from "./dom.js";
import { counted, percent } from "./format.js";
import { leftOut } from "./words.js";

const NAMED_AT_ONCE = 5;

/** One part of the page. `help` is the path of the document that explains it. */
export class Panel {
  #fills = 0;

  constructor({ id, title, help, wide = false, isPlain = false }) {
    this.body = h("div", { class: "panel-body" }, skeleton());
    this.note = h("div", { class: "panel-note" });
    this.tools = h("div", { class: "panel-tools" });
    this.element = h("section", {
      class: isPlain ? "" : wide ? "panel panel-wide" : "panel", id, "aria-labelledby": `${id}-title`, "aria-busy": "true",
      "data-state": "loading",
    }, h("header", { class: isPlain ? "unseen" : "panel-head" }, h("h2", { id: `${id}-title` }, title), this.tools,
      help && h("a", { class: "help", href: `/docs/${help}`, "aria-label": `What ${title} means` }, "What is this?")),
    this.body, this.note);
  }

  /** Say that an answer is waited for; what was in error gives way to it. */
  expect() {
    this.element.setAttribute("aria-busy", "true");
    if (this.isFilled) return;
    this.body.replaceChildren(skeleton());
    this.#state("loading");
  }

  /** Run `draw` and show what comes of it: it may throw a `Problem`, which is shown with a way to try `again`. */
  async fill(draw, again = () => this.fill(draw)) {
    this.element.setAttribute("aria-busy", "true");
    this.#fills += 1;
    const own = this.#fills;
    try {
      await draw(this);
    } catch (error) {
      if (error.name === "AbortError") return;
      this.#fail(error, again);
      // One part that cannot be drawn is told to who looks after the page, and stops no other part.
      if (!(error instanceof Problem)) reportError(error);
    } finally {
      if (own === this.#fills) this.element.setAttribute("aria-busy", "false");
    }
  }

  /** Show these in place of what was shown. */
  show(...children) {
    const open = [...this.body.querySelectorAll("details")].map((part) => part.open);
    this.body.replaceChildren(...children.flat(Infinity).filter(Boolean));
    // Numbers that were being read stay open while they are renewed.
    [...this.body.querySelectorAll("details")].forEach((part, place) => { part.open ||= open[place] ?? false; });
    this.#state("drawn");
  }

  /** Whether numbers are shown, or that there are none. */
  get isFilled() {
    return ["drawn", "empty"].includes(this.element.dataset.state);
  }

  /** Say that there is nothing to be drawn, and why. */
  empty(text, ...more) {
    this.body.replaceChildren(h("p", { class: "empty" }, text), ...more);
    this.note.replaceChildren();
    this.#state("empty");
  }

  /** What share of `whole` the numbers contain, and what they do not, below them. */
  account(answer, whole = "the listed positions' value") {
    const lines = [];
    if (answer.coverage !== null && answer.coverage < 1) lines.push(`Contains ${percent(answer.coverage)} of ${whole}.`);
    const out = answer.excluded.map((item) => `${item.symbol} ${leftOut(item.reason)}`);
    const partly = answer.incomplete.map((item) => `${item.symbol} ${leftOut(item.reason)} (${item.factors.join(", ")})`);
    this.note.replaceChildren(...lines.map((line) => h("p", null, line)), ...named("Left out", out), ...named("Partly left out", partly));
  }

  #fail(error, tryAgain) {
    const detail = error instanceof Problem ? error.detail : "This part of the page could not be drawn.";
    const again = h("button", { type: "button", click: () => {
      this.body.replaceChildren(skeleton());
      this.#state("loading");
      tryAgain();
    } }, "Try again");
    this.body.replaceChildren(h("div", { class: "failure", role: "alert" }, h("p", null, detail), again));
    this.note.replaceChildren();
    this.#state("error");
  }

  #state(name) {
    this.element.dataset.state = name;
  }
}

function skeleton() {
  return h("div", { class: "skeleton", "aria-hidden": "true" }, h("span"), h("span"), h("span"));
}

function named(title, sentences) {
  if (sentences.length === 0) return [];
  const list = (items) => h("ul", null, items.map((text) => h("li", null, text)));
  if (sentences.length <= NAMED_AT_ONCE) return [h("p", null, `${title}:`), list(sentences)];
  return [h("details", null, h("summary", null, `${title}: ${counted(sentences.length, "entry", "entries")}`), list(sentences))];
}

/** A number with its name, and a remark below it. */
export function tile(label, value, { remark = null, tone = null, id = null } = {}) {
  return h("div", { class: "tile", "data-tile": id ?? label }, h("dt", null, label),
    h("dd", { class: tone }, h("span", { class: "value" }, value), remark && h("span", { class: "remark" }, remark)));
}

/** Tiles beside each other. */
export function tiles(...items) {
  return h("dl", { class: "tiles" }, items);
}
