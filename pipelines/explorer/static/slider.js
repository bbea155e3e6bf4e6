// The replication rate of each prompt as the threshold moves: from the scores that came with the page.
"use strict";

const Z = 1.959964; // of a 95 % interval, as in models/macros/wilson.sql

function wilson(n, of) {
  const share = n / of;
  const middle = share + Z ** 2 / (2 * of);
  const half = Z * Math.sqrt((share * (1 - share)) / of + Z ** 2 / (4 * of * of));
  const scale = 1 + Z ** 2 / of;
  return [n === 0 ? 0 : (middle - half) / scale, n === of ? 1 : (middle + half) / scale];
}

const percent = (share) => `${(100 * share).toFixed(1)}\u00a0%`;

const form = document.querySelector("form.threshold");
const slider = document.getElementById("slider");
const value = document.getElementById("value");
const says = document.getElementById("says");
const bands = document.getElementById("bands");
const isDistance = form.dataset.distance === "yes";
const reaches = (score, limit) => (isDistance ? score <= limit : score >= limit);
const numbers = (text, separator) => text.split(separator).filter((part) => part.trim()).map(Number);
const prompts = [...document.querySelectorAll("tr[data-scores]")].map((row) => ({
  row,
  scores: numbers(row.dataset.scores, " "),
}));
const images = [...document.querySelectorAll("#gallery [data-score]")];

function borders() {
  const given = numbers(bands.value, /[,;]/).filter(Number.isFinite);
  return given.sort((one, other) => (isDistance ? one - other : other - one));
}

function tell({ row, scores }, limit, parts) {
  const say = (name, text) => {
    row.querySelector(`[data-cell="${name}"]`).textContent = text;
  };
  if (scores.length === 0) return;
  const copies = scores.filter((score) => reaches(score, limit)).length;
  const [low, high] = wilson(copies, scores.length);
  const interval = `${percent(low)} – ${percent(high)}`;
  say("copies", copies);
  say("rate", percent(copies / scores.length));
  say("interval", interval);
  if (row.classList.contains("chosen")) {
    says.textContent = `${copies} of ${scores.length} images are copies: ${percent(copies / scores.length)} (${interval})`;
  }
  const counts = Array(parts.length + 1).fill(0);
  for (const score of scores) counts[parts.filter((border) => !reaches(score, border)).length] += 1;
  say("bands", counts.join(" · "));
}

function show() {
  const limit = Number(value.value);
  if (value.value === "" || !Number.isFinite(limit)) return;
  const parts = borders();
  for (const prompt of prompts) tell(prompt, limit, parts);
  for (const image of images) {
    const isCopy = reaches(Number(image.dataset.score), limit);
    image.classList.toggle("copy", isCopy);
    image.querySelector(".copy-tag").hidden = !isCopy;
  }
}

slider.step = (Number(slider.max) / 1000).toString();
slider.value = value.value;
slider.addEventListener("input", () => {
  value.value = Number(Number(slider.value).toFixed(4));
  show();
});
value.addEventListener("input", () => {
  slider.value = value.value;
  show();
});
bands.addEventListener("input", show);
show();
