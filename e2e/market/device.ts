// SPDX-License-Identifier: Apache-2.0
import { ImClient, type Message } from "#client";
import {
  type Card,
  Changes,
  Conversations,
  Groups,
  groupEventOf,
  parseCard,
  type ReceiptNotice,
  type ShownMessage,
  type SystemMessage,
  SystemMessages,
  type TypingNotice,
} from "../../client/src/models/index.ts";
import { type ClientTarget, firstUrl, targetTransport } from "../workload/sdk-transport.ts";

/** Two that one user may have at the same time. */
export type Platform = "ios" | "web";

/** Options of {@link Device}. */
export interface DeviceOptions {
  readonly userId: string;
  readonly platform: Platform;
  readonly target: ClientTarget;
  getToken(): Promise<string>;
}

/** Where a message is. */
export interface Position {
  readonly conversationId: string;
  readonly convSeq: number;
}

/** Few ask here. */
const SPREAD_MS = 100;
const LOGIN_TIMEOUT_MS = 60_000;

/** One device of a user with the SDK's models, and all that it was told. */
export class Device {
  readonly userId: string;
  readonly client: ImClient;
  readonly changes: Changes;
  readonly book: Conversations;
  readonly groups: Groups;
  readonly messages: Message[] = [];
  readonly receipts: ReceiptNotice[] = [];
  readonly typing: TypingNotice[] = [];
  /** Broadcasts. */
  readonly system: SystemMessage[] = [];

  constructor({ userId, platform, target, getToken }: DeviceOptions) {
    this.userId = userId;
    this.client = new ImClient({
      ...{ url: firstUrl(target), transport: targetTransport(target), getToken },
      ...{ deviceId: `${userId}-${platform}`, deviceName: `${platform} of ${userId}`, platform },
    });
    this.changes = new Changes(this.client);
    this.book = new Conversations(this.client, {
      onReceipt: (receipt) => void this.receipts.push(receipt),
      onTyping: (notice) => void this.typing.push(notice),
    });
    this.groups = new Groups(this.client);
    // Lives as long as the client.
    new SystemMessages(this.client, {
      onMessage: (message) => void this.system.push(message),
      spreadMs: SPREAD_MS,
    });
    this.client.on("message", (message) => void this.messages.push(message));
  }

  /** Connects, or comes back after {@link Device.leave}; resolves when it is logged in. */
  async arrive(): Promise<this> {
    this.client.connect();
    await this.client.ready({ signal: AbortSignal.timeout(LOGIN_TIMEOUT_MS) });
    return this;
  }

  /** Goes offline in an orderly way. */
  leave(): Promise<void> {
    return this.client.close();
  }

  /** Sends, and shows what it sent. */
  async send(to: { to: string } | { conversationId: string }, content: string, contentType?: string) {
    const sent = await this.book.send({ ...to, content, ...(contentType ? { contentType } : {}) });
    this.changes.addSent(sent, content, contentType);
    return sent;
  }

  /** What it shows at a position now. */
  shown({ conversationId, convSeq }: Position): ShownMessage | undefined {
    return this.changes.find(conversationId, convSeq);
  }

  /** As a line: the version and the text, `recalled`, or `nothing`. */
  line(position: Position): string {
    const message = this.shown(position);
    if (!message) return "nothing";
    return message.isRecalled ? "recalled" : `v${message.version} ${new TextDecoder().decode(message.content)}`;
  }

  /** The card at a position. */
  card(position: Position): Card | undefined {
    const message = this.shown(position);
    return message && parseCard(message.content);
  }

  /** Everything of a conversation that came to it, as lines: what was said, or what was done to how many. */
  linesOf(conversationId: string): string[] {
    return this.messages
      .filter((message) => message.conversationId === conversationId)
      .map((message) => {
        const event = groupEventOf(message);
        return event ? `${event.kind} ${event.users.length}` : message.text;
      });
  }
}
