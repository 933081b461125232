// Upload of a file of positions: checked first, with a report line by line, stored only once it has no error.

import { Problem } from "./api.js";
import { announce, h, scrolling, table } from "./dom.js";
import { counted } from "./format.js";

const CSV = "text/csv";
const LARGEST_MIB = 8;

/**
 * The dialog. `portfolio` is the one that is shown, or null; `onStored` is given the API's answer. It is open at once
 * and removed when it is closed.
 */
export function openUpload(api, { portfolio, asOf, onStored }) {
  const dialog = h("dialog", { "aria-labelledby": "upload-title", class: "upload" });
  const form = new Upload(api, { portfolio, asOf, close: () => form.isStoring || dialog.close(), onStored });
  dialog.append(form.element);
  dialog.addEventListener("cancel", (event) => {
    if (form.isStoring) event.preventDefault();
  });
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}

class Upload {
  #checked = null;
  // How often something was changed: what was asked before that is of something else.
  #edits = 0;
  #isStoring = false;

  constructor(api, { portfolio, asOf, close, onStored }) {
    this.api = api;
    this.portfolio = portfolio;
    this.onStored = onStored;
    this.close = close;
    this.report = h("div", { class: "report", role: "status", "aria-live": "polite" });
    this.check = h("button", { type: "submit" }, "Check the file");
    this.store = h("button", { type: "button", class: "primary", disabled: true, click: () => this.#store() }, "Store it");
    this.file = h("input", { id: "upload-file", type: "file", accept: ".csv,text/csv", required: true, "aria-describedby": "upload-hint" });
    this.name = h("input", { id: "upload-name", type: "text", maxlength: "100", autocomplete: "off" });
    this.equity = h("input", { id: "upload-equity", type: "text", inputmode: "decimal", autocomplete: "off", placeholder: "100000.00" });
    this.day = h("input", { id: "upload-day", type: "date", max: asOf });
    this.day.value = asOf ?? "";
    this.fields = h("div", { class: "fields" }, field("upload-name", "Name", this.name), field("upload-equity", "Equity, USD", this.equity),
      field("upload-day", "As of", this.day));
    this.element = this.#form(close);
    for (const input of [this.file, this.name, this.equity, this.day]) input.addEventListener("input", () => this.#forget());
    // The same file, mended, counts as chosen anew.
    this.file.addEventListener("click", () => {
      this.file.value = "";
      this.#forget();
    });
    this.#choose();
  }

  /** Whether what is under way must be waited for: its end is to be told. */
  get isStoring() {
    return this.#isStoring;
  }

  #form(close) {
    const choice = (value, label, isChosen) => {
      const input = h("input", { type: "radio", name: "upload-target", value, change: () => this.#choose() });
      input.checked = isChosen;
      return h("label", { class: "check" }, input, label);
    };
    const drop = h("div", { class: "drop" }, h("label", { for: "upload-file" }, "File of positions (CSV)"), this.file,
      h("p", { class: "hint", id: "upload-hint" }, `Columns symbol, quantity, entry_price, entry_date; up to ${LARGEST_MIB} MiB. Drop a file here, or choose one. `,
        h("a", { href: "/docs/positions-file", target: "_blank" }, "All columns")));
    for (const kind of ["dragover", "dragleave", "drop"]) drop.addEventListener(kind, (event) => this.#dragged(event, drop));
    this.targets = h("fieldset", null, h("legend", null, "Where to"), choice("new", "A new portfolio", !this.portfolio),
      this.portfolio && choice("add", `Add to ${this.portfolio.name}`, true), this.fields);
    return h("form", { class: "dialog", novalidate: true, submit: (event) => {
      event.preventDefault();
      this.#check();
    } }, h("div", { class: "dialog-head" }, h("h2", { id: "upload-title" }, "Upload positions"),
      h("button", { type: "button", click: close }, "Close")),
    drop, this.targets, this.report, h("div", { class: "dialog-actions" }, this.check, this.store));
  }

  #dragged(event, drop) {
    event.preventDefault();
    drop.classList.toggle("is-over", event.type === "dragover");
    if (event.type === "drop" && event.dataTransfer.files.length) {
      this.file.files = event.dataTransfer.files;
      this.#forget();
    }
  }

  get #isNew() {
    return this.targets.querySelector("input:checked").value === "new";
  }

  #choose() {
    this.fields.hidden = !this.#isNew;
    this.#forget();
  }

  // What was checked is not what would be stored any more.
  #forget() {
    this.#checked = null;
    this.#edits += 1;
    this.store.disabled = true;
    this.report.replaceChildren();
  }

  #path(isDryRun) {
    const query = new URLSearchParams(isDryRun ? { dry_run: "true" } : {});
    if (!this.#isNew) return `portfolios/${this.portfolio.portfolio_id}/positions.csv?${query}`;
    query.set("name", this.name.value.trim());
    query.set("stated_equity", this.equity.value.trim().replaceAll(",", ""));
    query.set("as_of", this.day.value);
    return `portfolios.csv?${query}`;
  }

  #lacking() {
    if (this.file.files.length === 0) return [this.file, "Choose a file first."];
    if (this.file.files[0].size > LARGEST_MIB * 2 ** 20) return [this.file, `The file is larger than ${LARGEST_MIB} MiB: split it.`];
    if (!this.#isNew) return null;
    if (!this.name.value.trim()) return [this.name, "Give the new portfolio a name."];
    if (!this.equity.value.trim()) return [this.equity, "State the equity of the account: what it is worth, cash included."];
    if (!this.day.value) return [this.day, "State the day that the equity is of."];
    return null;
  }

  async #check() {
    this.#forget();
    const lacking = this.#lacking();
    for (const input of [this.file, this.name, this.equity, this.day]) input.removeAttribute("aria-invalid");
    if (lacking) {
      const [input, text] = lacking;
      input.setAttribute("aria-invalid", "true");
      input.focus();
      this.report.replaceChildren(h("p", { class: "notice notice-error" }, text));
      return;
    }
    const edits = this.#edits;
    await this.#busy("Checking …", async () => {
      const body = await contentsOf(this.file.files[0]);
      const path = this.#path(false);
      const { document } = await this.api.send("POST", this.#path(true), { body, type: CSV });
      if (edits !== this.#edits) return;
      this.#told(document);
      if (document.problems_total === 0) this.#checked = { body, path, key: newKey() };
      this.store.disabled = this.#checked === null;
      if (this.#checked) this.store.focus();
    });
  }

  #told(found) {
    if (found.problems_total === 0) {
      this.report.replaceChildren(h("p", { class: "notice notice-good" }, `The file is right: ${counted(found.positions, "position")} can be stored. ${pendingWords(found.pending_symbols)}`));
      return;
    }
    const more = found.problems_total - found.problems.length;
    this.report.replaceChildren(...[
      h("p", { class: "notice notice-error" }, `${counted(found.problems_total, "problem")} found, nothing was stored. Mend the file and check it again.`),
      scrolling("Problems of the file", table({
        caption: "Problems of the file", columns: [{ label: "Line", numeric: true }, { label: "What is wrong" }],
        rows: found.problems.map((problem) => [problem.line === null ? "all" : String(problem.line), problem.message]),
      })), more > 0 && h("p", { class: "hint" }, `… and ${counted(more, "more problem")}.`)].filter(Boolean));
  }

