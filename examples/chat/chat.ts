// SPDX-License-Identifier: Apache-2.0
import { type ClientState, DisconnectCode, ImClient, type Message, type WebSocketLike } from "#client";
import {
  Changes,
  type Contact,
  Conversations,
  Groups,
  Safety,
  type ShownMessage,
  SystemMessages,
  type TypingNotice,
} from "../../client/src/models/index.ts";
import { subjectOf } from "./about.ts";
import type { TextArgs, TextKey } from "./language.ts";
import { Latency } from "./latency.ts";
import { bodyOf, type ChatLine } from "./lines.ts";
import { Network } from "./network.ts";
import { type Entry, PARTNER, Threads } from "./threads.ts";

/** What a {@link Chat} shows itself on. */
export interface ChatView {
  /** Another conversation is looked at. */
  show(entry: Entry, lines: readonly ChatLine[]): void;
  add(line: ChatLine): void;
  update(line: ChatLine): void;
  contacts(entries: readonly Entry[]): void;
  /** Whether the person of the conversation that is looked at is blocked. */
  blocked(isBlocked: boolean): void;
  /** Who writes in the conversation that is looked at. */
  typing(userIds: readonly string[]): void;
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
  /** A person looks at the page. */
  isWatched(): boolean;
  /** This side has a message of the other: that one is delivered. */
  onShown(clientMessageId: string): void;
}

const BURST = 50;

/** One side of the demo: a real client with the SDK's models, and what its pane shows. */
export class Chat {
  readonly #options: ChatOptions;
  readonly #network: Network;
  readonly #client: ImClient;
  readonly #changes: Changes;
  readonly #book: Conversations;
  readonly #groups: Groups;
  readonly #safety: Safety;
  readonly #threads: Threads;
  readonly #latency = new Latency();
  #entry = "";
  #burstLeft = 0;
  #isLoaded = false;

