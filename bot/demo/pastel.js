// Beside SimCord's app.js; a module of its own.

// Typing anywhere lands in the composer, as in Discord.
addEventListener("keydown", (event) => {
  const typing = event.key.length === 1 && event.key !== " " && !event.ctrlKey && !event.metaKey && !event.altKey;
  if (typing && !document.activeElement?.closest("input, textarea, select, #modal-root, dialog, .command-row"))
    document.getElementById("channel-composer-input")?.focus();
});

// "in 20 seconds" stays true between two messages of the bot.
const relative = new Intl.RelativeTimeFormat(navigator.language, { numeric: "auto" });
setInterval(() => {
  for (const time of document.querySelectorAll("time[data-relative]")) {
    const seconds = Math.round((Date.parse(time.dateTime) - Date.now()) / 1000);
    if (Math.abs(seconds) >= 3600) continue;
    const text = Math.abs(seconds) < 60 ? relative.format(seconds, "second") : relative.format(Math.round(seconds / 60), "minute");
    if (time.textContent !== text) time.textContent = text;
  }
}, 1000);

// A link to a message of this channel scrolls there; discord.com knows nothing of it.
addEventListener("click", (event) => {
  const link = event.target.closest?.('a[href^="https://discord.com/channels/"]');
  if (!link) return;
  event.preventDefault();
  const id = link.pathname.split("/").pop();
  document.querySelector(`[data-message-id="${CSS.escape(id)}"]`)?.scrollIntoView({ behavior: "smooth", block: "center" });
}, true);

// Who reads the end of the channel stays there while cards grow; only a hand on the wheel, the bar or the keys leaves it.
const channel = document.getElementById("channel-timeline");
const atEnd = () => channel.scrollHeight - channel.scrollTop - channel.clientHeight < 80;
const follow = () => { if (following) channel.scrollTop = channel.scrollHeight; };
let following = true;
for (const hand of ["wheel", "touchmove", "pointerup", "keyup"])
  channel.addEventListener(hand, () => requestAnimationFrame(() => { following = atEnd(); }), { passive: true });
channel.addEventListener("scroll", () => { following ||= atEnd(); }, { passive: true });
const growth = new ResizeObserver(follow);
growth.observe(channel);
growth.observe(document.getElementById("channel-message-list"));

// An edited message is drawn anew, and its pictures load anew: until then the old ones stay, or the channel would jump.
new MutationObserver((records) => {
  for (const { target, removedNodes } of records) {
    if (!target.matches?.(".channel-message")) continue;
    const old = [...removedNodes].flatMap((node) => [...(node.querySelectorAll?.(".gallery-item") ?? [])]);
    target.querySelectorAll(".gallery-item > button").forEach((fresh, index) => keepUntilLoaded(old[index], fresh));
  }
}).observe(document.getElementById("channel-message-list"), { childList: true, subtree: true });

function keepUntilLoaded(figure, fresh) {
  const image = fresh.querySelector("img");
  const old = [...(figure?.children ?? [])].find((button) => button.querySelector("img")?.naturalWidth);
  if (!old || !image || image.naturalWidth) return;
  old.disabled = true;
  fresh.before(old);
  fresh.hidden = true;
  image.addEventListener("load", () => { old.remove(); fresh.hidden = false; }, { once: true });
}

// A preview may be replaced while it loads, on a busy computer; the next one is on its way, and a torn picture says less than none.
channel.addEventListener("error", (event) => {
  const figure = event.target.closest?.(".gallery-item > button");
  if (figure) figure.hidden = true;
}, true);
