// SPDX-License-Identifier: Apache-2.0
// A fleet in memory for one user's clients, with a switch for bad answers.

import { type Event, Hello, Send, Sync, type SyncPage } from "../src/codec.ts";
import { Command, ErrorCode } from "../src/codes.ts";
import { EPOCH, eventAt, type FakeConnection, type FakeServer } from "./fake-server.ts";

const PAGE_EVENTS = 3;

/** The inbox of one user, as the database has it. */
export class ModelInbox {
  readonly events: Event[] = [];
  readonly #byKey = new Map<string, Event>();

  append(fields: Partial<Event>): Event {
    const event = eventAt(this.events.length + 1, fields);
    this.events.push(event);
    return event;
  }

  store(send: Send): { event: Event; duplicate: boolean } {
    const known = this.#byKey.get(send.clientMessageId);
    if (known) return { event: known, duplicate: true };
    const event = this.append({ ...send, conversationId: send.to, sender: "alice" });
    this.#byKey.set(send.clientMessageId, event);
    return { event, duplicate: false };
  }

  page(cursor: number): SyncPage {
    const events = this.events.slice(cursor, cursor + PAGE_EVENTS);
    const nextCursor = cursor + events.length;
    const head = this.events.length;
    return { inboxEpoch: EPOCH, events, nextCursor, head, more: nextCursor < head, gapTooLong: false };
  }
}

/** Plays the fleet for one client. */
export class ModelServer {
  readonly inbox = new ModelInbox();
  readonly held: Event[] = [];
  /** Answers the next SEND or SYNC badly. */
  mood: "well" | "busy" | "loseAck" | "forget" = "well";
  /** The next login reads the inbox and is answered by {@link release}; until then an older connection serves on. */
  isLoginSlow = false;
  readonly #slowLogins: (() => void)[] = [];
  readonly #server: FakeServer;
  readonly #loggedIn = new Set<FakeConnection>();

  constructor(server: FakeServer) {
    this.#server = server;
  }

  /** Logged-in connections, oldest first. */
  get online(): FakeConnection[] {
    return this.#server.open.filter((connection) => this.#loggedIn.has(connection));
  }

  /** Answers everything that arrived; true when there was something. */
  serve(): boolean {
    let isBusy = false;
    for (const connection of this.#server.open) {
      for (const frame of connection.frames.splice(0)) {
        isBusy = true;
        if (frame.cmd === Command.HELLO) this.#login(connection, Hello.decode(frame.body));
        else if (frame.cmd === Command.SEND) this.#send(connection, Send.decode(frame.body), frame.rid);
        else if (frame.cmd === Command.SYNC) this.#sync(connection, Sync.decode(frame.body), frame.rid);
        else if (frame.cmd === Command.PING) connection.pong(frame.rid, this.inbox.events.length);
      }
    }
    return isBusy;
  }

  push(event: Event): void {
    this.online.at(-1)?.push(event);
  }

  /** Answers slow logins, and pushes what was held, latest first. */
  release(): void {
    for (const answer of this.#slowLogins.splice(0)) answer();
    for (const event of this.held.splice(0).reverse()) this.push(event);
  }

  #login(connection: FakeConnection, hello: Hello): void {
    const firstPage = this.inbox.page(hello.inboxEpoch === EPOCH ? hello.inboxCursor : 0);
    const inboxHead = this.inbox.events.length;
    const answer = (): void => {
      if (connection.isOver) return;
      // As the real one: the same device's older connection is replaced before the answer goes out.
      for (const old of this.online) old.kick(4521);
      this.#loggedIn.add(connection);
      connection.welcome({ inboxHead, firstPage });
    };
    if (this.isLoginSlow) this.#slowLogins.push(answer);
    else answer();
    this.isLoginSlow = false;
  }

  #takeMood(): ModelServer["mood"] {
    const { mood } = this;
    this.mood = "well";
    return mood;
  }

  #send(connection: FakeConnection, send: Send, rid: number): void {
    const mood = this.#takeMood();
    if (mood === "busy") connection.error(rid, ErrorCode.BUSY, { retryable: true, retryAfterMs: 50 });
    if (mood === "forget") connection.error(0, ErrorCode.RETRYABLE, { retryable: true });
    if (mood === "busy" || mood === "forget") return;
    const { event, duplicate } = this.inbox.store(send);
    const { messageId, convSeq, inboxSeq } = event;
    if (mood === "well") connection.ack({ ...send, rid }, { messageId, convSeq, inboxSeq, duplicate });
  }

  #sync(connection: FakeConnection, sync: Sync, rid: number): void {
    if (this.#takeMood() === "well") connection.page(rid, this.inbox.page(sync.cursor));
  }
}
