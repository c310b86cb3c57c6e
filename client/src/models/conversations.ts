// SPDX-License-Identifier: Apache-2.0
// The list of a user's conversations, and what it keeps of them.
import type { ImClient } from "../client.ts";
import { type Clock, systemClock, Timer } from "../clock.ts";
import { ErrorCode } from "../codes.ts";
import { ImClientError, messageOf } from "../errors.ts";
import { InboxMessage, type Message } from "../events.ts";
import type { SendResult } from "../outbox.ts";
import type { SendRequest } from "../sender.ts";
import { ChatCommand } from "./chat-commands.ts";
import { type Contact, ContactBook } from "./contact-book.ts";
import * as codec from "./conversations-codec.ts";
import { GroupReply } from "./groups-codec.ts";
import { hear } from "./hear.ts";
import { ownMessage } from "./own-message.ts";
import { TypingBoard, type TypingNotice } from "./typing-board.ts";

/** What is needed of the client. */
export type ConversationsClient = Pick<ImClient, "request" | "send" | "on" | "state" | "userId">;

/** Somebody has read on. */
export interface ReceiptNotice {
  /** Where. */
  readonly conversationId: string;
  /** Who: another member. */
  readonly userId: string;
  /** Everything up to this position. */
  readonly readSeq: number;
}

/** Options of {@link Conversations}: what it tells of. */
export interface ConversationsOptions {
  /** A conversation is new here or not what it was; look at `conversations.list`. `contact` is undefined when the whole list is another one. */
  onChange?(contact: Contact | undefined): void;
  /** Another member has read on. In groups of more than 50 nobody is told at once: see {@link Conversations.receipts}. */
  onReceipt?(receipt: ReceiptNotice): void;
  /** Another member began to write, or stopped. */
  onTyping?(notice: TypingNotice): void;
  /** What is done in the background failed. Default: nothing; the next login tries again. */
  onError?(error: ImClientError): void;
  /** For tests. */
  clock?: Clock;
}

/** Options of every call that asks the server. */
export interface CallOptions {
  /** Stops waiting: the promise rejects with ABORTED. What was asked for may be done all the same. */
  signal?: AbortSignal;
}

const ON = 1;
const OFF = 2;
/** Conversations with messages that are not known here are asked for after this, together. */
const FIND_DELAY_MS = 100;
const MAX_FOUND = 100;
/** Pages of changes before the list is read anew. */
const MAX_CHANGE_PAGES = 50;

/**
 * A user's conversations: a list in pages, kept current by messages, by what servers tell, and after every login by what changed since. Make one
 * per client, before `connect()`.
 */
export class Conversations implements Disposable {
  readonly #client: ConversationsClient;
  readonly #options: ConversationsOptions;
  readonly #book = new ContactBook();
  readonly #typing: TypingBoard;
  readonly #findTimer: Timer;
  readonly #stops: (() => void)[];
  /** Conversations to be asked for: not known here, or perhaps about something else by now. */
  readonly #unknown = new Set<string>();
  /** Of each conversation that is being marked as read: up to where, and the promise of all who wait. */
  readonly #reading = new Map<string, { seq: number; readonly done: Promise<void> }>();
  /** Where changes go on; undefined before the first page. */
  #cursor: { epoch: string; version: number; inboxSeq: number } | undefined;
  #nextBefore = 0;
  #syncing: Promise<void> | undefined;
  #mustSync = false;
  #isClosed = false;

