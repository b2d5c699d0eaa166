// The grid of a source's months: a row a year, a cell a month; arrow keys move, Enter and a click open.
import { dagUrl } from "./airflow.js";
import { STATES, count, element, factList, facts, number, shown } from "./states.js";

const NAMES = ["January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
  "November", "December"];

/** Say in words what a cell shows. */
const words = (month) => {
  const parts = [`${month.month}: ${STATES.get(shown(month)).says}`];
  if (month.rows !== undefined) parts.push(`${count(month.rows, "row")}`);
  if (month.rejected) parts.push(`${number(month.rejected)} rejected`);
  return parts.join(", ");
};

const LONGEST = 240; // characters of a text beside a cell: the panel has all of it

const short = (text) => (text.length > LONGEST ? `${text.slice(0, LONGEST)}…` : text);

const expected = (next) => {
  if (!next) return null;
  const said = `${next.month} ${next.is_late ? "was " : ""}expected by ${next.by}`;
  return element("p", { class: next.is_late ? "next late" : "next" }, said);
};

export class Grid {
  /**
   * @param source as the route months has it
   * @param events.open called with source and month when somebody opens a cell
   * @param selection the selected months, of all grids
   */
  constructor(source, events, selection) {
    this.source = source;
    this.selection = selection;
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
    const table = element("table", { role: "grid", "aria-labelledby": title, class: "grid",
      "aria-multiselectable": this.selection.isOn && "true" });
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
    if (this.selection.isOn) this.#drag(table);
    const head = element("header", {},
      element("h3", { id: title }, source.title),
      element("a", { href: dagUrl(source.dag_id), "data-airflow": "" }, source.dag_id));
    return element("article", { class: "source", "data-dag-id": source.dag_id }, head, expected(source.next), table, this.#quick());
  }

  /** Buttons that select all months in a state. */
  #quick() {
    if (!this.selection.isOn) return null;
    const buttons = ["missing", "failed"].map((state) => {
      const months = this.source.months.filter((month) => shown(month) === state).map(({ month }) => month);
      const button = element("button", { type: "button", class: "plain", "data-select": state }, `${number(months.length)} ${state}`);
      button.addEventListener("click", () => this.selection.add(this, months));
      return months.length ? button : null;
    }).filter(Boolean);
    return buttons.length ? element("p", { class: "next" }, "Select ", ...buttons.flatMap((button, place) => (place ? [", ", button] : [button]))) : null;
  }

  /** Show how a cell's month stands, and whether it is selected. */
  #paint(cell, month) {
    const { look, sign } = STATES.get(shown(month));
    cell.className = `cell ${look}`;
    cell.dataset.state = shown(month);
    cell.textContent = sign;
    cell.setAttribute("aria-label", words(month));
    if (this.selection.isOn) cell.setAttribute("aria-selected", String(this.selection.has(this.source, month.month)));
  }

  /** Paint all cells again. */
  paint() {
    for (const [name, cell] of this.cells) this.#paint(cell, this.months.get(name));
  }

  #click(event, month, cell) {
    const { selection } = this;
    if (this.dragged) return;
    if (selection.isOn && event.shiftKey) selection.extend(this, month.month, this.focused);
    else if (selection.isOn && (selection.isMode || event.ctrlKey || event.metaKey)) selection.toggle(this, month.month);
    else this.events.open(this.source, month, cell);
  }

  /** Select the months between the cell where a mouse button is pressed and the one below the pointer. */
  #drag(table) {
    let from = null;
    table.addEventListener("pointerdown", (event) => {
      this.dragged = false;
      this.focused = this.reachable.dataset.month; // until the browser gives the focus to the cell below the pointer
      const cell = event.target.closest("[data-month]");
      from = event.button === 0 && event.pointerType === "mouse" && !event.shiftKey ? cell?.dataset.month : null;
    });
    table.addEventListener("pointerover", (event) => {
      const month = event.target.closest("[data-month]")?.dataset.month;
      if (!from || !month || !(event.buttons & 1) || (month === from && !this.dragged)) return;
      if (!this.dragged) this.selection.begin(this, from);
      this.dragged = true;
      this.selection.extend(this, month);
    });
  }

  #cell(month) {
    const cell = element("td", { role: "gridcell", tabindex: -1, "data-month": month.month });
    this.#paint(cell, month);
    cell.addEventListener("click", (event) => this.#click(event, month, cell));
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
    if (event.key === " " && this.selection.isOn) {
      event.preventDefault();
      this.selection.toggle(this, cell.dataset.month);
      return;
    }
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
    if (!all[target]) return;
    if (!event.shiftKey) this.selection.begin(this, all[target].dataset.month);
    else if (this.selection.isOn) this.selection.extend(this, all[target].dataset.month, cell.dataset.month);
    all[target].focus();
  }
}

/** The details of the cell under the pointer or with the focus, beside it. */
export class Tip {
  constructor(box) {
    this.box = box;
    this.isByKey = false; // until the pointer moves: one at rest is over other cells if the page does
    document.addEventListener("pointerover", (event) => this.isByKey || this.#follow(event.target));
    document.addEventListener("pointermove", ({ target, movementX, movementY }) => {
      if (!this.isByKey || !(movementX || movementY)) return;
      this.isByKey = false;
      this.#follow(target);
    });
    document.addEventListener("focusin", (event) => this.#follow(event.target));
    // Whoever selects by keyboard sees the cells, and not what the box would cover.
    document.addEventListener("keydown", ({ key, shiftKey }) => {
      this.isByKey = true;
      if (shiftKey || key === " " || key === "Escape") this.hide();
    });
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
    const { look, says, sign } = STATES.get(shown(month));
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
