// Loads the selected months: each by a run of the DAG taxi, which Airflow's own REST API starts if the user may do that.
import { airflowUrl, ask, runUrl, send } from "./airflow.js";
import { Selection } from "./selection.js";
import { count, element, moment, said } from "./states.js";

const DAG_ID = "taxi";
const RUNS = `api/v2/dags/${DAG_ID}/dagRuns`;
const BUSY = 2_000; // milliseconds between two questions while a load goes on
const QUIET = 30_000;
const MANY = 24; // months that are loaded without another question
const CANCELLED = "Cancelled on the board"; // begins the note, as the module runs knows it

const isActive = ({ state }) => state === "queued" || state === "running";

/** Name the months of runs, at most five of them. */
const named = (runs) => runs.slice(0, 5).map(({ source, month }) => `${source} ${month}`).join(", ")
  + (runs.length > 5 ? ` and ${runs.length - 5} more` : "");

/** Have Airflow do something with runs; return the ids of those that it has changed, and why it left one out, if it did. */
const change = async (actions) => {
  const answer = await send("PATCH", RUNS, { actions: actions.map((action) => ({ ...action, action_on_non_existence: "skip" })) });
  const [reason] = [answer, ...[answer.update, answer.delete].flatMap((done) => done?.errors ?? [])]
    .map(({ problem, error }) => problem ?? error).filter(Boolean);
  return { ids: (answer.update?.success ?? []).map((key) => key.slice(DAG_ID.length + 1)), reason, problem: answer.problem };
};

