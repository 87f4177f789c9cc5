// Who is here, as far as this page has heard. Nobody keeps a list for us: each page says "here" now and then.

import { horse, hueOf, paint } from "./horses.js";

const BEAT_MS = 20000;
const FORGET_MS = 150000; // browsers let the timers of a hidden page run once a minute
const ANSWER_UP_TO = 50; // in a fuller room a newcomer learns the names from the beats, or all would answer all

export class People {
  #known = new Map();

  constructor(list, count, say) {
    this.list = list;
    this.count = count;
    this.say = say;
    setInterval(() => this.#beat(), BEAT_MS);
  }

  clear(me) {
    this.me = me;
    this.#known.clear();
    this.#draw();
  }

  get size() {
    return this.#known.size;
  }

  name(id) {
    return this.#known.get(id)?.name;
  }

  // Returns what changed: "new", "moved" (another worker), or nothing.
  heard({ id, name, worker }) {
    const before = this.#known.get(id);
    const ridden = horse(worker);
    this.#known.set(id, { id, name, horse: ridden, at: Date.now() });
    if (before && before.name === name && before.horse.key === ridden.key) return "";
    this.#draw();
    return before ? "moved" : "new";
  }

  left(id) {
    if (this.#known.delete(id)) this.#draw();
  }

  answerNewcomer() {
    if (this.#known.size <= ANSWER_UP_TO) setTimeout(() => this.say({ kind: "here" }), Math.random() * 600);
  }

  #beat() {
    this.say({ kind: "here" });
    const limit = Date.now() - FORGET_MS;
    for (const [id, { at }] of this.#known) if (at < limit && id !== this.me) this.left(id);
  }

  #draw() {
    const order = (one, other) => (other.id === this.me) - (one.id === this.me) || one.name.localeCompare(other.name);
    this.list.replaceChildren(...[...this.#known.values()].sort(order).map((person) => this.#line(person)));
    this.count.textContent = this.#known.size;
  }

  #line({ id, name, horse: ridden }) {
    const line = document.createElement("li");
    const who = document.createElement("span");
    who.className = "who";
    who.textContent = id === this.me ? `${name} (you)` : name;
    who.title = name;
    line.append(face(id, name), who, paint(document.createElement("span"), ridden));
    return line;
  }
}

export function face(id, name) {
  const circle = document.createElement("span");
  circle.className = "face";
  circle.setAttribute("aria-hidden", "true");
  circle.style.setProperty("--hue", hueOf(id));
  circle.textContent = [...name][0]?.toUpperCase() ?? "?";
  return circle;
}
