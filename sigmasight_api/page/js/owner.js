// The owner's page: sign in, choose a portfolio, see it, and follow what changes.

import { answersOf, analyticPath, seriesOf } from "./answers.js";
import { Api, Problem } from "./api.js";
import { loadLibrary, recolour } from "./charts.js";
import { announce, h, painted } from "./dom.js";
import { Panel } from "./panel.js";
import { PositionsTable, statusOf } from "./positions.js";
import { asOf, drawConcentration, drawCorrelations, drawExposures, drawRisk, drawSectors, drawStress } from "./risks.js";
import { SPANS, drawSeries, spanStart } from "./series.js";
import { forgetToken, onForgotten, rememberedToken, signIn, signOut } from "./signin.js";
import { summary, warnings } from "./summary.js";
import { themeChoice } from "./tools.js";
import { openUpload } from "./upload.js";

// How soon a change is looked for: while symbols are brought in or snapshots made, and otherwise.
const SOON_MS = 2_000;
const LATER_MS = 30_000;
// Some minutes; what takes longer waits for the next night.
const MOST_SOON = 150;

const main = document.getElementById("main");
const tools = document.getElementById("tools");

class OwnersPage {
  #api;
  #portfolios;
  #portfolio = null;
  #aborter = new AbortController();
  #spanAborter = new AbortController();
  #timer = null;
  #looks = 0;
  #generation = null;
  #positions = [];
  #asOf = null;
  #months = null;
  #table = new PositionsTable();

  constructor(api, portfolios) {
    this.#api = api;
    this.#portfolios = portfolios;
  }

  /** Show the portfolio that the address names, else the first. */
  async start() {
    addEventListener("hashchange", () => {
      if (this.#named() !== this.#portfolio) this.#choose();
    });
    // The address names the portfolio, so the link to the figures must not name them instead.
    document.querySelector(".skip").addEventListener("click", (event) => {
      event.preventDefault();
      main.focus();
    });
    document.addEventListener("visibilitychange", () => {
      if (!document.hidden && this.#portfolio) this.#look();
    });
    await this.#choose();
  }

  async #choose() {
    this.#portfolio = this.#named();
    this.#months = null;
    this.#positions = [];
    this.#table = new PositionsTable();
    this.#bar();
    if (this.#portfolio) {
      this.#lay();
      await this.#load();
    } else {
      this.#nothing();
    }
  }

  // Of the address, else the first; the one that is shown, if it is that.
  #named() {
    const named = new URLSearchParams(location.hash.slice(1)).get("portfolio");
    const found = this.#portfolios.find((item) => item.portfolio_id === named) ?? this.#portfolios[0] ?? null;
    return found?.portfolio_id === this.#portfolio?.portfolio_id ? this.#portfolio : found;
  }

