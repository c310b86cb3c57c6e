// SPDX-License-Identifier: Apache-2.0
// `node bench/peers/ack-logic.ts`: a logic without a store, so that an entry can be measured alone. Lets everybody in (user =
// device id) and acknowledges every SEND. On SIGUSR2 it delivers 64 KiB to each user whose name begins with "stalled"; while
// it does, small events go on to them every 100 ms. Prints its port, and a line after each such round.
import { createGrpcServer, type ServerUplink, uplinkService } from "#lib/grpc.ts";
import { Command, Flag } from "#proto/commands.ts";
import {
  AttachReply,
  AttachRequest,
  Hello,
  LoginReply,
  LoginRequest,
  Push,
  SendAck,
  Welcome,
} from "#proto/gen/messages.ts";
import { RecordBatch, RecordKind, readRecords, type UplinkRecord } from "#proto/uplink/record.ts";

const EVENT_BYTES = 16 * 1024;
const EVENTS_PER_ROUND = 4;
const SMALL_EVERY_MS = 100;
const PING_INTERVAL_MS = 600_000;
const MAX_BATCH_BYTES = 1024 * 1024;

const NONE = { messageId: "m", sentAtMs: 1, clientMessageId: "", contentType: "" };

const eventOf = (bytes: number): Buffer =>
  Buffer.from(
    Push.encode({
      events: [
        { inboxSeq: 1, conversationId: "c", convSeq: 1, sender: "bench", content: Buffer.alloc(bytes, "x"), ...NONE },
      ],
    }),
  );
const LARGE = eventOf(EVENT_BYTES);
const SMALL = eventOf(200);
const ACK = Buffer.from(SendAck.encode({ clientMessageId: "bench", convSeq: 1, inboxSeq: 1 }));

class AckLogic {
  readonly stalled: number[] = [];
  readonly #stream: ServerUplink;
  readonly #batch = new RecordBatch();
  #isScheduled = false;
  #drained: (() => void) | undefined;

  constructor(stream: ServerUplink) {
    this.#stream = stream;
    stream.onDrain(() => this.#drained?.());
    stream.onBatch((batch) => readRecords(batch, (record) => this.#onRecord(record)));
  }

  #onRecord(record: UplinkRecord): void {
    const { conn, rid } = record;
    if (record.kind === RecordKind.COMMAND && record.cmd === Command.SEND) {
      this.#batch.add({ kind: RecordKind.REPLY, cmd: Command.SEND_ACK, flags: Flag.REPLY, conn, rid, body: ACK });
    } else if (record.kind === RecordKind.ATTACH) {
      const incarnation = AttachRequest.decode(record.body).incarnation || "bench.1";
      const body = AttachReply.encode({ incarnation, logicName: "bench", leaseIntervalMs: 5000 });
      this.#batch.add({ kind: RecordKind.ATTACHED, body });
    } else if (record.kind === RecordKind.LEASE) {
      this.#batch.add({ kind: RecordKind.LEASED, rid, aux: 15_000 });
    } else if (record.kind === RecordKind.LOGIN) this.#logIn(record);
    this.#schedule();
  }

  #logIn({ conn, rid, body }: UplinkRecord): void {
    const userId = Hello.decode(LoginRequest.decode(body).hello).deviceId;
    if (userId.startsWith("stalled")) this.stalled.push(conn);
    const welcome = Welcome.encode({ proto: 1, userId, inboxEpoch: "e" });
    const reply = {
      userId,
      slot: "web",
      tag: Buffer.from("t"),
      welcome,
      pingIntervalMs: PING_INTERVAL_MS,
      loginSeq: 1,
    };
    this.#batch.add({ kind: RecordKind.LOGIN_OK, conn, rid, body: LoginReply.encode(reply) });
  }

  #schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    setImmediate(() => {
      this.#isScheduled = false;
      if (this.#batch.count > 0) this.#stream.write(this.#batch.take());
    });
  }

  /** Delivers `body` to every stalled reader, as fast as the entry takes it. */
  async deliver(body: Buffer, times: number): Promise<void> {
    for (const conn of this.stalled) {
      for (let i = 0; i < times; i++) this.#batch.add({ kind: RecordKind.DELIVER, conn, aux: 1, body });
      if (this.#batch.byteLength < MAX_BATCH_BYTES) continue;
      const isTaken = this.#stream.write(this.#batch.take());
      if (!isTaken) await new Promise<void>((resolve) => (this.#drained = resolve));
    }
    this.#schedule();
  }
}

let logic: AckLogic | undefined;
const server = createGrpcServer({ tls: undefined, clientRoles: ["entry"] });
server.addService(uplinkService((stream) => (logic = new AckLogic(stream))));

/** One delivery after the other: each waits for the stream to take what came before. */
let deliveries = Promise.resolve();
let waiting = 0;
function enqueue(body: Buffer, times: number): Promise<void> {
  waiting++;
  deliveries = deliveries.then(() => logic?.deliver(body, times)).finally(() => waiting--);
  return deliveries;
}

// Left out while the large ones are on their way: they would gather behind them.
const trickle = (): void => void (waiting === 0 && enqueue(SMALL, 1));
process.once("SIGUSR2", () => void setInterval(trickle, SMALL_EVERY_MS));
process.on("SIGUSR2", () => {
  void enqueue(LARGE, EVENTS_PER_ROUND).then(() => console.log(JSON.stringify({ delivered: logic?.stalled.length })));
});
console.log(JSON.stringify({ port: await server.bind("127.0.0.1", 0) }));
