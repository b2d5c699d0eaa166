// The panel of one month: what is published, its attempts with their runs in Airflow, and its rejected lines.
import { ask, runUrl } from "./airflow.js";
import { STATES, count, duration, element, factList, facts, moment, number, said, shown } from "./states.js";

const sentence = (...parts) => element("p", { class: "sentence" }, ...parts);

const scrolling = (table) => element("div", { class: "scroll", tabindex: 0, role: "region",
  "aria-label": table.caption?.textContent }, table);

export class Details {
  constructor(dialog) {
    this.dialog = dialog;
    dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
    dialog.addEventListener("close", () => this.from?.isConnected && this.from.focus());
  }

  /** Open the panel of a month, over the page. */
  async open(source, month, from) {
    this.from = from;
    const path = `api/months/${encodeURIComponent(source.dag_id)}/${encodeURIComponent(month.month)}`;
    const { look, says, sign } = STATES.get(shown(month));
    const close = element("button", { type: "button", class: "close", "aria-label": "Close" }, "✕");
    close.addEventListener("click", () => this.dialog.close());
    const attempts = element("section", { "aria-busy": "true" }, element("h3", {}, "Attempts"),
      element("p", { class: "sentence quiet" }, "Asking the ledger…"));
    this.dialog.replaceChildren(
      element("header", {},
        element("h2", { id: "details-title" },
          element("span", { class: `cell ${look}`, "aria-hidden": "true" }, sign),
          `${source.name} ${month.month}: ${says}`),
        close),
      factList(facts(month, source)), attempts);
    if (!this.dialog.open) this.dialog.showModal();
    const answer = await ask(path);
    attempts.removeAttribute("aria-busy");
    attempts.lastChild.remove();
    if (answer.problem) attempts.append(sentence(...said(answer)));
    else if (!answer.attempts.length) attempts.append(sentence("Nobody has tried to load this month."));
    else attempts.append(...this.#attempts(answer.attempts, path));
  }

  #attempts(attempts, path) {
    const titles = ["Began", "Run", "State", "Step", "Took", "Rows", "Rejected"];
    const table = element("table", {}, element("caption", { class: "hidden" }, "Attempts"),
      element("thead", {}, element("tr", {}, ...titles.map((title, place) =>
        element("th", { scope: "col", class: place > 3 && "number" }, title)))));
    const lines = element("section", { hidden: "" });
    const body = element("tbody");
    for (const attempt of attempts) {
      const run = `${attempt.dag_id} ${attempt.run_id}`;
      const link = attempt.is_there
        ? element("a", { href: runUrl(attempt.dag_id, attempt.run_id), "data-airflow": "" }, run)
        : element("span", { title: "Airflow doesn't have this run any more, or you may not see it" }, run);
      body.append(element("tr", {},
        element("td", {}, moment(attempt.began_at)), element("td", { class: "run" }, link),
        element("td", {}, attempt.state), element("td", {}, attempt.step),
        element("td", { class: "number" }, attempt.seconds === undefined ? "" : duration(attempt.seconds)),
        element("td", { class: "number" }, attempt.rows === undefined ? "" : number(attempt.rows)),
        element("td", { class: "number" }, this.#rejected(attempt, path, lines))));
      for (const text of [attempt.error, ...(attempt.warnings ?? [])].filter(Boolean)) {
        body.append(element("tr", { class: "text" }, element("td", { colspan: titles.length }, element("div", {}, text))));
      }
    }
    table.append(body);
    return [scrolling(table), lines];
  }

  #rejected(attempt, path, lines) {
    if (!attempt.rejected) return attempt.rejected === undefined ? "" : "0";
    const button = element("button", { type: "button", class: "plain" }, number(attempt.rejected));
    button.setAttribute("aria-label", `Show ${count(attempt.rejected, "rejected line")}`);
    button.addEventListener("click", () => this.#lines(attempt, path, lines, "line"));
    return button;
  }

  async #lines(attempt, path, section, sort) {
    const asked = this.asked = {};
    section.hidden = false;
    section.replaceChildren(element("h3", {}, "Rejected lines"));
    const answer = await ask(`${path}/rejected`, { load_id: attempt.load_id, sort });
    if (this.asked !== asked) return; // somebody has clicked again meanwhile
    if (answer.problem) {
      section.append(sentence(...said(answer)));
      return;
    }
    const head = (title, key) => {
      const button = element("button", { type: "button", class: "plain" }, title);
      button.addEventListener("click", () => this.#lines(attempt, path, section, key));
      return element("th", { scope: "col", "aria-sort": key === sort ? "ascending" : "none" }, button);
    };
    const table = element("table", {}, element("caption", { class: "hidden" }, "Rejected lines"),
      element("thead", {}, element("tr", {}, head("Line", "line"), head("Reason", "reason"),
        element("th", { scope: "col" }, "Text"))),
      element("tbody", {}, ...answer.lines.map((line) => element("tr", {},
        element("td", { class: "number" }, number(line.line)), element("td", {}, line.reason),
        element("td", { class: "raw" }, line.text)))));
    section.append(
      sentence(`${number(answer.lines.length)} of ${count(attempt.rejected, "line")} of this attempt`),
      scrolling(table));
    section.scrollIntoView({ block: "nearest" });
  }
}
