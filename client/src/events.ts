// SPDX-License-Identifier: Apache-2.0
import type { Conversation } from "./conversations.ts";
import type { ImClientError } from "./errors.ts";
import type { SendResult } from "./outbox.ts";
import type { ClientState } from "./state.ts";
import { text } from "./wire.ts";

/** A message of the user's inbox, handed to the application exactly once per client and in inbox order. */
export interface Message {
  /** Position in the user's inbox, gapless. */
  readonly inboxSeq: number;
  /** Where it was sent. */
  readonly conversationId: string;
  /** Position in the conversation, gapless. */
  readonly convSeq: number;
  /** UUIDv7. */
  readonly messageId: string;
  /** User id. */
  readonly sender: string;
  /** Sent by this user, from another device or in an earlier life of this client. */
  readonly own: boolean;
  /** Server time, ms since 1970: for display only. */
  readonly sentAtMs: number;
  /** The id that its sender's client gave it: `id` of {@link SendRequest}. */
  readonly clientMessageId: string;
  /** `text/plain` unless the sender said otherwise. */
  readonly contentType: string;
  /** At most 64 KiB; yours to keep. */
  readonly content: Uint8Array;
  /** `content` as UTF-8 text. */
  readonly text: string;
}

/** The entry of a connection stops, or has too many. */
export interface GoawayNotice {
  /** For logs. */
  readonly reason: string;
  /** When the new connection is opened, ms from now. */
  readonly delayMs: number;
}

/** What a server said unasked; see event `frame`. */
export interface ServerFrame {
  /** Command; 128 to 255 are yours. */
  readonly cmd: number;
  /** A view of the network's buffer: copy what you keep. */
  readonly body: Uint8Array;
}

/** Why this device's session was taken. */
export interface KickNotice {
  /** KICKED, SUPERSEDED or EVICTED of `DisconnectCode`. */
  readonly code: number;
  /** For people. */
  readonly reason: string;
  /** With KICKED: name of the device that took the place. Else empty. */
  readonly byDevice: string;
}

/** An inbox that begins anew. */
export interface ResetNotice {
  /** Names the database that its positions belong to now. */
  readonly epoch: string;
}

/** What a client tells about: names of events and the arguments of their listeners. */
export interface ClientEvents {
  /** Every change of state, after it happened. */
  state: [state: ClientState, previous: ClientState];
  /** Once per message, in the order of the inbox. What nobody listens to is acknowledged all the same. */
  message: [message: Message];
  /** The entry asked to move: a new connection is opened after `delayMs`, then the old one closed. Nothing is to be done. */
  goaway: [notice: GoawayNotice];
  /** Another login took this one's place, or the service closed it. The client is closed now and does not reconnect by itself. */
  kicked: [notice: KickNotice];
  /**
   * The inbox began anew (database restored, or another user). What this client has shown is not shown again; what an
   * earlier run of the application has shown is: compare `messageId`.
   */
  reset: [inbox: ResetNotice];
  /** Too much was missed to be shown message by message; see the option `snapshot`. One event a page, newest first. */
  snapshot: [page: SnapshotNotice];
  /** What became of a message of an earlier run, which the store had kept: nobody holds its promise. */
  settled: [outcome: SendOutcome];
  /** A server named the newest activation seq of broadcasts; 0: there are none. For `SystemMessages` of the models. */
  sysHead: [head: number];
  /** A frame of the server that answers nothing and is not for the client itself: of a module such as presence, or of a product. */
  frame: [frame: ServerFrame];
  /** A failure the client goes on after, e.g. of `getToken` or the store. */
  error: [error: ImClientError];
}

/** What became of a message of an earlier run. Exactly one of `result` and `error` is there. */
export interface SendOutcome {
  /** Client message id. */
  readonly id: string;
  /** It is stored. */
  readonly result?: SendResult;
  /** It was refused, and is waited for no more. */
  readonly error?: ImClientError;
}

/** A page of what the client has in place of the messages it missed. */
export interface SnapshotNotice {
  /** Those of this page, newest first. */
  readonly conversations: readonly Conversation[];
  /** Forget the list of conversations: it begins anew with this page. */
  readonly isFirst: boolean;
  /** No page follows; messages come again. */
  readonly isLast: boolean;
  /** Inbox seqs above this, up to `to`, are not shown. */
  readonly from: number;
  /** Inbox seq that messages go on behind, after the last page. */
  readonly to: number;
}

type Listener<A extends unknown[]> = (...args: A) => void;

/** Listeners by event. One that throws does not stop the others; its error is rethrown outside the engine. */
export class Emitter<M extends { [K in keyof M]: unknown[] }> {
  readonly #listeners = new Map<keyof M, Set<Listener<never>>>();

  /** Adds a listener; the returned function removes it. */
  on<K extends keyof M>(event: K, listener: Listener<M[K]>): () => void {
    const known = this.#listeners.get(event) ?? new Set();
    this.#listeners.set(event, known);
    // A wrapper of its own, so that adding one function twice and removing it once leaves one.
    const entry: Listener<M[K]> = (...args) => listener(...args);
    known.add(entry);
    return () => known.delete(entry);
  }

  emit<K extends keyof M>(event: K, ...args: M[K]): void {
    for (const listener of [...(this.#listeners.get(event) ?? [])] as Listener<M[K]>[]) {
      try {
        listener(...args);
      } catch (error) {
        queueMicrotask(() => {
          throw error;
        });
      }
    }
  }
}

/** {@link Message} whose text is decoded when asked for. */
export class InboxMessage implements Message {
  declare readonly inboxSeq: number;
  declare readonly conversationId: string;
  declare readonly convSeq: number;
  declare readonly messageId: string;
  declare readonly sender: string;
  declare readonly own: boolean;
  declare readonly sentAtMs: number;
  declare readonly clientMessageId: string;
  declare readonly contentType: string;
  declare readonly content: Uint8Array;

  constructor(event: Omit<Message, "own" | "text">, userId: string) {
    Object.assign(this, event, {
      own: event.sender === userId,
      contentType: event.contentType || "text/plain",
      // A copy: the original is a view of a network buffer that should not stay alive with the message.
      content: new Uint8Array(event.content),
    });
  }

  get text(): string {
    return text(this.content);
  }
}
