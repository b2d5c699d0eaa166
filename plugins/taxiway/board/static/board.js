// The page: asks each warehouse how its months stand, draws them, and asks again from time to time.
import { ask } from "./airflow.js";
import { Charts } from "./charts.js";
import { Details } from "./details.js";
import { Grid, Tip } from "./grid.js";
import { Loads } from "./loads.js";
import { Selection } from "./selection.js";
import { STATES, element, isLoading, number, said, shown, zoned } from "./states.js";

const QUIET = 60_000; // milliseconds between two questions
const BUSY = 10_000; // the same while a load is under way
const SOON = 3_000; // the same when a run has ended: the first answer may be of before

class Board {
  constructor(main) {
    this.dagId = main.dataset.dagId;
    this.legend = main.querySelector(".legend");
    this.tip = new Tip(main.querySelector(".tip"));
    this.details = new Details(main.querySelector(".details"));
    this.charts = new Charts(main.querySelector(".charts"), this.dagId);
    this.selection = new Selection();
    this.loads = new Loads(main.querySelector(".tools"), main.querySelector(".confirm"), this.selection,
      (source, month) => this.#isHeldBack(source, month));
    this.grids = new Map(); // by warehouse
    this.timers = new Map();
    this.answers = new Map();
    this.sections = [...main.querySelectorAll(".warehouse")];
  }

  async start() {
    this.selection.addEventListener("change", () => this.#paint());
    this.loads.addEventListener("change", ({ detail }) => this.#follow(detail.ended));
    this.known = this.loads.refresh();
    await Promise.all(this.sections.map((section) => this.#refresh(section)));
    if ([...this.answers.values()].every(({ hidden }) => hidden)) {
      this.legend.after(element("p", { class: "sentence" },
        "You may see no month here: ask who administers Airflow for the right to read the runs of a DAG that loads months."));
    }
  }

  async #refresh(section, next) {
    const { warehouse } = section.dataset;
    clearTimeout(this.timers.get(warehouse));
    const [answer] = await Promise.all([ask("api/months", { warehouse, dag_id: this.dagId }), this.known]);
    this.answers.set(warehouse, answer);
    this.#draw(section, answer);
    this.loads.redraw();
    this.#count();
    document.body.dataset.ready = "true";
    const running = answer.sources?.some((source) => source.months.some(isLoading));
    clearTimeout(this.timers.get(warehouse));
    this.timers.set(warehouse, setTimeout(() => this.#whenSeen(section), next ?? (running ? BUSY : QUIET)));
  }

  /** Ask again, but only while somebody looks. */
  #whenSeen(section) {
    if (!document.hidden) this.#refresh(section);
    else document.addEventListener("visibilitychange", () => this.#whenSeen(section), { once: true });
  }

  #draw(section, answer) {
    section.removeAttribute("aria-busy");
    section.hidden = Boolean(answer.hidden);
    const focused = section.contains(document.activeElement) ? document.activeElement : null;
    const kept = focused?.dataset.month && [focused.closest(".source").dataset.dagId, focused.dataset.month];
    const title = answer.title ?? section.dataset.warehouse;
    const when = answer.asked_at ? `as of ${zoned(answer.asked_at)}` : "";
    const parts = [element("header", {}, element("h2", {}, title), element("p", { class: "quiet" }, when))];
    if (answer.problem) {
      parts.push(element("p", { class: `sentence ${answer.is_absent ? "quiet" : "problem"}`, role: "status" }, ...said(answer)));
    }
    for (const note of answer.notes ?? []) parts.push(element("p", { class: "sentence" }, note));
    const sources = answer.sources ?? [];
    const isEmpty = !sources.some(({ months }) => months.some(({ last, rows }) => last || rows !== undefined));
    if (sources.length) this.charts.know(section.dataset.warehouse, title, sources);
    if (sources.length && isEmpty) {
      parts.push(element("p", { class: "sentence" }, `${title} holds no month yet. To load some, ${
        this.selection.isOn ? "select them, and choose Load" : "open the DAG taxi and choose Trigger"}.`));
    }
    for (const source of sources) {
      source.warehouse = section.dataset.warehouse;
      this.#mark(source);
    }
    const grids = sources.map((source) => new Grid(source, { open: (...what) => this.#open(...what) }, this.selection));
    this.grids.set(section.dataset.warehouse, grids);
    grids.forEach((grid) => this.tip.know(grid));
    parts.push(element("div", { class: "sources" }, ...grids.map((grid) => grid.element)));
    const isShown = section.contains(this.tip.cell);
    if (isShown) this.tip.hide();
    section.replaceChildren(...parts);
    if (kept) section.querySelector(`[data-dag-id="${kept[0]}"] [data-month="${kept[1]}"]`)?.focus();
    if (kept && !isShown) this.tip.hide();
  }

  /** Show which months are selected, and which ones Airflow loads. */
  #paint() {
    for (const grid of [...this.grids.values()].flat()) {
      this.#mark(grid.source);
      grid.paint();
    }
    this.#count();
  }

  #mark(source) {
    for (const month of source.months) month.run = this.loads.stateOf(source, month.month);
  }

  #isHeldBack({ warehouse, dag_id: dagId }, month) {
    const grid = this.grids.get(warehouse)?.find(({ source }) => source.dag_id === dagId);
    return Boolean(grid?.months.get(month)?.is_held_back);
  }

  /** Ask the warehouses again in which a run has ended: the ledger says how its month stands now. */
  #follow(ended) {
    this.#paint();
    for (const section of this.sections) if (ended.has(section.dataset.warehouse)) this.#refresh(section, SOON);
  }

  #open(source, month, cell) {
    this.tip.hide();
    this.details.open(source, month, cell);
  }

  #count() {
    const counts = new Map([...STATES.keys()].map((state) => [state, 0]));
    for (const { sources = [] } of this.answers.values()) {
      for (const { months } of sources) for (const month of months) counts.set(shown(month), counts.get(shown(month)) + 1);
    }
    this.legend.replaceChildren(...[...STATES].map(([state, { sign, look, says }]) => element("li", { "data-state": state },
      element("span", { class: `cell ${look}`, "aria-hidden": "true" }, sign),
      `${says} `, element("b", {}, number(counts.get(state))))));
  }
}

const main = document.querySelector("main");
if (main.querySelector(".legend")) new Board(main).start();
