// SPDX-License-Identifier: Apache-2.0
// Groups whose messages come in no inbox.
import type { ImClient } from "../client.ts";
import { ErrorCode } from "../codes.ts";
import { ImClientError, messageOf } from "../errors.ts";
import { InboxMessage, type Message } from "../events.ts";
import type { SendResult } from "../outbox.ts";
import type { SendRequest } from "../sender.ts";
import { ChatCommand } from "./chat-commands.ts";
import { Groups, groupEventOf } from "./groups.ts";
import { GroupReply } from "./groups-codec.ts";
import { hear } from "./hear.ts";
import { ownMessage } from "./own-message.ts";

/** What is needed of the client. */
export type LargeGroupsClient = Pick<ImClient, "request" | "send" | "on" | "history" | "state" | "userId">;

/**
 * Messages of a group that are left out, for there are too many: read them by `client.history()` when somebody looks. Recalls and edits
 * are among them, also of messages from before the gap: read these anew, too.
 */
export interface LargeGap {
  /** The group. */
  readonly conversationId: string;
  /** Behind this position. */
  readonly from: number;
  /** Up to this one. */
  readonly to: number;
}

/** Options of {@link LargeGroups}. */
export interface LargeGroupsOptions {
  /** A message of a large group: each once, in the order of the group, without holes but for what `onGap` tells. */
  onMessage(message: Message): void;
  /** There is too much between what was shown last and now. */
  onGap?(gap: LargeGap): void;
  /** Positions up to where an earlier run has shown each group. Default: from the present on. */
  positions?: ReadonlyMap<string, number>;
  /** So many missed messages are read by themselves; of more, the last ones. Default 200. */
  maxMissed?: number;
  /** What is done in the background failed. Default: nothing; the next message or login tries again. */
  onError?(error: ImClientError): void;
}

const PAGE = 100;
const MAX_MISSED = 200;
/** Messages ahead of a hole that are kept until it is filled. */
const MAX_EARLY = 200;

interface Followed {
  /** Everything up to here was shown, or told as a gap. */
  seen: number;
  /** The highest position known of. */
  head: number;
  readonly early: Map<number, Message>;
  isReading: boolean;
}

/**
 * Shows large groups as other conversations are shown: in order, once, without holes. Servers show what is said to whoever is online, and
 * promise nothing; what is missing is seen by the positions, and read by history: after a message that comes too early, and after every
 * login. Make one per client, before `connect()`; messages of these groups come to `onMessage`, also those that the client has in its inbox
 * (its own from other devices, changes of the group and of its own messages): leave out in other listeners what {@link LargeGroups.has} says.
 */
export class LargeGroups implements Disposable {
  readonly #client: LargeGroupsClient;
  readonly #options: LargeGroupsOptions;
  readonly #followed = new Map<string, Followed>();
  readonly #stops: (() => void)[];
  #looking: Promise<void> | undefined;
  #isClosed = false;

  /** Looks for the user's large groups at every login. */
  constructor(client: LargeGroupsClient, options: LargeGroupsOptions) {
    this.#client = client;
    this.#options = options;
    for (const [conversationId, seen] of options.positions ?? []) this.#follow(conversationId, seen);
    const onError = (error: ImClientError): void => options.onError?.(error);
    this.#stops = [
      client.on("state", ({ kind }) => {
        if (kind === "open") queueMicrotask(() => void this.sync());
      }),
      client.on("message", (message) => this.#inInbox(message)),
      hear(client, ChatCommand.GROUP, GroupReply.decode, {
        onFrame: ({ events }) => this.#shown(events),
        onLost: () => void this.sync(),
        onError,
      }),
    ];
    if (client.state.kind === "open") queueMicrotask(() => void this.sync());
  }

  /** Is it a large group that is followed here? */
  has(conversationId: string): boolean {
    return this.#followed.has(conversationId);
  }

  /** Up to where each group was shown: keep them, and give them to the next run. */
  get positions(): ReadonlyMap<string, number> {
    return new Map([...this.#followed].map(([conversationId, { seen }]) => [conversationId, seen]));
  }

  /** `client.send`, and the message is shown in its place at once. */
  async send(request: SendRequest): Promise<SendResult> {
    const result = await this.#client.send(request);
    this.#offer(ownMessage(request, result, this.#client.userId));
    return result;
  }

  /** Looks where the user's large groups are, and reads what is missing. It does so by itself after every login. */
  sync(): Promise<void> {
    this.#looking ??= this.#look().finally(() => {
      this.#looking = undefined;
    });
    return this.#looking;
  }

