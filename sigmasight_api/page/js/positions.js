// The table of positions: price, value, P&L, status, and what is missing; sorted and filtered on the spot.

import { announce, h, scrolling } from "./dom.js";
import { count, counted, day, money, plain, price, sign, tone } from "./format.js";

const STATUS = {
  priced: ["ready", "good"],
  stale: ["stale", "warn"],
  private: ["private", "calm"],
  pending: ["pending", "warn"],
  unpriced: ["unpriced", "bad"],
  closed: ["closed", "calm"],
  expired: ["expired", "calm"],
};
const BEING_BROUGHT_IN = /^(pending|processing)\b/;
const KINDS = { PUBLIC: "", OPTIONS: "option", PRIVATE: "private asset" };
// What is to be looked at first.
const URGENCY = ["unpriced", "pending", "stale", "private", "priced", "closed", "expired"];

/** What a position is to its owner: the API's status, where `unpriced` with a symbol under way is `pending`. */
export function statusOf(position) {
  return position.status === "unpriced" && BEING_BROUGHT_IN.test(position.status_reason ?? "") ? "pending" : position.status;
}

/** What is missing of a position, as a sentence; empty when nothing is. */
export function missingOf(position, asOf) {
  const status = statusOf(position);
  if (status === "pending") return `${sentence(position.status_reason.replace(BEING_BROUGHT_IN, "").replace(/^\W+/, "") || "its prices and figures are being brought in")} This page follows by itself.`;
  if (status === "unpriced") return sentence((position.status_reason ?? "no price").replace(/^error: /, ""));
  if (status === "stale") return `No price of ${day(asOf)}: valued at the close of ${day(position.close_session)}.`;
  if (status === "private") return `Valued by you on ${day(position.valued_on)}.`;
  return "";
}

function sentence(text) {
  return `${text.charAt(0).toUpperCase()}${text.slice(1).replace(/\.$/, "")}.`;
}

const number = (read) => (one, other) => compare(read(one), read(other));
const decimal = (name) => number((item) => (item[name] === null ? null : Number(item[name])));
const COLUMNS = [
  { key: "symbol", label: "Position", order: (one, other) => one.symbol.localeCompare(other.symbol) },
  { key: "status", label: "Status", order: number((item) => URGENCY.indexOf(statusOf(item))) },
  { key: "market_value", label: "Value, USD", numeric: true, order: decimal("market_value") },
  { key: "unrealized_pnl", label: "P&L, USD", numeric: true, order: decimal("unrealized_pnl") },
  { key: "close", label: "Price, USD", numeric: true, order: decimal("close") },
  { key: "quantity", label: "Quantity", numeric: true, order: decimal("quantity") },
  { key: "missing", label: "What is missing", order: null },
];

// Missing numbers come last, whichever way round.
function compare(one, other) {
  if (one === other) return 0;
  if (one === null) return Infinity;
  if (other === null) return -Infinity;
  return one - other;
}

/** The table, with what was chosen before kept while the numbers are renewed. */
export class PositionsTable {
  #sort = { key: "market_value", isDescending: true };
  #words = "";
  #status = "";
  #positions = [];
  #asOf = null;

