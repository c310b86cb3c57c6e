// SPDX-License-Identifier: Apache-2.0
// The chat in the terminal: the SDK's models behind lines that are typed and printed.
import type { ClientState, ImClient, SendResult } from "#client";
import {
  Changes,
  type Contact,
  Conversations,
  Groups,
  type ReceiptNotice,
  Safety,
  type ShownMessage,
  SystemMessages,
  type TypingNotice,
} from "../../client/src/models/index.ts";
import { bodyOf } from "./lines.ts";
import {
  bodyText,
  COMMANDS,
  contactText,
  HELP_LINE,
  parseCommand,
  plain,
  type TerminalCommand,
} from "./terminal-text.ts";

/** How something is said. */
export type Tone = "dim" | "mine" | "theirs" | "bad";

/** What a {@link TerminalChat} needs. */
export interface TerminalChatOptions {
  readonly client: ImClient;
  readonly me: string;
  /** Whom one writes to at first. */
  readonly to: string;
  print(text: string): void;
  paint(tone: Tone, text: string): string;
}

type Address = { readonly to: string } | { readonly conversationId: string };

/** Listens, prints, and does what is typed. */
export class TerminalChat {
  readonly #options: TerminalChatOptions;
  readonly #changes: Changes;
  readonly #book: Conversations;
  readonly #groups: Groups;
  readonly #safety: Safety;
  readonly #names = new Map<string, string>();
  #address: Address;
  #listed: readonly Contact[] = [];
  #work: Promise<unknown> = Promise.resolve();

