// SPDX-License-Identifier: Apache-2.0
import { Send } from "./codec.ts";
import { ClientCode, ErrorCode, MAX_CONTENT_BYTES } from "./codes.ts";
import { abortable, abortError, ImClientError } from "./errors.ts";
import type { SendOutcome } from "./events.ts";
import { Journal } from "./journal.ts";
import type { Settings } from "./options.ts";
import { Outbox, type Outgoing, type SendResult } from "./outbox.ts";
import type { PendingMessage } from "./store.ts";
import { utf8 } from "./wire.ts";

/** A message to send: to a user, or into a known conversation. */
export interface SendRequest {
  /** User id: the one-to-one conversation with that user. Exactly one of `to` and `conversationId`. */
  to?: string;
  /** Of a conversation that this user is a member of. */
  conversationId?: string;
  /** Text, or bytes the server does not look into; at most 64 KiB. */
  content: string | Uint8Array;
  /** Default `text/plain`. */
  contentType?: string;
  /** With `to`: what it is about, such as `item`, 1-32 of `a-z`, `0-9` and `_.-`; the server keeps one conversation for it, or shows it in the pair's. */
  subjectType?: string;
  /** Which one, 1-64 letters, digits and `_.:@-`; both or neither. */
  subjectId?: string;
  /** 1-64 characters, unique per sender; random by default. Sending the same id and content again is harmless. */
  id?: string;
  /** Stops waiting. A message that was on its way may be stored all the same. */
  signal?: AbortSignal;
}

/** What {@link Sender} asks of its owner. */
export interface SenderOwner {
  /** Writes a SEND and returns its request id; undefined when there is no connection. */
  write(body: Uint8Array): number | undefined;
  onSettled(outcome: SendOutcome): void;
  onError(error: ImClientError): void;
  onStoreError(error: unknown): void;
}

/** From the application's `send` to the server's answer, over restarts when the store keeps what waits. */
export class Sender {
  readonly outbox: Outbox;
  readonly #owner: SenderOwner;
  readonly #journal: Journal;
  #userId = "";
  /** Whom the store belonged to when the application started. */
  #storeUserId = "";
  #mustRestore = true;
  #maxContentBytes = MAX_CONTENT_BYTES;

  constructor(owner: SenderOwner, settings: Settings) {
    const { clock, store } = settings;
    this.#owner = owner;
    this.#journal = new Journal({ clock, store, onError: (error) => owner.onStoreError(error) });
    this.outbox = new Outbox(
      { write: (body) => owner.write(body), onDone: (id) => this.#journal.remove(id) },
      settings,
    );
  }

  /** Messages without an answer, oldest first; also those of an earlier run. */
  get pending(): PendingMessage[] {
    return this.#journal.pending;
  }

  /** Reads what an earlier run left in a store whose cursor is of `storeUserId`. @throws what the store throws */
  async load(storeUserId: string): Promise<void> {
    this.#storeUserId = storeUserId;
    await this.#journal.restore();
  }

  send(request: SendRequest): Promise<SendResult> {
    const {
      to = "",
      conversationId = "",
      contentType = "",
      subjectType = "",
      subjectId = "",
      signal,
      id = randomId(),
    } = request;
    // A copy: the application's buffer may change, or be much larger.
    const content = typeof request.content === "string" ? utf8(request.content) : new Uint8Array(request.content);
    const problem = problemOf(request, id, content.length, this.#maxContentBytes);
    if (problem !== undefined) return Promise.reject(problem);
    const message = { id, userId: this.#userId, to, conversationId, contentType, content, subjectType, subjectId };
    const result = this.outbox.add(outgoingOf(message));
    if (this.outbox.has(id)) this.#journal.add(message);
    return abortable(result, signal, (error) => this.outbox.abort(id, error));
  }

  /** Logged in as `userId`: what an earlier run left goes first. */
  opened(userId: string, maxContentBytes: number): void {
    this.outbox.disconnected();
    this.#userId = userId;
    this.#maxContentBytes = Math.min(MAX_CONTENT_BYTES, maxContentBytes || MAX_CONTENT_BYTES);
    if (this.#mustRestore) this.#restore();
    this.#mustRestore = false;
  }

  /** The client closes: promises reject with `error`, messages stay in a store that keeps them. */
  shutDown(error: ImClientError): void {
    this.outbox.rejectAll(error);
    this.#journal.clear();
    this.#mustRestore = true;
  }

  /** Resolves when the store has what waits, or has failed at it. */
  saved(): Promise<void> {
    return this.#journal.flush();
  }

  close(): Promise<void> {
    return this.#journal.close();
  }

  #restore(): void {
    const left = this.#journal.pending.filter(({ id }) => !this.outbox.has(id));
    const isMine = (message: PendingMessage): boolean =>
      (message.userId || this.#storeUserId || this.#userId) === this.#userId;
    const mine = left.filter(isMine);
    const others = left.filter((message) => !isMine(message));
    for (const { id } of others) this.#journal.remove(id);
    if (others.length > 0) {
      const text = `${others.length} unsent messages of another user were dropped`;
      this.#owner.onError(new ImClientError(ClientCode.STORE_FAILED, text));
    }
    for (const [at, result] of this.outbox.restore(mine.map(outgoingOf)).entries()) {
      const id = mine[at]?.id ?? "";
      result.then(
        (stored) => this.#owner.onSettled({ id, result: stored }),
        // A message that the journal still has was only interrupted by the close.
        (error: ImClientError) => this.#journal.has(id) || this.#owner.onSettled({ id, error }),
      );
    }
  }
}

function outgoingOf(message: PendingMessage): Outgoing {
  const { id, to, conversationId } = message;
  const body = Send.encode({ ...message, clientMessageId: id });
  return { id, lane: to === "" ? `c:${conversationId}` : `u:${to}`, body };
}

function problemOf(request: SendRequest, id: string, bytes: number, maxBytes: number): ImClientError | undefined {
  if (request.signal?.aborted) return abortError(request.signal);
  if (!request.to === !request.conversationId) {
    return new ImClientError(ErrorCode.BAD_REQUEST, "give either `to` or `conversationId`");
  }
  if (id.length < 1 || id.length > 64)
    return new ImClientError(ErrorCode.BAD_REQUEST, "id must have 1 to 64 characters");
  if (bytes <= maxBytes) return undefined;
  return new ImClientError(ErrorCode.TOO_LARGE, `content of ${bytes} bytes is over the limit of ${maxBytes}`);
}

/** 128 random bits, in hex. */
function randomId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
