// SPDX-License-Identifier: Apache-2.0
// What the service tells many users at once.
import type { ImClient } from "../client.ts";
import { type Clock, systemClock, Timer } from "../clock.ts";
import { ErrorCode } from "../codes.ts";
import { ImClientError, messageOf } from "../errors.ts";
import { text } from "../wire.ts";
import { SysPage, SysPull, type SystemMessage as WireMessage } from "./broadcasts-codec.ts";
import { ChatCommand } from "./chat-commands.ts";
import { hear } from "./hear.ts";

/** A message of the service to many users. */
export interface SystemMessage {
  /** Its number among those of the service, in the order in which they came into force. */
  readonly seq: number;
  /** Names it in the server API. */
  readonly broadcastId: string;
  /** As the service said. */
  readonly contentType: string;
  /** At most 64 KiB; yours to keep. */
  readonly content: Uint8Array;
  /** `content` as UTF-8 text. */
  readonly text: string;
  /** It was to reach everybody at once. */
  readonly urgent: boolean;
  /** Since when it holds; server time, ms since 1970. */
  readonly notBeforeMs: number;
  /** Until when it holds. */
  readonly notAfterMs: number;
}

/** How far a device has come with system messages. */
export interface SystemPosition {
  /** Whose they are. */
  readonly userId: string;
  /** Names the database that the position belongs to. */
  readonly epoch: string;
  /** Everything up to this seq was handed to the application, or is not for the user. */
  readonly position: number;
  /** Beyond it: urgent ones that came before their turn and were handed out. */
  readonly ahead: readonly number[];
}

/** Keeps the position of one device. Without one the device begins, with every start, where another device of the user has been. */
export interface SystemPositionStore {
  /** What was saved last; undefined when nothing was. */
  load(): SystemPosition | undefined | Promise<SystemPosition | undefined>;
  /** Resolves when a crash cannot undo it. Calls never overlap. */
  save(position: SystemPosition): void | Promise<void>;
}

/** Options of {@link SystemMessages}. */
export interface SystemMessagesOptions {
  /** One message, once on this device, in their order but for urgent ones. */
  onMessage(message: SystemMessage): void;
  /** Default: the position ends with the client. */
  store?: SystemPositionStore;
  /** What is done in the background failed. Default: nothing; the next heartbeat tries again. */
  onError?(error: ImClientError): void;
  /** Messages are asked for within this, so that not everybody asks at once. Default 2 s. */
  spreadMs?: number;
  /** For tests. */
  clock?: Clock;
  /** For tests. */
  random?: () => number;
}

/** What is needed of the client. */
export type SystemMessagesClient = Pick<ImClient, "request" | "on" | "userId">;

const SPREAD_MS = 2000;
/** Urgent ones that may come before their turn; further ones wait for it. */
const MAX_AHEAD = 100;

/**
 * Messages of the service to many users: asked for when a server says that there are new ones, or pushed when they are urgent; each is
 * handed to the application once, and then acknowledged. Make one per client, before `connect()`.
 */
export class SystemMessages implements Disposable {
  readonly #client: SystemMessagesClient;
  readonly #options: SystemMessagesOptions;
  readonly #timer: Timer;
  readonly #stops: (() => void)[];
  readonly #ahead = new Set<number>();
  /** Pushed before this device knew where it is. */
  #early: { epoch: string; message: SystemMessage }[] = [];
  #userId = "";
  #epoch = "";
  /** Undefined: this device begins where its user is. */
  #position: number | undefined;
  #acknowledged = 0;
  #isLoaded = false;
  /** The newest that a server has named. */
  #head = 0;
  /** Pulls and saves go one after the other. */
  #last: Promise<void> = Promise.resolve();
  #isClosed = false;

  /** Asks for nothing before a server says that there is something. */
  constructor(client: SystemMessagesClient, options: SystemMessagesOptions) {
    this.#client = client;
    this.#options = options;
    this.#timer = new Timer(options.clock ?? systemClock);
    this.#stops = [
      client.on("sysHead", (head) => {
        this.#head = head;
        this.#inTurn(() => (head > 0 ? this.#heard(head) : this.#begin()));
      }),
      client.on("reset", () => this.#inTurn(async () => this.#forget())),
      hear(client, ChatCommand.SYS_PAGE, SysPage.decode, {
        onFrame: (page) => {
          // The frame is a view of the network's buffer, and its turn may come later.
          const messages = page.messages.map(toMessage);
          this.#inTurn(() => this.#pushed(page.inboxEpoch, messages));
        },
        onLost: () => this.#pullSoon(),
        onError: (error) => options.onError?.(error),
      }),
    ];
  }

  /** Everything up to here was handed out, or is not for the user; undefined: the device has not asked yet. */
  get position(): number | undefined {
    return this.#position;
  }

