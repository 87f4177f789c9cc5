// What was said in one room. Every text enters the page as text, never as markup.

import { horse, paint } from "./horses.js";
import { face } from "./people.js";

const SAME_BREATH_MS = 3 * 60 * 1000;
const KEPT = 500;

export class Log {
  element = document.createElement("div");
  #last = null;

  constructor(about) {
    this.element.className = "lines";
    this.note(about, "first");
  }

  // The same message may come twice: once as our own before it was sent, and once from the room.
  message({ id, name, worker, text, ref, at }, { mine = false, pending = false } = {}) {
    const key = `${id}-${ref}`;
    const known = this.element.querySelector(`[data-key="${CSS.escape(key)}"]`);
    if (known) {
      known.classList.toggle("pending", pending);
      if (worker) paint(known.querySelector(".badge"), horse(worker));
      return;
    }
    const line = document.createElement("article");
    line.className = "message";
    line.dataset.key = key;
    line.classList.toggle("mine", mine);
    line.classList.toggle("pending", pending);
    line.append(...this.#content({ id, name, worker, text, at }));
    const follows = this.#last && this.#last.id === id && at - this.#last.at < SAME_BREATH_MS;
    line.classList.toggle("follows", Boolean(follows));
    this.#last = { id, at };
    this.#add(line);
  }

  note(text, kind = "") {
    const line = document.createElement("p");
    line.className = `note ${kind}`;
    line.textContent = text;
    this.#last = null;
    this.#add(line);
  }

  // "Bramble → Clover": the story of this whole project in one line.
  changed(before, after, tookMs) {
    const line = document.createElement("p");
    line.className = "note change";
    const [old, fresh] = [before, after].map((worker) => paint(document.createElement("span"), worker));
    line.dataset.tookMs = Math.round(tookMs);
    line.append("fresh horse: ", old, " → ", fresh, ` after ${(tookMs / 1000).toFixed(1)} s`);
    this.#last = null;
    this.#add(line);
  }

  #content({ id, name, worker, text, at }) {
    const head = document.createElement("header");
    const who = document.createElement("b");
    who.textContent = name;
    const when = document.createElement("time");
    when.dateTime = new Date(at).toISOString();
    when.textContent = new Date(at).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
    head.append(who, paint(document.createElement("span"), horse(worker)), when);
    const words = document.createElement("p");
    words.className = "text";
    words.dir = "auto";
    words.textContent = text;
    const bubble = document.createElement("div");
    bubble.className = "bubble";
    bubble.append(head, words);
    return [face(id, name), bubble];
  }

  #add(line) {
    const room = this.element.parentElement;
    const atEnd = !room || room.scrollHeight - room.scrollTop - room.clientHeight < 80;
    this.element.append(line);
    while (this.element.childElementCount > KEPT) this.element.firstElementChild.remove();
    if (room && (atEnd || line.classList.contains("mine"))) room.scrollTop = room.scrollHeight;
  }
}
