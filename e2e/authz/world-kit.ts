// SPDX-License-Identifier: Apache-2.0
// For the matrix of commands: a logic on PostgreSQL whose statements are counted, and people who stand in every relation to one group.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { FakeClock } from "#lib/clock.ts";
import { silentLogger } from "#lib/logger.ts";
import { idInTenant, tenantOf } from "#lib/tenant.ts";
import { Command } from "#proto/commands.ts";
import { Block, BlockList, Group, GroupReply, Send, SendAck } from "#proto/gen/messages.ts";
import { RecordKind, type UplinkRecord } from "#proto/uplink/record.ts";
import { signCard } from "../../logic/changes/card.ts";
import { composeLogic, type LogicCore } from "../../logic/compose.ts";
import { MemoryAckWheel } from "../../logic/deliver/ack-wheel-memory.ts";
import { type TestEntry, waitUntil, wireEntry } from "../../logic/entry-kit.ts";
import { unreadMetrics } from "../../logic/metrics.ts";
import { MemoryChangeLog } from "../../logic/presence/change-log-memory.ts";
import { MemoryRouter } from "../../logic/router/memory.ts";
import { CARD_TYPE } from "../../logic/store/changes.ts";
import { newBroadcast } from "../../logic/store/contract/broadcasts.ts";
import type { PostgresStore } from "../../logic/store/postgres-store.ts";
import { TokenVerifier } from "../../logic/token/verify.ts";
import { AllowedNetworks } from "../../logic/webhook/public-address.ts";
import { WebhookSender } from "../../logic/webhook/webhook-sender.ts";
import { newStore } from "../harness/database.ts";
import { createTokenAuthority, type TokenAuthority } from "../harness/tokens.ts";

/**
 * Who asks. `exMember` was in the group and was removed before the secret was said; `stranger` has nothing to do with anybody;
 * `blocked` was never in the group: it talked with the owner, who has blocked it since. `service` is an account of the shop; `otherTenant` has a token of another shop, whose user is called as the member is; `anonymous` has none.
 */
export const CALLERS = [
  "owner",
  "member",
  "exMember",
  "stranger",
  "blocked",
  "service",
  "otherTenant",
  "anonymous",
] as const;
export type Caller = (typeof CALLERS)[number];

/** What a command is about. */
export interface Target {
  readonly userId: string;
  /** The group. */
  readonly conversationId: string;
  /** The conversation of the owner and the one whom it blocked. */
  readonly pairId: string;
  /** Of the same two, about one thing. */
  readonly itemId: string;
  /** A message of the owner, and one of the ex-member from before it was removed. */
  readonly message: Place;
  readonly exMessage: Place;
  readonly card: Place;
}

export interface Place {
  readonly convSeq: number;
  readonly messageId: string;
}

/** Nobody but the group's members may read any of them. */
export const SECRETS: readonly string[] = ["the secret that was said", "the secret name", "the secret news"];

/** What came of one command: how it was answered, what the store was asked, what others were told. */
export interface Outcome {
  /** Undefined: there was no answer. */
  readonly reply: UplinkRecord | undefined;
  readonly statements: readonly string[];
  /** Frames to connections other than the asker's. */
  readonly told: number;
  /** Bytes that came to the asker. */
  readonly bytes: Buffer;
}

const CARD_KEY = { id: "k1", secret: Buffer.alloc(32, 7) };

/** Each has a database of its own. */
let opened = 0;

/** One logic for a whole matrix. */
export class AuthzLogic {
  readonly #clock = new FakeClock(0, Date.now());
  readonly #statements: string[] = [];
  readonly #backend: Server;
  readonly #tokens: TokenAuthority;
  readonly store: PostgresStore;
  readonly core: LogicCore;
  readonly entry: TestEntry;
  #conns = 0;
  #rid = 1_000_000;

  static async open(): Promise<AuthzLogic> {
    const tokens = await createTokenAuthority();
    const backend = createServer((request, response) => void request.resume().on("end", () => response.end("{}")));
    await new Promise<void>((resolve) => void backend.listen(0, "127.0.0.1", resolve));
    const statements: string[] = [];
    const { store } = await newStore(`authz_${++opened}`, { observe: (name) => void statements.push(name) });
    const logic = new AuthzLogic({ tokens, backend, store, statements });
    await logic.core.start();
    assert.ok(await logic.entry.attach());
    return logic;
  }