  /** Draw positions into a panel. */
  draw(panel, positions, asOf) {
    this.#positions = positions;
    this.#asOf = asOf;
    if (positions.length === 0) {
      panel.empty("There are no positions in this portfolio yet. Add some with “Upload a file”.");
      return;
    }
    if (this.body?.isConnected) {
      // What is being typed or chosen there stays.
      this.#statuses();
      this.#rows();
      return;
    }
    this.body = h("tbody");
    this.total = h("p", { class: "hint", role: "status" });
    const heads = COLUMNS.map((column) => h("th", { scope: "col", class: column.numeric ? "number" : column.key === "missing" && "what", "data-key": column.key }, column.order
      ? h("button", { type: "button", click: () => this.#sortBy(column) }, column.label, h("span", { class: "mark", "aria-hidden": "true" }))
      : h("span", { class: "head" }, column.label)));
    this.heads = heads;
    const shown = h("table", { class: "positions-table" }, h("caption", { class: "unseen" }, "Positions; columns sort by their heads"),
      h("thead", null, h("tr", null, heads)), this.body);
    panel.show(this.#tools(), scrolling("Table of positions", shown));
    panel.element.classList.add("positions");
    this.#rows();
  }

  #tools() {
    const words = h("input", { id: "filter", type: "search", autocomplete: "off", placeholder: "symbol, sector, note", input: (event) => {
      this.#words = event.target.value.trim().toLowerCase();
      this.#rows();
    } });
    words.value = this.#words;
    this.status = h("select", { id: "filter-status", change: (event) => {
      this.#status = event.target.value;
      this.#rows();
    } });
    this.#statuses();
    return h("div", { class: "positions-tools" }, h("div", null, h("label", { for: "filter" }, "Find"), words),
      h("div", null, h("label", { for: "filter-status" }, "Status"), this.status), this.total);
  }

  #statuses() {
    const counts = new Map();
    for (const kind of this.#positions.map(statusOf)) counts.set(kind, (counts.get(kind) ?? 0) + 1);
    const kinds = [...counts.keys()].sort((one, other) => URGENCY.indexOf(one) - URGENCY.indexOf(other));
    if (!kinds.includes(this.#status)) this.#status = "";
    this.status.replaceChildren(h("option", { value: "" }, "all"), ...kinds.map((kind) => h("option", { value: kind }, `${STATUS[kind][0]} (${counts.get(kind)})`)));
    this.status.value = this.#status;
  }

  #sortBy(column) {
    const isSame = this.#sort.key === column.key;
    this.#sort = { key: column.key, isDescending: isSame ? !this.#sort.isDescending : Boolean(column.numeric) };
    this.#rows();
    announce(`Sorted by ${column.label}, ${this.#sort.isDescending ? "descending" : "ascending"}`);
  }

  #rows() {
    const found = this.#positions.filter((item) => this.#isFound(item));
    const { order } = COLUMNS.find((column) => column.key === this.#sort.key);
    const turn = this.#sort.isDescending ? -1 : 1;
    found.sort((one, other) => {
      const judged = order(one, other);
      return Number.isFinite(judged) ? turn * judged : Math.sign(judged);
    });
    this.body.replaceChildren(...found.map((item) => this.#row(item)));
    for (const head of this.heads) {
      const isSorted = head.dataset.key === this.#sort.key;
      if (isSorted) head.setAttribute("aria-sort", this.#sort.isDescending ? "descending" : "ascending");
      else head.removeAttribute("aria-sort");
      const mark = head.querySelector(".mark");
      if (mark) mark.textContent = isSorted ? (this.#sort.isDescending ? " ▼" : " ▲") : "";
    }
    const symbols = new Set(this.#positions.map((item) => item.symbol)).size;
    this.total.textContent = found.length === this.#positions.length
      ? `${counted(found.length, "lot")} of ${counted(symbols, "position")}` : `${count(found.length)} of ${counted(this.#positions.length, "lot")}`;
  }

  #isFound(item) {
    if (this.#status && statusOf(item) !== this.#status) return false;
    return !this.#words || [item.symbol, item.sector, item.notes].some((text) => text?.toLowerCase().includes(this.#words));
  }

  #row(item) {
    const status = statusOf(item);
    const [word, kind] = STATUS[status];
    const under = [KINDS[item.investment_class], item.sector !== "Options" && item.sector !== "Private" ? item.sector : null].filter(Boolean).join(" · ");
    const isSplit = item.split_numerator !== null && item.split_numerator !== item.split_denominator;
    const lack = missingOf(item, this.#asOf);
    return h("tr", { "data-position": item.position_id, "data-status": status },
      h("th", { scope: "row" }, item.symbol, under && h("span", { class: "under kind" }, under), lack && h("span", { class: "under lack" }, lack)),
      h("td", null, h("span", { class: `badge badge-${kind}` }, word)),
      h("td", { class: "number" }, money(item.market_value)),
      h("td", { class: sign(item.unrealized_pnl) ? `number ${tone(item.unrealized_pnl)}` : "number" }, money(item.unrealized_pnl, { signed: true })),
      h("td", { class: "number" }, price(item.close), status === "stale" && h("span", { class: "under" }, day(item.close_session))),
      h("td", { class: "number" }, plain(item.quantity), isSplit && h("span", { class: "under" }, `before a split ${item.split_numerator} for ${item.split_denominator}`)),
      h("td", { class: "what" }, lack));
  }
}
