// SPDX-License-Identifier: Apache-2.0
import { CARD_KINDS, type Card, MAX_CARD_BYTES } from "../../changes/card.ts";
import { externalId, internalId } from "../../tenant/tenant-ids.ts";
import { clientMessageIdOf } from "../client-message-id.ts";
import { CONVERSATION_ID, count, SENT, SERVICE_ID, SUBJECT, text, USER_ID } from "../fields.ts";
import { ok, operation } from "../operation.ts";
import { type Refusal, refuse } from "../problem.ts";
import { object } from "../schema.ts";
import { outcomeOf, SUBJECT_FAULT, SUBJECT_WITHOUT_TO } from "./messages.ts";

const MAX_ACTIONS = 8;
/** Deeper is no snapshot that an app could draw. */
const MAX_DEPTH = 16;
const NO_CARDS = "this cluster has no keys for cards: set spec.chat.cards.keysSecretRef, or IM_CARD_KEYS_FILE of logic";

const SUBJECT_WITHOUT_BETWEEN = "a subject goes with between: a conversation knows what it is about";

const REF = text("Names the thing in the shop, such as order-4711", 128, 1);
const VERSION = {
  type: "integer",
  minimum: 1,
  maximum: Number.MAX_SAFE_INTEGER - 1,
  description: "State of the thing: grows with each",
} as const;
const SNAPSHOT = {
  type: "object",
  additionalProperties: true,
  maxDepth: MAX_DEPTH,
  description: "What the app draws, such as title, price and state; signed as it is shown, for disputes",
  examples: [{ title: "Lamp", priceCents: 1990 }],
} as const;
const ACTIONS = {
  type: "array",
  maxItems: MAX_ACTIONS,
  description: "Buttons, each id once",
  items: object({
    id: {
      type: "string",
      minLength: 1,
      maxLength: 32,
      pattern: "^[A-Za-z0-9_.-]{1,32}$",
      description: "What the shop's backend is told",
    },
    label: text("For people", 64, 1),
  }),
} as const;

const CARD = object(
  {
    type: { type: "string", enum: CARD_KINDS, description: "What it shows" },
    ...{ ref: REF, version: VERSION, snapshot: SNAPSHOT, actions: ACTIONS },
  },
  ["actions"],
  "Card",
);

export const sendCard = operation({
  id: "sendCard",
  method: "POST",
  path: "/v1/cards",
  summary: "Put a card of an item, an order or an offer into a conversation",
  description:
    "Say what it shows (card), and this cluster signs it; or bring a card that the shop signed with one of the cluster's keys (signed). To a user (to), or into a conversation that the account is a member of (conversationId). The newest card of a thing in a conversation is the one that reportCardState updates.",
  scope: "cards:send",
  bodyFields: object(
    {
      from: SERVICE_ID,
      to: USER_ID,
      conversationId: CONVERSATION_ID,
      subject: { ...SUBJECT, description: "With to: what the conversation is about" },
      card: CARD,
      signed: {
        type: "string",
        minLength: 1,
        maxLength: MAX_CARD_BYTES,
        pattern: "^[A-Za-z0-9_-]+\\.[A-Za-z0-9_-]+\\.[A-Za-z0-9_-]+$",
        description: "A compact JWS with the fields of a card, and exp for its end",
      },
    },
    ["to", "conversationId", "subject", "card", "signed"],
    "NewCard",
  ),
  reply: { status: 201, description: "It is stored; a repetition of the request gets the same answer", schema: SENT },
  problems: ["not_found", "not_allowed", "too_many_conversations"],
  target: ({ body: { to, conversationId } }) => to ?? conversationId ?? "",
  traced: "send",
  async run({ tenant, idempotencyKey, body, span }, { append, cards }) {
    const { from, to = "", conversationId = "", subject, card: given, signed } = body;
    if ((to === "") === (conversationId === "")) return eitherOr("to", "conversationId");
    if ((given === undefined) === (signed === undefined)) return eitherOr("card", "signed");
    if (to === from) return refuse("invalid", "to is the account itself: choose another user");
    if (!cards.isOn) return refuse("not_allowed", NO_CARDS);
    const card = signed === undefined ? given && cardOf(given) : cards.openSigned(signed);
    if (typeof card !== "object") return refuse("invalid", card ?? "there is no card");
    const sender = internalId(tenant, from);
    if (to === "" && subject) return refuse("invalid", SUBJECT_WITHOUT_TO, SUBJECT_FAULT);
    const peer = to === "" ? "" : internalId(tenant, to);
    const input = cards.messageOf({
      ...{ sender, clientMessageId: clientMessageIdOf(tenant, idempotencyKey), peer, card },
      ...(peer === "" ? { conversationId, hashedAs: conversationId } : append.addressTo(sender, peer, subject)),
    });
    return outcomeOf(await append.appendInput(input, span));
  },
});

