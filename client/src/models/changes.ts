// SPDX-License-Identifier: Apache-2.0
// Messages that change after they were sent, and the buttons of cards.
import type { ImClient } from "../client.ts";
import { ErrorCode } from "../codes.ts";
import { ImClientError } from "../errors.ts";
import { InboxMessage, type Message } from "../events.ts";
import type { SendResult } from "../outbox.ts";
import { CardAction, CardActionResult, Changed, Edit, Recall } from "./changes-codec.ts";
import { ChatCommand } from "./chat-commands.ts";
import {
  applyMessage,
  NOTHING_SHOWN,
  positionOf,
  type ShownMessage,
  type ShownState,
  shownMessage,
  shownMessages,
} from "./shown-messages.ts";

/** What is needed of the client. */
export type ChangesClient = Pick<ImClient, "request" | "on" | "userId">;

/** Which message. */
export interface MessageRef {
  /** Where it was sent. */
  readonly conversationId: string;
  /** Position in the conversation. */
  readonly convSeq: number;
  /** UUIDv7. */
  readonly messageId: string;
}

/** Options of every call that asks the server. */
export interface ChangeCallOptions {
  /** Names what is asked for: give the same one to ask again after a restart of the app. Default: a new one. */
  readonly id?: string;
  /** Stops waiting: the promise rejects with ABORTED. What was asked for may be done all the same. */
  readonly signal?: AbortSignal;
}

/** What became of an edit. `done` false: somebody was faster, nothing was changed, and the message has `version` now. */
export interface EditOutcome {
  /** It is stored. */
  readonly done: boolean;
  /** That the message has now. */
  readonly version: number;
}

/** What the shop's backend said to a pressed button. */
export interface PressOutcome {
  /** HTTP status below 500. */
  readonly status: number;
  /** The first 8 KiB of the body. */
  readonly output: Uint8Array;
}

/** Options of {@link Changes}. */
export interface ChangesOptions {
  /** A message came, or is to be shown in another way. */
  onShown?(message: ShownMessage): void;
}

/** Messages as they are to be shown, kept current; recalls, edits and presses. Make one per client, before `connect()`. */
export class Changes implements Disposable {
  readonly #client: ChangesClient;
  readonly #options: ChangesOptions;
  readonly #stops: (() => void)[];
  #state: ShownState = NOTHING_SHOWN;

  /** Shows nothing yet: messages come by the client's events, and by {@link Changes.add}. */
  constructor(client: ChangesClient, options: ChangesOptions = {}) {
    this.#client = client;
    this.#options = options;
    this.#stops = [
      client.on("message", (message) => this.add([message])),
      client.on("snapshot", ({ conversations }) =>
        this.add(conversations.flatMap(({ lastMessage }) => (lastMessage ? [lastMessage] : []))),
      ),
    ];
  }

  /** All that is known, for an app that keeps it; see `applyMessage`. */
  get state(): ShownState {
    return this.#state;
  }

  /** Takes what did not come by event: pages of history. */
  add(messages: Iterable<Message>): void {
    for (const message of messages) {
      const before = this.#state;
      this.#state = applyMessage(before, message);
      if (this.#state === before) continue;
      const shown = shownMessage(this.#state, message.conversationId, positionOf(message));
      if (shown) this.#options.onShown?.(shown);
    }
  }

  /** Takes an own message that this client has sent: it does not come by event. */
  addSent(sent: SendResult, content: string | Uint8Array, contentType = ""): void {
    const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
    const { id: clientMessageId, messageId, conversationId, convSeq, sentAtMs } = sent;
    const what = { inboxSeq: 0, conversationId, convSeq, messageId, sentAtMs, clientMessageId, contentType };
    const sender = this.#client.userId;
    this.add([new InboxMessage({ ...what, sender, content: bytes }, sender)]);
  }

  /** The messages of a conversation, oldest first. */
  list(conversationId: string): ShownMessage[] {
    return shownMessages(this.#state, conversationId);
  }

  /** One message; undefined when it did not come yet. */
  find(conversationId: string, convSeq: number): ShownMessage | undefined {
    return shownMessage(this.#state, conversationId, convSeq);
  }

  /** Forgets the messages of a conversation that is not shown any more. */
  forget(conversationId: string): void {
    const state = new Map(this.#state);
    state.delete(conversationId);
    this.#state = state;
  }

  /** Takes back an own message, for a while after it was sent (2 minutes, unless the cluster says otherwise). */
  async recall(target: MessageRef, options: ChangeCallOptions = {}): Promise<void> {
    const body = Recall.encode({ ...refOf(target), clientMessageId: idOf(options) });
    await this.#client.request(ChatCommand.RECALL, body, signalOf(options));
  }

  /**
   * Gives an own message another content. Of two devices that edit the same version one wins, and the other is told so.
   * @param target - with the version of the message as it was shown
   */
  async edit(
    target: MessageRef & { readonly version: number },
    content: string | Uint8Array,
    options: ChangeCallOptions = {},
  ): Promise<EditOutcome> {
    const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
    const { version } = target;
    const body = Edit.encode({ ...refOf(target), clientMessageId: idOf(options), version, content: bytes });
    const changed = Changed.decode(await this.#client.request(ChatCommand.EDIT, body, signalOf(options)));
    if (changed.code !== 0 && changed.code !== ErrorCode.CONFLICT)
      throw new ImClientError(changed.code, "the message was not changed");
    return { done: changed.code === 0, version: changed.version };
  }

  /**
   * Presses a button of a card; resolves with what the shop's backend says. Pressed again with the same `id` it resolves with the first answer.
   * @param options - `input` is for the backend, at most 4 KiB
   */
  async press(
    card: MessageRef,
    action: string,
    options: ChangeCallOptions & { readonly input?: Uint8Array } = {},
  ): Promise<PressOutcome> {
    const { input = new Uint8Array(0) } = options;
    const body = CardAction.encode({ ...refOf(card), action, clientActionId: idOf(options), input });
    const answer = await this.#client.request(ChatCommand.CARD_ACTION, body, signalOf(options));
    const { status, output } = CardActionResult.decode(answer);
    return { status, output };
  }

  /** Hears nothing any more. */
  close(): void {
    for (const stop of this.#stops.splice(0)) stop();
  }

  /** {@link Changes.close}, for `using`. */
  [Symbol.dispose](): void {
    this.close();
  }
}

function refOf({ conversationId, convSeq, messageId }: MessageRef): MessageRef {
  return { conversationId, convSeq, messageId };
}

function idOf({ id }: ChangeCallOptions): string {
  return id ?? crypto.randomUUID();
}

function signalOf({ signal }: ChangeCallOptions): { signal?: AbortSignal } {
  return signal ? { signal } : {};
}