  /** Asks for nothing yet: see {@link Conversations.load}. */
  constructor(client: ConversationsClient, options: ConversationsOptions = {}) {
    this.#client = client;
    this.#options = options;
    const clock = options.clock ?? systemClock;
    this.#findTimer = new Timer(clock);
    this.#typing = new TypingBoard(client, { clock, onTyping: (notice) => options.onTyping?.(notice) });
    const onLost = (): void => this.#syncSoon();
    const onError = (error: ImClientError): void => options.onError?.(error);
    this.#stops = [
      client.on("state", ({ kind }) => {
        // The client itself repeats what was asked before; what was not comes after that.
        if (kind === "open") queueMicrotask(() => this.#syncSoon());
      }),
      client.on("message", (message) => this.#message(message)),
      client.on("reset", () => this.#restart()),
      // Messages of large groups come in no inbox.
      hear(client, ChatCommand.GROUP, GroupReply.decode, {
        onFrame: ({ events }) => this.#large(events),
        onLost,
        onError,
      }),
      hear(client, ChatCommand.READ, codec.ReadState.decode, {
        onFrame: (state) => this.#readNotice(state),
        onLost,
        onError,
      }),
      hear(client, ChatCommand.CONV_SET, codec.ConvState.decode, {
        onFrame: (state) => this.#changed(this.#book.state(state)),
        onLost,
        onError,
      }),
    ];
  }

  /** What is loaded: pinned ones first, then by the last activity; archived ones are among them, deleted ones are not. */
  get list(): readonly Contact[] {
    return this.#book.list;
  }

  /** The server has more: see {@link Conversations.loadMore}. False before the first page. */
  get hasMore(): boolean {
    return this.#nextBefore > 0;
  }

  /** What is known of one of them. */
  find(conversationId: string): Contact | undefined {
    return this.#book.find(conversationId);
  }

  /** The first page: every pinned conversation, and the newest of the others, `limit` at most (the server has limits of its own). */
  async load(options: CallOptions & { limit?: number } = {}): Promise<readonly Contact[]> {
    const page = await this.#ask({ limit: options.limit ?? 0 }, options);
    this.#book.clear();
    this.#cursor = { epoch: page.inboxEpoch, version: page.version, inboxSeq: page.inboxSeq };
    this.#nextBefore = page.nextBefore;
    this.#learn(page);
    this.#options.onChange?.(undefined);
    return this.list;
  }

  /** The page behind what is loaded. False: there was none. */
  async loadMore(options: CallOptions & { limit?: number } = {}): Promise<boolean> {
    const before = this.#nextBefore;
    if (before === 0) return false;
    const page = await this.#ask({ before, inboxEpoch: this.#cursor?.epoch ?? "", limit: options.limit ?? 0 }, options);
    if (this.#nextBefore !== before) return true;
    this.#nextBefore = page.nextBefore;
    this.#learn(page);
    this.#options.onChange?.(undefined);
    return true;
  }

  /** Asks what changed since it was asked last. It does so by itself after every login; does nothing before {@link Conversations.load}. */
  sync(): Promise<void> {
    this.#mustSync = true;
    this.#syncing ??= this.#syncAll().finally(() => {
      this.#syncing = undefined;
    });
    return this.#syncing;
  }

  #large(events: GroupReply["events"]): void {
    for (const event of events)
      this.#message(new InboxMessage({ ...event, content: event.content.slice() }, this.#client.userId));
  }

  /** `client.send`, and the list knows of it at once: what this client sends itself is no event of it. */
  async send(request: SendRequest): Promise<SendResult> {
    const result = await this.#client.send(request);
    this.#message(ownMessage(request, result, this.#client.userId));
    const { subjectType, subjectId } = request;
    if (subjectType && subjectId && !result.duplicate)
      this.#changed(this.#book.subject(result.conversationId, subjectType, subjectId));
    return result;
  }

  /**
   * Everything up to `convSeq` was read; default: up to the last message known here. Resolves when it is stored. Called often, it asks the server as
   * often as the server answers.
   */
  markRead(conversationId: string, convSeq: number = this.#book.find(conversationId)?.lastSeq ?? 0): Promise<void> {
    this.#changed(this.#book.read(conversationId, convSeq));
    const running = this.#reading.get(conversationId);
    if (running) {
      running.seq = Math.max(running.seq, convSeq);
      return running.done;
    }
    const wanted = { seq: convSeq };
    const done = this.#sendReads(conversationId, wanted);
    this.#reading.set(conversationId, Object.assign(wanted, { done }));
    return done;
  }

