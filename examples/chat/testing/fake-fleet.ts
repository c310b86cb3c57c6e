// SPDX-License-Identifier: Apache-2.0
// A scripted fleet in one process: the page's files over HTTP, chats over WebSocket and TCP. The token is the user id.
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { type AddressInfo, createServer as createTcpServer, type Socket } from "node:net";
import { extname, join } from "node:path";
import { type WebSocket, WebSocketServer } from "ws";
import { type Event, Goaway, Hello, Kick, Push, Send, SendAck, Welcome } from "../../../client/src/codec.ts";
import { Command, Flag } from "../../../client/src/codes.ts";
import { encodeFrame, FrameSplitter } from "../../../client/src/frame.ts";
import { ChatCommand } from "../../../client/src/models/chat-commands.ts";
import { ContactsPage, Read, ReadState } from "../../../client/src/models/conversations-codec.ts";

/** A logged-in connection. */
interface Session {
  readonly userId: string;
  write(cmd: number, body: Uint8Array, rid?: number): void;
  end(code: number): void;
}

/** How one socket is written and ended. */
interface Carrier {
  write(bytes: Uint8Array): void;
  end(code: number): void;
}

const TYPES: Record<string, string> = {
  ".html": "text/html",
  ".js": "text/javascript",
  ".css": "text/css",
  ".svg": "image/svg+xml",
};
/** As the real entry sends it. */
const CSP = "default-src 'self'; connect-src 'self' ws: wss:; style-src 'self' 'unsafe-inline'";

export class FakeFleet {
  readonly #http: Server;
  readonly #tcp = createTcpServer((socket) => this.#onTcp(socket));
  readonly #ws: WebSocketServer;
  readonly #sessions = new Set<Session>();
  readonly #inboxes = new Map<string, Event[]>();
  readonly #sockets = new Set<Socket>();
  /** All say it in one conversation, whose positions have no gap. */
  #convSeq = 0;
  /** What was asked about last. */
  #subject = { subjectType: "", subjectId: "" };
  #logins = 0;
  /** SENDs are stored and pushed, but not acknowledged, while this is set. */
  holdsAcks = false;
  readonly #heldAcks: (() => void)[] = [];

