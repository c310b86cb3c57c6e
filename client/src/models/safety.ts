// SPDX-License-Identifier: Apache-2.0
import type { ImClient } from "../client.ts";
import type { ImClientError } from "../errors.ts";
import { ChatCommand } from "./chat-commands.ts";
import { hear } from "./hear.ts";
import { Block, BlockList } from "./safety-codec.ts";

/** The parts of a client that {@link Safety} uses. */
export type SafetyClient = Pick<ImClient, "request" | "on">;

/** Options of one call. */
export interface SafetyCallOptions {
  /** Stops waiting: the promise rejects with ABORTED; it may have been done. */
  readonly signal?: AbortSignal;
}

/** Options of {@link Safety}. */
export interface SafetyOptions {
  /** Whom the user has blocked changed, here or on another device. */
  onBlocked?(userIds: readonly string[]): void;
  /** The list could not be read after another device changed it; the next change, or call, may be luckier. */
  onError?(error: ImClientError): void;
}

/** Whom the user has blocked: nothing of what they write comes to the user, and neither sees when the other is there. Make one per client. */
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

  /** Hears of nothing any more. */
  close(): void {
    this.#stop();
  }

  /** Same as {@link Safety.close}. */
  [Symbol.dispose](): void {
    this.close();
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