  async #store() {
    const { body, path, key } = this.#checked;
    this.#isStoring = true;
    await this.#busy("Storing …", async () => {
      // With the same key a second try stores nothing twice.
      const { document } = await this.api.send("POST", path, { body, type: CSV, headers: { "Idempotency-Key": key } });
      announce(`${counted(document.positions, "position")} stored. ${pendingWords(document.pending_symbols)}`);
      this.#isStoring = false;
      this.close();
      this.onStored(document);
    });
    this.#isStoring = false;
    this.store.disabled = this.#checked === null;
  }

  async #busy(words, work) {
    this.check.disabled = true;
    this.store.disabled = true;
    this.report.replaceChildren(h("p", { class: "hint" }, words));
    try {
      await work();
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      this.report.replaceChildren(h("p", { class: "notice notice-error" }, error.detail));
    } finally {
      this.check.disabled = false;
    }
  }
}

async function contentsOf(file) {
  try {
    return await file.arrayBuffer();
  } catch {
    throw new Problem(0, "The file has changed since it was chosen, or cannot be read: choose it again.");
  }
}

function field(id, label, input) {
  return h("div", null, h("label", { for: id }, label), input);
}

function pendingWords(symbols) {
  if (symbols.length === 0) return "";
  const named = symbols.slice(0, 5).join(", ") + (symbols.length > 5 ? " …" : "");
  return `${counted(symbols.length, "symbol")} without figures yet will be brought in: ${named}.`;
}

function newKey() {
  // randomUUID is for secure contexts alone, and a page on a private network may not be one.
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
