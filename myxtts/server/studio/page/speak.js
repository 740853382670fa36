// The tab Speak: a text is spoken sentence by sentence, its words are highlighted, and what was spoken is kept.
import {$, api, app, busy, el, fail, fill, fillVoices, loadVoices, moment, number, on, onLanguage, say, store, stored, t, translated, voiceLists} from "./ui.js";

let current = null; // {id, entry, words, stream or null}
let found = null;
const EXAMPLES = {en: "Hello there. This is the voice you chose, sentence by sentence.", fa: "سلام. این صدایی است که انتخاب کردید، جمله به جمله."};

// Plays sentences one after another while more of them arrive.
class Stream {
  constructor() {
    this.context = new AudioContext();
    this.end = 0;
    this.begun = null;
  }

  add(samples, rate) {
    const buffer = this.context.createBuffer(1, samples.length, rate);
    buffer.copyToChannel(samples, 0);
    const source = this.context.createBufferSource();
    source.buffer = buffer;
    source.connect(this.context.destination);
    if (this.begun === null) this.begun = this.context.currentTime + 0.05;
    const late = this.context.currentTime + 0.02 - (this.begun + this.end);
    if (late > 0) this.begun += late; // the computation was slower than the speech
    source.start(this.begun + this.end);
    this.end += buffer.duration;
  }

  get time() { return this.begun === null ? 0 : this.context.currentTime - this.begun; }
  get playing() { return this.context.state === "running" && this.time < this.end; }
  toggle() { return this.context.state === "running" ? this.context.suspend() : this.context.resume(); }
  close() { this.context.close().catch(() => undefined); }
}

// The language of a text by its letters, if the model has it; else the model decides.
const languageOf = (text) => {
  const persian = (text.match(/[\u0600-\u06ff]/g) ?? []).length, latin = (text.match(/[a-z]/gi) ?? []).length;
  const languages = found?.languages ?? app.state.languages;
  return (persian > latin ? languages.find((code) => code.startsWith("fa")) : ["en-us", ...languages].find((code) => code.startsWith("en") && languages.includes(code))) ?? null;
};

const decoded = (text) => {
  const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  const view = new DataView(bytes.buffer), samples = new Float32Array(bytes.length / 2);
  for (let i = 0; i < samples.length; i++) samples[i] = view.getInt16(2 * i, true) / 32768;
  return samples;
};

function showSentence(sentence) {
  const place = $("speak-words");
  const words = sentence.words.length ? sentence.words : [[sentence.text, sentence.start, sentence.start + sentence.seconds]];
  for (const [text, start, end] of words) {
    const span = el("span", {textContent: text});
    current.words.push({span, start, end});
    place.append(span, " ");
  }
}

function highlight() {
  if (!current) return;
  const audio = $("speak-audio");
  const stream = current.stream;
  const time = stream && stream.playing ? stream.time : !audio.hidden && (!audio.paused || audio.currentTime) ? audio.currentTime : -1;
  for (const {span, start, end} of current.words) {
    const now = time >= start && time < end;
    if (now !== span.classList.contains("now")) {
      span.classList.toggle("now", now);
      if (now && (span.offsetTop + span.offsetHeight > $("speak-words").scrollTop + $("speak-words").clientHeight + $("speak-words").offsetTop)) span.scrollIntoView({block: "nearest"});
    }
  }
  if (stream && current.entry.seconds !== undefined && stream.time >= stream.end) $("speak-pause").hidden = true;
  const length = current.entry.seconds ?? stream?.end ?? 0;
  if (length) $("speak-progress").value = Math.max(0, time) / length;
  if (stream) $("speak-pause").textContent = t(stream.context.state === "suspended" ? "speak.resume" : "speak.pause");
  requestAnimationFrame(highlight);
}

