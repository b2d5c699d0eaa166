// Links to Airflow's own pages, and questions to the board's routes.

const BASE = new URL("../", document.baseURI); // where Airflow is: the page is <base>/taxiway/board

/** Return the address of one of Airflow's pages. */
export const airflowUrl = (...parts) => new URL(parts.map(encodeURIComponent).join("/"), BASE).href;

export const dagUrl = (dagId) => airflowUrl("dags", dagId);
export const runUrl = (dagId, runId) => airflowUrl("dags", dagId, "runs", runId);

// Airflow shows the page in a frame that may not open other pages itself: the page around it does.
document.addEventListener("click", (event) => {
  const link = event.target.closest?.("a[data-airflow]");
  if (!link || window.parent === window) return;
  event.preventDefault();
  const outer = window.parent.document;
  const copy = outer.createElement("a");
  copy.href = link.href;
  if (event.ctrlKey || event.metaKey || event.shiftKey) copy.target = "_blank";
  outer.body.append(copy);
  copy.click();
  copy.remove();
});

/** Ask a route; an answer that isn't one becomes a problem, as a sentence. */
export const ask = async (path, values = {}) => {
  const url = new URL(path, document.baseURI);
  for (const [name, value] of Object.entries(values)) if (value) url.searchParams.set(name, value);
  try {
    const answer = await fetch(url, { headers: { Accept: "application/json" }, signal: AbortSignal.timeout(30_000) });
    if (answer.ok) return await answer.json();
    if (answer.status === 401) return { problem: "You are no longer logged in: load Airflow's page again." };
    if (answer.status === 403) return { problem: "You may not see this: ask who administers Airflow for the right." };
    const said = await answer.json().catch(() => ({}));
    return { problem: `Airflow's API server says ${answer.status}: ${JSON.stringify(said.detail ?? answer.statusText)}` };
  } catch (error) {
    return { problem: `Airflow's API server doesn't answer: ${error.message}. The page asks again by itself.` };
  }
};