  /** Follows nothing any more. */
  [Symbol.dispose](): void {
    this.#isClosed = true;
    for (const stop of this.#stops) stop();
    this.#followed.clear();
  }

  async #look(): Promise<void> {
    try {
      const found = new Set<string>();
      for await (const { conversationId, large, lastSeq } of new Groups(this.#client).mine()) {
        if (this.#isClosed) return;
        if (!large) continue;
        found.add(conversationId);
        this.#reached(conversationId, this.#follow(conversationId, lastSeq), lastSeq);
      }
      // Left, or removed from.
      for (const conversationId of this.#followed.keys())
        if (!found.has(conversationId)) this.#followed.delete(conversationId);
    } catch (error) {
      this.#failed(error);
    }
  }

  #follow(conversationId: string, seen: number): Followed {
    const known = this.#followed.get(conversationId);
    const followed = known ?? { seen, head: seen, early: new Map<number, Message>(), isReading: false };
    this.#followed.set(conversationId, followed);
    return followed;
  }

  /** The event of a change that makes a group large is the last one that comes to everybody by inbox, and is shown there. */
  #inInbox(message: Message): void {
    const { conversationId, convSeq } = message;
    if (this.has(conversationId)) this.#offer(message);
    else if (groupEventOf(message)?.large === true) this.#follow(conversationId, convSeq);
  }

  #shown(events: readonly ConstructorParameters<typeof InboxMessage>[0][]): void {
    for (const event of events) {
      // The content is a view of the network's buffer.
      const content = event.content.slice();
      this.#follow(event.conversationId, event.convSeq - 1);
      this.#offer(new InboxMessage({ ...event, content }, this.#client.userId));
    }
  }

  #offer(message: Message): void {
    const { conversationId, convSeq } = message;
    const followed = this.#followed.get(conversationId);
    if (!followed || this.#isClosed || convSeq <= followed.seen) return;
    if (followed.early.size < MAX_EARLY) followed.early.set(convSeq, message);
    this.#drain(followed);
    this.#reached(conversationId, followed, convSeq);
  }

  /** Shows what follows without a hole. */
  #drain(followed: Followed): void {
    for (let next = followed.early.get(followed.seen + 1); next; next = followed.early.get(followed.seen + 1)) {
      followed.early.delete(next.convSeq);
      followed.seen = next.convSeq;
      this.#options.onMessage(next);
    }
    for (const convSeq of followed.early.keys()) if (convSeq <= followed.seen) followed.early.delete(convSeq);
  }

  #reached(conversationId: string, followed: Followed, convSeq: number): void {
    followed.head = Math.max(followed.head, convSeq);
    if (followed.head <= followed.seen || followed.isReading) return;
    followed.isReading = true;
    void this.#read(conversationId, followed).finally(() => {
      followed.isReading = false;
    });
  }

  /** What is between, page after page. */
  async #read(conversationId: string, followed: Followed): Promise<void> {
    try {
      const missed = followed.head - followed.seen;
      const { maxMissed = MAX_MISSED } = this.#options;
      if (missed > maxMissed) this.#leaveOut(conversationId, followed, followed.head - maxMissed);
      while (followed.seen < followed.head && !this.#isClosed) {
        const page = await this.#client.history(conversationId, { after: followed.seen, limit: PAGE });
        // Left meanwhile, or closed.
        if (this.#followed.get(conversationId) !== followed) return;
        for (const message of page.messages) followed.early.set(message.convSeq, message);
        const last = page.messages.at(-1)?.convSeq ?? page.lastSeq;
        // What retention took, or is not the user's to read, is passed over.
        for (let seq = followed.seen + 1; seq <= last; seq = followed.seen + 1) {
          this.#drain(followed);
          if (followed.seen < seq) followed.seen = seq;
        }
        followed.head = Math.max(followed.head, page.lastSeq);
        if (page.messages.length === 0) followed.seen = Math.max(followed.seen, last);
      }
    } catch (error) {
      this.#failed(error);
    }
  }

  #leaveOut(conversationId: string, followed: Followed, to: number): void {
    const { seen: from } = followed;
    followed.seen = to;
    for (const convSeq of followed.early.keys()) if (convSeq <= to) followed.early.delete(convSeq);
    this.#options.onGap?.({ conversationId, from, to });
  }

  #failed(error: unknown): void {
    if (this.#isClosed) return;
    this.#options.onError?.(
      error instanceof ImClientError ? error : new ImClientError(ErrorCode.INTERNAL, messageOf(error)),
    );
  }
}