export class Loads extends EventTarget {
  /**
   * @param tools the element of the buttons, and of what is under way
   * @param dialog the element that asks whether that many months are meant
   * @param isHeldBack says whether the last load of a month has failed because it would delete too many published rows
   */
  constructor(tools, dialog, selection, isHeldBack) {
    super();
    Object.assign(this, { tools, dialog, selection, isHeldBack, told: { runs: [] }, active: new Map(), starting: null, stopped: new Set() });
    this.problem = null; // the last answer, if it is none
    this.failure = ""; // of what the user did last
    this.unmarked = new Set(); // runs that Airflow is asked to mark as failed, or would not
    this.bar = element("div", { class: "bar", role: "group", "aria-label": "Selected months" });
    this.accept = element("input", { type: "checkbox", "aria-describedby": "held-back" });
    this.why = element("span", { id: "held-back" });
    this.heldBack = element("p", { class: "held-back sentence", hidden: "" }, element("label", {}, this.accept, " Accept deletions"), this.why);
    this.presses = element("div", { class: "presses", role: "status" });
    this.notices = element("div", { class: "notices", role: "status" });
    tools.replaceChildren(this.bar, this.heldBack, this.notices, this.presses);
    this.#buttons();
    selection.addEventListener("change", () => this.#draw());
    document.addEventListener("visibilitychange", () => document.hidden || this.refresh());
  }

  /** The state of the run that loads a month, or will; undefined if there is none. */
  stateOf(source, month) {
    return this.active.get(`${source.warehouse} ${source.name} ${month === "whole" ? "" : month}`);
  }

  /** Show what is selected, of months that stand differently now. */
  redraw() {
    this.#draw();
  }

  /** Ask what is under way. */
  async refresh() {
    clearTimeout(this.timer);
    const told = await ask("api/runs");
    this.problem = told.problem ? told : null;
    if (!told.problem) this.#know(told);
    this.#draw();
    this.#fail(this.told.runs.filter((run) => this.stopped.has(run.press) && run.state === "cancelled" && run.is_success
      && !this.unmarked.has(run.run_id)));
    clearTimeout(this.timer);
    const isBusy = this.starting || this.told.runs.some(isActive);
    if (!document.hidden) this.timer = setTimeout(() => this.refresh(), isBusy ? BUSY : QUIET);
  }

  #know(told) {
    const before = this.active;
    this.told = told;
    this.active = new Map();
    for (const { warehouse, source, month, state } of told.runs.filter(isActive)) {
      for (const key of [`${warehouse} ${source} ${month}`, `${warehouse} ${source} `]) {
        if (this.active.get(key) !== "running") this.active.set(key, state);
      }
    }
    this.selection.isOn = told.may_load;
    const ended = [...before.keys()].filter((key) => !this.active.has(key)).map((key) => key.split(" ")[0]);
    this.dispatchEvent(new CustomEvent("change", { detail: { ended: new Set(ended) } }));
  }

  #buttons() {
    const button = (text, press, values = {}) => {
      const made = element("button", { type: "button", ...values }, text);
      made.addEventListener("click", press);
      return made;
    };
    this.mode = button("Select", () => this.#toggleMode(),
      { "aria-pressed": "false", title: "Let each click select a month. Without it: Ctrl or ⌘ and a click, Shift, or dragging" });
    this.load = button("Load", () => this.#ask(), { class: "main" });
    this.clear = button("Clear", () => this.selection.clear());
    this.chosen = element("span", { class: "chosen", role: "status" });
    this.bar.replaceChildren(this.mode, this.chosen, this.load, this.clear);
    this.button = button;
  }

  #toggleMode() {
    this.selection.isMode = !this.selection.isMode;
    this.mode.setAttribute("aria-pressed", String(this.selection.isMode));
  }

  #draw() {
    const { may_load: mayLoad, may_unpause: mayUnpause, is_paused: isPaused, has_scheduler: hasScheduler, runs } = this.told;
    const chosen = this.selection.months.size;
    this.tools.hidden = !mayLoad && !runs.length && !this.problem && !this.failure;
    this.bar.hidden = !mayLoad;
    this.tools.classList.toggle("chosen", chosen > 0);
    this.chosen.textContent = chosen ? `${count(chosen, "month")} selected` : "";
    this.load.hidden = this.clear.hidden = !chosen;
    this.load.textContent = `Load ${count(chosen, "month")}`;
    this.load.disabled = Boolean(isPaused || this.starting);
    this.#offer();
    const notices = [];
    if (this.failure) notices.push([this.failure]);
    if (this.problem) notices.push(said(this.problem));
    if (isPaused && (mayLoad || runs.some(isActive))) {
      notices.push([`The DAG ${DAG_ID}, which loads selected months, is paused: its runs wait. `,
        mayUnpause ? this.button(`Unpause ${DAG_ID}`, () => this.#unpause()) : "Somebody who may edit it must unpause it.",
        mayUnpause ? " It has no schedule: that starts nothing else." : ""]);
    }
    if (hasScheduler === false && (mayLoad || runs.some(isActive))) {
      notices.push(["Airflow's scheduler isn't running: a load waits until it does."]);
    }
    if (this.starting) {
      const { done, total } = this.starting;
      notices.push([`Starting ${done} of ${count(total, "month")}: keep this page open until all are started.`]);
    }
    this.#put(this.notices, notices.map((parts) => element("p", { class: "sentence" }, ...parts)));
    this.#put(this.presses, [...this.#grouped()].map((press) => this.#press(press)));
  }

  /** Offer to accept deletions of the selected months that were held back: of these alone, and ticked for no other. */
  #offer() {
    const keys = [...this.#held()];
    const names = [...new Set(keys.map((key) => this.selection.months.get(key)).map(({ source, month }) => `${source.name} ${month}`))];
    const [of, files] = names.length > 1 ? ["loads", "the files are"] : ["load", "its file is"];
    const named = `${names.slice(0, 3).join(", ")}${names.length > 3 ? ` and ${names.length - 3} more` : ""}`;
    if (this.heldBack.dataset.keys !== keys.join()) this.accept.checked = false;
    this.heldBack.dataset.keys = keys.join();
    this.heldBack.hidden = !keys.length || !this.told.may_load;
    this.why.textContent = ` The last ${of} of ${named} would have deleted too many published rows. If ${files} right, tick this: otherwise the same happens again.`;
  }

  /** Return the keys of the selected months that were held back. */
  #held() {
    return new Set([...this.selection.months].filter(([, { source, month }]) => this.isHeldBack(source, month)).map(([key]) => key));
  }

  /** Change only what says something else: a reader of the screen would say all of it again, and the focus would go. */
  #put(box, parts) {
    const text = parts.map((part) => part.textContent).join("\n");
    if (box.dataset.text === text) return;
    box.dataset.text = text;
    box.replaceChildren(...parts);
  }

  #grouped() {
    const presses = new Map();
    for (const run of this.told.runs) {
      if (!run.press) continue;
      if (!presses.has(run.press)) presses.set(run.press, []);
      presses.get(run.press).push(run);
    }
    return new Map([...presses].sort().reverse());
  }

  #press([press, runs]) {
    const of = (state) => runs.filter((run) => run.state === state);
    const counts = [["success", "ended well"], ["failed", "failed"], ["cancelled", "cancelled"], ["running", "running"], ["queued", "waiting"]]
      .map(([state, says]) => [of(state).length, says]).filter(([found]) => found).map(([found, says]) => `${found} ${says}`);
    const goesOn = runs.some(isActive);
    const parts = [`Load of ${moment(runs[0].begun_at)}${runs[0].user ? ` by ${runs[0].user}` : ""}, ${count(runs.length, "month")}: ${counts.join(", ")}`];
    if (this.stopped.has(press) && goesOn) parts.push(". Cancelled: what runs ends in a moment");
    for (const [place, run] of of("failed").slice(0, 5).entries()) {
      parts.push(place ? ", " : ". Failed: ");
      parts.push(element("a", { href: runUrl(DAG_ID, run.run_id), "data-airflow": "" }, `${run.source} ${run.month}`));
    }
    if (goesOn && this.told.may_cancel && !this.stopped.has(press)) {
      parts.push(" ", this.button("Cancel", () => this.#cancel(press), { "aria-label": `Cancel the load of ${moment(runs[0].begun_at)}` }));
    }
    return element("p", { class: "press", "data-press": press }, ...parts);
  }

  /** Start the selected months, after another question if they are many. */
  #ask() {
    const found = this.selection.months.size;
    if (found <= MANY) {
      this.#start();
      return;
    }
    const yes = this.button(`Load ${count(found, "month")}`, () => { this.dialog.close(); this.#start(); }, { class: "main" });
    const no = this.button("Don't load", () => this.dialog.close());
    this.dialog.replaceChildren(
      element("p", { id: "confirm-title" }, `Load ${count(found, "month")}? That starts as many runs of the DAG ${DAG_ID}.`,
        this.accept.checked ? ` Deletions are accepted of ${count(this.#held().size, "month")}.` : ""),
      element("div", { class: "bar" }, yes, no));
    this.dialog.showModal();
    no.focus();
  }

  async #start() {
    const chosen = [...this.selection.months];
    const accepted = this.accept.checked ? this.#held() : new Set();
    const wanted = chosen.filter(([, { source, month }]) => !this.stateOf(source, month));
    this.failure = "";
    if (!wanted.length) {
      this.failure = chosen.length === 1 ? "The selected month loads already." : "All selected months load already.";
      this.selection.clear();
      return;
    }
    const made = crypto.getRandomValues(new Uint32Array(1))[0].toString(36);
    const press = `${new Date().toISOString().replace(/[-:]|\.\d+/g, "")}-${made}`;
    this.starting = { press, done: 0, total: wanted.length };
    this.selection.replace(wanted);
    for (const [key, { source, month }] of wanted) {
      if (this.stopped.has(press)) break;
      const date = month === "whole" ? {} : { year: month.slice(0, 4), month: month.slice(5) };
      const id = `board__${press}__${source.warehouse}__${source.name}__${month}`;
      const { problem, isRefused } = await send("POST", RUNS, {
        dag_run_id: id,
        logical_date: null,
        conf: { taxi: source.name, ...date, warehouse: source.warehouse, ...(accepted.has(key) && { accept_deletions: true }) },
        note: `One of ${count(wanted.length, "month")} that were loaded together on the board`,
      });
      if (problem && (isRefused || !(await this.#hasRun(id)))) {
        const name = `${source.name} ${month}`;
        const rest = wanted.length - this.starting.done - 1;
        const after = rest ? `${count(rest, "month")} after it` : "";
        this.failure = isRefused
          ? `Not started: ${[name, after].filter(Boolean).join(" and ")}. ${problem}`
          : `Whether ${name} was started isn't known.${after && ` Not started: ${after}.`} ${problem}`;
        break;
      }
      this.starting.done += 1;
      this.selection.remove(key);
      if (this.starting.done === 1) this.refresh();
    }
    this.starting = null;
    await this.refresh();
  }

  /** Mark runs as failed that were cancelled while merge_month didn't run, and that Airflow calls a success. */
  async #fail(runs) {
    if (!runs.length || this.problem) return;
    for (const { run_id: id } of runs) this.unmarked.add(id); // until the answer is there, no other look asks for it
    const { ids, reason } = await change(runs.map(({ run_id: id }) => (
      { action: "update", entities: [{ dag_run_id: id, state: "failed" }] })));
    const left = reason ? runs.filter(({ run_id: id }) => !ids.includes(id)) : [];
    for (const run of runs) if (!left.includes(run)) this.unmarked.delete(run.run_id);
    if (!left.length) return;
    this.failure = `Not marked as failed: ${named(left)}, which Airflow calls a success. ${reason}`;
    this.#draw();
  }

  /** Say whether Airflow has a run: it may have made one whose answer was lost. */
  async #hasRun(id) {
    await this.refresh();
    return !this.problem && this.told.runs.some(({ run_id: known }) => known === id);
  }

  /** End what a press has started: what waits is deleted; what runs fails, and its teardown clears up. */
  async #cancel(press) {
    const ended = new Set(); // runs that Airflow has marked as failed: their tasks are being ended
    const left = () => this.told.runs.filter((run) => run.press === press && isActive(run) && !ended.has(run.run_id));
    let reason = "Cancel again.";
    this.stopped.add(press);
    this.failure = "";
    this.#draw();
    for (let tries = 0; tries < 10; tries += 1) {
      while (this.starting?.press === press) await new Promise((resolve) => setTimeout(resolve, 100));
      await this.refresh();
      if (this.problem || !left().length) break;
      const note = `${CANCELLED}, ${new Date().toISOString()}`;
      // One action for each run: Airflow leaves out those behind one that it can't change.
      const done = await change(left().map(({ run_id: id, state }) => (state === "queued"
        ? { action: "delete", entities: [id] }
        : { action: "update", entities: [{ dag_run_id: id, state: "failed", note }] })));
      for (const id of done.ids) ended.add(id);
      reason = done.reason ?? reason;
      if (done.problem) break;
    }
    await this.refresh();
    const missed = left();
    if (!this.problem && !missed.length) return;
    this.stopped.delete(press);
    this.failure = this.problem ? "" : `Not cancelled: ${named(missed)}. ${reason}`;
    this.#draw();
  }

  async #unpause() {
    const { problem } = await send("PATCH", `api/v2/dags/${DAG_ID}?update_mask=is_paused`, { is_paused: false });
    this.failure = problem;
    await this.refresh();
  }
}
