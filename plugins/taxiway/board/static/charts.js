// The charts, which the server draws: they are asked for when somebody opens them, in the colours of the page, and
// again when what they show has changed, or one could not be drawn.

const CHARTS = new Map([
  ["rows", "rows of each published month, by source"],
  ["seconds", "load seconds for a million rows, by month and source"],
  ["rejected", "rejected rows of a million, by month and source"],
  ["freshness", "up to which month each source is published, and when the next one is expected"],
]);

/** Return what the charts of a warehouse show, as a text. */
const drawn = (sources) => JSON.stringify(sources.map(({ name, next, months }) =>
  [name, next, months.map(({ at, rows, rejected, seconds }) => [at, rows, rejected, seconds])]));

export class Charts {
  /** @param details the element that shows and hides them */
  constructor(details, dagId) {
    this.details = details;
    this.dagId = dagId;
    this.known = new Map(); // by warehouse: its title, and what its charts show
    this.figures = new Map(); // by warehouse and chart
    details.addEventListener("toggle", () => this.#drawAll());
    document.documentElement.addEventListener("themechange", () => this.#drawAll());
  }

  /** Show the charts of a warehouse from now on, as its months stand now. */
  know(warehouse, title, sources) {
    this.details.hidden = false;
    this.known.set(warehouse, { title, shows: drawn(sources) });
    this.#drawAll();
  }

  #drawAll() {
    if (!this.details.open) return;
    const { theme } = document.documentElement.dataset;
    for (const [warehouse, { title, shows }] of this.known) {
      for (const name of CHARTS.keys()) this.#draw(warehouse, title, name, `${theme} ${this.known.size} ${shows}`);
    }
    this.details.querySelector(".drawn").replaceChildren(...this.figures.values());
  }

  /** Draw a chart, unless it is drawn or asked for already; the picture before stays until the new one is there. */
  #draw(warehouse, title, name, shows) {
    const key = `${warehouse} ${name}`;
    if (!this.figures.has(key)) this.figures.set(key, document.createElement("figure"));
    const figure = this.figures.get(key);
    if (figure.shows === shows) return;
    figure.shows = shows;
    const image = new Image();
    image.alt = `${title}: ${CHARTS.get(name)}`;
    const caption = document.createElement("figcaption");
    caption.append(title);
    image.addEventListener("load", () => figure.shows === shows && figure.replaceChildren(image, ...(this.known.size > 1 ? [caption] : [])));
    image.addEventListener("error", () => {
      if (figure.shows !== shows) return;
      figure.shows = null; // with the next answer, another try
      figure.replaceChildren(`This chart can't be drawn now: ${image.alt}`);
    });
    const { theme } = document.documentElement.dataset;
    const values = new URLSearchParams({ warehouse, theme, ...(this.dagId && { dag_id: this.dagId }), at: Date.now() });
    image.src = `charts/${name}.svg?${values}`;
  }
}
