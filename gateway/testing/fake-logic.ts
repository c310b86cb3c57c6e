// SPDX-License-Identifier: Apache-2.0
import { Buffer } from "node:buffer";
import { DisconnectCode } from "#lib/codes.ts";
import { createGrpcServer, type GrpcServer, type InternalTls, type ServerUplink, uplinkService } from "#lib/grpc.ts";
import { Command, Flag } from "#proto/commands.ts";
import {
  AttachReply,
  AttachRequest,
  Disconnect,
  Hello,
  LoginReply,
  LoginRequest,
  Push,
  SendAck,
  Welcome,
} from "#proto/gen/messages.ts";
import { RecordBatch, type RecordInput, RecordKind, readRecords, type UplinkRecord } from "#proto/uplink/record.ts";
import { waitFor } from "./wait.ts";

/** Behaviour that a test may change while it runs. */
export interface FakeLogicOptions {
  name?: string;
  tls?: InternalTls;
  leaseIntervalMs?: number;
  pingIntervalMs?: number;
  /** Incarnation given to an entry that has none. */
  incarnation?: string;
}

/** A logic that speaks records over real gRPC: accepts every login (user = device id), acknowledges every SEND. */
export class FakeLogic {
  readonly options: FakeLogicOptions;
  /** Everything received, in order; bodies are copies. */
  readonly received: UplinkRecord[] = [];
  readonly attachRequests: AttachRequest[] = [];
  /** Logins wait while set; answer with {@link acceptLogin}. */
  holdsLogins = false;
  /** SENDs are swallowed while set. */
  holdsReplies = false;
  inboxHead = 0;
  readonly #server: GrpcServer;
  #streams: ServerUplink[] = [];
  #port = 0;

  private constructor(options: FakeLogicOptions) {
    this.options = options;
    this.#server = createGrpcServer({ tls: options.tls, clientRoles: ["entry"] });
    this.#server.addService(uplinkService((stream) => this.#onAttach(stream)));
  }

  static async start(options: FakeLogicOptions = {}, port = 0): Promise<FakeLogic> {
    const logic = new FakeLogic(options);
    logic.#port = await logic.#server.bind("127.0.0.1", port);
    return logic;
  }

  get port(): number {
    return this.#port;
  }

  get target(): string {
    return `127.0.0.1:${this.#port}`;
  }

  /** Cuts everything at once, as kill -9 would. */
  close(): Promise<void> {
    return this.#server.close(0);
  }

  /** Sends records in one batch on the latest stream. */
  send(...records: RecordInput[]): void {
    const batch = new RecordBatch();
    for (const record of records) batch.add(record);
    this.#streams.at(-1)?.write(batch.take());
  }

  /** Writes raw bytes as one batch. */
  sendRaw(bytes: Buffer): void {
    this.#streams.at(-1)?.write(bytes);
  }

  ofKind(kind: number): UplinkRecord[] {
    return this.received.filter((record) => record.kind === kind);
  }

  /** The `count`-th record of a kind, when it has come. */
  wait(kind: number, count = 1): Promise<UplinkRecord> {
    return waitFor(`record ${kind} number ${count}`, () => this.ofKind(kind)[count - 1]);
  }

  acceptLogin(record: UplinkRecord): void {
    const userId = deviceIdOf(record);
    if (userId === undefined) {
      this.denyLogin(record, DisconnectCode.PROTOCOL_ERROR, "HELLO is no message");
      return;
    }
    const welcome = Welcome.encode({ proto: 1, userId, inboxEpoch: "e", inboxHead: this.inboxHead });
    const body = LoginReply.encode({
      userId,
      slot: "web",
      tag: Buffer.from(`tag of ${userId}`),
      welcome,
      pingIntervalMs: this.options.pingIntervalMs ?? 30_000,
      inboxHead: this.inboxHead,
      loginSeq: 1,
    });
    this.send({ kind: RecordKind.LOGIN_OK, conn: record.conn, rid: record.rid, body });
  }

  denyLogin(record: UplinkRecord, code: number, reason: string): void {
    const body = Disconnect.encode({ code, reason });
    this.send({ kind: RecordKind.LOGIN_DENIED, conn: record.conn, rid: record.rid, body });
  }

  /** A DELIVER record of one small event. */
  deliver(conn: number, inboxSeq: number, content = ""): RecordInput {
    const body = Push.encode({ events: [eventOf(inboxSeq, content)] });
    return { kind: RecordKind.DELIVER, conn, aux: inboxSeq, body };
  }

  #onAttach(stream: ServerUplink): void {
    this.#streams.push(stream);
    stream.onBatch((batch) =>
      readRecords(batch, (record) => this.#onRecord({ ...record, body: Buffer.from(record.body) })),
    );
    stream.onClose(() => {
      this.#streams = this.#streams.filter((other) => other !== stream);
    });
  }

  #onRecord(record: UplinkRecord): void {
    this.received.push(record);
    switch (record.kind) {
      case RecordKind.ATTACH: {
        const request = AttachRequest.decode(record.body);
        this.attachRequests.push(request);
        const body = AttachReply.encode({
          incarnation: request.incarnation || this.options.incarnation || `${request.podUid}.1`,
          logicName: this.options.name ?? "logic",
          leaseIntervalMs: this.options.leaseIntervalMs ?? 5000,
        });
        this.send({ kind: RecordKind.ATTACHED, body });
        return;
      }
      case RecordKind.LEASE:
        this.send({ kind: RecordKind.LEASED, rid: record.rid, aux: 15_000 });
        return;
      case RecordKind.LOGIN:
        if (!this.holdsLogins) this.acceptLogin(record);
        return;
      case RecordKind.ASK_HEAD:
        this.send({ kind: RecordKind.HEAD, conn: record.conn, aux: this.inboxHead });
        return;
      case RecordKind.COMMAND:
        if (record.cmd === Command.SEND && !this.holdsReplies) this.#acknowledge(record);
        return;
    }
  }

  #acknowledge(record: UplinkRecord): void {
    const body = SendAck.encode({ clientMessageId: `rid-${record.rid}`, convSeq: 1 });
    const { conn, rid } = record;
    this.send({ kind: RecordKind.REPLY, cmd: Command.SEND_ACK, flags: Flag.REPLY, conn, rid, body });
  }
}

/** Undefined: HELLO is no protobuf. */
function deviceIdOf(record: UplinkRecord): string | undefined {
  try {
    return Hello.decode(LoginRequest.decode(record.body).hello).deviceId;
  } catch {
    return undefined;
  }
}

function eventOf(inboxSeq: number, content: string) {
  return {
    inboxSeq,
    conversationId: "c",
    convSeq: inboxSeq,
    messageId: `m-${inboxSeq}`,
    sender: "bob",
    sentAtMs: 1,
    clientMessageId: "",
    contentType: "",
    content: Buffer.from(content),
  };
}
