// SPDX-License-Identifier: Apache-2.0
import { connect as connectTcp, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { Command } from "#proto/commands.ts";
import { ErrorInfo, Hello, Welcome } from "#proto/gen/messages.ts";
import type { LoadClient, LoadListener, LoadTarget } from "./load-client.ts";
import { FrameReader, frameOf, pushAckFrame, readAckedSeq, readPush, sendFrame } from "./wire.ts";

/** All plain sockets read into it, one at a time: no 64 KiB of garbage per read. */
const READ_BUFFER = Buffer.allocUnsafeSlow(64 * 1024);
const LOGIN_TIMEOUT_MS = 60_000;
const HELLO_RID = 1;
const FIRST_SEND_RID = 2;
/** As the SDK does: what was received is acknowledged with the next SEND, at most this late. */
const ACK_DELAY_MS = 200;
const ACK_SWEEP_MS = 10;

/** One user on one raw connection: sends, and acknowledges what it is pushed, with one write per event loop turn. */
export class LoadUser implements LoadClient {
  readonly id: string;
  readonly #listener: LoadListener;
  readonly #frames: FrameReader;
  #socket: Socket | undefined;
  #queued: Buffer[] = [];
  #isDirty = false;
  /** When the oldest receipt is due; 0: none waits. */
  #ackDueMs = 0;
  #highestSeq = 0;
  #ackedSeq = 0;
  #nextRid = FIRST_SEND_RID;
  #loggedIn: ((error?: Error) => void) | undefined;
  #isClosing = false;

  constructor(id: string, listener: LoadListener) {
    this.id = id;
    this.#listener = listener;
    this.#frames = new FrameReader(this);
  }

  /** Connects and logs in. @throws Error when refused, or after 60 s */
  login(target: LoadTarget, token: string): Promise<void> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => this.#settleLogin(new Error(`${this.id}: no WELCOME in time`)), LOGIN_TIMEOUT_MS);
      this.#loggedIn = (error) => {
        clearTimeout(timer);
        this.#loggedIn = undefined;
        if (error) reject(error);
        else resolve();
      };
      const { port, ca, servername } = target;
      const host = "127.0.0.1";
      const socket =
        ca === undefined
          ? connectTcp({ port, host, noDelay: true, onread: { buffer: READ_BUFFER, callback: this.#onRead } })
          : connectTls({ port, host, ca, servername, ALPNProtocols: ["im/1"], minVersion: "TLSv1.3" });
      socket.setNoDelay(true);
      if (ca !== undefined) socket.on("data", (chunk: Buffer) => this.#frames.push(chunk));
      socket.once("error", (error) => this.#onClose(error.message));
      socket.once("close", () => this.#onClose("closed by the server"));
      this.#socket = socket;
      const hello = Hello.encode({
        protoMin: 1,
        protoMax: 1,
        deviceId: "load",
        platform: "android",
        appVersion: "bench",
        token,
        deviceName: "load generator",
        firstPageBytes: 1,
      });
      socket.write(frameOf(Command.HELLO, HELLO_RID, hello));
    });
  }

  /** The bytes are read before this returns: the next socket's go to the same place. */
  readonly #onRead = (bytes: number, buffer: Uint8Array): boolean => {
    this.#frames.push(Buffer.from(buffer.buffer, buffer.byteOffset, bytes));
    return true;
  };

  /** Queues a SEND; returns its request id. */
  send(to: string, clientMessageId: string, content: Uint8Array): number {
    const rid = this.#nextRid++;
    this.#queue(sendFrame(rid, to, clientMessageId, content));
    return rid;
  }

  close(): void {
    this.#isClosing = true;
    this.#socket?.destroy();
  }

  /** For {@link FrameReader}. */
  frame(cmd: number, rid: number, body: Buffer): void {
    if (cmd === Command.SEND_ACK) {
      this.#received(readAckedSeq(body));
      this.#listener.acked(this, rid);
    } else if (cmd === Command.PUSH) this.#onPush(body);
    else if (cmd === Command.WELCOME) {
      this.#highestSeq = this.#ackedSeq = Welcome.decode(body).inboxHead;
      this.#settleLogin();
    } else if (cmd === Command.ERROR) this.#onError(rid, ErrorInfo.decode(body));
    else if (cmd === Command.KICK) this.#settleLogin(new Error(`${this.id} was kicked`));
  }

  #onPush(body: Buffer): void {
    readPush(body, (inboxSeq, content) => {
      this.#received(inboxSeq);
      this.#listener.delivered(content);
    });
  }

  #received(inboxSeq: number): void {
    if (inboxSeq <= this.#highestSeq) return;
    this.#highestSeq = inboxSeq;
    if (this.#ackDueMs > 0) return;
    this.#ackDueMs = performance.now() + ACK_DELAY_MS;
    receipts.push(this);
  }

  /** Writes a receipt that no SEND took along. True when it is not due yet. */
  sweep(nowMs: number): boolean {
    if (this.#ackDueMs > nowMs) return true;
    if (this.#ackDueMs > 0) this.#touch();
    return false;
  }

  #onError(rid: number, error: ErrorInfo): void {
    if (this.#loggedIn) this.#settleLogin(new Error(`${this.id}: ${error.code} ${error.reason}`));
    else if (rid >= FIRST_SEND_RID) this.#listener.refused(this, rid, error.retryAfterMs);
  }

  #queue(frame: Buffer): void {
    this.#queued.push(frame);
    this.#touch();
  }

  #touch(): void {
    if (this.#isDirty) return;
    this.#isDirty = true;
    dirty.push(this);
    if (dirty.length === 1) setImmediate(flushDirty);
  }

  /** Writes all that gathered in this turn; the acknowledgement of pushes rides along. */
  flush(): void {
    this.#isDirty = false;
    const queued = this.#queued;
    this.#ackDueMs = 0;
    if (this.#highestSeq > this.#ackedSeq) {
      this.#ackedSeq = this.#highestSeq;
      queued.push(pushAckFrame(this.#ackedSeq));
    }
    const [only] = queued;
    if (!only) return;
    this.#queued = [];
    this.#socket?.write(queued.length === 1 ? only : Buffer.concat(queued));
  }

  #settleLogin(error?: Error): void {
    this.#loggedIn?.(error);
  }

  #onClose(why: string): void {
    if (this.#isClosing) return;
    this.#isClosing = true;
    if (this.#loggedIn) this.#settleLogin(new Error(`${this.id}: ${why}`));
    else this.#listener.broken(this, why);
  }
}

const dirty: LoadUser[] = [];

/** Users with a receipt to write, oldest first; one may be in it twice when a SEND took its receipt along. */
let receipts: LoadUser[] = [];
let sweeping: NodeJS.Timeout | undefined;

/** Starts writing late receipts; stops when the returned function is called. */
export function startReceipts(): () => void {
  sweeping ??= setInterval(() => {
    const nowMs = performance.now();
    receipts = receipts.filter((user) => user.sweep(nowMs));
  }, ACK_SWEEP_MS);
  return () => clearInterval(sweeping);
}

function flushDirty(): void {
  for (const user of dirty.splice(0)) user.flush();
}
