// SPDX-License-Identifier: Apache-2.0
import { openUplink, type ServerUplink } from "#lib/grpc.ts";
import { Command } from "#proto/commands.ts";
import {
  AttachReply,
  AttachRequest,
  Device,
  Disconnect,
  ErrorInfo,
  type Event,
  Group,
  GroupReply,
  Hello,
  History,
  HistoryPage,
  LoginReply,
  LoginRequest,
  Presence,
  PresenceAsk,
  PresenceSub,
  Push,
  Reauth,
  ReauthOk,
  Send,
  SendAck,
  Snapshot,
  SnapshotPage,
  Sync,
  SyncPage,
  Welcome,
} from "#proto/gen/messages.ts";
import { RecordBatch, type RecordInput, RecordKind, readRecords, type UplinkRecord } from "#proto/uplink/record.ts";

/** How a {@link TestEntry} reaches logic. */
export interface EntryWire {
  write(batch: Buffer): void;
  close(): void;
}

export type TestLogin =
  | { kind: "ok"; reply: LoginReply; welcome: Welcome }
  | { kind: "denied"; disconnect: Disconnect };

export type TestAnswer<T> = { kind: "ok"; body: T } | { kind: "error"; error: ErrorInfo };

const WAIT_MS = 10_000;

/** The entry's side of the uplink, driven by hand: for tests of logic alone. */
export class TestEntry {
  incarnation = "";
  isClosed = false;
  /** Records received and not yet taken by {@link next}. */
  readonly inbox: UplinkRecord[] = [];
  readonly podUid: string;
  readonly #wire: EntryWire;
  #rid = 0;

  constructor(podUid: string, connect: (entry: TestEntry) => EntryWire) {
    this.podUid = podUid;
    this.#wire = connect(this);
  }

  receive(batch: Buffer): void {
    readRecords(batch, (record) => void this.inbox.push({ ...record, body: Uint8Array.from(record.body) }));
  }

  /** Sends records as one batch. */
  send(...records: RecordInput[]): void {
    const batch = new RecordBatch();
    for (const record of records) batch.add(record);
    this.#wire.write(batch.take());
  }

  /** Sends one encoded batch. */
  write(batch: Buffer): void {
    this.#wire.write(batch);
  }

  close(): void {
    this.isClosed = true;
    this.#wire.close();
  }

