// SPDX-License-Identifier: Apache-2.0
// What a message is to a person who looks at it. Pure.
import {
  type Card,
  type GroupEvent,
  groupEventOf,
  type MessageRef,
  parseCard,
  type ShownMessage,
} from "../../client/src/models/index.ts";

/** How far a message of one's own has come. */
export type Progress = "sending" | "stored" | "delivered" | "read" | "failed";

/** A system message, such as an order that was paid. */
export interface Notification {
  readonly kind: string;
  readonly title: string;
  readonly text: string;
  readonly facts: readonly (readonly [name: string, value: string])[];
}

/** What is shown of a message. */
export type LineBody =
  | { readonly kind: "text"; readonly text: string; readonly isEdited: boolean }
  | { readonly kind: "recalled" }
  | { readonly kind: "card"; readonly card: Card }
  | { readonly kind: "notification"; readonly notification: Notification }
  | { readonly kind: "group"; readonly event: GroupEvent }
  | { readonly kind: "other"; readonly contentType: string };

/** A message in a conversation, as it is now. */
export interface ChatLine {
  /** Stays the same, whatever becomes of the message. */
  readonly key: string;
  readonly isMine: boolean;
  readonly sender: string;
  body: LineBody;
  atMs: number;
  progress: Progress;
  /** Why it failed. */
  reason: string;
  /** Where it is, and in which version; undefined until it is stored. */
  ref: (MessageRef & { readonly version: number }) | undefined;
}

const CARD_TYPE = "im/card";
const NOTIFICATION_TYPE = "im/notification";

/** What is shown of a message as the SDK knows it. */
export function bodyOf(message: Pick<ShownMessage, "contentType" | "content" | "version" | "isRecalled">): LineBody {
  const { contentType, content, version, isRecalled } = message;
  if (isRecalled) return { kind: "recalled" };
  const [type = ""] = contentType.split(";");
  const text = new TextDecoder().decode(content);
  if (type === "" || type.startsWith("text/")) return { kind: "text", text, isEdited: version > 1 };
  const card = type === CARD_TYPE ? parseCard(content) : undefined;
  if (card) return { kind: "card", card };
  const notification = type === NOTIFICATION_TYPE ? notificationOf(text) : undefined;
  if (notification) return { kind: "notification", notification };
  const event = groupEvent(type, text);
  return event ? { kind: "group", event } : { kind: "other", contentType: type };
}

/** A few words of it, for a list of conversations; undefined where the words depend on the language. */
export function previewOf(body: LineBody): string | undefined {
  if (body.kind === "text") return body.text;
  if (body.kind === "card") return cardTitle(body.card);
  return body.kind === "notification" ? body.notification.title : undefined;
}

/** What the shop calls the thing on a card. */
export function cardTitle({ snapshot, ref }: Card): string {
  return typeof snapshot.title === "string" ? snapshot.title : ref;
}

/** What it costs; empty: it does not say. */
export function cardPrice({ snapshot: { priceCents, currency } }: Card): string {
  if (typeof priceCents !== "number") return "";
  return `${(priceCents / 100).toFixed(2)} ${typeof currency === "string" ? currency : ""}`.trim();
}

/** The other facts of a card, as text. */
export function cardFacts(card: Card): [name: string, value: string][] {
  const { snapshot } = card;
  const cost = cardPrice(card);
  const price: [string, string][] = cost === "" ? [] : [["price", cost]];
  const others = Object.entries(snapshot)
    .filter(([name]) => !["title", "priceCents", "currency"].includes(name))
    .map(([name, value]): [string, string] => [name, typeof value === "string" ? value : JSON.stringify(value)]);
  return [...price, ...others];
}

function groupEvent(contentType: string, text: string): GroupEvent | undefined {
  try {
    return groupEventOf({ contentType, text });
  } catch {
    // A content that is no JSON is shown as one that is not known.
    return undefined;
  }
}

function notificationOf(content: string): Notification | undefined {
  try {
    const { kind, title, text, facts } = JSON.parse(content) as Record<string, unknown>;
    if (typeof kind !== "string" || typeof title !== "string") return undefined;
    const pairs = Object.entries((facts ?? {}) as Record<string, unknown>);
    return {
      ...{ kind, title, text: typeof text === "string" ? text : "" },
      facts: pairs.map(([name, value]) => [name, String(value)] as const),
    };
  } catch {
    return undefined;
  }
}
