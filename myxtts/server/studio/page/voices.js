// The tab Voices: record or drop, see what was kept, name it, state the consent; list, mix, rename, move to the trash.
import {$, api, app, ask, busy, el, fillVoices, loadVoices, number, on, onLanguage, play, say, store, stored, t, translated, wav} from "./ui.js";
import {choose} from "./speak.js";

const LONGEST_SECONDS = 60;
const DECODED_HERE = /\.(m4a|aac|webm|mp4|mka|wma|amr|3gp)$/i;
const HEAR = {en: "Good morning. This is how I sound.", fa: "صبح بخیر. صدای من این‌گونه است."};
let recorder = null, found = null;

// Recordings of the browser, and formats that the server may not read, are decoded here and sent as WAV.
async function asWav(blob) {
  const context = new AudioContext();
  try {
    const buffer = await context.decodeAudioData(await blob.arrayBuffer());
    const mono = new Float32Array(buffer.length);
    for (let c = 0; c < buffer.numberOfChannels; c++) buffer.getChannelData(c).forEach((value, i) => { mono[i] += value / buffer.numberOfChannels; });
    return wav(mono, buffer.sampleRate);
  } finally { context.close(); }
}

async function send(blob, name) {
  const form = new FormData();
  form.append("audio_sample", blob, name);
  showKept(null);
  say(t("voices.sending"));
  $("clock").textContent = t("voices.sending");
  try {
    showKept(await api("POST", "/studio/recording", form));
  } finally { $("clock").textContent = ""; }
  say(t("voices.kept"));
}

async function sendFile(file) {
  let blob = file;
  if (DECODED_HERE.test(file.name)) {
    try { blob = await asWav(file); } catch { throw new Error(t("voices.not-audio", {name: file.name})); }
  }
  await send(blob, blob === file ? file.name : file.name + ".wav");
}

async function startRecording() {
  showKept(null);
  let stream;
  try {
    stream = await navigator.mediaDevices.getUserMedia({audio: {echoCancellation: false, noiseSuppression: false, autoGainControl: false}});
  } catch { throw new Error(t("voices.no-microphone")); }
  const media = new MediaRecorder(stream), parts = [], context = new AudioContext();
  const analyser = context.createAnalyser();
  context.createMediaStreamSource(stream).connect(analyser);
  const samples = new Float32Array(analyser.fftSize), begun = performance.now();
  recorder = {media, ended: false};
  const draw = () => {
    if (recorder?.media !== media || recorder.ended) return;
    analyser.getFloatTimeDomainData(samples);
    $("level").value = Math.min(1, Math.max(...samples.map(Math.abs)));
    const seconds = (performance.now() - begun) / 1000;
    $("clock").textContent = t("seconds", {value: number(seconds, 0)});
    if (seconds > LONGEST_SECONDS) stopRecording(); else requestAnimationFrame(draw);
  };
  media.addEventListener("dataavailable", (event) => parts.push(event.data));
  media.addEventListener("stop", () => busy($("record"), async () => {
    stream.getTracks().forEach((track) => track.stop());
    context.close();
    recorder = null;
    $("level").value = 0;
    const sound = await asWav(new Blob(parts, {type: media.mimeType})).catch(() => null); // of a moment there is nothing to decode
    if (!sound) throw new Error("the recording has 0 s of sound, at least 0.5 s are needed; record again");
    await send(sound, "microphone.wav");
  }));
  media.start();
  showRecord();
  draw();
}

function stopRecording() {
  recorder.ended = true;
  recorder.media.stop();
  showRecord();
}

function showRecord() {
  const recording = Boolean(recorder) && !recorder.ended;
  $("record").textContent = t(recording ? "voices.stop" : "voices.record");
  $("record").classList.toggle("recording", recording);
  $("level").hidden = !recording;
  $("clock").classList.toggle("recording", recording);
}

function showKept(kept) {
  $("kept").hidden = !kept;
  if (!kept) return;
  const facts = [["voices.seconds", t("seconds", {value: number(kept.seconds)})], ["voices.used", t("seconds", {value: number(kept.kept_seconds)})],
    ["voices.cut", t("seconds", {value: number(kept.cut_seconds)})], ["voices.level", `${number(kept.level_db, 0)} dB`]];
  $("kept-figures").replaceChildren(...facts.map(([name, value]) => el("div", {}, el("dt", {textContent: t(name)}), el("dd", {textContent: value, dir: "auto"}))));
  const notes = kept.warnings.map((note) => el("li", {class: "warn", dir: "auto", textContent: translated(note)}));
  if (kept.problem) notes.unshift(el("li", {class: "bad", dir: "auto", textContent: translated(kept.problem)}));
  if (!notes.length) notes.push(el("li", {class: "good", textContent: t("voices.fine")}));
  $("kept-notes").replaceChildren(...notes);
  $("accept-row").hidden = !kept.problem;
  $("accept-problem").checked = false;
  $("kept-audio").src = `/studio/recording/audio?at=${Date.now()}`;
  if (!$("consent-date").value) $("consent-date").value = new Date().toLocaleDateString("sv");
}

// Speaks the sentence for listening with a voice or a mixture.
async function hear(voice) {
  const text = $("hear-text").value.trim() || HEAR[app.language];
  const language = /[\u0600-\u06ff]/.test(text) && found.languages.includes("fa") ? "fa" : found.languages.find((code) => code.startsWith("en")) ?? null;
  const answer = await api("POST", "/v1/audio/speech", {input: text, voice, language, response_format: "wav"});
  const audio = $("hear-audio");
  if (audio.src) URL.revokeObjectURL(audio.src);
  await play(audio, URL.createObjectURL(await answer.blob()));
}

