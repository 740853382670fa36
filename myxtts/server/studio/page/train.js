// The tab Train: plan, start, stop and continue the ordinary command; curves, samples, health and events from its files.
import {$, api, app, busy, el, fail, fill, known, number, on, onLanguage, store, stored, t, translated} from "./ui.js";
import {chart} from "./charts.js";

const ACTIVE = ["preparing", "training", "stopping"];
const FIELDS = ["data", "name", "base", "level", "size", "language", "minutes", "settings"];
let run = null, timer = 0, planTimer = 0, watches = 0;

const values = () => Object.fromEntries(FIELDS.map((name) => {
  const value = $(`train-${name}`).value;
  return [name, name === "minutes" ? (value ? Number(value) : null) : value];
}));

async function plan(event) {
  event.preventDefault();
  await busy($("train-plan"), async () => { await api("POST", "/studio/plan", values()); await watchPlan(); });
}

async function watchPlan() {
  clearTimeout(planTimer);
  const made = await api("GET", "/studio/plan");
  $("plan").hidden = made.state === "none";
  if (made.state === "none") return;
  $("plan-command").textContent = made.command;
  $("plan-lines").textContent = made.lines.join("\n");
  $("plan-state").textContent = made.state === "running" ? t("train.planning") : (made.problems ?? made.notes ?? []).map(translated).join(" ");
  $("plan-rows").replaceChildren(el("tbody", {}, made.rows.map(([name, value]) => el("tr", {}, el("td", {textContent: known("plan." + name) ? t("plan." + name) : name}), el("td", {dir: "auto", textContent: value})))));
  if (made.state === "running" && !$("train").hidden) planTimer = setTimeout(() => watchPlan().catch(fail), 1000);
}

async function begin() {
  if (!$("train-form").reportValidity()) return;
  await busy($("train-start"), async () => {
    run = await api("POST", "/studio/runs", values());
    store("run", run.name);
    await listRuns(run.name);
    await watch(run.name);
  });
}

async function listRuns(chosen) {
  const {runs} = await api("GET", "/studio/runs");
  fill($("train-run"), [["", t("train.none")], ...runs.map(({name, state}) => [name, `${name} · ${t("state." + state)}`])], chosen);
  fill($("train-base"), [[app.state.starter, t("train.starter")], ["", t("train.scratch")], ...runs.filter(({speaks}) => speaks).map(({name}) => [name, name])], $("train-base").options.length ? $("train-base").value : app.state.starter);
  return runs;
}

async function watch(name) {
  clearTimeout(timer);
  const asked = ++watches;
  if (!name) { $("watch").hidden = $("watch-more").hidden = true; run = null; return; }
  const before = run?.name === name ? run.state : null;
  const found = await api("GET", `/studio/runs/${encodeURIComponent(name)}`);
  if (asked !== watches) return; // another run was chosen meanwhile
  run = found;
  show();
  if (before && before !== run.state) await listRuns(name);
  if (ACTIVE.includes(run.state) && !$("train").hidden) timer = setTimeout(() => watch(name).catch(fail), 2500);
}

// "update 25 of 10250  loss ..." is what the training prints without a terminal.
function progress() {
  const line = [...run.log].reverse().find((text) => /^update \d+/.test(text));
  const found = line && /^update (\d+)(?: of (\d+))?(.*)$/.exec(line);
  if (!found) return {done: run.update ?? 0, total: 0, left: ""};
  const done = Math.max(Number(found[1]), run.update ?? 0), total = Number(found[2] ?? 0);
  return {done, total: total && Math.max(total, done), left: /\bleft (\S+)/.exec(found[3])?.[1] ?? ""};
}

