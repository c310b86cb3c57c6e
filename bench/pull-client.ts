// SPDX-License-Identifier: Apache-2.0
import { connect as connectTcp, type Socket } from "node:net";
import { Command } from "#proto/commands.ts";
import { ErrorInfo, Hello, Sync, Welcome } from "#proto/gen/messages.ts";
import { Cursor, FrameReader, frameOf, readEvent } from "./wire.ts";

const TAG_PAGE_EVENTS = 0x12;
const TAG_NEXT_CURSOR = 0x18;
const TAG_MORE = 0x28;
const TIMEOUT_MS = 60_000;
const HELLO_RID = 1;

/** What a pull to the head took. */
export interface PullFigures {
  /** From the first SYNC written to the last byte read. */
  pullMs: number;
  /** From HELLO to WELCOME. */
  loginMs: number;
  events: number;
  pages: number;
  maxPageBytes: number;
}

/** A client on a bare socket that pulls as the SDK does: the next SYNC leaves as soon as a page is there. */
export class PullClient {
  readonly #frames: FrameReader;
  readonly #limit: number;
  readonly #limitBytes: number;
  readonly #visit: (inboxSeq: number, content: Buffer) => void;
  readonly #cursor = new Cursor();
  readonly #done = Promise.withResolvers<PullFigures>();
  #socket: Socket | undefined;
  #epoch = "";
  #rid = HELLO_RID;
  #helloMs = 0;
  #syncMs = 0;
  #figures: PullFigures = { pullMs: 0, loginMs: 0, events: 0, pages: 0, maxPageBytes: 0 };

  /** Asks for pages of at most `limit` events and `limitBytes` bytes; `visit` gets every event, content as a view. */
  constructor(limit: number, limitBytes: number, visit: (inboxSeq: number, content: Buffer) => void) {
    this.#limit = limit;
    this.#limitBytes = limitBytes;
    this.#visit = visit;
    this.#frames = new FrameReader(this);
  }

  /** Logs in as a fresh device and pulls everything. @throws Error when refused or after 60 s */
  async run(port: number, token: string, deviceId: string): Promise<PullFigures> {
    const timer = setTimeout(() => this.#done.reject(new Error("not pulled to the head in time")), TIMEOUT_MS);
    const socket = connectTcp({ port, host: "127.0.0.1", noDelay: true });
    this.#socket = socket;
    socket.on("data", (chunk: Buffer) => this.#frames.push(chunk));
    socket.on("error", (error) => this.#done.reject(error));
    socket.once("connect", () => {
      this.#helloMs = performance.now();
      const device = { deviceId, platform: "android", deviceName: "pull", firstPageBytes: 1 };
      socket.write(frameOf(Command.HELLO, HELLO_RID, Hello.encode({ protoMin: 1, protoMax: 1, token, ...device })));
    });
    try {
      return await this.#done.promise;
    } finally {
      clearTimeout(timer);
      socket.destroy();
    }
  }

  /** For {@link FrameReader}. */
  frame(cmd: number, _rid: number, body: Buffer): void {
    if (cmd === Command.WELCOME) {
      this.#epoch = Welcome.decode(body).inboxEpoch;
      this.#syncMs = performance.now();
      this.#figures.loginMs = this.#syncMs - this.#helloMs;
      this.#sync(0);
    } else if (cmd === Command.SYNC_PAGE) this.#page(body);
    else if (cmd === Command.ERROR) {
      const { code, reason } = ErrorInfo.decode(body);
      this.#done.reject(new Error(`${code} ${reason}`));
    }
  }

  #sync(cursor: number): void {
    const sync = { inboxEpoch: this.#epoch, cursor, limit: this.#limit, limitBytes: this.#limitBytes };
    this.#socket?.write(frameOf(Command.SYNC, ++this.#rid, Sync.encode(sync)));
  }

  #page(body: Buffer): void {
    this.#figures.pages++;
    this.#figures.maxPageBytes = Math.max(this.#figures.maxPageBytes, body.length);
    const { nextCursor, more } = this.#tail(body);
    if (more) this.#sync(nextCursor);
    this.#events(body);
    if (more) return;
    this.#figures.pullMs = performance.now() - this.#syncMs;
    this.#done.resolve(this.#figures);
  }

  /** The fields behind the events. */
  #tail(body: Buffer): { nextCursor: number; more: boolean } {
    const cursor = this.#cursor;
    cursor.buffer = body;
    cursor.at = 0;
    let nextCursor = 0;
    let more = false;
    while (cursor.at < body.length) {
      const tag = cursor.varint();
      if (tag === TAG_NEXT_CURSOR) nextCursor = cursor.varint();
      else if (tag === TAG_MORE) more = cursor.varint() === 1;
      else cursor.skip(tag);
    }
    return { nextCursor, more };
  }

  #events(body: Buffer): void {
    const cursor = this.#cursor;
    cursor.at = 0;
    while (cursor.at < body.length) {
      const tag = cursor.varint();
      if (tag !== TAG_PAGE_EVENTS) {
        cursor.skip(tag);
        continue;
      }
      const length = cursor.varint();
      this.#figures.events++;
      readEvent(cursor, cursor.at + length, this.#visit);
    }
  }
}