// This tab makes and speaks voices with the model that the studio was started with.
async function refresh() {
  const model = $("speak-model").value, listed = await loadVoices(model);
  found = model ? await api("GET", "/studio/voices?model=") : listed;
  showList();
  return found;
}

function showList() {
  const items = found.voices.map((voice) => el("li", {},
    el("div", {class: "grow"}, el("p", {dir: "auto"}, el("strong", {textContent: voice.name})),
      el("p", {class: "note", dir: "auto", textContent: translated(voice.made_from ?? "")}),
      el("p", {class: "note", dir: "auto", textContent: voice.problem ? translated(voice.problem) : (voice.consent ? t("voices.consented", {who: voice.consent}) : t("voices.no-consent"))})),
    el("button", {type: "button", disabled: !voice.usable, "aria-label": `${t("voices.hear")}: ${voice.name}`, textContent: t("voices.hear"), onclick: (event) => busy(event.target, () => hear(voice.id))}),
    voice.recording && el("button", {type: "button", "aria-label": `${t("voices.original")}: ${voice.name}`, textContent: t("voices.original"),
      onclick: () => play($("hear-audio"), `/studio/voices/${encodeURIComponent(voice.id)}/recording`)}),
    el("button", {type: "button", disabled: !voice.usable, "aria-label": `${t("voices.use")}: ${voice.name}`, textContent: t("voices.use"), onclick: () => choose(undefined, voice.id)}),
    el("button", {type: "button", class: "plain", "aria-label": `${t("voices.rename")}: ${voice.name}`, textContent: t("voices.rename"), onclick: (event) => rename(event.target, voice)}),
    el("button", {type: "button", class: "plain", "aria-label": `${t("delete")}: ${voice.name}`, textContent: t("delete"), onclick: (event) => remove(event.target, voice)})));
  $("voice-list").replaceChildren(...(items.length ? items : [el("li", {class: "note", textContent: t("voices.none")})]));
  for (const id of ["mix-a", "mix-b"]) fillVoices($(id), found);
  if ($("mix-a").value === $("mix-b").value) $("mix-b").value = [...$("mix-b").options].find(({value}) => value !== $("mix-a").value)?.value ?? "";
  const mixable = $("mix-b").options.length > 1;
  $("mix-form").hidden = !mixable;
  $("mix-none").hidden = mixable;
}

async function rename(button, voice) {
  const name = await ask(t("voices.rename"), voice.name);
  if (name) await busy(button, async () => { await api("PATCH", `/studio/voices/${encodeURIComponent(voice.id)}`, {name}); await refresh(); });
}

async function remove(button, voice) {
  if (await ask(t("voices.delete", {name: voice.name})) === null) return;
  await busy(button, async () => {
    const {moved_to: place} = await api("DELETE", `/studio/voices/${encodeURIComponent(voice.id)}`);
    await refresh();
    say(t("voices.deleted", {place}));
  });
}

async function save(event) {
  event.preventDefault();
  await busy(event.submitter, async () => {
    const {name} = await api("POST", "/studio/voices", {name: $("voice-name").value.trim(), model: "", consent_by: $("consent-by").value, consent_date: $("consent-date").value,
      keep_recording: $("keep-recording").checked, accept_problem: $("accept-problem").checked});
    showKept(null);
    $("voice-name").value = $("consent-by").value = "";
    await refresh();
    say(t("voices.saved", {name}));
    await hear(name);
  });
}

const showShare = () => { $("mix-value").textContent = `${number($("mix-share").value, 0)}%`; };

const mixture = () => `${$("mix-a").value}:${1 - $("mix-share").value / 100}+${$("mix-b").value}:${$("mix-share").value / 100}`;

// A voice that is not from the recording: saved under the name in a field, then spoken with.
async function saveOther(event, field, values) {
  event.preventDefault();
  await busy(event.submitter, async () => {
    const {name} = await api("POST", "/studio/voices", {name: $(field).value.trim(), model: "", ...values});
    $(field).value = "";
    await refresh();
    say(t("voices.saved", {name}));
    await hear(name);
  });
}

export async function start() {
  const texts = () => {
    $("prompt").textContent = t("voices.prompt");
    $("prompt").lang = app.language;
    showRecord();
    showShare();
    if (found) showList();
    if (!$("hear-text").value || Object.values(HEAR).includes($("hear-text").value)) $("hear-text").value = HEAR[app.language];
  };
  $("hear-text").value = stored("hear", "");
  texts();
  onLanguage(texts);
  on("hear-text", "change", (event) => store("hear", event.target.value));
  on("record", "click", () => (recorder ? stopRecording() : busy($("record"), startRecording)));
  on("file", "change", async (event) => { const [file] = event.target.files; event.target.value = ""; if (file) await busy(null, () => sendFile(file)); });
  for (const kind of ["dragover", "dragleave", "drop"]) on("drop", kind, (event) => {
    event.preventDefault();
    $("drop").classList.toggle("over", kind === "dragover");
    if (kind === "drop" && event.dataTransfer.files[0]) busy(null, () => sendFile(event.dataTransfer.files[0]));
  });
  on("voice-form", "submit", save);
  on("discard", "click", () => busy($("discard"), async () => { await api("DELETE", "/studio/recording"); showKept(null); }));
  on("mix-form", "submit", (event) => saveOther(event, "mix-name", {voice: mixture()}));
  on("random-form", "submit", (event) => saveOther(event, "random-name", {seed: Number($("random-seed").value)}));
  on("mix-hear", "click", () => busy($("mix-hear"), () => hear(mixture())));
  on("mix-share", "input", showShare);
}

let shown = false;
export async function enter() {
  const {pending} = await refresh();
  if (pending && !shown) showKept(pending);
  shown = true;
}

export function leave() { if (recorder && !recorder.ended) stopRecording(); $("hear-audio").pause(); }
