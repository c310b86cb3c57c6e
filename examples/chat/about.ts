// SPDX-License-Identifier: Apache-2.0
// What a conversation is about, as a person sees it. Pure.
import type { Contact } from "../../client/src/models/index.ts";
import { cardPrice, cardTitle, type LineBody } from "./lines.ts";

/** The thing that two people talk about: the list of conversations names it, its newest card says more. */
export interface About {
  /** What kind of thing, such as `item`. */
  readonly type: string;
  /** Which one. */
  readonly id: string;
  /** As the shop calls it; its id until a card has come. */
  readonly title: string;
  /** Empty: no card has said it. */
  readonly price: string;
}

/**
 * Undefined: nothing was named.
 * @param bodies what was said there, oldest first
 */
export function aboutOf(
  { subjectType: type, subjectId: id }: Pick<Contact, "subjectType" | "subjectId">,
  bodies: readonly LineBody[],
): About | undefined {
  if (type === "") return undefined;
  const shown = bodies.findLast((body) => body.kind === "card" && body.card.type === type && body.card.ref === id);
  if (shown?.kind !== "card") return { type, id, title: id, price: "" };
  return { type, id, title: cardTitle(shown.card), price: cardPrice(shown.card) };
}

/** What a message names that asks about the thing on a card; undefined when it is no card. */
export function subjectOf(body: LineBody): { subjectType: string; subjectId: string } | undefined {
  return body.kind === "card" ? { subjectType: body.card.type, subjectId: body.card.ref } : undefined;
}

/** One line of it. */
export function aboutText({ type, title, price }: About): string {
  return [`${type} "${title}"`, price].filter(Boolean).join(", ");
}
