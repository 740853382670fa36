// The tabs, the language, and the state that all of them start from.
import {$, api, app, clear, fail, on, setLanguage, store, stored, t} from "./ui.js";
import * as speak from "./speak.js";
import * as voices from "./voices.js";
import * as data from "./data.js";
import * as train from "./train.js";
import * as runs from "./runs.js";

const TABS = {speak, voices, data, train, runs};
const names = Object.keys(TABS);

// The part of the address behind #; empty if it is damaged.
function place() {
  try { return decodeURIComponent(location.hash.slice(1)); } catch { return ""; }
}

function show() {
  const [name, ...rest] = place().split("/");
  const chosen = TABS[name] ? name : "speak";
  for (const tab of names) {
    const button = $(`tab-${tab}`), selected = tab === chosen;
    button.setAttribute("aria-selected", selected);
    button.tabIndex = selected ? 0 : -1;
    const was = !$(tab).hidden;
    $(tab).hidden = !selected;
    if (was && !selected) { clear(); TABS[tab].leave?.(); } // an error of one tab says nothing in another
  }
  Promise.resolve(TABS[chosen].enter?.(rest.join("/"))).catch(fail);
}

for (const name of names) on(`tab-${name}`, "click", () => { location.hash = name; });
on("tabs", "keydown", (event) => {
  const at = names.findIndex((name) => $(`tab-${name}`) === document.activeElement);
  const forward = document.documentElement.dir === "rtl" ? -1 : 1;
  const step = {ArrowRight: forward, ArrowLeft: -forward}[event.key];
  const next = event.key === "Home" ? 0 : event.key === "End" ? names.length - 1 : step ? (at + step + names.length) % names.length : null;
  if (next === null || at < 0) return;
  event.preventDefault();
  $(`tab-${names[next]}`).focus();
  location.hash = names[next];
});
on("language", "click", () => setLanguage(app.language === "fa" ? "en" : "fa").then(named).catch(fail));
document.addEventListener("click", async (event) => {
  const id = event.target.dataset?.copy;
  if (!id) return;
  await navigator.clipboard.writeText($(id).textContent).catch(() => getSelection().selectAllChildren($(id)));
  $("status").textContent = t("copied");
});

function named() {
  $("language").textContent = app.language === "fa" ? "English" : "فارسی";
  $("language").lang = app.language === "fa" ? "en" : "fa";
}

async function begin() {
  await setLanguage(stored("language", navigator.language.startsWith("fa") ? "fa" : "en"));
  named();
  app.state = await api("GET", "/studio/state");
  $("version").textContent = `MyXTTS ${app.state.version}`;
  for (const tab of Object.values(TABS)) await tab.start?.();
  addEventListener("hashchange", () => { store("tab", location.hash); show(); });
  if (!location.hash && stored("tab", "")) history.replaceState(null, "", stored("tab", ""));
  show();
  document.body.dataset.ready = "yes";
}

begin().catch(fail);
