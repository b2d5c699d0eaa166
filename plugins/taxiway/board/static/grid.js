// The grid of a source's months: a row a year, a cell a month; arrow keys move, Enter and a click open.
import { dagUrl } from "./airflow.js";
import { STATES, count, element, factList, facts, number } from "./states.js";

const NAMES = ["January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
  "November", "December"];

/** Say in words what a cell shows. */
const words = (month) => {
  const parts = [`${month.month}: ${STATES.get(month.state).says}`];
  if (month.rows !== undefined) parts.push(`${count(month.rows, "row")}`);
  if (month.rejected) parts.push(`${number(month.rejected)} rejected`);
  return parts.join(", ");
};

const LONGEST = 240; // characters of a text beside a cell: the panel has all of it

const short = (text) => (text.length > LONGEST ? `${text.slice(0, LONGEST)}…` : text);

const expected = (next) => {
  if (!next) return null;
  const late = next.is_late
    ? `${next.month} was expected by ${next.by}${next.missing > 1 ? `, ${next.missing} months are due` : ""}`
    : `${next.month} expected by ${next.by}`;
  return element("p", { class: next.is_late ? "next late" : "next" }, late);
};

export class Grid {
  /**
   * @param source as the route months has it
   * @param events.open called with source and month when somebody opens a cell
   */
  constructor(source, events) {
    this.source = source;
    this.events = events;
    this.months = new Map(source.months.map((month) => [month.month, month]));
    this.cells = new Map();
    this.element = this.#draw();
    const first = source.months.find((month) => month.state !== "no such month") ?? source.months[0];
    this.#makeReachable(this.cells.get(first.month));
  }

  #draw() {
    const { source } = this;
    const title = `grid-${source.dag_id}`;
    const table = element("table", { role: "grid", "aria-labelledby": title, class: "grid" });
    const years = new Map();
    for (const month of source.months) {
      const year = month.month === "whole" ? "" : month.month.slice(0, 4);
      if (!years.has(year)) years.set(year, []);
      years.get(year).push(month);
    }
    const whole = years.has("");
    if (!whole) {
      const heads = NAMES.map((name) =>
        element("th", { scope: "col" }, element("abbr", { title: name }, name[0])));
      table.append(element("thead", {}, element("tr", {}, element("td"), ...heads)));
    }
    const body = element("tbody");
    for (const [year, months] of years) {
      const row = element("tr", {}, element("th", { scope: "row" }, year || "file"));
      row.append(...months.map((month) => this.#cell(month)));
      for (let empty = months.length; empty < 12; empty += 1) row.append(element("td", { class: "future" }));
      body.append(row);
    }
    table.append(body);
    table.addEventListener("keydown", (event) => this.#key(event));
    const head = element("header", {},
      element("h3", { id: title }, source.title),
      element("a", { href: dagUrl(source.dag_id), "data-airflow": "" }, source.dag_id));
    return element("article", { class: "source", "data-dag-id": source.dag_id }, head, expected(source.next), table);
  }

  #cell(month) {
    const { look, sign } = STATES.get(month.state);
    const cell = element("td", {
      role: "gridcell", tabindex: -1, class: `cell ${look}`, "data-month": month.month, "data-state": month.state,
      "aria-label": words(month),
    }, sign);
    cell.addEventListener("click", () => this.events.open(this.source, month, cell));
    cell.addEventListener("focus", () => this.#makeReachable(cell));
    this.cells.set(month.month, cell);
    return cell;
  }

  /** Let Tab reach one cell of the grid: the arrow keys reach the others. */
  #makeReachable(cell) {
    this.reachable?.setAttribute("tabindex", "-1");
    this.reachable = cell;
    cell.setAttribute("tabindex", "0");
  }

  #key(event) {
    const cell = event.target.closest("[data-month]");
    if (!cell || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Enter") {
      event.preventDefault();
      this.events.open(this.source, this.months.get(cell.dataset.month), cell);
      return;
    }
    const all = [...this.cells.values()];
    const place = all.indexOf(cell);
    const inYear = cell.dataset.month === "whole" ? 0 : Number(cell.dataset.month.slice(5)) - 1;
    const target = {
      ArrowLeft: place - 1, ArrowRight: place + 1, ArrowUp: place - 12, ArrowDown: place + 12,
      Home: place - inYear, End: Math.min(place - inYear + 11, all.length - 1),
    }[event.key];
    if (target === undefined) return;
    event.preventDefault();
    all[target]?.focus();
  }
}

/** The details of the cell under the pointer or with the focus, beside it. */
export class Tip {
  constructor(box) {
    this.box = box;
    document.addEventListener("pointerover", (event) => this.#follow(event.target));
    document.addEventListener("focusin", (event) => this.#follow(event.target));
    document.addEventListener("keydown", (event) => event.key === "Escape" && this.hide());
    addEventListener("scroll", () => this.hide(), { passive: true });
    this.grids = new WeakMap(); // those that were replaced are forgotten
  }

  /** Show the months of other grids from now on. */
  know(grid) {
    this.grids.set(grid.element, grid);
  }

  hide() {
    this.box.hidden = true;
    this.cell?.removeAttribute("aria-describedby");
    this.cell = null;
  }

  #follow(target) {
    const cell = target.closest?.("[data-month]");
    if (!cell) {
      if (!target.closest?.(".tip")) this.hide();
      return;
    }
    if (cell === this.cell) return;
    const grid = this.grids.get(cell.closest(".source"));
    if (!grid) return;
    this.hide();
    this.cell = cell;
    const month = grid.months.get(cell.dataset.month);
    const { look, says, sign } = STATES.get(month.state);
    this.box.replaceChildren(
      element("p", { class: "tip-title" },
        element("span", { class: `cell ${look}`, "aria-hidden": "true" }, sign),
        `${grid.source.name} ${month.month}: ${says}`),
      factList(facts(month, grid.source).map(([title, text]) => [title, short(text)])));
    this.box.hidden = false;
    cell.setAttribute("aria-describedby", "tip");
    this.#place(cell.getBoundingClientRect());
  }

  /** Put the box below the cell, or above it, within the window. */
  #place(cell) {
    const { width, height } = this.box.getBoundingClientRect();
    const [most, gap] = [document.documentElement.clientWidth, 6];
    const left = Math.max(gap, Math.min(cell.left + cell.width / 2 - width / 2, most - width - gap));
    const below = cell.bottom + gap + height <= innerHeight;
    const top = below ? cell.bottom + gap : Math.max(gap, cell.top - gap - height);
    this.box.style.left = `${left}px`;
    this.box.style.top = `${top}px`;
  }
}
