// SPDX-License-Identifier: Apache-2.0
import { type ClientState, DisconnectCode, ImClient, type Message, type WebSocketLike } from "#client";
import type { TextArgs, TextKey } from "./language.ts";
import { Latency } from "./latency.ts";
import { Network } from "./network.ts";

/** How far a message of one's own has come. */
export type Progress = "sending" | "stored" | "delivered" | "failed";

/** A message in a pane. */
export interface ChatMessage {
  readonly key: string;
  readonly isMine: boolean;
  readonly text: string;
  atMs: number;
  progress: Progress;
  /** Why it failed. */
  reason: string;
}

/** What a {@link Chat} shows itself on. */
export interface ChatView {
  add(message: ChatMessage): void;
  update(message: ChatMessage): void;
  notice(key: TextKey, args?: TextArgs): void;
  state(state: ClientState): void;
  figures(figures: ChatFigures): void;
}

/** Figures of one side. */
export interface ChatFigures {
  readonly entry: string;
  readonly p50Ms: number | undefined;
  readonly p99Ms: number | undefined;
  readonly reconnects: number;
  readonly waiting: number;
}

/** Options of {@link Chat}. */
export interface ChatOptions {
  me: string;
  peer: string;
  url: string;
  token: string;
  deviceId: string;
  view: ChatView;
  dial(url: string): WebSocketLike;
  /** This side shows a message of the other: that one is delivered. */
  onShown(clientMessageId: string): void;
}

const REMEMBERED = 1_000;
const BURST = 50;

/** One side of the demo: a real client, and what its pane shows. */
export class Chat {
  readonly #options: ChatOptions;
  readonly #network: Network;
  readonly #client: ImClient;
  readonly #latency = new Latency();
  readonly #mine = new Map<string, ChatMessage>();
  #entry = "";
  #burstLeft = 0;

  constructor(options: ChatOptions) {
    this.#options = options;
    this.#network = new Network(options.dial);
    const { me, url, token, deviceId } = options;
    this.#client = new ImClient({
      url,
      deviceId,
      deviceName: `${me}'s browser`,
      platform: "web",
      getToken: () => token,
      webSocket: this.#network.open,
      timing: { backoffCapMs: 3_000 },
    });
    this.#listen();
  }

  get isOnline(): boolean {
    return this.#network.isOnline;
  }

  connect(): void {
    this.#client.connect();
  }

  /** Resolves when it is stored or has failed; either is shown. */
  async send(text: string): Promise<void> {
    const key = crypto.randomUUID();
    const message: ChatMessage = { key, isMine: true, text, atMs: Date.now(), progress: "sending", reason: "" };
    this.#remember(message);
    this.#options.view.add(message);
    const startedMs = performance.now();
    try {
      const sending = this.#client.send({ to: this.#options.peer, content: text, id: key });
      this.#figures();
      message.atMs = (await sending).sentAtMs;
      this.#latency.add(performance.now() - startedMs);
      // The other side may have shown it before the acknowledgement came.
      if (message.progress === "sending") message.progress = "stored";
    } catch (error) {
      message.progress = "failed";
      message.reason = error instanceof Error ? error.message : String(error);
    }
    this.#options.view.update(message);
    this.#figures();
  }

  /** Fifty messages, each after the acknowledgement of the one before. */
  async burst(): Promise<void> {
    const isRunning = this.#burstLeft > 0;
    this.#burstLeft += BURST;
    if (isRunning) return;
    for (let n = 1; this.#burstLeft > 0; n++, this.#burstLeft--) await this.send(`#${n}`);
  }

  /** The other side shows this message. */
  delivered(clientMessageId: string): void {
    const message = this.#mine.get(clientMessageId);
    if (message === undefined || message.progress === "delivered") return;
    message.progress = "delivered";
    this.#options.view.update(message);
  }

  kill(): void {
    this.#network.kill();
  }

  setOnline(isOnline: boolean): void {
    this.#network.setOnline(isOnline);
    if (isOnline) this.#client.wake();
    else this.#options.view.notice("noticeOffline");
  }

  #listen(): void {
    const { view } = this.#options;
    this.#client.on("state", (state, previous) => {
      view.state(state);
      this.#explain(state, previous);
      this.#figures();
    });
    this.#client.on("message", (message) => this.#show(message));
    this.#client.on("goaway", ({ delayMs }) => view.notice("noticeGoaway", { seconds: (delayMs / 1000).toFixed(1) }));
    this.#client.on("kicked", ({ byDevice: device }) =>
      device === "" ? view.notice("noticeKicked") : view.notice("noticeKickedBy", { device }),
    );
    this.#client.on("reset", () => view.notice("noticeReset"));
    this.#client.on("error", ({ message: reason }) => view.notice("noticeError", { reason }));
  }

  #explain(state: ClientState, previous: ClientState): void {
    const { view } = this.#options;
    if (state.kind === "open") {
      const entry = state.entryId;
      if (previous.kind === "open") view.notice("noticeMoved", { from: this.#entry, entry });
      else view.notice("noticeOpen", { entry });
      this.#entry = entry;
    } else if (state.kind === "reconnecting" && previous.kind === "open") {
      view.notice("noticeLost", { reason: `${state.code} ${state.reason}` });
    } else if (state.kind === "closed" && !isKick(state.code)) {
      view.notice("noticeClosed", { reason: `${state.code} ${state.reason}` });
    }
  }

  #show({ own, text, sentAtMs, clientMessageId, messageId }: Message): void {
    const key = clientMessageId || messageId;
    // Own ones come from an earlier life of this page, or from another device.
    const message: ChatMessage = { key, isMine: own, text, atMs: sentAtMs, progress: "stored", reason: "" };
    if (own) this.#remember(message);
    this.#options.view.add(message);
    if (!own) this.#options.onShown(key);
  }

  #remember(message: ChatMessage): void {
    this.#mine.set(message.key, message);
    for (const key of this.#mine.keys()) if (this.#mine.size > REMEMBERED) this.#mine.delete(key);
  }

  #figures(): void {
    const { reconnects, outbox: waiting } = this.#client.stats;
    const [p50Ms, p99Ms] = [this.#latency.percentile(0.5), this.#latency.percentile(0.99)];
    const entry = this.#client.state.kind === "open" ? this.#entry : "";
    this.#options.view.figures({ entry, p50Ms, p99Ms, reconnects, waiting });
  }
}

function isKick(code: number): boolean {
  return code === DisconnectCode.KICKED || code === DisconnectCode.SUPERSEDED;
}
