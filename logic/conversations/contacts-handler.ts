// SPDX-License-Identifier: Apache-2.0
import { ErrorCode } from "#lib/errors.ts";
import { Command, MAX_ID_CHARS } from "#proto/commands.ts";
import { Contacts, ContactsPage, type Contact as WireContact } from "#proto/gen/messages.ts";
import type { EpochWatch } from "../inbox/epoch-watch.ts";
import { bounded, PAGE_BYTES, PAGE_HEADS } from "../inbox/page-limits.ts";
import type { ReadDesk } from "../inbox/read-desk.ts";
import { pairIdOf } from "../send/conversation.ts";
import { type Refusal, type Session, sendReply } from "../session/session.ts";
import {
  type Contact,
  type ContactPage,
  type ConversationStore,
  MAX_LARGE,
  MAX_PINNED,
} from "../store/conversation-store.ts";
import { badRequest, isSeq } from "./answers.ts";

/** Conversations that may be named at once. */
export const MAX_NAMED = 100;
/** Of a page, besides last events: what a contact takes at most, with ids of 64 characters and a subject. */
const CONTACT_BYTES = 424;

const OTHER_EPOCH: Refusal = {
  code: ErrorCode.CURSOR_INVALID,
  reason: "the list of conversations is of another inbox epoch: drop it and ask for the first page",
};

/** What {@link ContactsHandler} needs. */
export interface ContactsPorts {
  conversations: Pick<ConversationStore, "list" | "changes" | "find">;
  epochs: Pick<EpochWatch, "saw">;
  desk: ReadDesk;
}

/** CONTACTS: the list of a user's conversations, what changed in it, or some of them. Acknowledges nothing. */
export class ContactsHandler {
  readonly #ports: ContactsPorts;

  constructor(ports: ContactsPorts) {
    this.#ports = ports;
  }

  handle(session: Session, rid: number, body: Uint8Array): void {
    const { desk } = this.#ports;
    const request = { session, rid, kind: "contacts" } as const;
    const contacts = desk.parse(request, body, Contacts, "Contacts");
    if (!contacts) return;
    const problem = contactsProblem(contacts);
    if (problem) desk.refuse(request, problem, "refused");
    else desk.enter(request, () => this.#read(session, rid, contacts));
  }

  async #read(session: Session, rid: number, contacts: Contacts): Promise<Refusal | undefined> {
    const page = await this.#page(session.userId, contacts);
    this.#ports.epochs.saw(page.epoch);
    if (contacts.inboxEpoch !== "" && contacts.inboxEpoch !== page.epoch) return OTHER_EPOCH;
    sendReply(session, rid, Command.CONTACTS, ContactsPage.encode(toWire(page)));
    return undefined;
  }

  #page(userId: string, request: Contacts): Promise<ContactPage> {
    const { conversations } = this.#ports;
    const { before, changes, sinceVersion, sinceInboxSeq, conversationIds } = request;
    const limit = bounded(request.limit, PAGE_HEADS);
    // Two parts of a page share the frame: the pinned ones and the others, or the changed and the active ones.
    const rows =
      conversationIds.length > 0 ? conversationIds.length : limit + MAX_LARGE + (changes ? limit : MAX_PINNED);
    const room = PAGE_BYTES.max - rows * CONTACT_BYTES;
    const limitBytes = Math.min(bounded(request.limitBytes, PAGE_BYTES), conversationIds.length > 0 ? room : room >> 1);
    if (conversationIds.length > 0) return conversations.find(userId, conversationIds, limitBytes);
    if (changes) return conversations.changes({ userId, sinceVersion, sinceInboxSeq, limit, limitBytes });
    return conversations.list({ userId, before, limit, limitBytes });
  }
}

function toWire(page: ContactPage): ContactsPage {
  const { epoch: inboxEpoch, version, inboxSeq, nextBefore, more } = page;
  return { inboxEpoch, contacts: page.contacts.map(contactOf), version, inboxSeq, nextBefore, more };
}

function contactOf({ lastEvent, ...contact }: Contact): WireContact {
  const { conversationId } = contact;
  return { ...contact, lastEvent: lastEvent ?? null, perItem: pairIdOf(conversationId) !== conversationId };
}

function contactsProblem(contacts: Contacts): Refusal | undefined {
  const { before, changes, sinceVersion, sinceInboxSeq, conversationIds } = contacts;
  for (const [name, value] of Object.entries({ before, sinceVersion, sinceInboxSeq }))
    if (!isSeq(value)) return badRequest(`${name} is no position: use one of the page before, or 0`);
  if (conversationIds.length > MAX_NAMED) return badRequest(`more than ${MAX_NAMED} conversations: name fewer`);
  if (conversationIds.some((id) => id === "" || id.length > MAX_ID_CHARS || id.includes("\0")))
    return badRequest(
      `conversation_ids holds one without 1 to ${MAX_ID_CHARS} characters: use those the server gave you`,
    );
  if (changes && before > 0) return badRequest("before is of a list, and changes asks for none: leave one out");
  return undefined;
}