  /** Hands out nothing more. */
  close(): void {
    this.#isClosed = true;
    this.#timer.clear();
    for (const stop of this.#stops.splice(0)) stop();
  }

  /** {@link SystemMessages.close}, for `using`. */
  [Symbol.dispose](): void {
    this.close();
  }

  #inTurn(work: () => Promise<void>): void {
    this.#last = this.#last.then(async () => {
      try {
        if (!this.#isClosed) await this.#load();
        if (!this.#isClosed) await work();
      } catch (error) {
        const known = error instanceof ImClientError ? error : new ImClientError(ErrorCode.INTERNAL, messageOf(error));
        if (!this.#isClosed) this.#options.onError?.(known);
      }
    });
  }

  /** The position of this user; that of another one means nothing. */
  async #load(): Promise<void> {
    const { userId } = this.#client;
    if (this.#isLoaded && userId === this.#userId) return;
    const stored = await this.#options.store?.load();
    this.#forget();
    this.#isLoaded = true;
    this.#userId = userId;
    if (stored?.userId !== userId) return;
    this.#epoch = stored.epoch;
    this.#position = stored.position;
    for (const seq of stored.ahead) this.#ahead.add(seq);
  }

  #forget(): void {
    this.#ahead.clear();
    this.#early = [];
    this.#epoch = "";
    this.#position = undefined;
    this.#acknowledged = 0;
  }

  /** Nothing was ever in force: this device begins there, however far another one of the user is by the time of the first. */
  async #begin(): Promise<void> {
    if (this.#position !== undefined) return;
    const { inboxEpoch } = await this.#ask({ acknowledgeOnly: true });
    this.#moveTo({ inboxEpoch, nextPosition: 0 });
    await this.#save();
    if (this.#head > 0) this.#pullSoon();
  }

  async #heard(head: number): Promise<void> {
    if (head > (this.#position ?? 0)) this.#pullSoon();
  }

  #pullSoon(): void {
    if (this.#timer.isSet || this.#isClosed) return;
    const { random = Math.random, spreadMs = SPREAD_MS } = this.#options;
    this.#timer.set(random() * spreadMs, () => this.#inTurn(() => this.#pull()));
  }

  async #pull(): Promise<void> {
    for (let more = true; more && !this.#isClosed; ) {
      const page = await this.#ask({});
      for (const message of page.messages) this.#handOut(message.seq, () => toMessage(message));
      ({ more } = page);
      this.#moveTo(page);
      await this.#save();
    }
    await this.#showEarly();
    if (this.#isClosed || this.#position === undefined || this.#position === this.#acknowledged) return;
    this.#acknowledged = this.#position;
    await this.#ask({ acknowledgeOnly: true });
  }

  async #ask(fields: Partial<SysPull>): Promise<SysPage> {
    const [inboxEpoch, position] = this.#position === undefined ? ["", 0] : [this.#epoch, this.#position];
    const body = SysPull.encode({ inboxEpoch, position, ...fields });
    return SysPage.decode(await this.#client.request(ChatCommand.SYS_PULL, body));
  }

  async #pushed(epoch: string, messages: readonly SystemMessage[]): Promise<void> {
    // Before it there was none.
    if (this.#position === undefined && this.#head === 0) this.#moveTo({ inboxEpoch: epoch, nextPosition: 0 });
    // A device that does not know where it is learns that first: the message may be one that it has.
    if (this.#position === undefined || epoch !== this.#epoch)
      this.#early = [...this.#early, ...messages.map((message) => ({ epoch, message }))].slice(-MAX_AHEAD);
    else await this.#showAhead(messages);
    // What lies between is asked for, and with it this is acknowledged.
    this.#pullSoon();
  }

  /** Who answered the pull may not know yet of what another server has pushed. */
  async #showEarly(): Promise<void> {
    const known = this.#early.filter(({ epoch }) => epoch === this.#epoch).map(({ message }) => message);
    this.#early = [];
    if (known.length > 0 && !this.#isClosed) await this.#showAhead(known);
  }

  async #showAhead(messages: readonly SystemMessage[]): Promise<void> {
    if (this.#position === undefined) return;
    for (const message of messages) {
      if (this.#ahead.size >= MAX_AHEAD) break;
      this.#handOut(message.seq, () => message);
      if (message.seq > this.#position) this.#ahead.add(message.seq);
    }
    while (this.#ahead.delete(this.#position + 1)) this.#position++;
    await this.#save();
  }

  #handOut(seq: number, make: () => SystemMessage): void {
    if (this.#isClosed || seq <= (this.#position ?? 0) || this.#ahead.has(seq)) return;
    this.#options.onMessage(make());
  }

  #moveTo({ inboxEpoch, nextPosition }: Pick<SysPage, "inboxEpoch" | "nextPosition">): void {
    if (inboxEpoch !== this.#epoch) this.#ahead.clear();
    const isSame = inboxEpoch === this.#epoch;
    this.#epoch = inboxEpoch;
    this.#position = Math.max(nextPosition, isSame ? (this.#position ?? 0) : 0);
    for (const seq of this.#ahead) if (seq <= this.#position) this.#ahead.delete(seq);
  }

  async #save(): Promise<void> {
    if (this.#position === undefined) return;
    const position = { userId: this.#userId, epoch: this.#epoch, position: this.#position, ahead: [...this.#ahead] };
    await this.#options.store?.save(position);
  }
}

function toMessage({
  seq,
  broadcastId,
  contentType,
  urgent,
  notBeforeMs,
  notAfterMs,
  ...rest
}: WireMessage): SystemMessage {
  // A copy: the original is a view of a network buffer that should not stay alive with the message.
  const content = new Uint8Array(rest.content);
  return { seq, broadcastId, contentType, content, text: text(content), urgent, notBeforeMs, notAfterMs };
}
