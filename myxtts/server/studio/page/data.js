// The tab Data: a folder is checked by a process of its own; findings with what to do, and the clips with players.
import {$, api, busy, el, fail, fill, known, number, on, onLanguage, play, store, stored, t, translated} from "./ui.js";
import {useData} from "./train.js";

const STEP = 50;
let audit = null, timer = 0, shown = STEP;

export async function complete(event) {
  const {folders} = await api("GET", `/studio/folders?path=${encodeURIComponent(event.target.value)}`);
  $("folders").replaceChildren(...folders.map((path) => el("option", {value: path + "/"})));
}

async function check(event) {
  event.preventDefault();
  await busy(event.submitter, async () => {
    audit = await api("POST", "/studio/audits", {folder: $("data-folder").value, language: $("data-language").value});
    store("audit", audit.id);
    await listAudits();
    await watch();
  });
}

async function watch() {
  clearTimeout(timer);
  const {id} = audit, found = await api("GET", `/studio/audits/${id}`);
  if (id !== audit.id) return; // another check was chosen meanwhile
  audit = found;
  show();
  if (audit.state === "running" && !$("data").hidden) timer = setTimeout(() => watch().catch(fail), 700);
}

const title = (kind) => (known("find." + kind) ? t("find." + kind) : kind);

function show() {
  const running = audit.state === "running", done = audit.state === "done";
  $("audit").hidden = false;
  $("data-stop").hidden = !running;
  $("audit-title").textContent = audit.folder;
  $("audit-progress").hidden = !running;
  if (audit.total) { $("audit-progress").max = audit.total; $("audit-progress").value = audit.done; } else $("audit-progress").removeAttribute("value");
  const text = {running: audit.task ? t("data.running", {task: t("task." + audit.task), done: number(audit.done ?? 0, 0), total: number(audit.total ?? 0, 0)}) : t("data.begins"),
    failed: translated(audit.problem ?? ""), done: ""}[audit.state];
  const rejected = done && audit.rejected_share > audit.most_rejected_share;
  $("audit-state").textContent = rejected ? t("data.too-many", {share: number(100 * audit.rejected_share), most: number(100 * audit.most_rejected_share)}) : text;
  $("audit-figures").replaceChildren(...(done ? ["train", "validation"].flatMap((set) => [
    fact(t("data." + set + "-set"), t("data.figures", {clips: number(audit[set].clips, 0), minutes: number(audit[set].minutes)})),
  ]) : []), ...(done ? [fact(t("data.speakers"), number(audit.train.speakers, 0)),
    fact(t("data.languages"), Object.entries(audit.train.languages).map(([code, count]) => `${code} ${number(count, 0)}`).join(", ")),
    fact(t("data.longest"), t("seconds", {value: number(audit.train.longest_seconds)})),
    fact(t("data.cut"), t("minutes", {value: number(audit.train.cut_minutes)}))] : []));
  const notes = [...(audit.notes ?? []), ...(audit.lines ?? [])];
  $("audit-notes").replaceChildren(...notes.map((note) => el("li", {dir: "auto", class: audit.state === "failed" ? "bad" : "", textContent: note})));
  $("audit-train").hidden = !done;
  $("findings-card").hidden = $("clips-card").hidden = !done;
  if (!done) return;
  $("findings").replaceChildren(...(audit.findings.length ? audit.findings.map(finding) : [el("p", {class: "empty", textContent: t("data.no-findings")})]));
  const kinds = audit.findings.filter((one) => !one.rejected).map((one) => [one.kind, title(one.kind)]);
  fill($("clip-filter"), [["", t("data.all")], ...kinds]);
  showClips();
}

const fact = (name, value) => el("div", {}, el("dt", {textContent: name}), el("dd", {textContent: value, dir: "auto"}));

