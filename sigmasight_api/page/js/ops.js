// The operators' page: what is published, what failed and why, what waits, and where to act on it.

import { Api, Problem } from "./api.js";
import { UNPUBLISHED, calendar, sessionDetails } from "./calendar.js";
import { announce, h, scrolling, table } from "./dom.js";
import { NONE, count, counted, day, moment, percent } from "./format.js";
import { Panel } from "./panel.js";
import { rememberedToken, signIn, signOut } from "./signin.js";
import { themeChoice } from "./tools.js";

const SESSIONS = 20;
const EVERY_MS = 15_000;

const main = document.getElementById("main");
const tools = document.getElementById("tools");

class OperatorsPage {
  #api;
  #chosen = null;
  #timer = null;
  #verdict = null;
  #shown = new Map();
  #renewed = null;

  constructor(api) {
    this.#api = api;
  }

  /** Show the state of things, and again every few seconds while the page is looked at. */
  async start() {
    this.#lay();
    document.addEventListener("visibilitychange", () => document.hidden || this.#load());
    await this.#load();
  }

  #lay() {
    tools.replaceChildren(h("nav", { class: "bar-tools", "aria-label": "Dagster", id: "dagster" }), themeChoice(() => {}),
      h("button", { type: "button", id: "sign-out", click: signOut }, "Sign out"));
    this.verdict = h("div", { class: "notices", id: "verdict" });
    this.connection = h("p", { class: "notice notice-warn connection", role: "status", hidden: true });
    this.panels = {
      calendar: new Panel({ id: "calendar", title: "Coverage by session", help: "formulas/quality-and-reasons", wide: true }),
      failures: new Panel({ id: "failures", title: "Failed right now", help: "runbook", wide: true }),
      runs: new Panel({ id: "runs", title: "Last runs", wide: true }),
      onboarding: new Panel({ id: "onboarding", title: "Onboarding queue" }),
      cache: new Panel({ id: "cache", title: "Cache and generation" }),
    };
    main.replaceChildren(h("div", { class: "title-row" }, h("h1", null, "Operations"), h("p", { id: "clock" })), this.connection, this.verdict,
      h("div", { class: "panels" }, Object.values(this.panels).map((panel) => panel.element)));
    main.setAttribute("aria-busy", "false");
  }

  async #load() {
    clearTimeout(this.#timer);
    const get = (path) => this.#api.get(`admin/${path}`);
    const asked = { status: get(`status?sessions=${SESSIONS}`), coverage: get(`data/coverage?sessions=${SESSIONS}`), onboarding: get("onboarding?limit=100"), cache: get("cache/status") };
    // Each panel tells of its own failure; none of them is without a listener until then.
    for (const answer of Object.values(asked)) answer.catch(() => {});
    const known = await asked.status.catch(() => null);
    if (known) this.#head(known);
    await Promise.all([
      this.#fill("calendar", [asked.status, asked.coverage], (panel, status, coverage) => this.#calendar(panel, status, coverage), (status, coverage) => [status.sessions, coverage]),
      this.#fill("failures", [asked.status], (panel, status) => this.#failures(panel, status), (status) => status.failures),
      this.#fill("runs", [asked.status], (panel, status) => this.#runs(panel, status), (status) => [status.running, status.runs]),
      this.#fill("onboarding", [asked.onboarding], drawOnboarding),
      this.#fill("cache", [asked.cache], drawCache),
    ]);
    const lost = (await Promise.allSettled(Object.values(asked))).find((item) => item.status === "rejected");
    this.connection.hidden = !lost;
    if (lost) this.connection.textContent = `Not all of this is renewed; it was so at ${this.#renewed ?? "no time yet"}. ${lost.reason.detail ?? ""}`;
    else this.#renewed = moment(new Date().toISOString());
    main.dataset.loaded = String(Date.now());
    this.#timer = setTimeout(() => document.hidden || this.#load(), EVERY_MS);
  }

  // A panel is drawn anew when what it shows has changed, so that nobody loses his place in it; it keeps what it shows
  // when its answer fails.
  async #fill(name, asked, draw, shown = (...answers) => answers) {
    const panel = this.panels[name];
    const answers = await Promise.allSettled(asked);
    const failed = answers.find((item) => item.status === "rejected");
    if (failed && panel.isFilled) return;
    const values = answers.map((item) => item.value);
    const contents = failed ? null : JSON.stringify(shown(...values));
    if (contents !== null && contents === this.#shown.get(name) && panel.isFilled) return;
    await panel.fill(async () => {
      if (failed) throw failed.reason;
      await draw(panel, ...values);
      this.#shown.set(name, contents);
    }, () => this.#load());
  }

  #head(status) {
    document.getElementById("clock").textContent = `By the service's clock it is ${moment(status.clock)} in New York; so are all times here`;
    document.getElementById("dagster").replaceChildren(...dagsterLinks(status.orchestrator));
    this.#tellVerdict(status);
  }