function show() {
  const active = ACTIVE.includes(run.state), {done, total, left} = progress();
  $("watch").hidden = false;
  $("watch-state").textContent = t("state." + run.state);
  $("watch-update").textContent = total ? t("train.of", {done: number(done, 0), total: number(total, 0)}) + (left && active ? " · " + t("train.left", {time: left}) : "") : run.update ? t("train.update", {done: number(run.update, 0)}) : "";
  $("watch-progress").hidden = !active;
  if (total) { $("watch-progress").max = total; $("watch-progress").value = done; } else $("watch-progress").removeAttribute("value");
  $("watch-stop").hidden = !active || !run.command;
  $("watch-stop").textContent = t(run.state === "stopping" ? "train.stop-now" : "train.stop");
  $("watch-continue").hidden = active;
  $("watch-command").textContent = active ? run.command ?? run.continue_command : run.continue_command || run.command;
  const log = $("watch-log"), text = run.log.join("\n");
  if (log.textContent !== text) {
    const follows = log.scrollTop + log.clientHeight > log.scrollHeight - 20;
    log.textContent = text;
    if (follows) log.scrollTop = log.scrollHeight;
  }
  const verdict = run.verdict;
  $("health").replaceChildren(...(verdict ? [el("div", {class: `health ${verdict.sign}`}, el("strong", {textContent: t("sign." + verdict.sign)}),
    el("ul", {}, verdict.checks.map((check) => el("li", {class: check.sign, dir: "auto", textContent: check.sentence}))))] : []));
  $("watch-more").hidden = !verdict;
  if (!verdict) return;
  $("charts").replaceChildren(...run.charts.map(chart));
  $("samples").dataset.key === sampleKey() || showSamples();
  const line = (event) => el("li", {}, el("span", {class: "grow", dir: "auto"}, el("strong", {textContent: event.kind + " "}), event.message), el("span", {class: "note num", textContent: event.update === null ? "" : number(event.update, 0)}));
  $("ladder").replaceChildren(...(run.ladder.length ? run.ladder.map(line) : [el("li", {class: "note", textContent: t("train.no-ladder")})]));
  $("events").replaceChildren(...run.events.slice(0, 20).map(line));
}

const sampleKey = () => `${run.name} ${run.samples.map(({update}) => update).join()} ${app.language}`;

// Kept while nothing is new, so that a sample that plays is not cut off.
function showSamples() {
  const names = [...new Set(run.samples.map(({name}) => name))];
  $("samples").dataset.key = sampleKey();
  $("samples").replaceChildren(...(names.length ? names.map((name) => {
    const takes = run.samples.filter((sample) => sample.name === name);
    return el("div", {class: "sample"}, el("p", {dir: "auto", textContent: takes[0].text}), el("div", {class: "versions"}, takes.slice(0, 4).map((take) => el("div", {}, el("span", {class: "note", textContent: t("train.update", {done: number(take.update, 0)})}), sampleAudio(run.name, take)))));
  }) : [el("p", {class: "empty", textContent: t("train.no-samples")})]));
}

export const sampleAudio = (name, take) => el("audio", {controls: true, preload: "none", "aria-label": `${take.text.slice(0, 40)} ${take.update}`,
  src: `/studio/runs/${encodeURIComponent(name)}/samples/${take.update}/${encodeURIComponent(take.wav)}`});

export function useData(folder, language) {
  $("train-data").value = folder;
  $("train-language").value = language ?? "";
  if (!$("train-name").value) $("train-name").value = folder.split("/").filter(Boolean).pop() ?? "";
  saveForm();
  location.hash = "train";
}

const saveForm = () => store("train", values());

function showLevels() {
  const fresh = $("train-base").value === "";
  $("train-size").disabled = !fresh;
  const level = app.state.levels.find(({id}) => id === $("train-level").value);
  const key = "level." + level?.id, text = t(key);
  $("level-summary").textContent = text === key ? level?.summary ?? "" : text;
}

export async function start() {
  fill($("train-level"), app.state.levels.map(({id}) => [id, id]), "fine_tuning");
  fill($("train-size"), app.state.sizes.map((size) => [size, size]), "tiny");
  await listRuns(stored("run", ""));
  const form = stored("train", {});
  for (const name of FIELDS) if (form[name]) $(`train-${name}`).value = form[name];
  if (form.base === "") $("train-base").value = ""; // the loop leaves empty values alone
  showLevels();
  on("train-form", "submit", plan);
  on("train-form", "change", () => { saveForm(); showLevels(); });
  on("train-base", "change", () => { $("train-level").value = $("train-base").value ? "fine_tuning" : "enhanced"; showLevels(); saveForm(); });
  on("train-start", "click", begin);
  on("train-run", "change", (event) => { store("run", event.target.value); watch(event.target.value).catch(fail); });
  on("watch-stop", "click", () => busy($("watch-stop"), async () => { await api("POST", `/studio/runs/${encodeURIComponent(run.name)}/stop`); await watch(run.name); }));
  on("watch-continue", "click", () => busy($("watch-continue"), async () => { await api("POST", `/studio/runs/${encodeURIComponent(run.name)}/continue`); await watch(run.name); }));
  onLanguage(() => { showLevels(); listRuns($("train-run").value).then(() => run && show()).catch(fail); });
}

export async function enter() {
  await watchPlan();
  const runs = await listRuns(stored("run", ""));
  const chosen = $("train-run").value || runs.find(({state}) => ACTIVE.includes(state))?.name || "";
  $("train-run").value = chosen;
  await watch(chosen);
}

export function leave() { clearTimeout(timer); clearTimeout(planTimer); }
