// SPDX-License-Identifier: Apache-2.0

import { Timer } from "./clock.ts";
import { type Envelope, ErrorInfo, type Event, Push, SendAck, SyncPage, type Welcome } from "./codec.ts";
import { ClientCode, Command, DisconnectCode, ErrorCode } from "./codes.ts";
import { type ConnectionEnd, endOf } from "./connection.ts";
import { type HistoryOptions, type HistoryResult, readHistory } from "./conversations.ts";
import { abortable, ImClientError, messageOf, refusalOf } from "./errors.ts";
import { type ClientEvents, Emitter, type Message } from "./events.ts";
import { type DeviceProfile, Identity } from "./identity.ts";
import { Link } from "./link.ts";
import { MessageStream } from "./message-stream.ts";
import { type ImClientOptions, type Settings, settingsOf } from "./options.ts";
import type { SendResult } from "./outbox.ts";
import { Receiver } from "./receiver.ts";
import { Requests } from "./requests.ts";
import { Sender, type SendRequest } from "./sender.ts";
import type { ClientState, ClosedState } from "./state.ts";
import type { PendingMessage } from "./store.ts";
import { EMPTY } from "./wire.ts";

/** Counters since the client was made. */
export interface ClientStats {
  /** Times the connection was lost and made again; a move after GOAWAY is none. */
  readonly reconnects: number;
  /** Logins in all. */
  readonly logins: number;
  /** Round trip of the last PING, ms; 0 before the first. */
  readonly rttMs: number;
  /** Messages that wait for their acknowledgement. */
  readonly outbox: number;
  /** SENDs written more than once. */
  readonly resent: number;
  /** Messages handed to the application. */
  readonly received: number;
  /** Pages pulled beyond the one in WELCOME. */
  readonly pulls: number;
}

/**
 * One device of one user, connected whatever the network does: messages come once and in order, sends settle when the
 * server has stored them.
 */
export class ImClient implements AsyncDisposable {
  readonly #settings: Settings;
  readonly #events = new Emitter<ClientEvents>();
  readonly #link: Link;
  readonly #sender: Sender;
  readonly #receiver: Receiver;
  readonly #requests: Requests;
  readonly #identity: Identity;
  #state: ClientState = { kind: "idle" };
  #isRestored = false;
  /** Of `connect()`: a store that answers late answers an earlier one. */
  #run = 0;
  /** The rest of `close()`, once per run: what fails in it may make the application close the client again. */
  #closing: Promise<void> | undefined;
  #rid = 1;
  #reconnects = 0;
  #logins = 0;
  #unwatchNetwork: () => void = () => {};