  constructor(root: string) {
    this.#http = createServer((request, response) => {
      const name = new URL(request.url ?? "/", "http://page").pathname.replace(/^\/demo\//, "") || "index.html";
      try {
        const content = readFileSync(join(root, name));
        response.writeHead(200, { "content-type": TYPES[extname(name)] ?? "", "content-security-policy": CSP });
        response.end(content);
      } catch {
        response.writeHead(404).end();
      }
    });
    this.#ws = new WebSocketServer({ server: this.#http, path: "/ws" });
    this.#ws.on("connection", (ws) => this.#onWebSocket(ws));
  }

  async listen(): Promise<{ pageUrl: string; tcpUrl: string }> {
    this.#http.listen(0, "127.0.0.1");
    this.#tcp.listen(0, "127.0.0.1");
    await Promise.all([once(this.#http, "listening"), once(this.#tcp, "listening")]);
    const port = (server: { address(): unknown }): number => (server.address() as AddressInfo).port;
    return { pageUrl: `http://127.0.0.1:${port(this.#http)}/demo/`, tcpUrl: `tcp://127.0.0.1:${port(this.#tcp)}` };
  }

  async close(): Promise<void> {
    for (const ws of this.#ws.clients) ws.terminate();
    for (const socket of this.#sockets) socket.destroy();
    this.#http.closeAllConnections();
    await Promise.all([this.#http, this.#tcp].map((server) => new Promise((resolve) => server.close(resolve))));
  }

  /** Users with a connection. */
  get online(): string[] {
    return [...this.#sessions].map(({ userId }) => userId);
  }

  releaseAcks(): void {
    this.holdsAcks = false;
    for (const release of this.#heldAcks.splice(0)) release();
  }

  goaway(userId: string): void {
    this.#each(userId, (session) => session.write(Command.GOAWAY, Goaway.encode({ maxDelayMs: 50 })));
  }

  kick(userId: string, byDevice: string): void {
    this.#each(userId, (session) => {
      session.write(Command.KICK, Kick.encode({ code: 4520, reason: "signed in elsewhere", byDevice }));
      session.end(4520);
    });
  }

  drop(userId: string): void {
    this.#each(userId, (session) => session.end(4000));
  }

  /** A message from the server's side of `sender`. */
  say(sender: string, to: string, text: string): void {
    const content = new TextEncoder().encode(text);
    this.#store(sender, { to, clientMessageId: `say-${sender}-${text}`, content });
  }

  #each(userId: string, act: (session: Session) => void): void {
    for (const session of [...this.#sessions]) if (session.userId === userId) act(session);
  }

  #onWebSocket(ws: WebSocket): void {
    const take = this.#serve({ write: (bytes) => ws.send(bytes), end: (code) => ws.close(code) });
    ws.on("message", (data) => take.bytes(new Uint8Array(data as Buffer)));
    ws.once("close", () => take.gone());
  }

  #onTcp(socket: Socket): void {
    this.#sockets.add(socket);
    // Goes on reading until the client ends its side, as an entry does: a reset would overtake the last frame.
    const take = this.#serve({ write: (bytes) => socket.write(bytes), end: () => socket.end() });
    socket.on("data", (chunk) => take.bytes(chunk));
    socket.on("error", () => socket.destroy());
    socket.once("close", () => {
      this.#sockets.delete(socket);
      take.gone();
    });
  }

  #serve(carrier: Carrier): { bytes(bytes: Uint8Array): void; gone(): void } {
    const splitter = new FrameSplitter();
    let session: Session | undefined;
    const write = (cmd: number, body: Uint8Array, rid = 0): void =>
      carrier.write(encodeFrame({ cmd, rid, body, flags: rid === 0 ? 0 : Flag.REPLY }));
    const bytes = (chunk: Uint8Array): void => {
      for (const { cmd, rid, body } of splitter.push(chunk)) {
        if (cmd === Command.HELLO)
          session = this.#login({ userId: Hello.decode(body).token, write, end: carrier.end }, rid);
        else if (cmd === Command.PING) write(Command.PONG, new Uint8Array(), rid);
        else if (cmd === Command.SEND && session) this.#send(session, Send.decode(body), rid);
        else if (cmd === ChatCommand.CONTACTS && session) write(cmd, this.#contacts(session.userId), rid);
        else if (cmd === ChatCommand.READ && session)
          write(cmd, ReadState.encode({ ...readOf(Read.decode(body)), userId: session.userId }), rid);
      }
    };
    return { bytes, gone: () => session && this.#sessions.delete(session) };
  }

  #login(session: Session, rid: number): Session {
    this.#sessions.add(session);
    const events = this.#inbox(session.userId);
    const firstPage = {
      inboxEpoch: "e",
      events,
      nextCursor: events.length,
      head: events.length,
      more: false,
      gapTooLong: false,
    };
    const head = { inboxEpoch: "e", inboxHead: events.length, firstPage, pingIntervalMs: 30_000 };
    const entryId = `demo-entry-${++this.#logins}`;
    session.write(Command.WELCOME, Welcome.encode({ userId: session.userId, sessionId: "s", entryId, ...head }), rid);
    return session;
  }

  #send(session: Session, send: Send, rid: number): void {
    const { subjectType, subjectId } = send;
    if (subjectType !== "") this.#subject = { subjectType, subjectId };
    const event = this.#store(session.userId, send, session);
    const { clientMessageId, messageId, conversationId, convSeq, inboxSeq, sentAtMs } = event;
    const ack = { clientMessageId, messageId, conversationId, convSeq, inboxSeq, sentAtMs };
    const reply = (): void => session.write(Command.SEND_ACK, SendAck.encode(ack), rid);
    if (this.holdsAcks) this.#heldAcks.push(reply);
    else reply();
  }

  #store(
    sender: string,
    send: Pick<Send, "to" | "clientMessageId" | "content"> & Partial<Send>,
    from?: Session,
  ): Event {
    const { to, clientMessageId, content, contentType = "" } = send;
    const known = this.#inbox(sender).find((event) => event.clientMessageId === clientMessageId);
    if (known) return known;
    const convSeq = ++this.#convSeq;
    const base = { conversationId: "c", convSeq, messageId: `m-${clientMessageId}`, sender, contentType };
    const add = (userId: string): Event => {
      const inbox = this.#inbox(userId);
      const event = { ...base, inboxSeq: inbox.length + 1, sentAtMs: Date.now(), clientMessageId, content };
      inbox.push(event);
      const body = Push.encode({ events: [event] });
      this.#each(userId, (session) => session !== from && session.write(Command.PUSH, body));
      return event;
    };
    add(to);
    return add(sender);
  }

  /** The one conversation, to whoever has something of it; nothing is unread. */
  #contacts(userId: string): Uint8Array {
    const inbox = this.#inbox(userId);
    const peerId = [...this.#inboxes.keys()].find((other) => other !== userId) ?? "";
    const last = {
      lastSeq: this.#convSeq,
      lastAtMs: Date.now(),
      lastEvent: inbox.at(-1) ?? null,
      unread: 0,
      peerReadSeq: 0,
    };
    const subject = { ...this.#subject, perItem: false };
    const contact = { conversationId: "c", peerId, ...last, ...subject, state: null };
    const contacts = inbox.length > 0 ? [contact] : [];
    return ContactsPage.encode({ inboxEpoch: "e", version: 1, inboxSeq: inbox.length, contacts });
  }

  #inbox(userId: string): Event[] {
    const inbox = this.#inboxes.get(userId) ?? [];
    this.#inboxes.set(userId, inbox);
    return inbox;
  }
}

/** What was read, as it is told. Nobody else hears of it. */
function readOf({ conversationId, convSeq: readSeq }: { conversationId: string; convSeq: number }) {
  return { conversationId, readSeq };
}