  /** How far the other members have read, 200 at most. */
  async receipts(conversationId: string, options: CallOptions = {}): Promise<ReceiptNotice[]> {
    const body = codec.Read.encode({ conversationId, withReceipts: true });
    const { receipts } = codec.ReadState.decode(await this.#client.request(ChatCommand.READ, body, options));
    return receipts.map(({ userId, readSeq }) => ({ conversationId, userId, readSeq }));
  }

  /** Keeps the conversation before the others; 100 at most. */
  pin(conversationId: string, isOn = true, options: CallOptions = {}): Promise<void> {
    return this.#set({ conversationId, pin: isOn ? ON : OFF }, options);
  }

  /** Puts it aside, or back. */
  archive(conversationId: string, isOn = true, options: CallOptions = {}): Promise<void> {
    return this.#set({ conversationId, archive: isOn ? ON : OFF }, options);
  }

  /** Until that time (server time, ms since 1970); `true` is for ever, `false` no more. */
  mute(conversationId: string, until: number | boolean = true, options: CallOptions = {}): Promise<void> {
    const mutedUntilMs = typeof until === "number" ? until : 0;
    return this.#set({ conversationId, mute: until === false ? OFF : ON, mutedUntilMs }, options);
  }

  /**
   * Hides every message up to `convSeq` from this user, on all devices and for good; default: up to the last one known here. The conversation leaves
   * the list until something is written in it. The other members keep what they have.
   */
  deleteTo(conversationId: string, convSeq?: number, options: CallOptions = {}): Promise<void> {
    const deleteToSeq = convSeq ?? this.#book.find(conversationId)?.lastSeq ?? 0;
    return this.#set({ conversationId, deleteToSeq }, options);
  }

  /** The user is writing, or has stopped. Call it with every key: the server is told every few seconds, and never when there is no connection. */
  typing(conversationId: string, isTyping = true): void {
    this.#typing.typing(conversationId, isTyping);
  }

  /** Hears nothing any more. */
  close(): void {
    this.#isClosed = true;
    for (const stop of this.#stops.splice(0)) stop();
    this.#typing.close();
    this.#findTimer.clear();
    this.#unknown.clear();
  }

  /** {@link Conversations.close}, for `using`. */
  [Symbol.dispose](): void {
    this.close();
  }

  async #ask(request: Partial<codec.Contacts>, { signal }: CallOptions = {}): Promise<codec.ContactsPage> {
    const body = codec.Contacts.encode(request);
    return codec.ContactsPage.decode(await this.#client.request(ChatCommand.CONTACTS, body, signal ? { signal } : {}));
  }

  async #set(change: Partial<codec.ConvSet>, { signal }: CallOptions): Promise<void> {
    const body = codec.ConvSet.encode(change);
    const reply = await this.#client.request(ChatCommand.CONV_SET, body, signal ? { signal } : {});
    this.#changed(this.#book.state(codec.ConvState.decode(reply)));
  }

  /** Until everything that was asked for meanwhile is stored, too. */
  async #sendReads(conversationId: string, wanted: { readonly seq: number }): Promise<void> {
    try {
      // What this turn marks goes together.
      await Promise.resolve();
      for (let sent = -1; sent < wanted.seq; ) {
        sent = wanted.seq;
        const body = codec.Read.encode({ conversationId, convSeq: sent });
        const reply = codec.ReadState.decode(await this.#client.request(ChatCommand.READ, body));
        this.#changed(this.#book.read(conversationId, reply.readSeq));
      }
    } finally {
      this.#reading.delete(conversationId);
    }
  }

  #syncSoon(): void {
    if (this.#cursor && !this.#isClosed) this.#background(this.sync());
  }

  async #syncAll(): Promise<void> {
    while (this.#mustSync && this.#cursor) {
      this.#mustSync = false;
      try {
        await this.#syncOnce();
      } catch (error) {
        const isGone = error instanceof ImClientError && error.code === ErrorCode.CURSOR_INVALID;
        if (!isGone) throw error;
        await this.load();
      }
    }
  }

  async #syncOnce(): Promise<void> {
    for (let pages = 0; pages < MAX_CHANGE_PAGES; pages++) {
      const cursor = this.#cursor;
      if (!cursor) return;
      const { epoch: inboxEpoch, version: sinceVersion, inboxSeq: sinceInboxSeq } = cursor;
      const page = await this.#ask({ changes: true, inboxEpoch, sinceVersion, sinceInboxSeq });
      // The list was read anew meanwhile.
      if (this.#cursor !== cursor) continue;
      this.#cursor = { epoch: page.inboxEpoch, version: page.version, inboxSeq: page.inboxSeq };
      for (const contact of this.#learn(page)) this.#changed(contact);
      if (!page.more) return;
    }
    await this.load();
  }

  #restart(): void {
    if (this.#cursor) this.#background(this.load().then(() => undefined));
  }

  #message(message: Message): void {
    const contact = this.#book.message(message);
    if (contact) {
      this.#changed(contact);
      // What it asks about is not in it.
      const mayBeNamed = contact.subjectType !== "" && !contact.perItem && !message.own;
      if (mayBeNamed) this.#findSoon(contact.conversationId);
    } else if (this.#cursor && !this.#book.find(message.conversationId)) this.#findSoon(message.conversationId);
  }

  #findSoon(conversationId: string): void {
    this.#unknown.add(conversationId);
    if (!this.#findTimer.isSet) this.#findTimer.set(FIND_DELAY_MS, () => this.#background(this.#findUnknown()));
  }

  async #findUnknown(): Promise<void> {
    while (this.#unknown.size > 0 && !this.#isClosed) {
      const conversationIds = [...this.#unknown].slice(0, MAX_FOUND);
      for (const id of conversationIds) this.#unknown.delete(id);
      for (const contact of this.#learn(await this.#ask({ conversationIds }))) this.#changed(contact);
    }
  }

  #readNotice({ conversationId, userId, readSeq }: codec.ReadState): void {
    if (userId === this.#client.userId) {
      this.#changed(this.#book.read(conversationId, readSeq));
      return;
    }
    this.#changed(this.#book.peerRead(conversationId, userId, readSeq));
    this.#options.onReceipt?.({ conversationId, userId, readSeq });
  }

  #learn({ contacts }: codec.ContactsPage): Contact[] {
    return contacts.map((contact) => this.#book.learn(contact, this.#client.userId));
  }

  #changed(contact: Contact | undefined): void {
    if (contact) this.#options.onChange?.(contact);
  }

  /** What nobody waits for: its failure is told, unless the client was closed. */
  #background(work: Promise<void>): void {
    work.catch((error: unknown) => {
      if (this.#isClosed || this.#client.state.kind === "closed") return;
      this.#options.onError?.(
        error instanceof ImClientError ? error : new ImClientError(ErrorCode.INTERNAL, messageOf(error)),
      );
    });
  }
}