function finding(one) {
  const rows = one.clips.map((clip) => el("tr", {}, el("td", {}, clip.playable === false ? null : player(clip.id)), el("td", {dir: "auto", textContent: clip.id}), el("td", {dir: "auto", textContent: clip.value}), el("td", {class: "note narrow", dir: "ltr", textContent: clip.source})));
  const fix = known("fix." + one.kind) ? t("fix." + one.kind) : one.advice || t("fix.default");
  return el("details", {class: "finding" + (one.rejected ? " rejected" : "")},
    el("summary", {}, el("span", {class: "count", textContent: `${number(one.count, 0)} `}), title(one.kind), " ", el("span", {class: "note", textContent: t(one.rejected ? "data.rejected" : "data.used")})),
    el("p", {class: "fix", dir: "auto"}, el("strong", {textContent: t("data.fix") + " "}), fix),
    one.advice && one.rejected ? el("p", {class: "note", dir: "auto", textContent: one.advice}) : null,
    one.examples.map((text) => el("p", {class: "note", dir: "auto", textContent: text})),
    rows.length ? el("div", {class: "scroll", tabindex: "0", role: "region", "aria-label": title(one.kind)}, el("table", {}, el("tbody", {}, rows))) : null);
}

const player = (id) => el("button", {type: "button", "aria-label": `${t("data.play")}: ${id}`, textContent: "▶",
  onclick: () => play($("clip-audio"), `/studio/audits/${audit.id}/audio?clip=${encodeURIComponent(id)}`)});

function showClips() {
  const kind = $("clip-filter").value;
  const clips = audit.clips.filter((clip) => !kind || (clip.findings ?? []).includes(kind));
  const head = ["", "data.id", "data.text", "data.speaker", "data.seconds", "data.level"].map((name, i) => el("th", {scope: "col", class: [4, 5].includes(i) ? "num" : [1, 3].includes(i) ? "narrow" : "", textContent: name && t(name)}, name ? null : el("span", {class: "unseen", textContent: t("data.play")})));
  const rows = clips.slice(0, shown).map((clip) => el("tr", {}, el("td", {}, player(clip.id)), el("td", {class: "narrow", dir: "auto", textContent: clip.id}),
    el("td", {dir: "auto"}, clip.text, (clip.findings ?? []).map((one) => el("div", {class: "note", textContent: title(one)}))),
    el("td", {class: "narrow", dir: "auto", textContent: `${clip.speaker} · ${clip.language}`}), el("td", {class: "num", textContent: number(clip.seconds)}), el("td", {class: "num", textContent: number(clip.level_db, 0)})));
  $("clips").replaceChildren(el("caption", {class: "unseen", textContent: t("data.clips")}), el("thead", {}, el("tr", {}, head)), el("tbody", {}, rows));
  $("more-clips").hidden = clips.length <= shown;
}

async function listAudits() {
  const {audits} = await api("GET", "/studio/audits");
  fill($("audits"), [["", t("data.earlier")], ...audits.map(({id, folder}) => [id, folder])]);
  $("audits").hidden = !audits.length;
  return audits;
}

export async function start() {
  on("data-form", "submit", check);
  for (const id of ["data-folder", "train-data"]) on(id, "input", (event) => complete(event).catch(() => undefined));
  on("clip-filter", "change", () => { shown = STEP; showClips(); });
  on("more-clips", "click", () => { shown += STEP; showClips(); });
  on("data-stop", "click", () => busy($("data-stop"), () => api("POST", `/studio/audits/${audit.id}/stop`)));
  on("audits", "change", (event) => { if (event.target.value) { audit = {id: event.target.value}; store("audit", audit.id); watch().catch(fail); } });
  on("audit-train", "click", () => useData(audit.folder, audit.language));
  onLanguage(() => { if (audit?.state) show(); listAudits().catch(fail); });
}

export async function enter() {
  const audits = await listAudits();
  const last = audits.find(({id}) => id === stored("audit", ""));
  if (last && (!audit || audit.state === "running")) {
    audit = last;
    $("data-folder").value ||= last.folder;
    await watch();
  }
}

export function leave() { clearTimeout(timer); $("clip-audio").pause(); }
