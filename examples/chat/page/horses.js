// A worker, as people see it: a horse's name, a colour, and the number of its process.

const NAMES = [
  "Clover", "Bramble", "Duchess", "Captain", "Hazel", "Bonny", "Major", "Poppy", "Jasper", "Daisy", "Samson", "Juniper",
  "Blossom", "Chester", "Willow", "Dapple", "Rosie", "Punch", "Sorrel", "Merlin", "Tansy", "Boxer", "Fern", "Gilbert",
];

function number(text) {
  let sum = 0;
  for (const letter of text) sum = (sum * 31 + letter.codePointAt(0)) >>> 0;
  return sum;
}

// Neighbouring process numbers get other names and far-apart colours (steps of the golden angle).
export function horse({ host, pid }) {
  const seed = number(host) + pid;
  return { key: `${host}/${pid}`, host, pid, name: NAMES[seed % NAMES.length], hue: Math.round((seed * 137.508) % 360) };
}

export function hueOf(id) {
  return number(id) % 360;
}

export function paint(badge, { key, host, pid, name, hue }) {
  badge.className = "badge";
  badge.dataset.worker = key;
  badge.title = `served by worker ${pid} on ${host}`;
  badge.style.setProperty("--hue", hue);
  badge.textContent = `${name} · ${pid}`;
  return badge;
}
