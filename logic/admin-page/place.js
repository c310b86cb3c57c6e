// SPDX-License-Identifier: Apache-2.0

/** The views, in the order in which they are offered. */
export const VIEWS = /** @type {const} */ (["fleet", "drains", "user", "message", "broadcasts", "letters"]);

/** @typedef {(typeof VIEWS)[number]} ViewName */

/** What a view is about at most: a user and a message. */
const MAX_WORDS = 2;

/**
 * Where the address says that the page is: `#/user/bob`. What cannot be read is the first view.
 *
 * @param {string} hash
 * @returns {{ view: ViewName; words: string[] }}
 */
export function placeOf(hash) {
  const [, name, ...words] = hash.split("/");
  const view = VIEWS.find((known) => known === name);
  if (!hash.startsWith("#/") || !view) return { view: "fleet", words: [] };
  try {
    return { view, words: words.slice(0, MAX_WORDS).map(decodeURIComponent) };
  } catch {
    // URIError says no more than that it is malformed.
    return { view, words: [] };
  }
}

/**
 * @param {ViewName} view
 * @param {...string} words
 */
export function hashOf(view, ...words) {
  return `#/${[view, ...words.map(encodeURIComponent)].join("/")}`;
}
