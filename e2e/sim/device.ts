// SPDX-License-Identifier: Apache-2.0
import { ImClient, ImClientError, type Message, type Platform, type StoredCursor, type Transport } from "#client";
import { SysPage } from "../../client/src/models/broadcasts-codec.ts";
import type { SystemMessagesClient } from "../../client/src/models/index.ts";
import { bodyHashOf } from "../checker/history.ts";
import { BroadcastReader } from "../workload/broadcast-reader.ts";
import { ChatApp, type GroupAction } from "../workload/chat-app.ts";
import { factsOf } from "../workload/message-facts.ts";
import type { EntryProcess } from "./entry-process.ts";
import { Proc } from "./kernel.ts";
import type { Wire } from "./network.ts";
import { simToken } from "./tokens.ts";
import type { World } from "./world.ts";

/** Codes from here on are the client's own: nothing was said about the message. */
const FIRST_CLIENT_CODE = 1000;
const SLOTS: Readonly<Record<Platform, string>> = {
  ios: "mobile",
  android: "mobile",
  web: "web",
  desktop: "desktop",
  mini: "mini",
};

/** Who a device belongs to, and how its application takes messages. */
export interface DeviceOptions {
  uid: string;
  device: string;
  platform: Platform;
  /** Ms its application takes for each message; 0: it is told of each as it comes. */
  slowMs: number;
  /** Its application keeps how far it has come with broadcasts. */
  keepsPlace: boolean;
}

/** Broadcasts are asked for within this after a server told of them. */
const SPREAD_MS = 300;

/** One device with the real SDK: its application keeps what it was shown, and the cursor, over restarts. */
export class Device {
  readonly uid: string;
  readonly device: string;
  readonly slot: string;
  readonly #world: World;
  readonly #entries: readonly EntryProcess[];
  readonly #options: DeviceOptions;
  #proc: Proc;
  #client: ImClient | undefined;
  #cursor: StoredCursor | undefined;
  /** Highest inbox seq ever shown. */
  #shownSeq = 0;
  /** Up to here a killed application recognizes what comes again. */
  #killedAtSeq = 0;
  readonly #shownIds: string[] = [];
  /** What was shown of an inbox that then began anew, which the application recognizes. */
  readonly #known = new Set<string>();
  /** Messages that its loop has read, of those that this client has for it. */
  #read = 0;
  /** The next so many that the loop reads are of the inbox before. */
  #leftOver = 0;
  #loop: Promise<void> = Promise.resolve();
  #sid = "";
  #tokenIssuedAtMs = 0;
  #sends = 0;
  #resets = 0;
  readonly #chat: ChatApp;
  readonly #broadcasts: BroadcastReader;
  /** Called when it dies of the next page of broadcasts. */
  #onPageDeath: (() => void) | undefined;

