// The charts, which the server draws: they are asked for when somebody opens them, in the colours of the page.

const CHARTS = new Map([
  ["rows", "rows of each published month, by source"],
  ["seconds", "load seconds for a million rows, by month and source"],
  ["rejected", "rejected rows of a million, by month and source"],
  ["freshness", "up to which month each source is published, and when the next one is expected"],
]);

export class Charts {
  /** @param details the element that shows and hides them */
  constructor(details, dagId) {
    this.details = details;
    this.dagId = dagId;
    this.titles = new Map();
    details.addEventListener("toggle", () => this.#draw());
    document.documentElement.addEventListener("themechange", () => this.#draw());
  }

  /** Show the charts of a warehouse from now on. */
  know(warehouse, title) {
    this.details.hidden = false;
    if (this.titles.has(warehouse)) return;
    this.titles.set(warehouse, title);
    this.#draw();
  }

  #draw() {
    if (!this.details.open) return;
    const { theme } = document.documentElement.dataset;
    this.details.querySelector(".drawn").replaceChildren(...[...this.titles].flatMap(([warehouse, title]) =>
      [...CHARTS].map(([name, says]) => {
        const figure = document.createElement("figure");
        const image = new Image();
        image.alt = `${title}: ${says}`;
        image.addEventListener("error", () => figure.append(`This chart can't be drawn now: ${image.alt}`));
        const values = new URLSearchParams({ warehouse, theme, ...(this.dagId && { dag_id: this.dagId }) });
        image.src = `charts/${name}.svg?${values}`;
        const caption = document.createElement("figcaption");
        caption.append(title);
        figure.append(image, ...(this.titles.size > 1 ? [caption] : []));
        return figure;
      })));
  }
}
