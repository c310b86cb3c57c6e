// SPDX-License-Identifier: Apache-2.0
import { badge, element, facts, field, form, table } from "./dom.js";
import { hashOf } from "./place.js";

/**
 * @import { Context } from "./context.js"
 * @import { TextKey } from "./language.js"
 * @import { Ledger, Receiver } from "./types.ts"
 */

/** @type {Record<Receiver["state"], readonly [string, TextKey]>} */
const STATES = {
  acknowledged: ["good", "acknowledged"],
  pushed: ["good", "pushed"],
  "push-waiting": ["warn", "pushWaiting"],
  online: ["warn", "onItsWay"],
  stored: ["plain", "onlyStored"],
};

/** @param {Context} context */
export function openMessage(context) {
  const [userId = "", messageId = ""] = context.words;
  const user = field(context.text("userId"), { id: "user-id", required: "", maxlength: "64", value: userId });
  const attributes = { id: "message-id", required: "", maxlength: "128", value: messageId };
  const message = field(context.text("messageId"), { ...attributes, "aria-describedby": "message-help" });
  const result = element("div", { class: "stack" });
  const ask = form(
    () => context.go("message", user.input.value.trim(), message.input.value.trim()),
    user.box,
    message.box,
    element("button", { type: "submit", class: "primary" }, context.text("show")),
    element("p", { id: "message-help", class: "hint" }, context.text("messageHelp")),
  );
  context.box.replaceChildren(ask, result);
  if (userId !== "" && messageId !== "") void load(context, userId, messageId, result);
  else (userId === "" ? user : message).input.focus();
}

/**
 * @param {Context} context
 * @param {string} userId
 * @param {string} messageId
 * @param {HTMLElement} result
 */
async function load(context, userId, messageId, result) {
  result.replaceChildren(element("p", { class: "loading" }, context.text("loading")));
  const ledger = await context.read(context.api.ledger(userId, messageId), result);
  if (ledger) result.replaceChildren(...story(context, ledger));
}

/**
 * @param {Context} context
 * @param {Ledger} ledger
 */
function story(context, ledger) {
  const { messageId, expired, from, contentType, contentBytes, conversationId, conversationSeq, sentAtMs } = ledger;
  const bytes = { type: contentType, n: context.number(contentBytes) };
  const what = expired ? "expiredMessage" : contentType === "" ? "bytesOnly" : "bytes";
  const head = facts([
    [context.text("from"), from === "" ? context.text("none") : userLink(from)],
    [context.text("stored"), context.time(sentAtMs)],
    [context.text("content"), context.text(what, bytes)],
    [context.text("conversation"), conversationId],
    [context.text("position"), context.number(conversationSeq)],
  ]);
  const headings = [context.text("receiver"), context.text("state"), context.text("inbox"), context.text("pushes")];
  const rows = ledger.receivers.map((receiver) => [
    userLink(receiver.userId),
    stateOf(context, receiver),
    inboxOf(context, receiver),
    pushesOf(context, receiver),
  ]);
  const title = element("h2", {}, context.text("story", { message: messageId }));
  const all = [title, head, table(context.text("receivers"), headings, rows)];
  return ledger.moreReceivers ? [...all, element("p", { class: "hint" }, context.text("moreReceivers"))] : all;
}

/** @param {string} userId */
function userLink(userId) {
  return element("a", { href: hashOf("user", userId) }, userId);
}

/**
 * @param {Context} context
 * @param {Receiver} receiver
 */
function stateOf(context, { state }) {
  const [kind, key] = STATES[state];
  return badge(kind, context.text(key));
}

/**
 * @param {Context} context
 * @param {Receiver} receiver
 */
function inboxOf(context, { inboxSeq, inboxHead }) {
  if (inboxSeq === 0) return context.text("tooFar");
  return context.text("inboxAt", { seq: context.number(inboxSeq), head: context.number(inboxHead) });
}

/**
 * @param {Context} context
 * @param {Receiver} receiver
 */
function pushesOf(context, { pushes }) {
  if (pushes.length === 0) return context.text("none");
  return pushes
    .map(({ channel, attempts, dueMs }) => context.text("push", { channel, time: context.time(dueMs), n: attempts }))
    .join("; ");
}