  private constructor(parts: { tokens: TokenAuthority; backend: Server; store: PostgresStore; statements: string[] }) {
    this.#tokens = parts.tokens;
    this.#backend = parts.backend;
    this.#statements = parts.statements;
    this.store = parts.store;
    const clock = this.#clock;
    const random = (): number => 0.5;
    const keys = { current: () => parts.tokens.jwks };
    const url = `http://127.0.0.1:${(parts.backend.address() as AddressInfo).port}/`;
    const webhooks = new WebhookSender({ allowed: new AllowedNetworks(["127.0.0.0/8"]), clock, random });
    this.core = composeLogic({
      ...{ store: parts.store, router: new MemoryRouter(clock, 1e9), changeLog: new MemoryChangeLog() },
      ...{ wheel: new MemoryAckWheel(clock, () => undefined), intents: { append: async (all) => all.length } },
      tokens: new TokenVerifier({
        ...{ keys, issuer: parts.tokens.issuer, audience: parts.tokens.audience, nowMs: () => Date.now() },
      }),
      changes: { cardKeys: () => [CARD_KEY], cardActions: { target: { url, secret: "s" }, webhooks } },
      ...{ name: "authz", leaseTtlMs: 1e9, pingIntervalMs: 30_000, maxLingerMs: 0, ackTimeoutMs: 1e9 },
      maxGroupMembers: 1000,
      policyOf: () => "per_item",
      gap: { maxEvents: 2000, maxAgeMs: 30 * 86_400_000 },
      sessionPolicy: { sessionsPerSlot: 1, loginsPerMinute: 1000 },
      ...{ clock, random, defer: setImmediate, log: silentLogger, metrics: unreadMetrics() },
      onFault: (op, error) => assert.fail(`${op}: ${String(error)}`),
    });
    this.entry = wireEntry("pod", (uplink) => this.core.server.accept(uplink));
  }

