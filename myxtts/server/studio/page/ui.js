// What the tabs share: elements, texts in two languages, requests, messages.
export const $ = (id) => document.getElementById(id);
const DIRECT = new Set(["value", "checked", "disabled", "hidden", "textContent", "selected"]);

export function el(tag, props = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (DIRECT.has(name)) node[name] = value;
    else node.setAttribute(name === "class" ? "class" : name, value === true ? "" : value);
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

export const app = {state: null, language: "en"};
let texts = {};
let errors = []; // [expression, its translation] of the program's messages, which are in English
const changed = [];

export const t = (key, values = {}) => (texts[key] ?? key).replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");
export const known = (key) => key in texts;
export const onLanguage = (work) => changed.push(work);
export const number = (value, digits = 1) =>
  new Intl.NumberFormat(app.language === "fa" ? "fa" : "en", {maximumFractionDigits: digits}).format(value);
export const moment = (seconds) => new Intl.DateTimeFormat(app.language === "fa" ? "fa" : "en",
  {dateStyle: "medium", timeStyle: "short"}).format(new Date(seconds * 1000));

export async function setLanguage(language) {
  texts = await (await fetch(`/studio/page/${language}.json`)).json();
  const translated = language === "en" ? {} : await (await fetch(`/studio/page/errors.${language}.json`)).json();
  errors = Object.entries(translated).map(([words, text]) => [new RegExp(words), text]);
  app.language = language;
  store("language", language);
  document.documentElement.lang = language;
  document.documentElement.dir = language === "fa" ? "rtl" : "ltr";
  document.title = t("title");
  for (const node of document.querySelectorAll("[data-t]")) node.textContent = t(node.dataset.t);
  for (const node of document.querySelectorAll("[data-t-label]")) node.setAttribute("aria-label", t(node.dataset.tLabel));
  for (const node of document.querySelectorAll("[data-t-title]")) node.title = t(node.dataset.tTitle);
  for (const work of changed) work();
}

export function store(name, value) {
  try { localStorage.setItem("myxtts." + name, JSON.stringify(value)); } catch { /* private windows have no storage */ }
}

export function stored(name, otherwise) {
  try { return JSON.parse(localStorage.getItem("myxtts." + name)) ?? otherwise; } catch { return otherwise; }
}

export async function api(method, path, body) {
  const options = {method};
  if (body instanceof FormData) options.body = body;
  else if (body !== undefined) {
    options.body = JSON.stringify(body);
    options.headers = {"Content-Type": "application/json"};
  }
  let answer;
  try { answer = await fetch(path, options); } catch { throw new Error(t("offline")); }
  if (!answer.ok) {
    const content = await answer.json().catch(() => ({}));
    throw Object.assign(new Error(content.error?.message ?? `${answer.status}`), {code: content.error?.code, param: content.error?.param});
  }
  return (answer.headers.get("content-type") ?? "").includes("application/json") ? answer.json() : answer;
}

// A message of the program in the language of the page, if there is a translation.
export function translated(message) {
  for (const [words, text] of errors) {
    const found = words.exec(message);
    if (found) return text.replace(/\{(\d)\}/g, (_, i) => found[i] ?? "");
  }
  return message;
}

export function fail(error) {
  const message = error?.message ?? String(error), own = translated(message);
  $("message").replaceChildren(el("span", {dir: "auto", textContent: own}),
    own !== message && el("span", {class: "note original", dir: "ltr", lang: "en", textContent: message}) || "");
  $("message").hidden = false;
}

export const clear = () => { $("message").hidden = true; };
export const say = (text) => { $("status").textContent = text; };

// Runs what a button does: disabled meanwhile, an error becomes a message.
export async function busy(button, work) {
  clear();
  if (button) button.disabled = true;
  try { return await work(); } catch (error) { fail(error); return undefined; } finally { if (button) button.disabled = false; }
}

export const on = (id, kind, work) => $(id).addEventListener(kind, work);

export function fill(select, options, chosen) {
  const value = chosen ?? select.value;
  select.replaceChildren(...options.map(([id, name]) => el("option", {value: id, textContent: name})));
  if (options.some(([id]) => id === value)) select.value = value;
}

export async function ask(title, value) {
  const dialog = $("ask");
  $("ask-title").textContent = title;
  $("ask-field").hidden = value === undefined;
  $("ask-input").value = value ?? "";
  dialog.returnValue = "no";
  dialog.showModal();
  await new Promise((done) => dialog.addEventListener("close", done, {once: true}));
  if (dialog.returnValue !== "yes") return null;
  return value === undefined ? "" : $("ask-input").value.trim();
}

let player = null;
// One player at a time: starting one pauses the others.
document.addEventListener("play", (event) => {
  if (player && player !== event.target) player.pause();
  player = event.target;
}, true);

export async function play(audio, source) {
  audio.hidden = false;
  audio.src = source;
  await audio.play().catch(() => undefined);
}

export function wav(samples, rate) {
  const view = new DataView(new ArrayBuffer(44 + 2 * samples.length));
  const text = (at, word) => [...word].forEach((c, i) => view.setUint8(at + i, c.charCodeAt(0)));
  text(0, "RIFF"); view.setUint32(4, 36 + 2 * samples.length, true); text(8, "WAVEfmt ");
  view.setUint32(16, 16, true); view.setUint16(20, 1, true); view.setUint16(22, 1, true);
  view.setUint32(24, rate, true); view.setUint32(28, 2 * rate, true); view.setUint16(32, 2, true); view.setUint16(34, 16, true);
  text(36, "data"); view.setUint32(40, 2 * samples.length, true);
  for (let i = 0; i < samples.length; i++) view.setInt16(44 + 2 * i, Math.max(-1, Math.min(1, samples[i])) * 32767, true);
  return new Blob([view], {type: "audio/wav"});
}

let voicesAsked = 0;
export const voiceLists = [];
// The voices and languages of a model, for every list that shows them.
export async function loadVoices(model = "") {
  const asked = ++voicesAsked;
  const found = await api("GET", `/studio/voices?model=${encodeURIComponent(model)}`);
  if (asked === voicesAsked) for (const work of voiceLists) work(found);
  return found;
}

export function fillVoices(select, found, chosen) {
  const value = chosen ?? select.value;
  const saved = found.voices.map((voice) => el("option", {value: voice.id, textContent: voice.name, disabled: !voice.usable}));
  const trained = found.speakers.map((name) => el("option", {value: name, textContent: name}));
  select.replaceChildren(
    ...(saved.length ? [el("optgroup", {label: t("voices.mine")}, saved)] : []),
    el("optgroup", {label: t("voices.trained")}, trained));
  if ([...select.options].some((option) => option.value === value && !option.disabled)) select.value = value;
}