  /** Takes the first record that matches, waiting for it. */
  async next(kind: RecordKind | readonly RecordKind[], match: Partial<UplinkRecord> = {}): Promise<UplinkRecord> {
    const untilMs = performance.now() + WAIT_MS;
    const kinds: readonly number[] = [kind].flat();
    for (;;) {
      const at = this.inbox.findIndex((record) => kinds.includes(record.kind) && isMatch(record, match));
      const [found] = at < 0 ? [] : this.inbox.splice(at, 1);
      if (found) return found;
      if (performance.now() > untilMs)
        throw new Error(`no record ${kinds.join("/")} ${JSON.stringify(match)}; waiting are ${this.#describe()}`);
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  /** Records of a kind that wait now. */
  waiting(kind: RecordKind): UplinkRecord[] {
    return this.inbox.filter((record) => record.kind === kind);
  }

  /** ATTACH; resolves with the reply, or with undefined when the answer is FENCED. */
  async attach(incarnation = ""): Promise<AttachReply | undefined> {
    const body = AttachRequest.encode({ podUid: this.podUid, podName: this.podUid, incarnation, version: "test" });
    this.send({ kind: RecordKind.ATTACH, body });
    const record = await this.next([RecordKind.ATTACHED, RecordKind.FENCED]);
    if (record.kind === RecordKind.FENCED) return undefined;
    const reply = AttachReply.decode(record.body);
    this.incarnation = reply.incarnation;
    return reply;
  }

  async login(conn: number, token: string, hello: Partial<Hello> = {}): Promise<TestLogin> {
    const body = loginBody(token, hello);
    const rid = ++this.#rid;
    this.send({ kind: RecordKind.LOGIN, conn, rid, body });
    const record = await this.next([RecordKind.LOGIN_OK, RecordKind.LOGIN_DENIED], { conn, rid });
    if (record.kind === RecordKind.LOGIN_DENIED) return { kind: "denied", disconnect: Disconnect.decode(record.body) };
    const reply = LoginReply.decode(record.body);
    return { kind: "ok", reply, welcome: Welcome.decode(reply.welcome) };
  }

  /** SEND, and its answer. */
  message(conn: number, send: Partial<Send>): Promise<TestAnswer<SendAck>> {
    return this.ask(conn, Command.SEND, Send.encode(send), Command.SEND_ACK, (bytes) => SendAck.decode(bytes));
  }

  /** SYNC, and its answer. */
  sync(conn: number, sync: Partial<Sync>): Promise<TestAnswer<SyncPage>> {
    return this.ask(conn, Command.SYNC, Sync.encode(sync), Command.SYNC_PAGE, (bytes) => SyncPage.decode(bytes));
  }

  /** HISTORY, and its answer. */
  history(conn: number, history: Partial<History>): Promise<TestAnswer<HistoryPage>> {
    const body = History.encode(history);
    return this.ask(conn, Command.HISTORY, body, Command.HISTORY_PAGE, (bytes) => HistoryPage.decode(bytes));
  }

  /** SNAPSHOT, and its answer. */
  snapshot(conn: number, snapshot: Partial<Snapshot>): Promise<TestAnswer<SnapshotPage>> {
    const body = Snapshot.encode(snapshot);
    return this.ask(conn, Command.SNAPSHOT, body, Command.SNAPSHOT_PAGE, (bytes) => SnapshotPage.decode(bytes));
  }

  /** REAUTH, and its answer. */
  reauth(conn: number, token: string): Promise<TestAnswer<ReauthOk>> {
    return this.ask(conn, Command.REAUTH, Reauth.encode({ token }), Command.REAUTH, (bytes) => ReauthOk.decode(bytes));
  }

  /** DEVICE, and its answer. */
  device(conn: number, device: Partial<Device>): Promise<TestAnswer<number>> {
    return this.ask(conn, Command.DEVICE, Device.encode(device), Command.DEVICE, (bytes) => bytes.length);
  }

  /** PRESENCE, and its answer. */
  presence(conn: number, userIds: string[]): Promise<TestAnswer<Presence>> {
    const body = PresenceAsk.encode({ userIds });
    return this.ask(conn, Command.PRESENCE, body, Command.PRESENCE, (bytes) => Presence.decode(bytes));
  }

  /** PRESENCE_SUB, and its answer. */
  watch(conn: number, userIds: string[]): Promise<TestAnswer<Presence>> {
    const body = PresenceSub.encode({ userIds });
    return this.ask(conn, Command.PRESENCE_SUB, body, Command.PRESENCE, (bytes) => Presence.decode(bytes));
  }

  /** GROUP, and its answer. */
  group(conn: number, group: Partial<Group>): Promise<TestAnswer<GroupReply>> {
    return this.ask(conn, Command.GROUP, Group.encode(group), Command.GROUP, (bytes) => GroupReply.decode(bytes));
  }

  /** The next KICK of a connection. */
  async kicked(conn: number): Promise<Disconnect> {
    return Disconnect.decode((await this.next(RecordKind.KICK, { conn })).body);
  }

  /** Any command with a reply. */
  async ask<T>(
    conn: number,
    cmd: number,
    body: Uint8Array,
    replyCmd: number,
    decode: (bytes: Uint8Array) => T,
  ): Promise<TestAnswer<T>> {
    const rid = ++this.#rid;
    this.send({ kind: RecordKind.COMMAND, cmd, conn, rid, body });
    const record = await this.next(RecordKind.REPLY, { conn, rid });
    if (record.cmd === Command.ERROR) return { kind: "error", error: ErrorInfo.decode(record.body) };
    if (record.cmd !== replyCmd) throw new Error(`reply ${record.cmd} to command ${cmd}`);
    return { kind: "ok", body: decode(record.body) };
  }

  /** The next event delivered to a connection. */
  async delivered(conn: number): Promise<Event> {
    const record = await this.next(RecordKind.DELIVER, { conn });
    const [event] = Push.decode(record.body).events;
    if (!event || event.inboxSeq !== record.aux) throw new Error("a DELIVER must carry the event its aux names");
    return event;
  }

  #describe(): string {
    return JSON.stringify(this.inbox.map(({ kind, cmd, conn, rid, aux }) => ({ kind, cmd, conn, rid, aux })));
  }
}

/** Polls until `condition` holds. @throws Error naming `what` after `timeoutMs`, 10 s by default */
export async function waitUntil(
  what: string,
  condition: () => boolean | Promise<boolean>,
  timeoutMs: number = WAIT_MS,
): Promise<void> {
  const untilMs = performance.now() + timeoutMs;
  while (!(await condition())) {
    if (performance.now() > untilMs) throw new Error(`${what}: not within ${timeoutMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

/** Body of a LOGIN record. */
export function loginBody(token: string, hello: Partial<Hello> = {}): Uint8Array {
  const full = { protoMin: 1, protoMax: 1, deviceId: "phone-1", platform: "ios", token, ...hello };
  return LoginRequest.encode({ hello: Hello.encode(full), remoteAddress: "127.0.0.1", listener: "tcp" });
}

function isMatch(record: UplinkRecord, match: Partial<UplinkRecord>): boolean {
  return Object.entries(match).every(([name, value]) => record[name as keyof UplinkRecord] === value);
}

/** A test entry on a real stream. */
export function dialLogic(podUid: string, address: string): TestEntry {
  return new TestEntry(podUid, (entry) =>
    openUplink({
      address,
      onBatch: (batch) => entry.receive(batch),
      onClose: () => {
        entry.isClosed = true;
      },
    }),
  );
}

/** A test entry wired to `accept` in memory; batches arrive at the next turn, as on a network. */
export function wireEntry(podUid: string, accept: (uplink: ServerUplink) => void): TestEntry {
  return new TestEntry(podUid, (entry) => {
    let onBatch: ((batch: Buffer) => void) | undefined;
    let onClose: ((error?: Error) => void) | undefined;
    let isOpen = true;
    const close = (error?: Error): void => {
      if (!isOpen) return;
      isOpen = false;
      entry.isClosed = true;
      onClose?.(error);
    };
    const deliver = (batch: Buffer): void => {
      try {
        if (isOpen) onBatch?.(batch);
      } catch (error) {
        close(error as Error);
      }
    };
    accept({
      peer: "memory",
      write: (batch) => {
        setImmediate(() => entry.receive(batch));
        return true;
      },
      onDrain: () => undefined,
      onBatch: (fn) => {
        onBatch = fn;
      },
      onClose: (fn) => {
        onClose = fn;
      },
      // What was written before arrives first.
      close: () => void setImmediate(close),
    });
    return { write: (batch) => void setImmediate(deliver, batch), close: () => close() };
  });
}
