// SPDX-License-Identifier: Apache-2.0
import type { ImClient } from "../client.ts";
import { type Clock, Timer } from "../clock.ts";
import { ChatCommand } from "./chat-commands.ts";
import { Typing, TypingState } from "./conversations-codec.ts";
import { hear } from "./hear.ts";

/** Another member writes, or does no more. */
export interface TypingNotice {
  /** Where. */
  readonly conversationId: string;
  /** Who. */
  readonly userId: string;
  /** False: it stopped, or was not heard of for 6 s. */
  readonly isTyping: boolean;
}

/** What {@link TypingBoard} tells of. */
export interface TypingBoardOptions {
  readonly clock: Clock;
  onTyping(notice: TypingNotice): void;
}

/** While somebody writes, the server is told again after this. */
const REPEAT_MS = 3000;
/** Whoever is not heard of for so long writes no more. */
const EXPIRY_MS = 6000;
/** After this it means nothing any more, wherever it waits. */
const STALE_MS = 2000;
const MAX_SHOWN = 500;

/** Who writes where: told to the server at a pace, and forgotten when nothing is heard. */
export class TypingBoard {
  readonly #client: Pick<ImClient, "request" | "on" | "state">;
  readonly #options: TypingBoardOptions;
  /** Where this user writes: when that was told last. */
  readonly #own = new Map<string, number>();
  /** Others who write: what ends it. */
  readonly #others = new Map<string, { readonly timer: Timer; readonly notice: TypingNotice }>();
  /** Requests under way. */
  readonly #asking = new Set<AbortController>();
  readonly #stop: () => void;

  constructor(client: Pick<ImClient, "request" | "on" | "state">, options: TypingBoardOptions) {
    this.#client = client;
    this.#options = options;
    this.#stop = hear(client, ChatCommand.TYPING, TypingState.decode, { onFrame: (state) => this.#heard(state) });
  }

  typing(conversationId: string, isTyping: boolean): void {
    const nowMs = this.#options.clock.nowMs();
    const toldMs = this.#own.get(conversationId);
    const isKnown = toldMs !== undefined && nowMs - toldMs < REPEAT_MS;
    if (isTyping ? isKnown : toldMs === undefined) return;
    this.#own.clear();
    if (isTyping) this.#own.set(conversationId, nowMs);
    if (this.#client.state.kind === "open") this.#tell(conversationId, !isTyping);
  }

  close(): void {
    this.#stop();
    for (const { timer } of this.#others.values()) timer.clear();
    this.#others.clear();
    for (const asking of [...this.#asking]) asking.abort();
  }

  /** Asked as a question, so that a client knows by its own time when it is not worth repeating. */
  #tell(conversationId: string, stopped: boolean): void {
    const asking = new AbortController();
    const timer = new Timer(this.#options.clock);
    const done = (): void => {
      timer.clear();
      this.#asking.delete(asking);
    };
    this.#asking.add(asking);
    timer.set(STALE_MS, () => asking.abort());
    const body = Typing.encode({ conversationId, stopped });
    // Refused or lost, it means nothing: whoever writes is told again.
    this.#client.request(ChatCommand.TYPING, body, { signal: asking.signal }).then(done, done);
  }

  #heard({ conversationId, userId, stopped }: TypingState): void {
    const key = `${conversationId}\0${userId}`;
    const known = this.#others.get(key);
    known?.timer.clear();
    this.#others.delete(key);
    const notice = { conversationId, userId, isTyping: !stopped };
    if (!stopped) {
      const timer = new Timer(this.#options.clock);
      timer.set(EXPIRY_MS, () => this.#expired(key));
      this.#others.set(key, { timer, notice });
      const [oldest] = this.#others.keys();
      if (this.#others.size > MAX_SHOWN && oldest !== undefined) this.#expired(oldest);
    }
    if (stopped ? known : !known) this.#options.onTyping(notice);
  }

  #expired(key: string): void {
    const ended = this.#others.get(key);
    ended?.timer.clear();
    this.#others.delete(key);
    if (ended) this.#options.onTyping({ ...ended.notice, isTyping: false });
  }
}