  constructor(world: World, entries: readonly EntryProcess[], options: DeviceOptions) {
    this.#world = world;
    this.#entries = entries;
    this.#options = options;
    this.uid = options.uid;
    this.device = options.device;
    this.slot = SLOTS[options.platform];
    this.#proc = new Proc(this.name);
    this.#chat = new ChatApp({
      ...{ uid: this.uid, device: this.device, process: this.name },
      record: (event) => world.record(event),
      newId: () => `${this.device}-${this.#sends++}`,
    });
    this.#broadcasts = new BroadcastReader({
      ...{ uid: this.uid, device: this.device, process: this.name, keepsPlace: options.keepsPlace },
      record: (event) => world.record(event),
      ...{ spreadMs: SPREAD_MS, random: world.kernel.random.next },
      clock: {
        wallMs: () => world.kernel.wallMs,
        nowMs: () => world.kernel.nowMs,
        after: (delayMs, fn) => world.kernel.after(delayMs, this.#proc, fn),
      },
    });
  }

  get name(): string {
    return `client:${this.uid}/${this.device}`;
  }

  get proc(): Proc {
    return this.#proc;
  }

  get platform(): Platform {
    return this.#options.platform;
  }

  /** How far it has come with broadcasts. */
  get place(): number {
    return this.#broadcasts.position;
  }

  get isRunning(): boolean {
    return this.#client !== undefined && this.#client.state.kind !== "closed";
  }

  get isOpen(): boolean {
    return this.#client?.state.kind === "open";
  }

  /** Inbox position that was saved last. */
  get cursor(): number {
    return this.#cursor?.cursor ?? 0;
  }

  /** Messages not acknowledged yet. */
  get unsent(): number {
    return this.#client?.stats.outbox ?? 0;
  }

  /** Times the server did not know the cursor. */
  get resets(): number {
    return this.#resets;
  }

  /** The person opens the application; nothing while it runs. */
  open(): void {
    if (this.isRunning) return;
    const { kernel } = this.#world;
    if (this.#proc.isDead) this.#proc = new Proc(this.name);
    const proc = this.#proc;
    kernel.after(0, proc, () => void this.#connectAfter(this.#loop, proc));
  }

  /** Suspended by {@link Device.doze}. */
  get isDozing(): boolean {
    return !this.#proc.isDead && this.#proc.pausedUntilMs > this.#world.kernel.nowMs;
  }

  /** The application gets no time for a while. */
  doze(forMs: number): void {
    this.#proc.pausedUntilMs = this.#world.kernel.nowMs + forMs;
  }

  /** The person closes it. */
  close(): void {
    const client = this.#client;
    if (client) this.#world.kernel.after(0, this.#proc, () => void client.close());
  }

  /** The application is killed: what was not saved is lost. */
  kill(): void {
    if (this.#proc.isDead) return;
    this.die();
    this.#world.network.died(this.#proc);
  }

  /** The battery is empty: as a kill, and nobody hears of it. */
  die(): void {
    if (this.#proc.isDead) return;
    this.#proc.isDead = true;
    this.#client = undefined;
    this.#killedAtSeq = this.#shownSeq;
    this.#leftOver = 0;
    this.#loop = Promise.resolve();
    this.#closed();
  }

  /** It is killed when the next page of broadcasts comes, and before it sees them. */
  dieAtPage(onDeath: () => void): void {
    this.#onPageDeath = onDeath;
  }

  /** The network below every connection of this device goes away; `isSilent`: without the other side hearing of it. */
  loseNetwork(isSilent: boolean): void {
    for (const entry of this.#entries)
      for (const wire of this.#world.network.between(this.#proc, entry.proc)) {
        if (isSilent) wire.vanish(0, "network lost");
        else wire.reset("network lost");
      }
  }

  /** Takes no bytes from its connections for a while. */
  stall(untilMs: number): void {
    for (const entry of this.#entries)
      for (const wire of this.#world.network.between(this.#proc, entry.proc)) wire.stall(1, untilMs);
  }

  /** Sends a message with a body of its own; `bytes` long at least. `to`: a user, or with a # a conversation. */
  send(to: string, bytes = 0): void {
    const cmid = `${this.device}-${this.#sends++}`;
    const content = new TextEncoder().encode(`${this.uid} to ${to}: ${cmid}`.padEnd(bytes, "."));
    const client = this.#client;
    if (!client || !this.isRunning) return;
    this.#world.kernel.after(0, this.#proc, () => void this.#send(client, to, cmid, content));
  }

  /** Recalls or edits one of the user's own messages. */
  change(kind: "recall" | "edit", pick: number): void {
    const client = this.#client;
    if (!client || !this.isRunning) return;
    this.#world.kernel.after(0, this.#proc, () => void this.#chat.change(client, kind, pick));
  }

  /** Makes or changes a group. */
  changeGroup(action: GroupAction, onMade: (conv: string) => void = () => undefined): void {
    const client = this.#client;
    if (!client || !this.isRunning) return;
    const change = async (): Promise<void> => {
      const conv = await this.#chat.changeGroup(client, action);
      if (conv !== undefined) onMade(conv);
    };
    this.#world.kernel.after(0, this.#proc, () => void change());
  }

  async #send(client: ImClient, to: string, cmid: string, content: Uint8Array): Promise<void> {
    const base = { uid: this.uid, device: this.device, cmid, to, bodyHash: bodyHashOf(content), process: this.name };
    this.#world.record({ op: "send", kind: "invoke", ...base });
    try {
      const target = to.startsWith("#") ? { conversationId: to.slice(1) } : { to };
      const sent = await client.send({ ...target, content, id: cmid });
      const { conversationId: conv, convSeq: seq, messageId } = sent;
      this.#world.record({ op: "send", kind: "ok", ...base, conv, seq, messageId });
      this.#chat.sent(sent, to, content);
    } catch (error) {
      const isRefused = error instanceof ImClientError && !error.retryable && error.code < FIRST_CLIENT_CODE;
      this.#world.record({ op: "send", kind: isRefused ? "fail" : "info", ...base });
    }
  }

  /** A loop that still reads what an earlier client left it goes on first, as one application has one loop. */
  async #connectAfter(loop: Promise<void>, proc: Proc): Promise<void> {
    await loop;
    if (!this.isRunning) this.#connect(proc);
  }

  #connect(proc: Proc): void {
    const { kernel } = this.#world;
    const client = new ImClient({
      url: "tcp://fleet:443",
      transport: this.#transport(proc),
      getToken: () => {
        this.#tokenIssuedAtMs = kernel.nowMs;
        return simToken(this.#world, this.uid);
      },
      deviceId: this.device,
      deviceName: this.name,
      platform: this.#options.platform,
      store: {
        load: () => this.#cursor,
        save: (cursor) => {
          this.#cursor = cursor;
        },
      },
      timing: { backoffCapMs: 4000, ackTimeoutMs: 5000, syncTimeoutMs: 3000, loginTimeoutMs: 8000 },
      streamLimit: 3,
      clock: kernel.clockOf(proc),
      random: kernel.random.next,
    });
    this.#client = client;
    this.#read = 0;
    this.#broadcasts.read(this.#mortal(client));
    client.on("reset", () => this.#reset());
    client.on("state", (state) => {
      if (client !== this.#client) return;
      if (state.kind === "closed") this.#broadcasts.stop();
      if (state.kind === "open") this.#opened(state.sessionId);
      else this.#closed("code" in state ? state.code : undefined);
      this.#world.note(this.name, "reason" in state ? `${state.kind}: ${state.code} ${state.reason}` : state.kind);
    });
    if (this.#options.slowMs === 0) client.on("message", (message) => this.#shown(message));
    else this.#loop = this.#readSlowly(client, proc);
    client.connect();
  }

  /** What reads broadcasts asks through here. */
  #mortal(client: ImClient): SystemMessagesClient {
    return {
      get userId() {
        return client.userId;
      },
      on: client.on.bind(client),
      request: async (cmd, body, options) => {
        const answer = await client.request(cmd, body, options);
        const onDeath = this.#onPageDeath;
        if (!onDeath || client !== this.#client || SysPage.decode(answer).messages.length === 0) return answer;
        this.#onPageDeath = undefined;
        this.#world.note(this.name, "dies at a page of broadcasts");
        this.kill();
        onDeath();
        return await new Promise<never>(() => undefined);
      },
    };
  }

  async #readSlowly(client: ImClient, proc: Proc): Promise<void> {
    try {
      for await (const message of client.messages()) {
        this.#read++;
        this.#shown(message);
        await this.#world.kernel.sleep(this.#options.slowMs, proc);
      }
    } catch {
      // Closed by a terminal code; the state event told.
    }
  }

  #opened(sid: string): void {
    this.#closed();
    this.#sid = sid;
    const base = { uid: this.uid, device: this.device, slot: this.slot, sid, process: this.name };
    this.#world.record({ op: "session", kind: "open", ...base, tokenIssuedAtMs: this.#tokenIssuedAtMs });
  }

  #closed(code?: number): void {
    const sid = this.#sid;
    this.#sid = "";
    if (sid === "") return;
    const base = { uid: this.uid, device: this.device, slot: this.slot, sid, process: this.name };
    this.#world.record({ op: "session", kind: "close", ...base, ...(code ? { code } : {}) });
  }

  #reset(): void {
    this.#resets++;
    for (const id of this.#shownIds) this.#known.add(id);
    if (this.#options.slowMs > 0 && this.#client) this.#leftOver = this.#client.stats.received - this.#read;
    this.#shownSeq = 0;
    this.#killedAtSeq = 0;
    this.#world.note(this.name, "the inbox begins anew");
  }

  #shown(message: Message): void {
    const { conversationId: conv, convSeq: seq, inboxSeq, messageId, sender, clientMessageId: cmid } = message;
    const isLeftOver = this.#leftOver > 0;
    if (isLeftOver) this.#leftOver--;
    if (inboxSeq <= this.#killedAtSeq || this.#known.has(messageId)) return;
    this.#shownIds.push(messageId);
    if (isLeftOver) this.#known.add(messageId);
    else this.#shownSeq = Math.max(this.#shownSeq, inboxSeq);
    const { uid, device, slot } = this;
    const { group: _, ...facts } = factsOf(message);
    const session = this.#sid === "" ? {} : { sid: this.#sid, slot };
    const event = { uid, device, conv, seq, inboxSeq, messageId, sender, cmid, ...facts, ...session };
    this.#world.record({ op: "receive", kind: "ok", process: this.name, ...event });
    this.#chat.shown(message);
  }

  #transport(proc: Proc): Transport {
    const { kernel, network } = this.#world;
    return (_url, listener) => {
      let wire: Wire<Uint8Array> | undefined;
      let isClosed = false;
      const lost = (reason: string): void => {
        if (isClosed) return;
        isClosed = true;
        listener.onClose(1006, reason);
      };
      kernel.after(network.latencyMs(), proc, () => {
        if (isClosed) return;
        const ready = this.#entries.filter((entry) => entry.isReady && !network.isCut(proc, entry.proc));
        if (ready.length === 0) {
          lost("no entry is ready");
          return;
        }
        const entry = kernel.random.pick(ready);
        const opened = network.open<Uint8Array>(proc, entry.proc, (bytes) => bytes.length);
        wire = opened;
        opened.attach(0, {
          onMessage: (bytes) => {
            if (!isClosed) listener.onData(bytes);
          },
          onClose: (error) => {
            opened.close(0);
            lost(error?.message ?? "closed");
          },
        });
        kernel.after(0, entry.proc, () => entry.accept(opened));
        const who = { uid: this.uid, device: this.device, slot: this.slot, sid: "", process: this.name };
        this.#world.record({ op: "session", kind: "invoke", ...who });
        listener.onOpen();
      });
      return {
        send: (bytes) => wire?.send(0, new Uint8Array(bytes)),
        close: () => {
          isClosed = true;
          wire?.close(0);
        },
      };
    };
  }
}
