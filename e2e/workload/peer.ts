// SPDX-License-Identifier: Apache-2.0
import type { ClientState, ImClient, MemoryStore, Message, Platform, Timing } from "#client";
import { CHANGE_TYPE } from "../../client/src/models/content-types.ts";
import { slotOf } from "../../logic/session/slots.ts";
import { bodyHashOf, type HistoryRecorder } from "../checker/history.ts";
import { BroadcastReader } from "./broadcast-reader.ts";
import { ChatApp, type GroupAction } from "./chat-app.ts";
import type { LatencyHistogram } from "./latency-histogram.ts";
import { factsOf } from "./message-facts.ts";
import { OUR_SDK, type Sdk } from "./sdk.ts";
import { type ClientTarget, firstUrl, targetTransport } from "./sdk-transport.ts";

/** Options of {@link Peer}. */
export interface PeerOptions {
  uid: string;
  device: string;
  platform: Platform;
  target: ClientTarget;
  getToken: () => Promise<string>;
  recorder: HistoryRecorder;
  ackLatency?: LatencyHistogram;
  timing?: Partial<Timing>;
  /** Of what it says. Default: plain text, which rules of the cluster may look at. */
  contentType?: string;
  /** Sends in flight per conversation. Default 1. */
  conversationWindow?: number;
  /** It shows broadcasts, and keeps its place among them. */
  readsBroadcasts?: boolean;
}

/** For load on a cluster whose rules are for people: they look at text/plain only, unless they say otherwise. */
export const LOAD_CONTENT_TYPE = "text/x-load";

/** Between a message and what changes it lie fewer, also when the one who changes it cannot be heard for some seconds. */
const MAX_KNOWN = 2500;
const POLL_MS = 50;
/** A phone takes longer: here are few, and not a million of them. */
const BROADCAST_SPREAD_MS = 200;
const OPEN_TIMEOUT_MS = 60_000;
/** Reconnects after a kill should take part of a second, not the twenty that suit a phone. */
const BACKOFF_CAP_MS = 2000;
const ACK_TIMEOUT_MS = 5000;

/** One device of a workload: an SDK client whose sends and messages go into the history. */
export class Peer {
  readonly uid: string;
  readonly device: string;
  readonly #options: PeerOptions;
  /** Outlives a client: going online again is what a restarted application does. */
  readonly #store: MemoryStore;
  readonly #sdk: Sdk;
  readonly #shown = new Set<string>();
  /** What {@link waitShown} calls still miss. */
  readonly #awaited = new Set<Set<string>>();
  readonly #waiters = new Set<() => void>();
  readonly #chat: ChatApp;
  readonly #broadcasts: BroadcastReader | undefined;
  #asked = 0;
  #client: ImClient | undefined;
  readonly #delivered = new Set<string>();
  #reconnects = 0;
  #resets = 0;
  #sending = 0;
  #acknowledged = 0;
  /** Id of the open session. */
  #sid: string | undefined;