function open(entry, stream) {
  current?.stream?.close();
  const idle = !current;
  current = {entry, words: [], stream};
  $("speak-empty").hidden = true;
  $("speak-now").hidden = false;
  $("speak-words").replaceChildren();
  $("speak-notes").replaceChildren();
  $("speak-audio").hidden = true;
  $("speak-audio").pause();
  $("speak-audio").removeAttribute("src");
  $("speak-download").hidden = true;
  $("speak-pause").hidden = !stream;
  $("speak-progress").value = 0;
  if (idle) highlight();
}

function finished(entry) {
  current.entry = entry;
  const source = `/studio/history/${entry.id}/audio`;
  if (entry.state !== "failed" || entry.seconds) {
    $("speak-audio").src = source;
    $("speak-audio").hidden = false;
    $("speak-download").href = source;
    $("speak-download").download = `myxtts-${entry.id}.wav`;
    $("speak-download").hidden = false;
  }
  const figures = entry.seconds ? [t("speak.figures", {seconds: number(entry.seconds), compute: number(entry.compute_seconds)})] : [];
  const notes = [...figures, ...(entry.notes ?? [])].map((note, i) => el("li", {class: i < figures.length ? "figures" : "", dir: "auto", textContent: translated(note)}));
  if (entry.problem) notes.push(el("li", {class: "bad", dir: "auto", textContent: translated(entry.problem)}));
  $("speak-notes").replaceChildren(...notes);
}

// Follows a speech from its beginning, also one that another load of the page started.
async function follow(entry, aloud) {
  open(entry, aloud ? new Stream() : null);
  const followed = current;
  $("speak-stop").hidden = false;
  say(t("speak.working"));
  try {
    const answer = await api("GET", `/studio/speak/${entry.id}`);
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    for (;;) {
      const {value, done} = await reader.read();
      if (done) break;
      const lines = (rest + value).split("\n");
      rest = lines.pop();
      for (const line of lines) {
        const event = JSON.parse(line);
        if (current !== followed) return;
        if (event.type === "sentence") showSentence(event);
        else if (event.type === "audio") followed.stream?.add(decoded(event.audio), event.rate);
        else if (event.type === "end") finished(event.entry);
      }
    }
    say(t("speak.done"));
  } finally {
    if (current === followed) $("speak-stop").hidden = true;
    await showHistory();
  }
}

async function speakNow(event) {
  event.preventDefault();
  await busy($("speak-go"), async () => {
    const values = {input: $("speak-text").value, model: $("speak-model").value, voice: $("speak-voice").value,
      language: $("speak-language").value || languageOf($("speak-text").value), ...stored("options", {})};
    const entry = await api("POST", "/studio/speak", values);
    follow(entry, true).catch(fail);
  });
}

function showEntry(entry) {
  open(entry, null);
  (entry.sentences ?? []).forEach(showSentence);
  if (!entry.sentences) $("speak-words").textContent = entry.text;
  finished(entry);
}

async function showHistory() {
  const {history, speaking} = await api("GET", "/studio/history");
  $("history-title").hidden = !history.length;
  $("history").replaceChildren(...history.map((entry) => el("li", {},
    el("div", {class: "grow"},
      el("p", {dir: "auto", textContent: entry.text.length > 90 ? entry.text.slice(0, 90) + "…" : entry.text}),
      el("p", {class: "note", textContent: [moment(entry.time), entry.voice, entry.model, entry.state === "done" ? "" : t("state." + entry.state)].filter(Boolean).join(" · ")})),
    el("button", {type: "button", "aria-label": `${t("speak.again")}: ${entry.text.slice(0, 40)}`, textContent: t("speak.again"), disabled: entry.state === "speaking" || entry.state === "interrupted",
      onclick: () => { showEntry(entry); $("speak-audio").play().catch(() => undefined); }}),
    el("button", {type: "button", class: "plain", "aria-label": `${t("delete")}: ${entry.text.slice(0, 40)}`, textContent: t("delete"),
      onclick: (event) => busy(event.target, async () => { await api("DELETE", `/studio/history/${entry.id}`); await showHistory(); })}))));
  return {history, speaking};
}

