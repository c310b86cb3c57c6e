// SPDX-License-Identifier: Apache-2.0
import { badge, element, facts, table } from "./dom.js";

/**
 * @import { Context } from "./context.js"
 * @import { Entry, FleetPage } from "./types.ts"
 */

/** @type {Record<Entry["state"], string>} */
const KINDS = { serving: "good", cordoned: "warn", draining: "warn", silent: "bad", unknown: "plain" };

const HEADINGS = /** @type {const} */ ([
  "entry",
  "state",
  "version",
  "connections",
  "sessions",
  "logics",
  "logins",
  "p99",
  "heard",
]);

/**
 * @param {Context} context
 * @param {Entry} entry
 */
export function stateBadge(context, { state }) {
  return badge(KINDS[state] ?? "plain", context.text(state));
}

/**
 * How many entries run each version, as text.
 *
 * @param {readonly Entry[]} entries
 */
export function versionsOf(entries) {
  /** @type {Map<string, number>} */
  const counts = new Map();
  for (const { version } of entries) counts.set(version, (counts.get(version) ?? 0) + 1);
  return [...counts].map(([version, count]) => `${version} × ${count}`).join(", ");
}

/** @param {Context} context */
export function openFleet(context) {
  open(context, undefined);
}

/**
 * @param {Context} context
 * @param {string | undefined} cursor
 */
function open(context, cursor) {
  context.refresher?.stop();
  const pages = element("div", { class: "stack" });
  let shownNext = "";
  const list = element("div", { class: "stack" });
  context.box.replaceChildren(list, pages);
  context.keepCurrent(
    list,
    () => context.api.fleet(cursor),
    (page) => {
      const next = page.nextCursor ?? "";
      // Not touched while it is the same: a button of it may have the focus.
      if (next !== shownNext || pages.childElementCount === 0)
        pages.replaceChildren(context.pager(cursor, page.nextCursor, (to) => open(context, to)));
      shownNext = next;
      return show(context, page);
    },
  );
}

/**
 * @param {Context} context
 * @param {FleetPage} page
 */
function show(context, { logic, entries, total }) {
  const sums = facts([
    [context.text("entries"), context.number(total.entries)],
    [context.text("connections"), context.number(total.connections)],
    [context.text("sessions"), context.number(total.sessions)],
    [context.text("versions"), versionsOf(entries) || context.text("none")],
    [context.text("answeredBy"), logic],
  ]);
  if (entries.length === 0) return [sums, element("p", { class: "empty" }, context.text("noEntries"))];
  const rows = entries.map((entry) => [
    entry.name,
    stateBadge(context, entry),
    entry.version,
    context.number(entry.connections),
    context.number(entry.sessions),
    context.number(entry.logics),
    context.number(entry.logins),
    entry.answerP99Ms > 0 ? context.text("ms", { n: context.number(entry.answerP99Ms) }) : context.text("none"),
    context.time(entry.reportedAtMs),
  ]);
  const headings = HEADINGS.map((key) => context.text(key));
  return [sums, table(context.text("entries"), headings, rows)];
}
