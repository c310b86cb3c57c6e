// SPDX-License-Identifier: Apache-2.0
import type { ImClient } from "../client.ts";
import type { ImClientError } from "../errors.ts";
import { ChatCommand } from "./chat-commands.ts";
import { hear } from "./hear.ts";
import { randomId } from "./random-id.ts";
import { Block, BlockList, Report, Reported } from "./safety-codec.ts";

/** The parts of a client that {@link Safety} uses. */
export type SafetyClient = Pick<ImClient, "request" | "on">;

/** Options of one call. */
export interface SafetyCallOptions {
  /** Stops waiting: the promise rejects with ABORTED; it may have been done. */
  readonly signal?: AbortSignal;
}

/** Of {@link Safety.report} and {@link Safety.appeal}. */
export interface ReportOptions extends SafetyCallOptions {
  /** 1 to 64 characters, unique among the user's reports: a call that is made again with it reports nothing more. Default: a new one. */
  readonly reportId?: string;
}

/** Why something is reported. */
export type ReportReason = "spam" | "fraud" | "contact" | "harassment" | "illegal" | "other";

/** What is reported: a message by `conversationId`, `convSeq` and `messageId`, or a user by `userId`. */
export interface NewReport {
  /** Why. */
  readonly reason: ReportReason;
  /** In the user's words, at most 1000 characters. */
  readonly text?: string;
  /** A user; with `conversationId` if it happened there. */
  readonly userId?: string;
  /** Where it happened. */
  readonly conversationId?: string;
  /** Position of the message. */
  readonly convSeq?: number;
  /** Id of the message. */
  readonly messageId?: string;
}

/** A message that a rule refused. */
export interface Appeal {
  /** Of the error. */
  readonly rule: string;
  /** Whom the message was to, or `conversationId`. */
  readonly to?: string;
  /** Where it was to go. */
  readonly conversationId?: string;
  /** The message; at most 8 KiB. */
  readonly content: string | Uint8Array;
  /** Of the content. Default: text. */
  readonly contentType?: string;
  /** Why it should pass, at most 1000 characters. */
  readonly text?: string;
}

/** Options of {@link Safety}. */
export interface SafetyOptions {
  /** Whom the user has blocked changed, here or on another device. */
  onBlocked?(userIds: readonly string[]): void;
  /** The list could not be read after another device changed it; the next change, or call, may be luckier. */
  onError?(error: ImClientError): void;
}

/** Reports, and whom the user has blocked: nothing of what they write comes to the user, and neither sees when the other is there. Make one per client. */
export class Safety implements Disposable {
  readonly #client: SafetyClient;
  readonly #options: SafetyOptions;
  readonly #stop: () => void;
  #version = 0;
  #blocked: readonly string[] = [];

  /** Asks for nothing yet. */
  constructor(client: SafetyClient, options: SafetyOptions = {}) {
    this.#client = client;
    this.#options = options;
    const refresh = (): void => {
      this.blocked().catch((error: ImClientError) => options.onError?.(error));
    };
    this.#stop = hear(client, ChatCommand.BLOCK, BlockList.decode, {
      onFrame: ({ version }) => {
        if (version > this.#version) refresh();
      },
      onLost: refresh,
      onError: (error) => options.onError?.(error),
    });
  }

  /** Is the user blocked, as far as this device knows? See {@link Safety.blocked}. */
  isBlocked(userId: string): boolean {
    return this.#blocked.includes(userId);
  }

  /** Blocks users, 500 in all. Who is blocked is not told: its messages are accepted and shown to itself alone. */
  block(userIds: readonly string[], options?: SafetyCallOptions): Promise<readonly string[]> {
    return this.#ask({ block: [...userIds] }, options);
  }

  /** Ends blocks. What was written meanwhile does not come after all. */
  unblock(userIds: readonly string[], options?: SafetyCallOptions): Promise<readonly string[]> {
    return this.#ask({ unblock: [...userIds] }, options);
  }

  /** Whom the user has blocked, in the order of their ids. */
  blocked(options?: SafetyCallOptions): Promise<readonly string[]> {
    return this.#ask({}, options);
  }

  /**
   * Reports a message or a user. Kept with it are the messages before it, as the user sees them.
   * @throws ImClientError NOT_FOUND when there is no such message
   */
  report(report: NewReport, options?: ReportOptions): Promise<void> {
    const { reason, text = "", userId = "", conversationId = "", convSeq = 0, messageId = "" } = report;
    return this.#report({ reason, text, userId, conversationId, convSeq, messageId }, options);
  }

  /** Asks people to look at a message that a rule refused: an error with BOUNCED, whose `rule` it is. */
  appeal(appeal: Appeal, options?: ReportOptions): Promise<void> {
    const { rule, to = "", conversationId = "", content, contentType = "", text = "" } = appeal;
    const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
    return this.#report({ rule, userId: to, conversationId, content: bytes, contentType, text }, options);
  }

  /** Hears of nothing any more. */
  close(): void {
    this.#stop();
  }

  /** Same as {@link Safety.close}. */
  [Symbol.dispose](): void {
    this.close();
  }

  async #report(report: Partial<Report>, { reportId = randomId(), signal }: ReportOptions = {}): Promise<void> {
    const body = Report.encode({ ...report, reportId });
    Reported.decode(await this.#client.request(ChatCommand.REPORT, body, signal ? { signal } : {}));
  }

  async #ask(request: Partial<Block>, { signal }: SafetyCallOptions = {}): Promise<readonly string[]> {
    const body = Block.encode({ ...request, version: this.#version });
    const reply = await this.#client.request(ChatCommand.BLOCK, body, signal ? { signal } : {});
    const { version, complete, userIds } = BlockList.decode(reply);
    // The answer to an earlier question may come after that to a later one.
    if (complete && version >= this.#version) {
      this.#version = version;
      this.#blocked = userIds;
      this.#options.onBlocked?.(userIds);
    }
    return this.#blocked;
  }
}
