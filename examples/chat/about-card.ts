// SPDX-License-Identifier: Apache-2.0
import type { About } from "./about.ts";
import { CARD_KINDS } from "./bubble.ts";
import { element, type Labels } from "./dom.ts";

/** What two people talk about, above what they say: a place for the picture, the title and the price. Empty and hidden when it is nothing. */
export function drawAbout(root: HTMLElement, about: About | undefined, labels: Labels): void {
  root.hidden = about === undefined;
  if (!about) {
    root.replaceChildren();
    return;
  }
  labels.set(root, "about", {}, "aria-label");
  root.dataset.subject = `${about.type}/${about.id}`;
  const picture = element("span", "about-picture", PICTURES[about.type] ?? "💬");
  picture.setAttribute("aria-hidden", "true");
  const kindOf = CARD_KINDS[about.type];
  const kind = element("span", "card-kind", about.type);
  if (kindOf) labels.set(kind, kindOf);
  const title = element("strong", "about-title", about.title);
  title.dir = "auto";
  const text = element("span", "about-text", kind, title);
  root.replaceChildren(picture, text, ...(about.price === "" ? [] : [element("span", "about-price", about.price)]));
}

const PICTURES: Readonly<Record<string, string>> = { item: "🏷️", order: "📦", offer: "🤝" };
