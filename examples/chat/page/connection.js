// A socket that comes back. The caller hears "connecting", "open", "changing" (the worker left: code 1012),
// "waiting" (anything else), or "refused" (the server will not have us as we are), and each event of the server.

const FIRST_DELAY_MS = 250;
const DELAY_MS_MAX = 8000;
const OPEN_TIMEOUT_MS = 6000;
const SILENCE_MS_MAX = 150000; // our own "here" comes back to us, once a minute at least: longer silence is a dead line
const REFUSED = 4400;
const SERVICE_RESTART = 1012;

export class Connection {
  #socket = null;
  #timer = 0;
  #failures = 0;
  #heardAt = 0;

  constructor(onState, onEvent) {
    this.onState = onState;
    this.onEvent = onEvent;
    addEventListener("online", () => this.#hurry());
    document.addEventListener("visibilitychange", () => document.hidden || this.#hurry());
    setInterval(() => this.#listenForSilence(), 5000);
  }

  go(address) {
    this.leave();
    this.address = address;
    this.#failures = 0;
    this.#open();
  }

  leave() {
    clearTimeout(this.#timer);
    this.#drop(1000);
    this.address = null;
  }

  send(message) {
    if (this.#socket?.readyState !== WebSocket.OPEN) return false;
    this.#socket.send(JSON.stringify(message));
    return true;
  }

  #open() {
    clearTimeout(this.#timer);
    this.#drop();
    const socket = (this.#socket = new WebSocket(this.address));
    this.onState("connecting");
    this.#timer = setTimeout(() => this.#lost(1006, ""), OPEN_TIMEOUT_MS);
    socket.onopen = () => {
      clearTimeout(this.#timer);
      this.#heardAt = Date.now();
    };
    socket.onmessage = (message) => {
      this.#heardAt = Date.now();
      const event = JSON.parse(message.data);
      if (event.kind === "welcome") {
        this.#failures = 0;
        this.onState("open");
      }
      this.onEvent(event);
    };
    socket.onclose = ({ code, reason }) => this.#lost(code, reason);
  }

  #lost(code, reason) {
    clearTimeout(this.#timer);
    this.#drop();
    if (code === REFUSED) return this.onState("refused", reason);
    // Half of the delay is chance: a worker with 10 000 sockets must not meet all of them again in one instant.
    const step = Math.min(DELAY_MS_MAX, FIRST_DELAY_MS * 2 ** this.#failures++);
    const delay = step * (0.5 + Math.random() / 2);
    this.#timer = setTimeout(() => this.#open(), delay);
    this.onState(code === SERVICE_RESTART ? "changing" : "waiting");
  }

  // A socket that we gave up on has no more say, however late its events come.
  #drop(code) {
    const socket = this.#socket;
    this.#socket = null;
    if (!socket) return;
    socket.onopen = socket.onmessage = socket.onclose = null;
    socket.close(code);
  }

  #hurry() {
    if (this.address && !this.#socket) this.#open();
  }

  #listenForSilence() {
    if (this.#socket?.readyState === WebSocket.OPEN && Date.now() - this.#heardAt > SILENCE_MS_MAX) this.#lost(1006, "");
  }
}
