// SPDX-License-Identifier: Apache-2.0
// What an app shows of messages that change. Pure: a state and a message give the next state, whatever comes twice or out of order.
import type { Message } from "../events.ts";
import { text } from "../wire.ts";
import { Change } from "./changes-codec.ts";
import { CARD_TYPE, CHANGE_TYPE, RECALLED_TYPE } from "./content-types.ts";

/** A message as it is to be shown now. */
export interface ShownMessage {
  /** Where it was sent. */
  readonly conversationId: string;
  /** Position in the conversation: messages are shown in this order. */
  readonly convSeq: number;
  /** UUIDv7. */
  readonly messageId: string;
  /** User id. */
  readonly sender: string;
  /** Server time, ms since 1970: for display only. */
  readonly sentAtMs: number;
  /** As its sender said: `text/plain`, `im/card` and so on. */
  readonly contentType: string;
  /** The newest one that is known; empty when it was recalled. */
  readonly content: Uint8Array;
  /** 1, unless it was changed: what `Changes.edit` is told. Of a card it is the state of what it shows. */
  readonly version: number;
  /** Its sender took it back: nothing is left of it. */
  readonly isRecalled: boolean;
}

/** What is known of one position of a conversation: of the state only, look at {@link ShownMessage}. */
export interface Known {
  /** The message in the newest form that came. */
  readonly message?: ShownMessage;
  /** The newest change that came. */
  readonly change?: KnownChange;
  /** What both of them give; the same object as long as they stay. */
  readonly shown?: ShownMessage | undefined;
}

/** A change as its event tells it. */
export interface KnownChange {
  /** Position of the message. */
  readonly convSeq: number;
  /** Id of the message. */
  readonly messageId: string;
  /** That the message has from here on. */
  readonly version: number;
  /** 1 recalled, 2 edited, 3 the card shows another state. */
  readonly kind: number;
  /** The message's new content. */
  readonly content: Uint8Array;
}

/** All that is known of messages, by conversation and position. Made by {@link applyMessage} only. */
export type ShownState = ReadonlyMap<string, ReadonlyMap<number, Known>>;

/** Nothing is known yet. */
export const NOTHING_SHOWN: ShownState = new Map();

const VERSION_MARK = ";im-version=";
const RECALLED = 1;
const EMPTY = new Uint8Array(0);

/**
 * The state with one more message, as the client hands it out: by event, from history or a snapshot. Messages may come in any
 * order and any number of times: the result is the same. `state` stays as it is.
 */
export function applyMessage(state: ShownState, message: Message): ShownState {
  if (message.contentType !== CHANGE_TYPE) {
    const shown = shownOf(message);
    return withKnown(state, shown.conversationId, shown.convSeq, (known) => {
      const isNewer = known.message === undefined || shown.version > known.message.version;
      return isNewer ? { ...known, message: shown } : known;
    });
  }
  const change = changeOf(message.content);
  if (!change) return state;
  return withKnown(state, message.conversationId, change.convSeq, (known) => {
    const isNewer = known.change === undefined || change.version > known.change.version;
    return isNewer ? { ...known, change } : known;
  });
}

/** The messages of a conversation as they are to be shown, by their positions. Changes of messages that did not come yet show nothing. */
export function shownMessages(state: ShownState, conversationId: string): ShownMessage[] {
  const known = [...(state.get(conversationId)?.values() ?? [])];
  const messages = known.map(({ shown }) => shown).filter((message) => message !== undefined);
  return messages.sort((a, b) => a.convSeq - b.convSeq);
}

/** One message as it is to be shown; undefined when it did not come yet. */
export function shownMessage(state: ShownState, conversationId: string, convSeq: number): ShownMessage | undefined {
  return state.get(conversationId)?.get(convSeq)?.shown;
}

function newest({ message, change }: Known): ShownMessage | undefined {
  const isOther = !message || change?.messageId !== message.messageId || change.version <= message.version;
  if (isOther || !change) return message;
  const { version, content } = change;
  return { ...message, version, content, isRecalled: change.kind === RECALLED };
}

function withKnown(
  state: ShownState,
  conversationId: string,
  convSeq: number,
  change: (known: Known) => Known,
): ShownState {
  const conversation = state.get(conversationId);
  const before = conversation?.get(convSeq) ?? {};
  const after = change(before);
  if (after === before) return state;
  const known = { ...after, shown: newest(after) };
  return new Map(state).set(conversationId, new Map(conversation).set(convSeq, known));
}

/** The message of a page has its newest content already, and says so. */
function shownOf(message: Message): ShownMessage {
  const { conversationId, convSeq, messageId, sender, sentAtMs, content } = message;
  const [contentType = "", mark] = message.contentType.split(VERSION_MARK);
  const isRecalled = contentType === RECALLED_TYPE;
  const marked = mark === undefined ? 1 : Number(mark);
  const cardVersion = contentType === CARD_TYPE ? (parseCard(content)?.version ?? 1) : 1;
  const version = isRecalled ? Number.MAX_SAFE_INTEGER : Math.max(marked, cardVersion);
  const what = { conversationId, convSeq, messageId, sender, sentAtMs, contentType };
  return { ...what, content: isRecalled ? EMPTY : content, version, isRecalled };
}

/** Position of the message that this one is, or changes. */
export function positionOf(message: Message): number {
  const change = message.contentType === CHANGE_TYPE ? changeOf(message.content) : undefined;
  return change?.convSeq ?? message.convSeq;
}

/** Undefined: it cannot be read, or its content went when a later change came. */
function changeOf(content: Uint8Array): Change | undefined {
  try {
    const change = Change.decode(content);
    return change.kind === RECALLED || change.content.length > 0 ? change : undefined;
  } catch {
    return undefined;
  }
}

/** A button of a card. */
export interface CardButton {
  /** For `Changes.press`. */
  readonly id: string;
  /** For people. */
  readonly label: string;
}

/** What a card shows. */
export interface Card {
  /** `item`, `order` or `offer`. */
  readonly type: string;
  /** Names the thing in the shop. */
  readonly ref: string;
  /** State of the thing. */
  readonly version: number;
  /** What the app draws: the shop's own. */
  readonly snapshot: Readonly<Record<string, unknown>>;
  /** Buttons. */
  readonly actions: readonly CardButton[];
}

/** The card in the content of a message of type `im/card`; undefined when it cannot be read. The server has checked who signed it. */
export function parseCard(content: Uint8Array): Card | undefined {
  try {
    const body = text(content).split(".")[1] ?? "";
    const bytes = Uint8Array.from(atob(body.replaceAll("-", "+").replaceAll("_", "/")), (char) => char.charCodeAt(0));
    const { type, ref, version, snapshot, actions = [] } = JSON.parse(text(bytes)) as Card;
    const isCard = typeof type === "string" && typeof ref === "string" && Number.isSafeInteger(version);
    return isCard ? { type, ref, version, snapshot, actions } : undefined;
  } catch {
    return undefined;
  }
}
