// Links to Airflow's own pages, and questions to the board's routes.

const BASE = new URL("../", document.baseURI); // where Airflow is: the page is <base>/taxiway/board

/** Return the address of one of Airflow's pages. */
export const airflowUrl = (...parts) => new URL(parts.map(encodeURIComponent).join("/"), BASE).href;

export const dagUrl = (dagId) => airflowUrl("dags", dagId);
/** Return the address of Airflow's login, which leads back to the page, or to the one around it. */
const loginUrl = () => {
  const url = new URL(airflowUrl("api", "v2", "auth", "login"));
  url.searchParams.set("next", window.parent.location.href);
  return url.href;
};

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

/** Ask a route of the board; an answer that isn't one becomes a problem, as a sentence. */
export const ask = (path, values = {}) => {
  const url = new URL(path, document.baseURI);
  for (const [name, value] of Object.entries(values)) if (value) url.searchParams.set(name, value);
  return call(url, {}, "see");
};

/** Have Airflow's REST API do something, with the rights of who is logged in; isRefused: nothing was done. */
export const send = (method, path, body) =>
  call(new URL(path, BASE), { method, body: JSON.stringify(body), headers: { "Content-Type": "application/json" } }, "do");

const call = async (url, { headers, ...options }, what) => {
  try {
    const signal = AbortSignal.timeout(30_000);
    const answer = await fetch(url, { ...options, headers: { Accept: "application/json", ...headers }, signal });
    if (answer.ok) return await answer.json();
    if (answer.status === 401) return { problem: "You are no longer logged in.", login: loginUrl(), isRefused: true };
    if (answer.status === 403) return { problem: `You may not ${what} this: ask who administers Airflow for the right.`, isRefused: true };
    const said = await answer.json().catch(() => ({}));
    const problem = `Airflow's API server says ${answer.status}: ${JSON.stringify(said.detail ?? answer.statusText)}`;
    return { problem, isRefused: answer.status < 500 };
  } catch (error) {
    return { problem: `Airflow's API server doesn't answer: ${error.message}. ${what === "see" ? "The page asks again by itself" : "Look at what is under way, and try again"}.` };
  }
};