  // The choice keeps the keyboard: it is laid anew only when there are other portfolios.
  #bar() {
    let select = document.getElementById("portfolio");
    const shown = [...(select?.options ?? [])].map((option) => option.value).join();
    if (!select || shown !== this.#portfolios.map((item) => item.portfolio_id).join()) {
      select = h("select", { id: "portfolio", change: (event) => {
        location.hash = `portfolio=${event.target.value}`;
      } }, this.#portfolios.map((item) => h("option", { value: item.portfolio_id }, item.name)));
      tools.replaceChildren(...(this.#portfolios.length ? [h("label", { for: "portfolio" }, "Portfolio"), select] : []),
        h("button", { type: "button", id: "upload", click: () => this.#upload() }, "Upload a file"), themeChoice(recolour),
        h("button", { type: "button", id: "sign-out", click: signOut }, "Sign out"));
    }
    if (this.#portfolio) select.value = this.#portfolio.portfolio_id;
  }

  #nothing() {
    main.replaceChildren(h("section", { class: "signin" }, h("h1", null, "No portfolio yet"),
      h("p", null, "Upload a file of positions: exposures, scenarios and correlations are here a second later, value and P&L within a minute."),
      h("p", null, h("button", { type: "button", class: "primary", click: () => this.#upload() }, "Upload a file"))));
    main.setAttribute("aria-busy", "false");
  }

  #lay() {
    document.title = `${this.#portfolio.name} · SigmaSight`;
    this.day = h("p", { id: "as-of" });
    this.notices = h("div", { class: "notices" });
    this.connection = h("p", { class: "notice notice-warn connection", role: "status", hidden: true });
    this.glance = new Panel({ id: "glance", title: "At a glance", isPlain: true });
    this.panels = {
      series: new Panel({ id: "series", title: "Value, P&L and drawdown", help: "owner#value", wide: true }),
      exposures: new Panel({ id: "exposures", title: "Factor exposures", help: "owner#the-twelve-exposures" }),
      stress: new Panel({ id: "stress", title: "Stress scenarios", help: "owner#stress-scenarios" }),
      risk: new Panel({ id: "risk", title: "Volatility and tail risk", help: "owner#volatility" }),
      correlation: new Panel({ id: "correlation", title: "Correlations", help: "owner#correlation" }),
      sectors: new Panel({ id: "sectors", title: "Sectors", help: "owner#sectors-and-concentration" }),
      concentration: new Panel({ id: "concentration", title: "Concentration", help: "owner#sectors-and-concentration" }),
      positions: new Panel({ id: "positions", title: "Positions", help: "owner#status-of-a-position", wide: true }),
    };
    this.panels.series.tools.append(this.#spans());
    main.replaceChildren(h("div", { class: "title-row" }, h("h1", null, this.#portfolio.name), this.day), this.connection, this.notices,
      this.glance.element, this.#grid());
    main.setAttribute("aria-busy", "false");
  }

  // Two columns of their own, so that a tall panel leaves no hole beside it.
  #grid() {
    const { series, exposures, stress, risk, correlation, sectors, concentration, positions } = this.panels;
    const column = (...panels) => h("div", { class: "column" }, panels.map((panel) => panel.element));
    return h("div", { class: "panels" }, series.element, column(exposures, risk, concentration), column(stress, correlation, sectors), positions.element);
  }

  #spans() {
    return h("div", { class: "choice", role: "group", "aria-label": "How far back" }, SPANS.map(([label, months]) =>
      h("button", { type: "button", "aria-pressed": String(months === this.#months), click: (event) => {
        this.#months = months;
        for (const other of event.target.parentElement.children) other.setAttribute("aria-pressed", String(other === event.target));
        this.#span();
      } }, label)));
  }

  get #first() {
    return spanStart(this.#portfolio.equity_session, this.#months);
  }

  // A new load ends the one before it: whoever was chosen last is shown.
  #signal() {
    clearTimeout(this.#timer);
    this.#aborter.abort(new DOMException("something else was chosen", "AbortError"));
    this.#aborter = new AbortController();
    return this.#aborter.signal;
  }

  async #load({ isRenewed = false } = {}) {
    const signal = this.#signal();
    const portfolio = this.#portfolio;
    // Until all is drawn the page says so of no generation.
    if (!isRenewed) {
      delete main.dataset.generation;
      for (const panel of Object.values(this.panels)) panel.expect();
    }
    if (!isRenewed || !this.glance.isFilled) {
      // The first numbers, as soon as there are any; the others follow, all of one generation.
      await this.glance.fill(async () => this.#glance(await this.#api.get(analyticPath(portfolio, "overview"), { signal })), () => this.#load());
      await painted();
      if (signal.aborted) return;
    }
    loadLibrary().catch(() => {});
    const first = this.#first;
    const asked = answersOf(this.#api, portfolio, { first, signal });
    let answers = null;
    try {
      answers = await asked;
    } catch (error) {
      if (error.name === "AbortError") return;
      // Figures that are shown already stay, and say of which day they are.
      if (isRenewed && error instanceof Problem) {
        this.#disconnected(error);
        this.#later();
        return;
      }
    }
    const fill = (name, draw) => this.panels[name].fill(async (panel) => {
      await asked;
      signal.throwIfAborted();
      await draw(panel);
    }, () => this.#load());
    await Promise.all([
      fill("positions", (panel) => {
        this.#glance(answers.overview());
        this.#show(panel, answers.positions());
      }),
      // Another span may have been chosen meanwhile; it is drawn by itself.
      fill("series", (panel) => first === this.#first && drawSeries(panel, answers.performance(), answers.snapshots())),
      fill("exposures", (panel) => drawExposures(panel, answers["factor-exposures"]())),
      fill("stress", (panel) => drawStress(panel, answers["stress-test"]())),
      fill("risk", (panel) => drawRisk(panel, answers.volatility(), answers.risk())),
      fill("correlation", (panel) => drawCorrelations(panel, answers["correlation-matrix"]())),
      fill("sectors", (panel) => drawSectors(panel, answers["sector-exposure"]())),
      fill("concentration", (panel) => drawConcentration(panel, answers.concentration())),
    ]);
    if (signal.aborted) return;
    this.#generation = answers?.generation ?? null;
    if (answers) {
      main.dataset.generation = this.#generation;
      announce(isRenewed ? "The figures were renewed" : `${portfolio.name}: the figures are shown`);
    }
    this.#later();
  }

  async #span() {
    this.#spanAborter.abort(new DOMException("another span was chosen", "AbortError"));
    this.#spanAborter = new AbortController();
    const signal = AbortSignal.any([this.#aborter.signal, this.#spanAborter.signal]);
    await this.panels.series.fill(async (panel) => {
      const { performance, snapshots } = await seriesOf(this.#api, this.#portfolio, this.#first, signal);
      signal.throwIfAborted();
      await drawSeries(panel, performance, snapshots);
    }, () => this.#span());
  }

  #glance(overview) {
    this.#asOf = overview.as_of;
    this.day.textContent = asOf(overview);
    this.notices.replaceChildren(...warnings(this.#portfolio, overview));
    this.glance.show(summary(overview));
  }

  #show(panel, positions) {
    const ready = positions.filter((item) => statusOf(item) !== "pending").map((item) => item.symbol);
    const arrived = this.#positions.filter((item) => statusOf(item) === "pending" && ready.includes(item.symbol));
    this.#positions = positions;
    this.#table.draw(panel, positions, this.#asOf);
    if (arrived.length) announce(`${arrived.map((item) => item.symbol).join(", ")}: no longer pending`);
  }

  get #isWaiting() {
    const { equity, stale_from: staleFrom } = this.#portfolio;
    return equity === null || staleFrom !== null || this.#positions.some((item) => statusOf(item) === "pending");
  }

  #later() {
    clearTimeout(this.#timer);
    const isSoon = this.#isWaiting && this.#looks < MOST_SOON;
    this.#timer = setTimeout(() => this.#look(), isSoon ? SOON_MS : LATER_MS);
  }

  // A new generation has other numbers; without one, a symbol may still have got another status.
  async #look() {
    clearTimeout(this.#timer);
    if (document.hidden) return;
    this.#looks += 1;
    const { signal } = this.#aborter;
    const path = `portfolios/${this.#portfolio.portfolio_id}`;
    try {
      const [{ document: portfolio }, { generation }] = await Promise.all([
        this.#api.answer(path, { signal }), this.#api.answer(analyticPath(this.#portfolio, "overview"), { signal })]);
      this.connection.hidden = true;
      const wasStale = this.#portfolio.stale_from;
      this.#portfolio = portfolio;
      this.#portfolios = this.#portfolios.map((item) => (item.portfolio_id === portfolio.portfolio_id ? portfolio : item));
      if (generation !== this.#generation || portfolio.stale_from !== wasStale) {
        this.#looks = 0;
        await this.#load({ isRenewed: true });
        return;
      }
      if (this.#isWaiting) {
        const { items } = await this.#api.listing(`${path}/positions`, { signal });
        if (JSON.stringify(items) !== JSON.stringify(this.#positions)) this.#show(this.panels.positions, items);
      }
    } catch (error) {
      if (error.name === "AbortError") return;
      if (error instanceof Problem) this.#disconnected(error);
      else reportError(error);
    }
    if (!signal.aborted) this.#later();
  }

  // What is shown stays right; the next look may find the server again.
  #disconnected(error) {
    this.connection.textContent = `These figures are not being renewed: ${error.detail}`;
    this.connection.hidden = false;
  }

  #upload() {
    openUpload(this.#api, { portfolio: this.#portfolio, asOf: this.#asOf, onStored: (stored) => this.#stored(stored.portfolio_id) });
  }

  async #stored(identifier) {
    try {
      this.#portfolios = await portfoliosOf(this.#api);
    } catch {
      // It is stored; the page that is loaded anew says what it cannot show.
      location.reload();
      return;
    }
    const address = `#portfolio=${identifier}`;
    if (location.hash === address) await this.#choose();
    else location.hash = address;
  }
}

async function portfoliosOf(api) {
  return (await api.listing("portfolios")).items;
}

async function enter() {
  let said = null;
  const token = rememberedToken();
  if (token) {
    try {
      await open(token, await portfoliosOf(new Api(token)));
      return;
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      if (error.status !== 401) {
        unreachable(error);
        return;
      }
      forgetToken();
      said = "You were signed out: the token has expired or was revoked.";
    }
  }
  tools.replaceChildren(themeChoice(recolour));
  const signed = await signIn(main, {
    lead: "See what your portfolio is exposed to", command: "sigmasight token create --user NAME", check: portfoliosOf, said,
  });
  await open(signed.token, signed.document);
}

async function open(token, portfolios) {
  onForgotten(() => location.reload());
  const api = new Api(token, { onRefused: () => location.reload() });
  await new OwnersPage(api, portfolios).start();
}

function unreachable(error) {
  tools.replaceChildren(themeChoice(recolour), h("button", { type: "button", click: signOut }, "Sign out"));
  main.replaceChildren(h("section", { class: "signin", role: "alert" }, h("h1", null, "Your portfolios cannot be shown now"), h("p", null, error.detail),
    h("p", null, h("button", { type: "button", class: "primary", click: () => location.reload() }, "Try again"))));
  main.setAttribute("aria-busy", "false");
}

await enter();
