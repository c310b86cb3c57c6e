// SPDX-License-Identifier: Apache-2.0
import { confirmed } from "./confirm.js";
import { button, element } from "./dom.js";
import { LOCALES, textOf } from "./language.js";
import { hashOf } from "./place.js";
import { Refresher } from "./refresher.js";

/**
 * @import { Api } from "./api.js"
 * @import { Language, TextKey } from "./language.js"
 * @import { ViewName } from "./place.js"
 * @import { Answer, Problem } from "./types.ts"
 */

const PASSING = ["rate_limited", "busy", "unavailable", "in_progress"];

/** What a view works with: one key, one language, one place of the page. It is over when another view opens. */
export class Context {
  /** @type {Refresher | undefined} */
  refresher;
  #isOver = false;
  #numbers;
  #times;

  /**
   * @param {object} given
   * @param {Api} given.api
   * @param {Language} given.language
   * @param {readonly string[]} given.words of the address, behind the view's name
   * @param {HTMLElement} given.box what the view fills
   * @param {HTMLElement} given.status what is said aloud
   * @param {() => void} given.onBadKey
   */
  constructor({ api, language, words, box, status, onBadKey }) {
    this.api = api;
    this.language = language;
    this.words = words;
    this.box = box;
    this.status = status;
    this.onBadKey = onBadKey;
    this.#numbers = new Intl.NumberFormat(LOCALES[language]);
    this.#times = new Intl.DateTimeFormat(LOCALES[language], { dateStyle: "short", timeStyle: "medium" });
  }

  get isOver() {
    return this.#isOver;
  }

  end() {
    this.#isOver = true;
    this.refresher?.stop();
  }

  /**
   * @param {TextKey} key
   * @param {Record<string, string | number>} [args]
   */
  text(key, args) {
    return textOf(this.language, key, args);
  }

  /** @param {number} value */
  number(value) {
    return this.#numbers.format(value);
  }

  /** @param {number} ms since 1970; 0 = never */
  time(ms) {
    return ms > 0 ? this.#times.format(ms) : this.text("never");
  }

  /**
   * @param {ViewName} view
   * @param {...string} words
   */
  go(view, ...words) {
    const hash = hashOf(view, ...words);
    if (location.hash === hash) dispatchEvent(new HashChangeEvent("hashchange"));
    else location.hash = hash;
  }

  /** @param {string} text for everybody, those who listen to the page too */
  say(text) {
    this.status.textContent = text;
  }

  /**
   * What an answer brought, or undefined when there is nothing to go on with: the view is over, the key is no longer good, or it is
   * shown in `into` what is wrong.
   *
   * @template T
   * @param {Promise<Answer<T>>} asked
   * @param {HTMLElement} into
   * @param {TextKey} [title]
   * @returns {Promise<T | undefined>}
   */
  async read(asked, into, title = "problem") {
    const answer = await asked;
    if (this.#isOver) return undefined;
    if (answer.kind === "ok") return answer.body;
    if (answer.code === "unauthenticated") this.onBadKey();
    else into.replaceChildren(this.#problem(answer, title));
    return undefined;
  }

  /**
   * Does something once it was confirmed: resolves with the answer, or with undefined when nothing was done.
   *
   * @template {object} T
   * @param {string} question
   * @param {() => Promise<Answer<T>>} ask
   * @param {HTMLElement} into where it is shown why it was not done
   * @returns {Promise<T | undefined>}
   */
  async act(question, ask, into) {
    this.say("");
    into.replaceChildren();
    return (await confirmed(this, question)) ? await this.read(ask(), into, "failed") : undefined;
  }

  /**
   * @param {Problem} problem
   * @param {TextKey} title
   */
  #problem({ code, detail }, title) {
    const own = this.#explain(code);
    const box = element("div", { class: "problem", role: "alert" }, element("strong", {}, this.text(title)));
    if (own !== "") box.append(element("p", {}, own));
    box.append(element("p", { lang: "en" }, code === "away" ? detail : `${code}: ${detail}`));
    return box;
  }

  /** @param {string} code */
  #explain(code) {
    if (code === "away") return this.text("away");
    if (code === "forbidden") return this.text("forbidden");
    if (code === "not_found") return this.text("notFound");
    return PASSING.includes(code) && this.refresher ? this.text("tryLater") : "";
  }

  /**
   * Keeps a part of the view current. What it shows has nothing in it that can have the focus.
   *
   * @template T
   * @param {HTMLElement} into
   * @param {() => Promise<Answer<T>>} ask
   * @param {(body: T) => Node[]} show
   */
  keepCurrent(into, ask, show) {
    const asOf = element("p", { class: "as-of" });
    const shown = element("div", { class: "stack" }, element("p", { class: "loading" }, this.text("loading")));
    const fault = element("div", { class: "stack" });
    const look = async () => {
      const body = await this.read(ask(), fault);
      if (body === undefined) return false;
      fault.replaceChildren();
      shown.replaceChildren(...show(body));
      asOf.textContent = this.text("updated", { time: this.time(Date.now()) });
      return true;
    };
    this.refresher = new Refresher({
      look,
      nowMs: () => performance.now(),
      after: (ms, then) => {
        const timer = setTimeout(then, ms);
        return () => clearTimeout(timer);
      },
      isHidden: () => document.hidden,
      onIdle: () => {
        asOf.textContent = this.text("paused");
      },
    });
    const again = button(this.text("refresh"), () => this.refresher?.start());
    into.append(element("div", { class: "bar" }, asOf, again), fault, shown);
    this.refresher.start();
  }

  /**
   * Links to the other pages of a list.
   *
   * @param {string | undefined} cursor of this page
   * @param {string | undefined} next
   * @param {(cursor: string | undefined) => void} open
   */
  pager(cursor, next, open) {
    const bar = element("div", { class: "bar pager" });
    if (cursor !== undefined) bar.append(button(this.text("first"), () => open(undefined)));
    if (next !== undefined) bar.append(button(this.text("next"), () => open(next)));
    return bar;
  }
}
