// The page itself: rooms, the name, the message field, and what the lamp says.

import { Connection } from "./connection.js";
import { horse, paint } from "./horses.js";
import { Log } from "./log.js";
import { People } from "./people.js";

const ROOM = /^[a-z0-9-]{1,40}$/;
const ROOMS = new Map([
  ["towpath", "where everybody passes"],
  ["top-lock", "questions, while the lock fills"],
  ["winding-hole", "for turning things around"],
  ["the-anchor", "after work"],
]);
const STATES = {
  ashore: "ashore",
  connecting: "casting off…",
  open: "on the water",
  changing: "changing horses…",
  waiting: "no answer, trying again…",
  refused: "not let aboard",
};
const TYPING_MS = 3000;

const $ = (id) => document.getElementById(id);
const secret = (sessionStorage.secret ??= [...crypto.getRandomValues(new Uint8Array(16))]
  .map((byte) => byte.toString(16).padStart(2, "0")).join(""));
const me = { id: "", name: localStorage.name ?? "", horse: null };
const logs = new Map();
const unsent = new Map();
const typing = new Map();
const line = new Connection(showState, hear);
const people = new People($("people"), $("people-count"), (message) => line.send(message));
let room = "";
let lastRef = 0;
let typedAt = 0;
let lostAt = 0;

// ---- the line to the server

function join() {
  const address = new URL("socket", location.href);
  address.protocol = address.protocol.replace("http", "ws");
  address.hash = "";
  address.search = new URLSearchParams({ room, name: me.name, secret });
  people.clear(me.id);
  line.go(address.href);
}

function hear(event) {
  const log = logs.get(room);
  switch (event.kind) {
    case "welcome": return welcomed(event, log);
    case "joined":
      people.heard(event) === "new" && event.id !== me.id && log.note(`${event.name} came along`);
      return event.id === me.id || people.answerNewcomer();
    case "here": return people.heard(event);
    case "typing": return event.id === me.id || showTyping(event);
    case "said":
      unsent.delete(event.ref);
      typing.delete(event.id);
      people.heard(event);
      showTyping();
      return log.message(event, { mine: event.id === me.id });
    case "left":
      // Our own older socket may leave after we are back.
      if (event.id === me.id) return line.send({ kind: "here" });
      if (people.name(event.id)) log.note(`${event.name} went ashore`);
      return people.left(event.id);
  }
}

function welcomed(event, log) {
  const fresh = horse(event.worker);
  if (me.horse && me.horse.key !== fresh.key) log.changed(me.horse, fresh, performance.now() - lostAt);
  me.id = event.id;
  me.horse = fresh;
  people.me = me.id;
  people.heard(event);
  paint($("state-badge"), fresh);
  $("state-badge").hidden = false;
  document.body.style.setProperty("--horse-hue", fresh.hue);
  for (const message of unsent.values()) if (message.room === room) line.send(message.event);
}

function showState(state, why = "") {
  if (document.body.dataset.state === "open") lostAt = performance.now();
  document.body.dataset.state = state;
  $("state-text").textContent = STATES[state];
  $("trouble").textContent = why;
  if (state === "refused") ask();
}

// ---- speaking

function speak() {
  const text = $("text").value.trim();
  if (!text || !room) return;
  const ref = (lastRef = Math.max(Date.now(), lastRef + 1));
  const event = { kind: "say", text, ref };
  unsent.set(ref, { room, event });
  if (me.id) logs.get(room).message({ ...me, worker: me.horse, text, ref, at: Date.now() }, { mine: true, pending: true });
  line.send(event);
  $("text").value = "";
  grow();
}

function grow() {
  $("text").style.height = "auto";
  $("text").style.height = `${Math.min($("text").scrollHeight, 160)}px`;
}

function tellTyping() {
  if (Date.now() - typedAt < TYPING_MS - 500 || !$("text").value.trim()) return;
  typedAt = Date.now();
  line.send({ kind: "typing" });
}

