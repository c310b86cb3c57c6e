// SPDX-License-Identifier: Apache-2.0
import { button, element, facts, table } from "./dom.js";
import { hashOf } from "./place.js";

/**
 * @import { Context } from "./context.js"
 * @import { DeadLetters } from "./types.ts"
 */

/** @param {Context} context */
export function openLetters(context) {
  void load(context);
}

/** @param {Context} context */
async function load(context) {
  context.box.replaceChildren(element("p", { class: "loading" }, context.text("loading")));
  const found = await context.read(context.api.deadLetters(), context.box);
  if (found) context.box.replaceChildren(...show(context, found));
}

/**
 * @param {Context} context
 * @param {DeadLetters} found
 */
function show(context, { letters, oldest }) {
  const fault = element("div", { class: "stack" });
  const again = button(context.text("refresh"), () => void load(context));
  if (letters === 0)
    return [element("div", { class: "bar" }, again), element("p", { class: "empty" }, context.text("noLetters"))];
  const replay = button(context.text("replay"), () => void replayAll(context, letters, fault));
  const headings = [context.text("receiver"), context.text("inbox"), context.text("reason"), context.text("at")];
  const rows = oldest.map(({ userId, inboxSeq, reason, atMs }) => [
    element("a", { href: hashOf("user", userId) }, userId),
    context.number(inboxSeq),
    reason,
    context.time(atMs),
  ]);
  return [
    element("div", { class: "bar" }, replay, again),
    fault,
    facts([[context.text("lettersCount"), context.number(letters)]]),
    table(context.text("lettersShown", { n: context.number(oldest.length) }), headings, rows),
  ];
}

/**
 * @param {Context} context
 * @param {number} letters
 * @param {HTMLElement} fault
 */
async function replayAll(context, letters, fault) {
  const question = context.text("replayAsk", { n: context.number(letters) });
  const done = await context.act(question, () => context.api.replayDeadLetters(), fault);
  if (!done) return;
  await load(context);
  context.say(context.text("replayed", { n: context.number(done.replayed) }));
}