  #calendar(panel, status, coverage) {
    if (status.sessions.length === 0) {
      panel.empty("No session is complete yet.");
      return;
    }
    const lacking = status.sessions.find((item) => UNPUBLISHED.includes(item.state));
    const isThere = status.sessions.some((item) => item.session === this.#chosen);
    if (!isThere) this.#chosen = (lacking ?? status.sessions[0]).session;
    const had = panel.body.contains(document.activeElement);
    const before = panel.body.querySelector(".scroll")?.scrollLeft;
    panel.show(calendar(status, coverage, this.#chosen, (session) => {
      this.#chosen = session;
      this.#calendar(panel, status, coverage);
      panel.body.querySelector('[aria-pressed="true"]').focus();
      announce(`What ${day(session)} lacks is shown below the calendar`);
    }), sessionDetails(status.sessions.find((item) => item.session === this.#chosen),
      coverage.items.find((item) => item.session === this.#chosen), status.orchestrator));
    const scroller = panel.body.querySelector(".scroll");
    scroller.scrollLeft = before ?? scroller.scrollWidth;
    if (had) panel.body.querySelector('[aria-pressed="true"]')?.focus();
  }

  #tellVerdict(status) {
    const { state, sentence, next_step: next } = status.verdict;
    const kind = { current: status.failures.length ? "warn" : "good", due: "calm", empty: "calm", late: "error", failing: "error" }[state];
    const lines = [next, `Symbols: ${status.next_symbols}`, `Portfolios: ${status.next_snapshots}`];
    if (status.alerts_undelivered) lines.push(`${counted(status.alerts_undelivered, "alert")} that the webhook has not taken`);
    this.verdict.replaceChildren(h("div", { class: `notice notice-${kind}`, "data-verdict": state },
      h("p", null, h("strong", null, `${state.charAt(0).toUpperCase()}${state.slice(1)}: `), sentence.replace(/^all current: /, "")),
      lines.filter(Boolean).map((text) => h("p", null, ...withCode(text)))));
    if (this.#verdict !== null && this.#verdict !== sentence) announce(sentence);
    this.#verdict = sentence;
  }

  #failures(panel, status) {
    if (status.failures.length === 0) {
      panel.empty("Nothing is failed right now.");
      return;
    }
    panel.show(h("ul", { class: "entries" }, status.failures.map((item) => h("li", { class: `is-${item.severity}` },
      h("p", null, h("span", { class: `badge badge-${item.severity === "critical" ? "bad" : "warn"}` }, item.severity), " ",
        h("strong", null, `${item.kind.replaceAll("_", " ")}: ${item.subject}`)),
      h("p", null, item.detail),
      h("p", null, "Next: ", ...withCode(item.next_step), item.next_attempt ? ` (tried again by itself at ${moment(item.next_attempt)})` : ""),
      h("p", null, [item.run_id && h("a", { href: `${status.orchestrator}/runs/${item.run_id}` }, "The run in Dagster"), item.run_id && item.asset ? " · " : "",
        item.asset && h("a", { href: `${status.orchestrator}/assets/${item.asset}` }, `${item.asset} in Dagster`)])))));
  }

  #runs(panel, status) {
    const runs = [...status.running, ...status.runs.filter((run) => !status.running.some((other) => other.run_id === run.run_id))];
    if (runs.length === 0) {
      panel.empty("No run is recorded yet.");
      return;
    }
    panel.show(scrolling("Table of the last runs", table({
      caption: "The last runs, newest first",
      columns: [{ label: "Run" }, { label: "Layer" }, { label: "Sessions" }, { label: "Status" }, { label: "Began" }, { label: "Seconds", numeric: true },
        { label: "Computed", numeric: true }, { label: "Fresh", numeric: true }, { label: "Without value", numeric: true }, { label: "Calls", numeric: true }, { label: "By" }],
      rows: runs.map((run) => [h("a", { href: `${status.orchestrator}/runs/${run.run_id}` }, run.run_id.slice(0, 8)), run.layer,
        h("span", { class: "one-line" }, run.first_session === run.last_session ? day(run.first_session) : `${day(run.first_session)} to ${day(run.last_session)}`),
        h("span", null, h("span", { class: `badge badge-${{ succeeded: "good", failed: "bad", running: "calm" }[run.status]}` }, run.status),
          run.error ? h("span", { class: "run-error" }, ` ${run.error}`) : null),
        h("span", { class: "one-line" }, moment(run.started_at)), run.seconds.toFixed(1), count(run.computed), count(run.fresh), count(run.failed), count(run.vendor_calls), run.started_by]),
    })));
  }
}

function dagsterLinks(address) {
  return [["Assets", "assets"], ["Runs", "runs"], ["Automation", "automation"], ["Backfills", "runs?view=backfills"]].map(([label, path], place) =>
    h("a", { href: `${address}/${path}` }, place === 0 ? `Dagster: ${label}` : label));
}

// What stands between backquotes is a command.
function withCode(text) {
  return text.split("`").map((part, place) => (place % 2 ? h("code", null, part) : part));
}

function drawOnboarding(panel, answer) {
  if (answer.total === 0) {
    panel.empty("Nothing waits: every symbol that was asked for is in.");
    return;
  }
  const kinds = { pending: "warn", processing: "calm", completed: "good", failed: "bad" };
  panel.show(scrolling("Table of requests", table({
    caption: "Requests for symbols",
    columns: [{ label: "Symbol" }, { label: "Status" }, { label: "Asked for" }, { label: "Tries", numeric: true }, { label: "What happened" }],
    rows: answer.items.map((item) => [item.symbol, h("span", { class: `badge badge-${kinds[item.status]}` }, item.status), `${moment(item.requested_at)} by ${item.requested_by}`,
      count(item.attempts), item.error ?? (item.status === "completed" ? `in generation ${count(item.generation)}` : NONE)]),
  })), answer.total > answer.items.length ? h("p", { class: "hint" }, `${count(answer.items.length)} of ${count(answer.total)}.`) : null);
}

function drawCache(panel, cache) {
  const seconds = (value) => (value === null ? NONE : `${count(Math.round(value))} s ago`);
  const mode = { cache: ["in memory", "good"], loading: ["loading", "warn"], db_fallback: ["answering from the database", "warn"] }[cache.mode];
  const facts = [
    ["Answers come", h("span", { class: `badge badge-${mode[1]}` }, mode[0])],
    ["Why", cache.reason], ["Last error", cache.last_error],
    ["Generation", count(cache.generation)], ["Symbols published in", count(cache.symbol_generation)], ["Market of", day(cache.as_of)], ["Symbols", count(cache.symbols)],
    ["Memory of the view", `${(cache.view_bytes / 2 ** 20).toFixed(1)} MiB`], ["Loaded", `${seconds(cache.age_seconds)}, in ${cache.load_seconds === null ? NONE : cache.load_seconds.toFixed(2)} s`],
    ["Checked", seconds(cache.checked_seconds_ago)], ["Told of new generations", cache.is_listening ? "at once" : "by checks alone"],
    ["Requests", `${count(cache.view_hits)} at once, ${count(cache.view_waits)} waited, ${count(cache.database_fallbacks)} by the database`],
    ["Holdings remembered", hits(cache)], ["Rights of the database role", cache.is_restricted ? "only what it needs" : "more than it needs: see the deployment guide"],
  ].filter(([, value]) => value !== null);
  panel.show(h("dl", { class: "facts" }, facts.map(([name, value]) => [h("dt", null, name), h("dd", null, value)])));
}

function hits(cache) {
  const all = cache.holdings_hits + cache.holdings_misses;
  return `of ${counted(cache.remembered_portfolios, "portfolio")}${all ? `; ${percent(cache.holdings_hits / all)} of requests` : ""}`;
}

async function enter() {
  const check = (api) => api.get("admin/cache/status");
  let said = null;
  const token = rememberedToken();
  if (token) {
    try {
      await check(new Api(token));
      await open(token);
      return;
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      // An owner who is signed in on the other page stays so there.
      if (error.status === 403) said = "The token you are signed in with is an owner's. This page takes an admin's token.";
      else if (error.status === 401) said = "You were signed out: the token has expired or was revoked.";
      else said = error.detail;
    }
  }
  tools.replaceChildren(themeChoice(() => {}));
  const signed = await signIn(main, { lead: "See what the nights have done", command: "sigmasight token create --user NAME --admin", check, said });
  await open(signed.token);
}

async function open(token) {
  await new OperatorsPage(new Api(token, { onRefused: () => location.reload() })).start();
}

await enter();
