// SPDX-License-Identifier: Apache-2.0
import { badge, button, element, facts, field, form, table } from "./dom.js";

/**
 * @import { Context } from "./context.js"
 * @import { Device, User } from "./types.ts"
 */

const LEAVE_MS = 1000;

/** @param {Context} context */
export function openUser(context) {
  const [userId = ""] = context.words;
  const { input, box } = field(context.text("userId"), { id: "user-id", required: "", maxlength: "64", value: userId });
  const result = element("div", { class: "stack" });
  const ask = form(
    () => context.go("user", input.value.trim()),
    box,
    element("button", { type: "submit", class: "primary" }, context.text("show")),
  );
  context.box.replaceChildren(ask, result);
  if (userId !== "") void load(context, userId, result);
  else input.focus();
}

/**
 * @param {Context} context
 * @param {string} userId
 * @param {HTMLElement} result
 */
async function load(context, userId, result) {
  result.replaceChildren(element("p", { class: "loading" }, context.text("loading")));
  const [user, mute, names] = await Promise.all([
    context.read(context.api.devices(userId), result),
    context.api.mute(userId),
    entryNames(context),
  ]);
  if (!user || context.isOver) return;
  const muted = mute.kind === "ok" && mute.body.muted ? mute.body : undefined;
  const online = user.devices.filter((device) => device.online).length;
  const head = facts([
    [context.text("state"), badge(user.online ? "good" : "plain", context.text(user.online ? "online" : "offline"))],
    [context.text("onlineDevices"), `${context.number(online)} / ${context.number(user.devices.length)}`],
    [
      context.text("mute"),
      muted
        ? context.text("mutedUntil", { time: context.time(muted.untilMs), reason: muted.reason })
        : context.text("yes"),
    ],
  ]);
  const fault = element("div", { class: "stack" });
  const kick = (/** @type {string} */ slot) => void closeSessions(context, userId, slot, { result, fault });
  const tools =
    online > 0
      ? [
          element(
            "div",
            { class: "bar pager" },
            button(context.text("kick"), () => kick("")),
          ),
        ]
      : [];
  const title = element("h2", {}, userId);
  result.replaceChildren(title, head, ...tools, fault, devicesOf(context, user, names, kick));
}

/**
 * @param {Context} context
 * @param {string} userId
 * @param {string} slot "" = all
 * @param {{ result: HTMLElement; fault: HTMLElement }} boxes
 */
async function closeSessions(context, userId, slot, { result, fault }) {
  const question = context.text("kickAsk", { user: userId, slot: slot || context.text("allSlots") });
  const done = await context.act(question, () => context.api.kick(userId, slot), fault);
  if (!done) return;
  context.say(context.text("kicked", { n: context.number(done.sessions) }));
  // They leave within a moment.
  await new Promise((resolve) => setTimeout(resolve, LEAVE_MS));
  if (!context.isOver) await load(context, userId, result);
}

/**
 * @param {Context} context
 * @param {User} user
 * @param {ReadonlyMap<string, string>} names
 * @param {(slot: string) => void} kick
 */
function devicesOf(context, { userId, devices }, names, kick) {
  if (devices.length === 0) return element("p", { class: "empty" }, context.text("noDevices", { user: userId }));
  const headings = [
    context.text("device"),
    context.text("platform"),
    context.text("state"),
    context.text("slot"),
    context.text("entry"),
    context.text("acked"),
    context.text("lastSeen"),
    context.text("action"),
  ];
  const rows = devices.map((device) => [
    device.deviceName === "" ? device.deviceId : `${device.deviceName} (${device.deviceId})`,
    device.platform,
    stateOf(context, device),
    device.slot || context.text("none"),
    names.get(device.entry) ?? (device.entry || context.text("none")),
    context.number(device.ackedSeq),
    context.time(device.lastSeenMs),
    device.online ? closeButton(context, device, kick) : context.text("none"),
  ]);
  return table(context.text("devicesOf", { user: userId }), headings, rows);
}

/**
 * @param {Context} context
 * @param {Device} device
 * @param {(slot: string) => void} kick
 */
function closeButton(context, { slot }, kick) {
  const made = button(context.text("kickSlot"), () => kick(slot));
  made.setAttribute("aria-label", `${context.text("kick")}: ${slot}`);
  return made;
}

/**
 * @param {Context} context
 * @param {Device} device
 */
function stateOf(context, { online, background }) {
  const text = context.text(online ? "online" : "offline");
  return badge(online ? "good" : "plain", online && background ? `${text}, ${context.text("background")}` : text);
}

/**
 * Pods by incarnation, as far as the key may see the fleet.
 *
 * @param {Context} context
 * @returns {Promise<ReadonlyMap<string, string>>}
 */
async function entryNames(context) {
  const answer = await context.api.fleet(undefined);
  return new Map(answer.kind === "ok" ? answer.body.entries.map(({ incarnation, name }) => [incarnation, name]) : []);
}