function showSliders() {
  const values = stored("options", {});
  $("sliders").replaceChildren(...app.state.options.filter((option) => !option.flow_only || found?.flow).map((option) => {
    const id = `option-${option.name}`, value = values[option.name] ?? option.default;
    const shown = el("output", {for: id});
    const unit = option.unit ? t("unit." + option.unit) : "";
    const show = (input) => { shown.textContent = `${number(Number(input.value), 2)} ${unit}`.trim(); };
    const seed = option.name === "seed";
    const input = el("input", {id, type: seed ? "number" : "range", min: option.low, max: option.high, dir: seed ? "ltr" : null,
      step: option.whole ? 1 : option.flow_only ? 0.001 : (option.high - option.low) / 160 > 0.1 ? 0.5 : 0.05, "data-name": option.name, "aria-describedby": `${id}-about`,
      oninput: (event) => { show(event.target); store("options", {...stored("options", {}), [option.name]: Number(event.target.value)}); }});
    input.value = value;
    show(input);
    return el("div", {class: "slider"}, el("label", {for: id, textContent: t("option." + option.name)}), seed ? null : shown, input,
      el("span", {class: "note", id: `${id}-about`, textContent: t("about." + option.name)}));
  }));
}

function showLanguages() {
  const languages = found?.languages ?? app.state.languages;
  fill($("speak-language"), [["", t("speak.auto")], ...languages.map((code) => [code, t("lang." + code).startsWith("lang.") ? code : t("lang." + code)])], $("speak-language").value || stored("speak-language", ""));
}

export async function start() {
  $("speak-text").value = stored("text", EXAMPLES[app.language]);
  fill($("speak-model"), app.state.models.map(({id, name}) => [id, name.split("/").filter(Boolean).pop() ?? name]), stored("model", ""));
  $("speak-model").title = app.state.model;
  voiceLists.push((voices) => { found = voices; fillVoices($("speak-voice"), voices, $("speak-voice").value || stored("voice", "")); showLanguages(); showSliders(); });
  showSliders();
  showLanguages();
  onLanguage(() => {
    showSliders();
    showLanguages();
    if (found) fillVoices($("speak-voice"), found);
    if (Object.values(EXAMPLES).includes($("speak-text").value)) $("speak-text").value = EXAMPLES[app.language];
    showHistory().catch(fail);
  });
  for (const name of ["text", "voice", "model"]) on(`speak-${name}`, "change", (event) => store(name, event.target.value));
  on("speak-text", "input", (event) => store("text", event.target.value));
  on("speak-language", "change", (event) => store("speak-language", event.target.value));
  on("speak-model", "change", (event) => loadVoices(event.target.value).catch(fail));
  on("speak-form", "submit", speakNow);
  on("speak-text", "keydown", (event) => { if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) $("speak-form").requestSubmit(); });
  on("speak-stop", "click", () => { current.stream?.close(); api("DELETE", `/studio/speak/${current.entry.id}`).catch(fail); });
  on("speak-pause", "click", () => current?.stream?.toggle());
  on("speak-audio", "play", () => { current?.stream?.close(); if (current) current.stream = null; $("speak-pause").hidden = true; });
  on("sliders-reset", "click", () => { store("options", {}); showSliders(); });
  loadVoices($("speak-model").value).catch(fail);
  const {history, speaking} = await showHistory();
  const entry = history.find(({id}) => speaking.includes(id));
  if (entry) follow(entry, false).catch(fail);
  else if (history.length) showEntry(history[0]);
}

export function choose(model, voice) {
  if (model !== undefined) {
    if (![...$("speak-model").options].some((option) => option.value === model)) $("speak-model").append(el("option", {value: model, textContent: model}));
    $("speak-model").value = model;
    store("model", model);
    loadVoices(model).catch(fail);
  }
  if (voice !== undefined) { $("speak-voice").value = voice; store("voice", voice); }
  location.hash = "speak";
}