  /** Make it before the client connects. */
  constructor(options: TerminalChatOptions) {
    const { client } = options;
    this.#options = options;
    this.#address = { to: options.to };
    this.#changes = new Changes(client, { onShown: (message) => this.#shown(message) });
    this.#book = new Conversations(client, {
      onReceipt: (receipt) => this.#receipt(receipt),
      onTyping: (notice) => this.#typing(notice),
      onError: ({ message }) => this.#say("bad", `* ${message}`),
    });
    this.#groups = new Groups(client);
    this.#safety = new Safety(client);
    // Lives as long as the client.
    new SystemMessages(client, { onMessage: ({ text }) => options.print(`📢 ${plain(text)}`) });
    client.on("state", (state) => {
      if (state.kind === "open") this.#background(this.#load());
      if (state.kind !== "closed" || state.code !== CLOSED_BY_US) this.#say("dim", `* ${describe(state)}`);
    });
    client.on("goaway", ({ delayMs }) => this.#say("dim", `* the entry asks to move: in ${seconds(delayMs)} s`));
    client.on("error", (error) => this.#say("bad", `* ${error.codeName}: ${error.message}`));
    this.#say("dim", HELP_LINE);
  }

  /** Does what a typed line asks for. False: it asks to leave. */
  take(line: string): boolean {
    const command = parseCommand(line);
    if (command.kind === "quit") return false;
    const done = this.#carryOut(command).catch((error: unknown) => {
      this.#say("bad", `✗ ${error instanceof Error ? error.message : String(error)}`);
    });
    this.#work = Promise.all([this.#work, done]);
    return true;
  }

  /** The person writes. */
  writes(): void {
    const conversationId = this.#conversation();
    if (conversationId !== undefined) this.#book.typing(conversationId);
  }

  /** Resolves when all that was typed is done. */
  async idle(): Promise<void> {
    await this.#work;
  }

  async #carryOut(command: TerminalCommand): Promise<void> {
    switch (command.kind) {
      case "say":
        return await this.#send(command.text);
      case "list":
        return this.#list();
      case "help":
        return this.#options.print(COMMANDS);
      case "to":
        return this.#turnTo(command.whom);
      case "block":
      case "unblock": {
        const blocked = await this.#safety[command.kind]([command.whom]);
        return this.#say("dim", `* blocked: ${blocked.map(plain).join(", ") || "nobody"}`);
      }
      case "group": {
        const { name, userIds } = command;
        const { conversationId } = await this.#groups.create({ name, userIds });
        this.#names.set(conversationId, name);
        this.#address = { conversationId };
        return this.#say("dim", `* you write into the group ${name}`);
      }
      case "edit": {
        const { done, version } = await this.#changes.edit(this.#at(command.convSeq), command.text);
        return done ? undefined : this.#say("bad", `✗ somebody was faster: it is version ${version} now`);
      }
      case "recall":
        return await this.#changes.recall(this.#at(command.convSeq));
      case "press": {
        const { status, output } = await this.#changes.press(this.#at(command.convSeq), command.action);
        return this.#say("dim", `* the shop answers ${status}: ${plain(new TextDecoder().decode(output))}`);
      }
      case "wrong":
        return this.#say("bad", command.usage);
      default:
        return undefined;
    }
  }

  async #send(content: string): Promise<void> {
    const startedMs = performance.now();
    let sent: SendResult;
    try {
      sent = await this.#book.send({ ...this.#address, content });
    } catch (error) {
      throw new Error(`not sent: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
    }
    this.#say("dim", `✓ #${sent.convSeq} stored, ${(performance.now() - startedMs).toFixed(1)} ms`);
    this.#own.add(`${sent.conversationId}/${sent.convSeq}`);
    this.#changes.addSent(sent, content);
  }

  /** Own messages that were typed here: they need not be printed. */
  readonly #own = new Set<string>();

  #shown(message: ShownMessage): void {
    const { conversationId, convSeq, sender, version, isRecalled } = message;
    const key = `${conversationId}/${convSeq}`;
    const body = bodyText(bodyOf(message));
    if (this.#own.delete(key)) return;
    const where = this.#where(conversationId);
    const isChange = this.#printed.has(key) && (isRecalled || version > 1);
    this.#printed.add(key);
    if (isChange) this.#say("dim", `~ #${convSeq}${where}: ${body}`);
    else {
      const tone = sender === this.#options.me ? "mine" : "theirs";
      const time = this.#options.paint("dim", new Date(message.sentAtMs).toLocaleTimeString());
      const mark = this.#options.paint("dim", `#${convSeq}${where}`);
      this.#options.print(`${time} ${this.#options.paint(tone, plain(sender))}: ${body} ${mark}`);
    }
    if (conversationId === this.#conversation() && sender !== this.#options.me)
      this.#background(this.#book.markRead(conversationId, convSeq));
  }

  /** What was printed before is only told to have changed. */
  readonly #printed = new Set<string>();

  #receipt({ conversationId, userId, readSeq }: ReceiptNotice): void {
    this.#say("dim", `✓✓ ${plain(userId)} has read up to #${readSeq}${this.#where(conversationId)}`);
  }

  #typing({ conversationId, userId, isTyping }: TypingNotice): void {
    if (isTyping) this.#say("dim", `… ${plain(userId)} is typing${this.#where(conversationId)}`);
  }

  #list(): void {
    this.#listed = this.#book.list;
    if (this.#listed.length === 0) this.#say("dim", "no conversations yet");
    for (const [at, contact] of this.#listed.entries()) {
      const last = contact.lastMessage && bodyOf({ ...contact.lastMessage, version: 1, isRecalled: false });
      this.#options.print(contactText(at + 1, contact, this.#title(contact), last));
    }
  }

  #turnTo(whom: string): void {
    const contact = /^\d{1,4}$/.test(whom) ? this.#listed[Number(whom) - 1] : undefined;
    this.#address = contact ? { conversationId: contact.conversationId } : { to: whom };
    this.#say("dim", `* you write to ${contact ? this.#title(contact) : plain(whom)}`);
    if (contact) this.#background(this.#book.markRead(contact.conversationId));
  }

  /** The conversation that is written into; undefined until it is known. */
  #conversation(): string | undefined {
    const address = this.#address;
    if ("conversationId" in address) return address.conversationId;
    return this.#book.list.find(({ peerId }) => peerId === address.to)?.conversationId;
  }

  /** Where something happened, when it is not where one writes. */
  #where(conversationId: string): string {
    const contact = this.#book.find(conversationId);
    return !contact || conversationId === this.#conversation() ? "" : ` in ${this.#title(contact)}`;
  }

  #title({ peerId, conversationId }: Contact): string {
    return plain(peerId.replace(/^svc:/, "🔔 ") || this.#names.get(conversationId) || "a group");
  }

  #at(convSeq: number): ShownMessage {
    const conversationId = this.#conversation();
    const found = conversationId === undefined ? undefined : this.#changes.find(conversationId, convSeq);
    if (!found) throw new Error(`there is no #${convSeq} here: /to chooses the conversation`);
    return found;
  }

  async #load(): Promise<void> {
    await this.#book.load();
    for await (const { conversationId, name } of this.#groups.mine()) this.#names.set(conversationId, name);
    const unread = this.#book.list.filter((contact) => contact.unread > 0).length;
    if (unread > 0) this.#say("dim", `* ${unread} conversations with unread messages: /list`);
  }

  #background(work: Promise<unknown>): void {
    work.catch((error: unknown) => {
      if (this.#options.client.state.kind === "closed") return;
      this.#say("bad", `* ${error instanceof Error ? error.message : String(error)}`);
    });
  }

  #say(tone: Tone, text: string): void {
    this.#options.print(this.#options.paint(tone, text));
  }
}

const CLOSED_BY_US = 1000;

const seconds = (ms: number): string => (ms / 1000).toFixed(1);

function describe(state: ClientState): string {
  switch (state.kind) {
    case "idle":
      return "not connected";
    case "connecting":
      return state.reason === "" ? "connecting" : `connecting, attempt ${state.attempt}: ${state.reason}`;
    case "open":
      return `connected as ${state.userId} to ${state.entryId || "the entry"}`;
    case "reconnecting": {
      const lost = `connection lost (${state.code} ${state.reason})`;
      return `${lost}; attempt ${state.attempt} in ${seconds(state.delayMs)} s, messages wait`;
    }
    case "closed":
      return `closed (${state.code} ${state.reason}${state.byDevice === "" ? "" : ` by ${state.byDevice}`})`;
  }
}
