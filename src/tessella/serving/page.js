"use strict";

const at = (id) => document.getElementById(id);
let latest = 0;

async function segment(file) {
  const mine = ++latest;
  say(`Segmenting ${file.name} …`);
  at("pictures").replaceChildren();
  at("classes").replaceChildren();
  const headers = at("word").value ? { Authorization: `Bearer ${at("word").value}` } : {};
  let answer, status;
  try {
    const response = await fetch("picture", { method: "POST", headers, body: file });
    status = response.status;
    answer = await response.json();
  } catch (error) {
    return say("The server does not answer.", true);
  }
  if (mine !== latest) return; // another picture was dropped meanwhile
  if (status === 401) at("key").style.display = "block";
  if (status !== 200) return say(answer.error, true);
  say("");
  show(URL.createObjectURL(file), "Picture");
  if (answer.before) show(answer.before, "Before the defences");
  show(answer.segmentation, answer.before ? "As the server answers" : "Segmentation");
  if (answer.before) show(answer.changes, `What they changed: ${percent(answer.changed)} of the pixels`);
  for (const { name, colour, share } of answer.classes) {
    const item = document.createElement("li");
    const patch = document.createElement("i");
    patch.style.background = `rgb(${colour})`;
    item.append(patch, `${name} ${percent(share)}`);
    at("classes").append(item);
  }
}

function show(source, caption) {
  const figure = document.createElement("figure");
  const image = document.createElement("img");
  image.src = source;
  image.alt = caption;
  const text = document.createElement("figcaption");
  text.textContent = caption;
  figure.append(image, text);
  at("pictures").append(figure);
}

function say(text, bad = false) {
  at("said").textContent = text;
  at("said").className = bad ? "bad" : "";
}

const percent = (share) => `${(100 * share).toFixed(1)}%`;

at("file").addEventListener("change", () => at("file").files[0] && segment(at("file").files[0]));
at("word").addEventListener("change", () => at("file").files[0] && segment(at("file").files[0]));
for (const [event, over] of [["dragover", true], ["dragleave", false], ["drop", false]])
  at("drop").addEventListener(event, (happened) => {
    happened.preventDefault();
    at("drop").classList.toggle("over", over);
    if (event === "drop" && happened.dataTransfer.files[0]) segment(happened.dataTransfer.files[0]);
  });
