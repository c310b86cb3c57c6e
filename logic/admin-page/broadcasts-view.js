// SPDX-License-Identifier: Apache-2.0
import { badge, button, element, table } from "./dom.js";

/**
 * @import { Context } from "./context.js"
 * @import { Broadcast, BroadcastsPage } from "./types.ts"
 */

/** @type {Record<Broadcast["state"], string>} */
const KINDS = { planned: "warn", active: "good", ended: "plain", retracted: "bad" };

/** What of a content is shown. */
const MAX_CONTENT_CHARS = 2000;

/** @param {Context} context */
export function openBroadcasts(context) {
  void load(context, undefined);
}

/**
 * @param {Context} context
 * @param {string | undefined} cursor
 */
async function load(context, cursor) {
  context.box.replaceChildren(element("p", { class: "loading" }, context.text("loading")));
  const page = await context.read(context.api.broadcasts(cursor), context.box);
  if (page) context.box.replaceChildren(...show(context, page, cursor));
}

/**
 * @param {Context} context
 * @param {BroadcastsPage} page
 * @param {string | undefined} cursor
 */
function show(context, { broadcasts, nextCursor }, cursor) {
  const again = button(context.text("refresh"), () => void load(context, cursor));
  const bar = element(
    "div",
    { class: "bar" },
    context.pager(cursor, nextCursor, (to) => void load(context, to)),
    again,
  );
  const detail = element("div", { class: "stack" });
  if (broadcasts.length === 0) return [bar, element("p", { class: "empty" }, context.text("noBroadcasts"))];
  const headings = [
    context.text("broadcast"),
    context.text("state"),
    context.text("audience"),
    context.text("window"),
    context.text("topic"),
    context.text("action"),
  ];
  const rows = broadcasts.map((one) => [
    one.broadcastId,
    stateOf(context, one),
    audienceOf(context, one),
    `${context.time(one.notBeforeMs)} – ${context.time(one.notAfterMs)}`,
    one.topic ?? context.text("none"),
    actionsOf(context, one, detail, cursor),
  ]);
  return [bar, detail, table(context.text("broadcasts"), headings, rows)];
}

/**
 * @param {Context} context
 * @param {Broadcast} broadcast
 */
function stateOf(context, { state, urgent }) {
  const text = context.text(state);
  return badge(KINDS[state] ?? "plain", urgent ? `${text}, ${context.text("urgent")}` : text);
}

/**
 * @param {Context} context
 * @param {Broadcast} broadcast
 */
function audienceOf(context, { audience, users }) {
  if (audience === "users") return context.text("audienceUsers", { n: context.number(users) });
  return context.text(audience === "all" ? "audienceAll" : "audienceSegment");
}

/**
 * @param {Context} context
 * @param {Broadcast} broadcast
 * @param {HTMLElement} detail
 * @param {string | undefined} cursor
 */
function actionsOf(context, { broadcastId, state }, detail, cursor) {
  const bar = element("div", { class: "bar actions" });
  bar.append(button(context.text("showContent"), () => void showContent(context, broadcastId, detail)));
  if (state === "planned" || state === "active")
    bar.append(button(context.text("retract"), () => void retract(context, broadcastId, detail, cursor)));
  return bar;
}

/**
 * @param {Context} context
 * @param {string} broadcastId
 * @param {HTMLElement} detail
 */
async function showContent(context, broadcastId, detail) {
  const found = await context.read(context.api.broadcast(broadcastId), detail);
  if (!found) return;
  const { content, contentType, encoding } = found;
  const shown = content.length > MAX_CONTENT_CHARS ? `${content.slice(0, MAX_CONTENT_CHARS)} …` : content;
  const text = encoding === "utf8" ? shown : context.text("binary", { n: context.number(content.length) });
  const title = element("h2", { tabindex: "-1" }, `${broadcastId} (${contentType})`);
  detail.replaceChildren(title, element("pre", {}, text));
  title.focus();
}

/**
 * @param {Context} context
 * @param {string} broadcastId
 * @param {HTMLElement} detail
 * @param {string | undefined} cursor
 */
async function retract(context, broadcastId, detail, cursor) {
  const question = context.text("retractAsk", { id: broadcastId });
  if (!(await context.act(question, () => context.api.retract(broadcastId), detail))) return;
  await load(context, cursor);
  context.say(context.text("retractDone", { id: broadcastId }));
}