function showTyping(event) {
  if (event) typing.set(event.id, { name: event.name, until: Date.now() + TYPING_MS });
  for (const [id, { until }] of typing) if (until < Date.now()) typing.delete(id);
  const names = [...typing.values()].map(({ name }) => name);
  $("typing").textContent = names.length === 0 ? "" : names.length > 3 ? "several people are writing…"
    : `${names.join(", ")} ${names.length === 1 ? "is" : "are"} writing…`;
}

// ---- rooms

function enter(name) {
  if (!ROOM.test(name) || (name === room && line.address)) return;
  room = name;
  if (!ROOMS.has(room)) ROOMS.set(room, "a room of your own");
  if (!logs.has(room)) logs.set(room, new Log(`This is the beginning of #${room}.`));
  if (location.hash !== `#${room}`) history.replaceState(null, "", `#${room}`);
  $("log").replaceChildren(logs.get(room).element);
  $("log").scrollTop = $("log").scrollHeight;
  $("room-title").textContent = `#${room}`;
  $("room-about").textContent = ROOMS.get(room);
  typing.clear();
  showTyping();
  drawRooms();
  me.name ? join() : ask();
}

function drawRooms() {
  $("rooms").replaceChildren(...[...ROOMS.keys()].map((name) => {
    const link = document.createElement("a");
    link.href = `#${name}`;
    link.textContent = name;
    if (name === room) link.setAttribute("aria-current", "page");
    const item = document.createElement("li");
    item.append(link);
    return item;
  }));
  $("rooms").querySelector("[aria-current]").scrollIntoView({ block: "nearest", inline: "center" });
}

function stepRoom(step) {
  const names = [...ROOMS.keys()];
  enter(names.at((names.indexOf(room) + step) % names.length));
}

function ask() {
  line.leave();
  $("name").value = me.name;
  if (!$("welcome").open) $("welcome").showModal();
  $("name").select();
}

// The end stays in sight when the window, the keyboard or the list of people takes room from the messages.
let atEnd = true;
$("log").addEventListener("scroll", ({ target }) => {
  atEnd = target.scrollHeight - target.scrollTop - target.clientHeight < 80;
});
new ResizeObserver(() => { if (atEnd) $("log").scrollTop = $("log").scrollHeight; }).observe($("log"));

// ---- what the person does

$("welcome-form").addEventListener("submit", (event) => {
  event.preventDefault();
  const name = $("name").value.trim().replace(/\s+/g, " ");
  if (!name) return;
  localStorage.name = me.name = name;
  $("welcome").close();
  join();
  $("text").focus();
});
$("welcome").addEventListener("cancel", (event) => {
  if (!me.name) return event.preventDefault();
  join();
});
$("composer").addEventListener("submit", (event) => { event.preventDefault(); speak(); });
$("text").addEventListener("input", () => { grow(); tellTyping(); });
$("text").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) { event.preventDefault(); speak(); }
});
$("other-room").addEventListener("submit", (event) => {
  event.preventDefault();
  const name = $("other-room-name").value.trim().toLowerCase().replace(/[^a-z0-9-]+/g, "-");
  if (ROOM.test(name)) { $("other-room-name").value = ""; enter(name); $("text").focus(); }
});
$("rename").addEventListener("click", () => { showState("ashore"); ask(); });
addEventListener("hashchange", () => enter(location.hash.slice(1)));
addEventListener("keydown", (event) => {
  if ($("welcome").open) return;
  if (event.altKey && (event.key === "ArrowUp" || event.key === "ArrowDown")) {
    event.preventDefault();
    stepRoom(event.key === "ArrowUp" ? -1 : 1);
  } else if (event.key === "/" && !event.target.closest("input, textarea")) {
    event.preventDefault();
    $("text").focus();
  }
});
setInterval(() => typing.size && showTyping(), 1000);
matchMedia("(max-width: 760px)").matches && ($("people-panel").open = false);
enter(ROOM.test(location.hash.slice(1)) ? location.hash.slice(1) : "towpath");