  constructor(options: PeerOptions) {
    this.#options = options;
    this.uid = options.uid;
    this.device = options.device;
    this.#sdk = options.target.sdk ?? OUR_SDK;
    this.#store = new this.#sdk.MemoryStore();
    this.#chat = new ChatApp({
      ...{ uid: this.uid, device: this.device, process: this.#name, maxKnown: MAX_KNOWN },
      errorClass: this.#sdk.ImClientError,
      record: (event) => options.recorder.record(event),
      newId: () => `${this.uid}-${this.device}-asked-${this.#asked++}`,
    });
    const reader = { uid: this.uid, device: this.device, process: this.#name, keepsPlace: true };
    if (options.readsBroadcasts)
      this.#broadcasts = new BroadcastReader({
        ...{ ...reader, spreadMs: BROADCAST_SPREAD_MS },
        record: (event) => options.recorder.record(event),
      });
  }

  get isOnline(): boolean {
    return this.#client !== undefined;
  }

  /** Its client ended for good, e.g. because another device took its slot. */
  get isClosed(): boolean {
    return this.#client?.state.kind === "closed";
  }

  /** Connections that were lost and made again, over all clients. */
  get reconnects(): number {
    return this.#reconnects + (this.#client?.stats.reconnects ?? 0);
  }

  /** Id of its open session; undefined without one. */
  get sid(): string | undefined {
    return this.#sid;
  }

  /** Slot in which its sessions replace each other. */
  get slot(): string {
    return slotOf(this.#options.platform) ?? "";
  }

  /** Sends, changes and requests of groups without an answer yet. */
  get sending(): number {
    return this.#sending;
  }

  /** Sends that were acknowledged. */
  get acknowledged(): number {
    return this.#acknowledged;
  }

  /** Times the server did not accept the cursor: must stay 0. */
  get resets(): number {
    return this.#resets;
  }

  /** The running client. @throws Error while offline */
  get client(): ImClient {
    if (!this.#client) throw new Error(`${this.#name} is offline`);
    return this.#client;
  }

  get #name(): string {
    return `client:${this.uid}/${this.device}`;
  }

  /** Connects a new client that goes on from the stored cursor. @throws when it is not logged in within a minute */
  async goOnline(): Promise<void> {
    await this.connect().ready({ signal: AbortSignal.timeout(OPEN_TIMEOUT_MS) });
  }

  /** As {@link goOnline}, without waiting for the login. */
  connect(): ImClient {
    const { target, getToken, platform, conversationWindow = 1 } = this.#options;
    const client = new this.#sdk.ImClient({
      url: firstUrl(target),
      transport: targetTransport(target),
      getToken,
      deviceId: this.device,
      deviceName: `${this.uid}'s ${this.device}`,
      platform,
      store: this.#store,
      conversationWindow,
      timing: { backoffCapMs: BACKOFF_CAP_MS, ackTimeoutMs: ACK_TIMEOUT_MS, ...this.#options.timing },
    });
    this.#broadcasts?.read(client);
    client.on("message", (message) => this.#onMessage(message));
    client.on("reset", () => this.#resets++);
    client.on("state", (state) => this.#onState(state));
    this.#client = client;
    client.connect();
    return client;
  }

  #onState(state: ClientState): void {
    const why = "reason" in state ? `: ${state.code} ${state.reason}` : "";
    const what = `${state.kind}${why}`;
    this.#options.recorder.record({ op: "connection", kind: "info", process: this.#name, what });
    this.#session("close");
    this.#sid = state.kind === "open" ? state.sessionId : undefined;
    this.#session("open");
    this.#wake();
  }

  #session(kind: "open" | "close"): void {
    const { uid, device, slot } = this;
    const sid = this.#sid;
    if (sid !== undefined)
      this.#options.recorder.record({ op: "session", kind, process: this.#name, uid, device, slot, sid });
  }

  /** Closes the client; nothing may be in flight. */
  async goOffline(): Promise<void> {
    const client = this.#client;
    this.#client = undefined;
    this.#broadcasts?.stop();
    this.#reconnects += client?.stats.reconnects ?? 0;
    await client?.close();
  }

  /** Recalls or edits one of its newest messages: what tells of it, and to whom; undefined when nothing was changed. */
  change(kind: "recall" | "edit", pick: number): Promise<{ cmid: string; to: string } | undefined> {
    return this.#ask(() => this.#chat.change(this.client, kind, pick));
  }

  /** Makes or changes a group: its id, undefined when that was refused or is not known. */
  changeGroup(action: GroupAction): Promise<string | undefined> {
    return this.#ask(() => this.#chat.changeGroup(this.client, action));
  }

  async #ask<T>(job: () => Promise<T>): Promise<T> {
    this.#sending++;
    try {
      return await job();
    } finally {
      this.#sending--;
      this.#wake();
    }
  }

  /** Resolves when everything up to this inbox position was handed out; false after `timeoutMs`. */
  async waitCursor(seq: number, timeoutMs: number): Promise<boolean> {
    const untilMs = performance.now() + timeoutMs;
    while ((this.#store.load()?.cursor ?? 0) < seq) {
      if (performance.now() > untilMs) return false;
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
    return true;
  }

  /** Resolves when every broadcast up to this number was shown, or is not for it; false after `timeoutMs`. */
  async waitPlace(seq: number, timeoutMs: number): Promise<boolean> {
    const untilMs = performance.now() + timeoutMs;
    while (this.#broadcasts && this.#broadcasts.position < seq) {
      if (performance.now() > untilMs) return false;
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
    return true;
  }

  /** Sends to a user, or with a # into a conversation, and waits for the answer; records both. False when the message was refused or its outcome is unknown. */
  async send(to: string, cmid: string, content: Uint8Array): Promise<boolean> {
    const { recorder, ackLatency, contentType } = this.#options;
    const base = { uid: this.uid, device: this.device, cmid, to, bodyHash: bodyHashOf(content), process: this.#name };
    recorder.record({ op: "send", kind: "invoke", ...base });
    const startedMs = performance.now();
    this.#sending++;
    try {
      const target = to.startsWith("#") ? { conversationId: to.slice(1) } : { to };
      const type = contentType === undefined ? {} : { contentType };
      const sent = await this.client.send({ ...target, ...type, content, id: cmid });
      const { conversationId: conv, convSeq: seq, messageId } = sent;
      ackLatency?.add(performance.now() - startedMs);
      recorder.record({ op: "send", kind: "ok", ...base, conv, seq, messageId });
      this.#chat.sent(sent, to, content);
      this.#acknowledged++;
      return true;
    } catch (error) {
      const isFailure = error instanceof this.#sdk.ImClientError && !error.retryable && error.code < 1000;
      recorder.record({ op: "send", kind: isFailure ? "fail" : "info", ...base });
      recorder.record({ op: "connection", kind: "info", process: this.#name, what: `send ${cmid}: ${String(error)}` });
      return false;
    } finally {
      this.#sending--;
      this.#wake();
    }
  }

  /** Resolves when no send is in flight. */
  async idle(): Promise<void> {
    await this.#wait(OPEN_TIMEOUT_MS, () => this.#sending === 0);
  }

  /** Resolves when every one of `cmids` (with their senders) was shown; false after `timeoutMs`. */
  async waitShown(cmids: Iterable<string>, timeoutMs: number): Promise<boolean> {
    const missing = new Set([...cmids].filter((cmid) => !this.#shown.has(cmid)));
    this.#awaited.add(missing);
    const isComplete = await this.#wait(timeoutMs, () => missing.size === 0);
    this.#awaited.delete(missing);
    return isComplete;
  }

  /** Distinct client message ids shown so far. */
  get shownCount(): number {
    return this.#shown.size;
  }

  /** Distinct messages of others shown so far, without those that tell of a change. */
  get deliveredCount(): number {
    return this.#delivered.size;
  }

  #onMessage(message: Message): void {
    const { conversationId: conv, convSeq: seq, inboxSeq, messageId, sender, clientMessageId: cmid } = message;
    const { uid, device } = this;
    const { group: _, ...facts } = factsOf(message);
    const session = this.#sid === undefined ? {} : { sid: this.#sid, slot: this.slot };
    const base = { uid, device, process: this.#name, ...session };
    const event = { ...base, conv, seq, inboxSeq, messageId, sender, cmid, ...facts };
    this.#options.recorder.record({ op: "receive", kind: "ok", ...event });
    this.#chat.shown(message);
    this.#shown.add(cmid);
    if (sender !== uid && message.contentType !== CHANGE_TYPE) this.#delivered.add(cmid);
    for (const missing of this.#awaited) missing.delete(cmid);
    this.#wake();
  }

  #wake(): void {
    for (const waiter of [...this.#waiters]) waiter();
  }

  #wait(timeoutMs: number, condition: () => boolean): Promise<boolean> {
    return new Promise((resolve) => {
      const settle = (result: boolean): void => {
        clearTimeout(timer);
        this.#waiters.delete(check);
        resolve(result);
      };
      const check = (): void => {
        if (condition()) settle(true);
      };
      const timer = setTimeout(() => settle(false), timeoutMs);
      this.#waiters.add(check);
      check();
    });
  }
}