  /**
   * Connects to nothing yet.
   * @throws ImClientError BAD_REQUEST for options that cannot work
   */
  constructor(options: ImClientOptions) {
    const settings = settingsOf(options);
    this.#settings = settings;
    this.#sender = new Sender(
      {
        write: (body) => this.#writeSend(body),
        onSettled: (outcome) => this.#events.emit("settled", outcome),
        onError: (error) => this.#events.emit("error", error),
        onStoreError: (error) => this.#storeFailed("keep the messages", error),
      },
      settings,
    );
    this.#requests = new Requests((cmd, body) => this.#ask(cmd, body), settings);
    this.#receiver = new Receiver(
      {
        ask: (cmd, body) => this.#requests.ask(cmd, body),
        onSnapshot: (page) => this.#events.emit("snapshot", page),
        onMessage: (message) => this.#events.emit("message", message),
        claim: (event) => this.#claim(event),
        write: (cmd, body, rid) => this.#link.write(cmd, body, rid),
        nextRid: () => this.#nextRid(),
        onCursorInvalid: () => this.#link.restart(ErrorCode.CURSOR_INVALID, "the inbox begins anew"),
        onStoreError: (error) => this.#storeFailed("save the cursor", error),
      },
      settings,
    );
    this.#identity = new Identity(
      {
        write: (cmd, body, rid) => this.#link.write(cmd, body, rid),
        nextRid: () => this.#nextRid(),
        onToken: (token) => this.#link.useToken(token),
        onError: (error) => this.#events.emit("error", error),
      },
      settings,
    );
    this.#link = new Link(
      {
        resumeFrom: () => this.#receiver.resumeFrom(),
        onOpen: (welcome) => this.#opened(welcome),
        onFrame: (frame) => this.#frame(frame),
        onHeads: (heads) => this.#heads(heads),
        onRetry: (attempt, end, delayMs) => this.#retrying(attempt, end, delayMs),
        onTerminal: (end) => this.#terminated(end),
        onGoaway: (reason, delayMs) => this.#events.emit("goaway", { reason, delayMs }),
        onError: (error) => this.#events.emit("error", error),
      },
      settings,
    );
  }

  /** Where the client is now; event `state` tells of changes. */
  get state(): ClientState {
    return this.#state;
  }

  /** Counters, as they are now. */
  get stats(): ClientStats {
    const { resent, size: outbox } = this.#sender.outbox;
    const { received, pulls } = this.#receiver;
    const { rttMs } = this.#link;
    return { reconnects: this.#reconnects, logins: this.#logins, rttMs, outbox, resent, received, pulls };
  }

  /** Id of the user, from the token; empty before the first login. */
  get userId(): string {
    return this.#receiver.userId;
  }

  /** Adds a listener; the returned function removes it. Add `message` listeners before `connect()`. */
  on<K extends keyof ClientEvents>(event: K, listener: (...args: ClientEvents[K]) => void): () => void {
    return this.#events.on(event, listener);
  }

  /** Starts; `ready()` tells when it is logged in. Does nothing while running; starts anew when closed. */
  connect(): void {
    if (this.#state.kind !== "idle" && this.#state.kind !== "closed") return;
    this.#setState({ kind: "connecting", attempt: 1, code: 0, reason: "" });
    this.#unwatchNetwork = watchNetwork(() => this.wake());
    this.#closing = undefined;
    void this.#start(++this.#run);
  }

  /** Resolves when logged in; rejects when the client is closed, or when `signal` aborts. */
  ready(options: { signal?: AbortSignal } = {}): Promise<void> {
    const { signal } = options;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const check = (state: ClientState): void => {
      if (state.kind === "open") resolve();
      if (state.kind === "closed") reject(closedError(state));
    };
    const stop = this.on("state", check);
    const result = abortable(promise, signal, reject);
    check(this.#state);
    return result.finally(stop);
  }

  /**
   * Sends a message; resolves when the server has stored it, however many reconnects that takes. Rejects on an error
   * that a resend cannot cure, when the outbox is full, on abort, and when the client closes.
   */
  send(request: SendRequest): Promise<SendResult> {
    return this.#state.kind === "closed" ? Promise.reject(closedError(this.#state)) : this.#sender.send(request);
  }

  /**
   * Messages without an answer, oldest first. With a store that keeps them they survive a reload and a `close()`: the next
   * login sends them, and `settled` tells what became of them.
   */
  pending(): PendingMessage[] {
    return this.#sender.pending;
  }

  /** Resolves when the store has every message that waits, or has failed at it (event `error`). */
  saved(): Promise<void> {
    return this.#sender.saved();
  }

  /**
   * Every message from now on, for one `for await` loop. It ends with `close()` and throws on a terminal code. A loop
   * that lags far behind slows the client down; nothing is dropped.
   */
  messages(): AsyncIterableIterator<Message, undefined> {
    if (this.#state.kind !== "closed") return this.#receiver.messages();
    const ended = new MessageStream({ onConsumed() {}, onEnd() {} });
    ended.finish(closedError(this.#state));
    return ended;
  }

  /**
   * Messages of a conversation by their position in it: the newest ones, or those before or after one, oldest first.
   * Asks again over reconnects until answered, aborted or closed. What it returns is no event and counts for no cursor.
   */
  history(conversationId: string, options: HistoryOptions = {}): Promise<HistoryResult> {
    if (this.#state.kind === "closed") return Promise.reject(closedError(this.#state));
    return readHistory(this.#requests, conversationId, () => this.userId, options);
  }

  /**
   * Asks the server by any command that has a reply, of a module or of a product of yours; resolves with the body of the reply. Asks
   * again over reconnects and overload until answered, refused, aborted or closed, so it must be one that may be repeated.
   */
  request(cmd: number, body: Uint8Array, options: { signal?: AbortSignal } = {}): Promise<Uint8Array> {
    if (this.#state.kind === "closed") return Promise.reject(closedError(this.#state));
    return this.#requests.ask(cmd, body, options.signal);
  }

  /**
   * Tells the server about this device: push token, language, preferences. Resolves when it is stored, however many
   * reconnects that takes; a later call replaces an earlier one. Rejects on a profile the server refuses, and on close.
   */
  setDevice(profile: DeviceProfile): Promise<void> {
    return this.#state.kind === "closed" ? Promise.reject(closedError(this.#state)) : this.#identity.setDevice(profile);
  }

  /** Whether a person looks at the app: tell `background` before the system suspends it, so that pushes come. */
  setAppState(state: "foreground" | "background"): void {
    this.#identity.setBackground(state === "background");
    this.#link.setBackground(state === "background");
  }

  /**
   * Signs out: the server unbinds this device's push token, and the client closes. True when the server took it; false
   * when it could not be told within 10 s: then the token stays bound until somebody else signs in here.
   */
  async logout(): Promise<boolean> {
    const { state, settings } = { state: this.#state, settings: this.#settings };
    if (state.kind === "idle" || state.kind === "closed") return false;
    const timeout = new Timer(settings.clock);
    const { promise, resolve } = Promise.withResolvers<void>();
    // Every connection is told until one ends by it.
    const tell = ({ kind }: ClientState): void => {
      if (kind === "open") this.#link.write(Command.LOGOUT, EMPTY, this.#nextRid());
      if (kind === "closed") resolve();
    };
    const stop = this.on("state", tell);
    timeout.set(LOGOUT_TIMEOUT_MS, resolve);
    tell(state);
    await promise;
    timeout.clear();
    stop();
    const isTaken = this.#state.kind === "closed" && this.#state.code === DisconnectCode.LOGGED_OUT;
    await this.close();
    return isTaken;
  }

  /** Tell it that the network may be back; in browsers the `online` event does. */
  wake(): void {
    this.#link.wake();
  }

  /**
   * Saves and acknowledges what was received, then disconnects. Messages not yet acknowledged reject; those that the store
   * keeps are sent by the next start.
   */
  close(): Promise<void> {
    if (this.#state.kind !== "closed") this.#receiver.flush();
    if (this.#state.kind !== "closed") {
      const closed = { kind: "closed", code: ClientCode.CLOSED, reason: "closed by the application" } as const;
      this.#shutDown({ ...closed, byDevice: "" }, undefined);
    }
    this.#closing ??= this.#receiver.stop().then(() => this.#sender.close());
    return this.#closing;
  }

  /** {@link ImClient.close}, for `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #start(run: number): Promise<void> {
    try {
      const stored = this.#isRestored ? undefined : await this.#settings.store.load();
      if (!this.#isRestored) await this.#sender.load(stored?.userId ?? "");
      if (run !== this.#run || this.#state.kind !== "connecting") return;
      this.#isRestored = true;
      this.#receiver.start(stored);
      this.#link.start();
    } catch (error) {
      if (run !== this.#run || this.#state.kind !== "connecting") return;
      // Going on from 0 would show every message again: a person has to decide.
      const reason = `the store could not be read: ${messageOf(error)}`;
      this.#terminated(endOf(ClientCode.STORE_FAILED, reason));
    }
  }

  #opened(welcome: Welcome): void {
    if (this.#state.kind === "reconnecting") this.#reconnects++;
    this.#logins++;
    const { userId, sessionId, entryId } = welcome;
    this.#sender.opened(userId, welcome.limits?.maxContentBytes ?? 0);
    this.#identity.opened(welcome.tokenTtlMs);
    this.#setState({ kind: "open", userId, sessionId, entryId });
    // A listener may have closed the client.
    if (this.#state.kind !== "open") return;
    // What was asked before; the receiver may ask more.
    this.#requests.connected();
    this.#receiver.connected(welcome, () => this.#events.emit("reset", { epoch: welcome.inboxEpoch }));
    this.#heads(welcome);
    this.#sender.outbox.pump();
  }

  #heads({ inboxHead, sysHead }: Pick<Welcome, "inboxHead" | "sysHead">): void {
    this.#receiver.headMoved(inboxHead);
    this.#events.emit("sysHead", sysHead);
  }

  #frame(frame: Envelope): void {
    if (this.#identity.frame(frame)) return;
    if (frame.cmd === Command.PUSH) this.#receiver.pushed(Push.decode(frame.body).events);
    else if (frame.cmd === Command.SEND_ACK) this.#sendAcknowledged(SendAck.decode(frame.body));
    else if (frame.cmd === Command.SYNC_PAGE) this.#receiver.paged(frame.rid, SyncPage.decode(frame.body));
    else if (frame.cmd === Command.ERROR) this.#refused(frame.rid, ErrorInfo.decode(frame.body));
    else if (frame.rid === 0) this.#events.emit("frame", frame);
    else this.#requests.answered(frame.rid, frame.body);
  }

  #sendAcknowledged(ack: SendAck): void {
    const { clientMessageId: id, messageId, conversationId, convSeq, sentAtMs, duplicate } = ack;
    this.#sender.outbox.acknowledged(id, { id, messageId, conversationId, convSeq, sentAtMs, duplicate });
    this.#receiver.ownStored(ack.inboxSeq);
  }

  /** The inbox shows an own message whose SEND_ACK was lost. */
  #claim(event: Event): boolean {
    const { clientMessageId: id, messageId, conversationId, convSeq, sentAtMs } = event;
    if (event.sender !== this.#receiver.userId) return false;
    return this.#sender.outbox.acknowledged(id, { id, messageId, conversationId, convSeq, sentAtMs, duplicate: false });
  }

  #refused(rid: number, info: ErrorInfo): void {
    if (rid === 0 && info.retryable) {
      this.#sender.outbox.retryFlying(info.retryAfterMs);
      this.#receiver.retry(info.retryAfterMs);
      this.#requests.retry(info.retryAfterMs);
      this.#identity.retry();
      return;
    }
    const error = refusalOf(info);
    if (rid === 0) this.#events.emit("error", error);
    else if (this.#identity.refused(rid, info)) return;
    else if (!this.#receiver.refused(rid, info) && !this.#requests.refused(rid, info))
      this.#sender.outbox.refused(rid, error);
  }

  #retrying(attempt: number, end: ConnectionEnd, delayMs: number): void {
    this.#sender.outbox.disconnected();
    this.#receiver.disconnected();
    this.#identity.closed();
    const { code, reason } = end;
    if (this.#state.kind === "connecting") this.#setState({ kind: "connecting", attempt: attempt + 1, code, reason });
    else this.#setState({ kind: "reconnecting", attempt, code, reason, delayMs });
  }

  #terminated(end: ConnectionEnd): void {
    const { code, reason, byDevice } = end;
    const closed = { kind: "closed", code, reason, byDevice } as const;
    this.#shutDown(closed, closedError(closed));
    if (KICK_CODES.has(code)) {
      this.#events.emit("kicked", { code, reason, byDevice });
    }
  }

  #shutDown(state: ClosedState, error: ImClientError | undefined): void {
    this.#unwatchNetwork();
    this.#link.stop();
    this.#sender.shutDown(closedError(state));
    this.#requests.rejectAll(closedError(state));
    this.#identity.stop(closedError(state));
    // Settles when the store has the last cursor; close() waits for the same.
    void this.#receiver.stop(error);
    this.#setState(state);
  }

  #writeSend(body: Uint8Array): number | undefined {
    if (!this.#link.isOpen) return undefined;
    // The acknowledgement of what came rides in the same packet.
    this.#receiver.flush();
    const rid = this.#nextRid();
    this.#link.write(Command.SEND, body, rid);
    return rid;
  }

  #ask(cmd: number, body: Uint8Array): number | undefined {
    const rid = this.#nextRid();
    return this.#link.write(cmd, body, rid) ? rid : undefined;
  }

  #nextRid(): number {
    this.#rid = (this.#rid % 0x7fff_ffff) + 1;
    return this.#rid;
  }

  #storeFailed(what: string, cause: unknown): void {
    const text = `the store could not ${what}: ${messageOf(cause)}`;
    this.#events.emit("error", new ImClientError(ClientCode.STORE_FAILED, text, { cause, retryable: true }));
  }

  #setState(state: ClientState): void {
    const previous = this.#state;
    this.#state = state;
    this.#events.emit("state", state, previous);
  }
}

const LOGOUT_TIMEOUT_MS = 10_000;
const KICK_CODES: ReadonlySet<number> = new Set([
  DisconnectCode.KICKED,
  DisconnectCode.SUPERSEDED,
  DisconnectCode.EVICTED,
]);

function closedError(state: ClosedState): ImClientError {
  return new ImClientError(state.code, `the client is closed: ${state.reason}`, { retryable: false });
}

interface NetworkEvents {
  addEventListener?(event: "online", listener: () => void): void;
  removeEventListener?(event: "online", listener: () => void): void;
}

function watchNetwork(onOnline: () => void): () => void {
  const events = globalThis as NetworkEvents;
  events.addEventListener?.("online", onOnline);
  return () => events.removeEventListener?.("online", onOnline);
}
