// Which months are selected: by a click with a modifier or in the select mode, by dragging, and by the keyboard.

export class Selection extends EventTarget {
  months = new Map(); // by keyOf: { source, month }, with the names that the grids have
  isOn = false; // whether there is anything to select for
  isMode = false; // whether each click selects
  #base = new Map(); // what was selected when the present range began
  #anchor = null; // where it began: { grid, month }

  static keyOf = (source, month) => `${source.dag_id} ${month}`;

  has(source, month) {
    return this.months.has(Selection.keyOf(source, month));
  }

  /** Select one month, or no longer. */
  toggle(grid, month) {
    const key = Selection.keyOf(grid.source, month);
    if (!this.months.delete(key)) this.#add([month], grid);
    this.#beginRange(grid, month);
    this.#tell();
  }

  add(grid, months) {
    this.#add(months, grid);
    this.#anchor = null;
    this.#tell();
  }

  remove(key) {
    this.months.delete(key);
    this.#anchor = null;
    this.#tell();
  }

  clear() {
    this.replace([]);
  }

  /** Select only some months, each with its key. */
  replace(months) {
    this.months = new Map(months);
    this.#anchor = null;
    this.#tell();
  }

  /** Select from where the range began, or from another cell, to a cell. */
  extend(grid, month, from) {
    if (this.#anchor?.grid.source.dag_id !== grid.source.dag_id) this.#beginRange(grid, from);
    const all = [...grid.months.keys()];
    const ends = [all.indexOf(this.#anchor.month), all.indexOf(month)].sort((one, other) => one - other);
    this.months = new Map(this.#base);
    this.#add(all.slice(ends[0], ends[1] + 1), grid);
    this.#tell();
  }

  /** Let the next range begin at a cell. */
  begin(grid, month) {
    this.#beginRange(grid, month);
  }

  #beginRange(grid, month) {
    this.#anchor = { grid, month };
    this.#base = new Map(this.months);
  }

  #add(months, { source, months: known }) {
    for (const month of months) {
      if (known.get(month).state !== "no such month") this.months.set(Selection.keyOf(source, month), { source, month });
    }
  }

  #tell() {
    this.dispatchEvent(new Event("change"));
  }
}
