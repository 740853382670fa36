// The tab Runs: a list, the report of one as its detail, commands on it, and two runs compared by ear.
import {$, api, app, busy, el, fail, fill, moment, number, on, onLanguage, t} from "./ui.js";
import {choose} from "./speak.js";
import {sampleAudio} from "./train.js";

let runs = [], chosen = "", swapped = [], timer = 0;

async function list() {
  runs = (await api("GET", "/studio/runs")).runs;
  $("runs-empty").hidden = runs.length > 0;
  $("runs-scroll").hidden = !runs.length;
  $("compare").hidden = runs.length < 2;
  const head = ["runs.name", "runs.state", "runs.updates", "runs.changed"].map((name, i) => el("th", {scope: "col", class: i === 2 ? "num" : i === 3 ? "narrow" : "", textContent: t(name)}));
  $("runs-table").replaceChildren(el("caption", {class: "unseen", textContent: t("runs.list")}), el("thead", {}, el("tr", {}, head)), el("tbody", {}, runs.map((run) => el("tr", {},
    el("td", {dir: "auto"}, el("button", {type: "button", class: "plain", textContent: run.name, onclick: () => { location.hash = `runs/${encodeURIComponent(run.name)}`; }})),
    el("td", {textContent: t("state." + run.state)}), el("td", {class: "num", textContent: number(run.update, 0)}), el("td", {class: "narrow", textContent: run.changed ? moment(run.changed) : ""})))));
  const names = runs.map(({name}) => [name, name]);
  for (const id of ["compare-a", "compare-b"]) fill($(id), [["", "–"], ...names]);
}

async function detail(name) {
  clearTimeout(timer);
  $("run").hidden = !name;
  if (!name) return;
  const path = `/studio/runs/${encodeURIComponent(name)}`;
  const run = await api("GET", path);
  $("run-title").textContent = name;
  $("run-actions").replaceChildren(
    run.speaks && el("button", {type: "button", class: "main", textContent: t("runs.speak"), onclick: () => choose(name)}) || "",
    el("a", {class: "button", href: `${path}/report`, target: "_blank", rel: "noopener", textContent: t("runs.open")}));
  const tasks = Object.entries(run.tasks).filter(([task]) => task !== "report");
  $("run-tasks").replaceChildren(...tasks.map(([task, command]) => {
    const output = el("pre", {dir: "ltr", hidden: true, tabindex: "0"});
    const state = el("span", {class: "note", role: "status"});
    const id = `command-${task}`;
    const start = el("button", {type: "button", textContent: t("runs.start"), "aria-label": `${t("runs.start")}: ${t("runs." + task)}`,
      onclick: () => busy(start, async () => { await api("POST", `${path}/tasks/${task}`); await follow(); })});
    const follow = async () => {
      const found = await api("GET", `${path}/tasks/${task}`);
      output.hidden = !found.lines.length;
      output.textContent = found.lines.join("\n");
      state.textContent = found.state === "none" ? "" : t("task-state." + found.state);
      if (found.state === "running" && output.isConnected && !$("runs").hidden) timer = setTimeout(() => follow().catch(fail), 1500);
    };
    follow().catch(fail);
    return el("details", {}, el("summary", {textContent: t("runs." + task)}), el("p", {class: "note", textContent: t("runs.about-" + task)}),
      el("div", {class: "command"}, el("code", {id, dir: "ltr", tabindex: "0", textContent: command}), el("button", {type: "button", class: "plain", "data-copy": id, textContent: t("copy")})),
      el("div", {class: "actions"}, start, state), output);
  }));
  if (chosen !== name || !$("run-report").src) $("run-report").src = `${path}/report`;
  chosen = name;
}

async function compare() {
  const names = [$("compare-a").value, $("compare-b").value];
  $("pairs").replaceChildren();
  $("reveal").hidden = true;
  if (!names[0] || !names[1]) return;
  const [a, b] = await Promise.all(names.map((name) => api("GET", `/studio/runs/${encodeURIComponent(name)}`)));
  const newest = (run) => new Map([...(run.samples ?? [])].reverse().map((sample) => [sample.text, sample]));
  const first = newest(a), second = newest(b), blind = $("blind").checked;
  const both = [...first.keys()].filter((text) => second.has(text));
  const texts = both.length ? both : [...new Set([...first.keys(), ...second.keys()])];
  swapped = [];
  const label = (name, take) => `${name} · ${t("train.update", {done: number(take.update, 0)})}`;
  $("pairs").replaceChildren(...(texts.length ? texts.map((text) => {
    const sides = [[names[0], first.get(text)], [names[1], second.get(text)]].filter(([, take]) => take);
    if (blind && Math.random() < 0.5) sides.reverse();
    return el("div", {class: "sample"}, el("p", {dir: "auto", textContent: text}), el("div", {class: "versions"}, sides.map(([name, take], i) => {
      const shown = el("span", {class: "note", dir: "auto", textContent: blind ? t("runs.side", {number: number(i + 1, 0)}) : label(name, take)});
      swapped.push(() => { shown.textContent = label(name, take); });
      return el("div", {}, shown, sampleAudio(name, take));
    })));
  }) : [el("p", {class: "empty", textContent: t("train.no-samples")})]));
  $("reveal").hidden = !blind || !texts.length;
}

export async function start() {
  for (const id of ["compare-a", "compare-b", "blind"]) on(id, "change", () => compare().catch(fail));
  on("reveal", "click", () => { swapped.forEach((show) => show()); $("reveal").hidden = true; });
  onLanguage(() => { if (!$("runs").hidden && app.state) enter(chosen).catch(fail); });
}

export async function enter(name) {
  await list();
  await detail(name ? decodeURIComponent(name) : "");
}

export function leave() { clearTimeout(timer); }