  async close(): Promise<void> {
    this.core.close();
    await this.store.close();
    await new Promise((resolve) => this.#backend.close(resolve));
  }

  /** A connection with a session, or without one where there is no user. */
  async connect(userId: string | undefined): Promise<number> {
    const conn = ++this.#conns;
    if (userId === undefined) return conn;
    const login = await this.entry.login(conn, await this.token(userId), { platform: "android" });
    assert.equal(login.kind, "ok", JSON.stringify(login));
    return conn;
  }

  token(userId: string): Promise<string> {
    const tenant = tenantOf(userId);
    return this.#tokens.mint(idInTenant(userId), tenant === "" ? {} : { tenant });
  }

  /** Sends a command and waits until all that follows from it has happened. */
  async run(conn: number, { cmd, body }: { cmd: number; body: Uint8Array }): Promise<Outcome> {
    await this.#quiet();
    this.#statements.length = 0;
    this.entry.inbox.length = 0;
    const rid = ++this.#rid;
    this.entry.send({ kind: RecordKind.COMMAND, cmd, conn, rid, body });
    await this.#quiet();
    const own = this.entry.inbox.filter((record) => record.conn === conn);
    return {
      reply: own.find((record) => record.kind === RecordKind.REPLY && record.rid === rid),
      statements: [...this.#statements],
      told: this.entry.inbox.length - own.length,
      bytes: Buffer.concat(own.map(({ body: bytes }) => bytes)),
    };
  }

  /** Nothing is under way: a while of turns in which nothing was asked, answered or told. */
  async #quiet(): Promise<void> {
    const seen = (): string => `${this.#statements.length}/${this.entry.inbox.length}`;
    for (let calm = 0, was = ""; calm < 3; calm = seen() === was ? calm + 1 : 0) {
      was = seen();
      await new Promise((resolve) => setTimeout(resolve, 2));
      await waitUntil("everything is answered", () => this.core.isIdle());
    }
  }

  /** A command that must be done. */
  async must<T>(conn: number, cmd: Command, body: Uint8Array, codec: { decode(bytes: Uint8Array): T }): Promise<T> {
    const rid = ++this.#rid;
    this.entry.send({ kind: RecordKind.COMMAND, cmd, conn, rid, body });
    const reply = await this.entry.next(RecordKind.REPLY, { conn, rid });
    assert.notEqual(reply.cmd, Command.ERROR, `command ${cmd} was refused: ${Buffer.from(reply.body).toString()}`);
    return codec.decode(reply.body);
  }
}

/** A group with its secret, and everybody connected. */
export interface World {
  readonly users: Readonly<Record<Caller, string>>;
  readonly conns: Readonly<Record<Caller, number>>;
  readonly target: Target;
}

/** So many others make a group large: their owner, the member and the ex-member are in it, too. */
export const LARGE_CROWD = 198;

/**
 * People whom nobody has met, in a group of their own.
 * @param crowd others in the group, who do nothing; {@link LARGE_CROWD} of them make it large
 */
export async function makeWorld(logic: AuthzLogic, crowd = 0): Promise<World> {
  const tag = randomUUID().slice(0, 8);
  const users = {
    ...{ owner: `owner-${tag}`, member: `member-${tag}`, exMember: `ex-${tag}`, stranger: `stranger-${tag}` },
    ...{ blocked: `blocked-${tag}`, service: `svc:shop-${tag}`, otherTenant: `acme/member-${tag}`, anonymous: "" },
  };
  const conns = { owner: 0, member: 0, exMember: 0, stranger: 0, blocked: 0, service: 0, otherTenant: 0, anonymous: 0 };
  for (const caller of CALLERS) conns[caller] = await logic.connect(users[caller] || undefined);
  const { owner, exMember: ex } = conns;
  const group = (fields: Partial<Group>): Promise<GroupReply> =>
    logic.must(owner, Command.GROUP, Group.encode({ requestId: randomUUID(), ...fields }), GroupReply);
  const others = Array.from({ length: crowd }, (_, at) => `crowd-${tag}-${at}`);
  const created = { name: "team", userIds: [users.member, users.exMember, ...others], fromStart: false };
  const { conversationId } = await group({ create: created });
  const say = async (conn: number, content: string, contentType = ""): Promise<Place> => {
    const send = { conversationId, clientMessageId: randomUUID(), contentType, content: Buffer.from(content) };
    return await logic.must(conn, Command.SEND, Send.encode(send), SendAck);
  };
  const exMessage = await say(ex, "said before it was removed");
  await group({ conversationId, remove: { userIds: [users.exMember] } });
  const [secret = "", name = "", news = ""] = SECRETS;
  await group({ conversationId, rename: { name } });
  const message = await say(owner, secret);
  const actions = [{ id: "buy", label: "Buy" }];
  const card = { type: "item" as const, ref: "i-1", version: 1, snapshot: {}, actions };
  const place = await say(owner, signCard(card, CARD_KEY), CARD_TYPE);
  const readers = { audience: "users", userIds: [users.owner, users.member] } as const;
  await logic.store.broadcasts.create(newBroadcast({ ...readers, content: Buffer.from(news) }));
  await logic.core.broadcasts.board.look();
  const { conversationId: pairId } = await sayTo(logic, owner, users.blocked);
  await sayTo(logic, conns.blocked, users.owner);
  const item = { subjectType: "item", subjectId: "i-1" };
  const { conversationId: itemId } = await sayTo(logic, owner, users.blocked, item);
  await sayTo(logic, conns.blocked, users.owner, item);
  await logic.must(owner, Command.BLOCK, Block.encode({ block: [users.blocked] }), BlockList);
  const places = { message, exMessage, card: place };
  return { users, conns, target: { userId: users.owner, conversationId, pairId, itemId, ...places } };
}

function sayTo(logic: AuthzLogic, conn: number, to: string, subject: Partial<Send> = {}): Promise<SendAck> {
  const send = { to, ...subject, clientMessageId: randomUUID(), content: Buffer.from("hello") };
  return logic.must(conn, Command.SEND, Send.encode(send), SendAck);
}

/** Shaped as what a world has, and nowhere there. */
export function unknownTarget(): Target {
  const place = (): Place => ({ convSeq: 3, messageId: randomUUID() });
  const id = randomUUID().replaceAll("-", "");
  const places = { message: place(), exMessage: place(), card: place() };
  const pairId = `c_${id}`;
  const itemId = `${pairId}_${id.slice(0, 22)}`;
  return { userId: `owner-${id.slice(0, 8)}`, conversationId: `g_${id}`, pairId, itemId, ...places };
}
