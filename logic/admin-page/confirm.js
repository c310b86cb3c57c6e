// SPDX-License-Identifier: Apache-2.0
import { button, element } from "./dom.js";

/** @import { Context } from "./context.js" */

/**
 * Asks before something is done; the browser keeps the focus in it and gives it back. Escape says no.
 *
 * @param {Context} context
 * @param {string} question
 * @returns {Promise<boolean>}
 */
export function confirmed(context, question) {
  return new Promise((resolve) => {
    const text = element("p", { id: "question" }, question);
    const dialog = element("dialog", { "aria-labelledby": "question" }, text);
    const end = (/** @type {string} */ answer) => dialog.close(answer);
    // What is safe has the focus.
    const no = button(context.text("cancel"), () => end("no"));
    no.autofocus = true;
    const yes = button(context.text("yesDo"), () => end("yes"), "primary");
    dialog.append(element("div", { class: "bar" }, no, yes));
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(dialog.returnValue === "yes");
    });
    document.body.append(dialog);
    dialog.showModal();
  });
}
