// SPDX-License-Identifier: Apache-2.0
import { FLEET_PAGE } from "./api.js";
import { element, table } from "./dom.js";
import { stateBadge } from "./fleet-view.js";

/**
 * @import { Context } from "./context.js"
 * @import { Answer, Entry } from "./types.ts"
 */

/** Pages of the fleet that are looked through. */
const MAX_PAGES = 10;

/**
 * The entries, and whether there are more of them.
 *
 * @typedef {{ readonly entries: readonly Entry[]; readonly hasMore: boolean }} Looked
 */

/** @param {Context} context */
export function openDrains(context) {
  const list = element("div", { class: "stack" });
  context.box.replaceChildren(list);
  context.keepCurrent(
    list,
    () => lookThrough(context),
    (looked) => show(context, looked),
  );
}

/**
 * @param {Context} context
 * @returns {Promise<Answer<Looked>>}
 */
async function lookThrough(context) {
  /** @type {Entry[]} */
  const entries = [];
  /** @type {string | undefined} */
  let cursor;
  for (let pages = 0; pages < MAX_PAGES; pages++) {
    const answer = await context.api.fleet(cursor);
    if (answer.kind === "problem") return answer;
    entries.push(...answer.body.entries);
    cursor = answer.body.nextCursor;
    if (cursor === undefined) break;
  }
  return { kind: "ok", body: { entries, hasMore: cursor !== undefined } };
}

/**
 * @param {Context} context
 * @param {Looked} looked
 */
function show(context, { entries, hasMore }) {
  const leaving = entries.filter(({ state, drain }) => state === "cordoned" || drain);
  const more = hasMore
    ? [element("p", { class: "hint" }, context.text("moreEntries", { n: context.number(MAX_PAGES * FLEET_PAGE) }))]
    : [];
  if (leaving.length === 0) return [element("p", { class: "empty" }, context.text("noDrains")), ...more];
  const headings = [
    context.text("entry"),
    context.text("state"),
    context.text("progress"),
    context.text("left"),
    context.text("asked"),
    context.text("waiting"),
    context.text("forced"),
    context.text("heard"),
  ];
  const rows = leaving.map((entry) => [
    entry.name,
    stateBadge(context, entry),
    progressOf(context, entry),
    context.number(entry.sessions),
    ...countsOf(context, entry),
    context.time(entry.reportedAtMs),
  ]);
  return [table(context.text("drains"), headings, rows), ...more];
}

/**
 * How many of the sessions that it had are gone.
 *
 * @param {Entry} entry
 */
export function movedOf({ sessions, drain }) {
  return drain ? Math.max(0, drain.initial - sessions) : 0;
}

/**
 * @param {Context} context
 * @param {Entry} entry
 */
function progressOf(context, entry) {
  if (!entry.drain) return context.text("none");
  const moved = movedOf(entry);
  const { initial } = entry.drain;
  const text = context.text("movedOf", { moved: context.number(moved), initial: context.number(initial) });
  const bar = element("progress", {
    max: String(Math.max(1, initial)),
    value: String(initial === 0 ? 1 : moved),
    "aria-label": `${context.text("progress")}: ${entry.name}`,
  });
  return element("div", { class: "moved" }, text, bar);
}

/**
 * @param {Context} context
 * @param {Entry} entry
 */
function countsOf(context, { drain }) {
  if (!drain) return ["", "", ""].map(() => context.text("none"));
  return [drain.asked, drain.waiting, drain.forced].map((count) => context.number(count));
}