export const reportCardState = operation({
  id: "reportCardState",
  method: "POST",
  path: "/v1/cards/states",
  summary: "Tell the state of what a card shows: an order is paid, shipped, refunded",
  description:
    "The newest card of the thing in that conversation shows it from then on, in the same bubble and without a new one; whoever was away sees it when it comes back. States may be reported in any order and any number of times: the highest version stays, and a lower one hears stale with the version that holds. Name the conversation, or the two users whose conversation it is (between).",
  scope: "cards:update",
  bodyFields: object(
    {
      from: { ...SERVICE_ID, description: "The service account that says so; it need not be a member" },
      conversationId: CONVERSATION_ID,
      between: { type: "array", items: USER_ID, minItems: 2, maxItems: 2, description: "Both users of a conversation" },
      subject: { ...SUBJECT, description: "With between: what their conversation is about" },
      ...{ ref: REF, version: VERSION, snapshot: SNAPSHOT },
      actions: { ...ACTIONS, description: "Buttons from now on. Default: as before" },
    },
    ["conversationId", "between", "subject", "actions"],
    "CardState",
  ),
  reply: {
    status: 200,
    description: "The card shows it",
    schema: object(
      {
        conversationId: { type: "string", description: "Where the card is" },
        conversationSeq: count("Position of the card there"),
        version: count("The one that it shows"),
        repeated: { type: "boolean", description: "It did already: nothing was to be done" },
      },
      [],
      "ShownCard",
    ),
  },
  problems: ["not_found", "not_allowed", "stale"],
  target: ({ body: { ref } }) => ref,
  async run({ tenant, body }, { append, cards }) {
    const { from, conversationId = "", between, subject, ref, version, snapshot, actions } = body;
    if ((between === undefined) === (conversationId === "")) return eitherOr("conversationId", "between");
    if (!between && subject) return refuse("invalid", SUBJECT_WITHOUT_BETWEEN, SUBJECT_FAULT);
    if (!cards.isOn) return refuse("not_allowed", NO_CARDS);
    const [a = "", b = ""] = (between ?? []).map((userId) => internalId(tenant, userId));
    const where = between ? append.addressTo(a, b, subject).conversationId : conversationId;
    const result = await cards.update({
      ...{ conversationId: where, ref, version, snapshot, service: internalId(tenant, from) },
      ...(actions ? { actions } : {}),
      isOwn: (sender) => externalId(tenant, sender) !== undefined,
    });
    if (result.kind === "no-card")
      return refuse("not_found", "no card of that conversation shows this: check the ids, or send a card of it before");
    const { convSeq, version: shown } = result;
    if (result.kind === "stale")
      return refuse("stale", `the card shows version ${shown} already: nothing was changed`, { currentVersion: shown });
    return ok({ conversationId: where, conversationSeq: convSeq, version: shown, repeated: result.isRepeated });
  },
});

/** Without what is not said. */
function cardOf({ actions = [], ...card }: Omit<Card, "actions"> & Partial<Pick<Card, "actions">>): Card {
  return { ...card, actions };
}

function eitherOr(one: string, other: string): Refusal {
  const message = `set either ${one} or ${other}`;
  return refuse("invalid", message, { faults: [{ path: `/${one}`, message }] });
}