  constructor(options: ChatOptions) {
    this.#options = options;
    this.#network = new Network(options.dial);
    const { me, peer, url, token, deviceId } = options;
    this.#threads = new Threads(peer);
    this.#client = new ImClient({
      url,
      deviceId,
      deviceName: `${me}'s browser`,
      platform: "web",
      getToken: () => token,
      webSocket: this.#network.open,
      fetch: this.#network.fetch,
      timing: { backoffCapMs: 3_000 },
    });
    this.#changes = new Changes(this.#client, { onShown: (message) => this.#shown(message) });
    this.#book = new Conversations(this.#client, {
      onChange: (contact) => this.#listed(contact),
      onTyping: (notice) => this.#typing(notice),
      onError: ({ message: reason }) => options.view.notice("noticeError", { reason }),
    });
    this.#groups = new Groups(this.#client);
    // Lives as long as the page.
    new SystemMessages(this.#client, { onMessage: ({ text }) => options.view.notice("noticeSystem", { text }) });
    this.#safety = new Safety(this.#client, { onBlocked: () => this.#showBlocked() });
    this.#listen();
    this.#showContacts();
    this.#options.view.show(this.#threads.current, []);
  }

  get isOnline(): boolean {
    return this.#network.isOnline;
  }

  connect(): void {
    this.#client.connect();
  }

  /** Looks at another conversation. */
  select(key: string): void {
    this.#threads.select(key);
    this.#options.view.show(this.#threads.current, this.#threads.lines());
    this.#options.view.typing(this.#threads.writers());
    this.#showBlocked();
    this.look();
    this.#showContacts();
  }

  /** A person looks: what is shown is read. */
  look(): void {
    const { conversationId } = this.#threads.current;
    const contact = conversationId === undefined ? undefined : this.#book.find(conversationId);
    if (!contact || contact.unread === 0 || !this.#options.isWatched()) return;
    this.#book.markRead(contact.conversationId).catch((error: unknown) => this.#failed(error));
  }

  /** Resolves when it is stored or has failed; either is shown. */
  async send(content: string, contentType = "text/plain"): Promise<void> {
    const { view, me } = this.#options;
    const key = crypto.randomUUID();
    const bytes = new TextEncoder().encode(content);
    const body = bodyOf({ contentType, content: bytes, version: 1, isRecalled: false });
    const line: ChatLine = {
      ...{ key, isMine: true, sender: me, body, atMs: Date.now() },
      ...{ progress: "sending", reason: "", ref: undefined },
    };
    const to = this.#threads.address();
    const { conversationId } = this.#threads.current;
    if (conversationId !== undefined) this.#book.typing(conversationId, false);
    this.#threads.add(line);
    view.add(line);
    const startedMs = performance.now();
    try {
      const sending = this.#book.send({ ...to, content, contentType, id: key });
      this.#figures();
      const sent = await sending;
      line.atMs = sent.sentAtMs;
      this.#latency.add(performance.now() - startedMs);
      // The other side may have shown it before the acknowledgement came.
      if (line.progress === "sending") line.progress = "stored";
      line.ref = { ...sent, version: 1 };
      if ("to" in to) this.#bind(sent.conversationId);
      this.#threads.place(line, sent);
      this.#changes.addSent(sent, content, contentType);
    } catch (error) {
      line.progress = "failed";
      line.reason = error instanceof Error ? error.message : String(error);
    }
    view.update(line);
    this.#figures();
  }

  /** Asks the other person of the page about what a card shows, in the conversation that is about it. */
  async ask(content: string): Promise<void> {
    const contentType = "im/card";
    const bytes = new TextEncoder().encode(content);
    const subject = subjectOf(bodyOf({ contentType, content: bytes, version: 1, isRecalled: false }));
    try {
      const sent = await this.#book.send({ to: this.#options.peer, content, contentType, ...subject });
      this.#changes.addSent(sent, content, contentType);
      // Whether it is a conversation of its own is the cluster's policy, and in the list.
      await this.#book.sync();
      const contact = this.#book.find(sent.conversationId);
      this.select(contact?.perItem === true ? sent.conversationId : PARTNER);
    } catch (error) {
      this.#failed(error);
    }
  }

  /** Fifty messages, each after the acknowledgement of the one before. */
  async burst(): Promise<void> {
    const isRunning = this.#burstLeft > 0;
    this.#burstLeft += BURST;
    if (isRunning) return;
    for (let n = 1; this.#burstLeft > 0; n++, this.#burstLeft--) await this.send(`#${n}`);
  }

  /** Says it in other words. */
  edit({ ref }: ChatLine, text: string): void {
    if (!ref) return;
    const edited = this.#changes.edit(ref, text).then(({ done }) => {
      if (!done) this.#options.view.notice("noticeChangedMeanwhile");
    });
    edited.catch((error: unknown) => this.#failed(error));
  }

  /** Takes it back. */
  recall({ ref }: ChatLine): void {
    if (ref) this.#changes.recall(ref).catch((error: unknown) => this.#failed(error));
  }

  /** Presses a button of a card; what the shop says is shown. */
  press({ ref }: ChatLine, action: string): void {
    if (!ref) return;
    const pressed = this.#changes.press(ref, action).then(({ status, output }) => {
      const answer = new TextDecoder().decode(output).slice(0, 200);
      this.#options.view.notice("noticePressed", { status: String(status), answer });
    });
    pressed.catch((error: unknown) => this.#failed(error));
  }

  /** The person writes. */
  writes(): void {
    const { conversationId } = this.#threads.current;
    if (conversationId !== undefined) this.#book.typing(conversationId);
  }

  /** Makes a group, and looks at it. */
  async createGroup(name: string, userIds: readonly string[]): Promise<void> {
    try {
      const { conversationId } = await this.#groups.create({ name, userIds });
      this.#threads.name(conversationId, name);
      this.select(conversationId);
    } catch (error) {
      this.#failed(error);
    }
  }

  /** Leaves the group that is looked at. */
  leaveGroup(): void {
    const { conversationId } = this.#threads.current;
    if (conversationId === undefined) return;
    this.#groups.leave(conversationId).catch((error: unknown) => this.#failed(error));
  }

  /** Blocks whom one talks to, or ends that. */
  toggleBlock(): void {
    const { peer, title } = this.#threads.current;
    const isBlocked = this.#safety.isBlocked(peer);
    const changed = isBlocked ? this.#safety.unblock([peer]) : this.#safety.block([peer]);
    changed.then(
      () => this.#options.view.notice(isBlocked ? "noticeUnblocked" : "noticeBlocked", { user: title }),
      (error: unknown) => this.#failed(error),
    );
  }

  /** The other side has this message. */
  delivered(clientMessageId: string): void {
    const line = this.#threads.find(clientMessageId);
    if (!line?.isMine || line.progress === "delivered" || line.progress === "read") return;
    line.progress = "delivered";
    this.#options.view.update(line);
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
      if (state.kind === "open") this.#load();
    });
    this.#client.on("message", (message) => this.#came(message));
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

  /** The first page of the list; after that the model keeps it current. What came while it was on its way is asked for once. */
  #load(): void {
    if (this.#isLoaded) return;
    this.#isLoaded = true;
    this.#book
      .load()
      .then(() => this.#book.sync())
      .then(() => this.#safety.blocked())
      .catch((error: unknown) => {
        this.#isLoaded = false;
        if (this.#client.state.kind !== "closed") this.#failed(error);
      });
  }

  #came({ own, clientMessageId, messageId }: Message): void {
    if (!own) this.#options.onShown(clientMessageId || messageId);
  }

  /** A message came, or is to be shown in another way. */
  #shown(message: ShownMessage): void {
    const { me, view } = this.#options;
    const { messageId, sender, sentAtMs: atMs, version } = message;
    const [body, ref] = [bodyOf(message), { ...message, version }];
    if (body.kind === "group" && body.event.name !== undefined)
      this.#threads.name(message.conversationId, body.event.name);
    const known = this.#threads.at(message);
    if (known) {
      Object.assign(known, { body, ref });
      view.update(known);
      if (body.kind === "card") this.#showContacts();
      return;
    }
    // Who has sent it writes no more.
    this.#typing({ conversationId: message.conversationId, userId: sender, isTyping: false });
    // Own ones come from an earlier life of this page, or from another device.
    const isMine = sender === me;
    const line: ChatLine = { key: messageId, isMine, sender, body, atMs, progress: "stored", reason: "", ref };
    if (this.#threads.place(line, message)) view.add(line);
    this.#showRead(message.conversationId);
    if (body.kind === "card") this.#cardCame(message.conversationId, isMine);
    this.look();
  }

  /** What was asked about first in a conversation that was about nothing comes with the list alone. */
  #cardCame(conversationId: string, isMine: boolean): void {
    this.#showContacts();
    if (isMine || !this.#isLoaded || this.#book.find(conversationId)?.subjectType !== "") return;
    this.#book.sync().catch((error: unknown) => this.#failed(error));
  }

  /** What the list says of a conversation, or of all. */
  #listed(contact: Contact | undefined): void {
    for (const known of contact ? [contact] : this.#book.list) {
      if (known.peerId === this.#options.peer && !known.perItem) this.#bind(known.conversationId);
      if (known.peerId === "") this.#nameGroup(known.conversationId);
      this.#showRead(known.conversationId);
    }
    this.look();
    this.#showContacts();
  }

  /** The conversation with the other person of the page is this one. */
  #bind(conversationId: string): void {
    for (const line of this.#threads.bind(conversationId)) this.#options.view.add(line);
  }

  #nameGroup(conversationId: string): void {
    if (this.#threads.isNamed(conversationId)) return;
    this.#threads.name(conversationId, "");
    this.#groups.info(conversationId).then(
      ({ name }) => {
        this.#threads.name(conversationId, name);
        this.#showContacts();
      },
      // Left or removed: it stays without a name.
      () => undefined,
    );
  }

  #showRead(conversationId: string): void {
    const readSeq = this.#book.find(conversationId)?.peerReadSeq ?? 0;
    for (const line of this.#threads.read(conversationId, readSeq)) this.#options.view.update(line);
  }

  #typing(notice: TypingNotice): void {
    this.#threads.typing(notice);
    if (notice.conversationId === this.#threads.current.conversationId)
      this.#options.view.typing(this.#threads.writers());
    this.#showContacts();
  }

  #showBlocked(): void {
    this.#options.view.blocked(this.#safety.isBlocked(this.#threads.current.peer));
  }

  #showContacts(): void {
    this.#options.view.contacts(this.#threads.entries(this.#book.list));
  }

  #failed(error: unknown): void {
    this.#options.view.notice("noticeError", { reason: error instanceof Error ? error.message : String(error) });
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
