// SPDX-License-Identifier: Apache-2.0
import { Buffer } from "node:buffer";
import type { Clock } from "#lib/clock.ts";
import { DisconnectCode } from "#lib/codes.ts";
import { toImError } from "#lib/errors.ts";
import {
  type ChannelClient,
  createChannelClient,
  type GrpcService,
  type InternalTls,
  unaryService,
} from "#lib/grpc.ts";
import { isHostPort } from "#lib/host-port.ts";
import type { Logger } from "#lib/logger.ts";
import type { RelayReply, RelayRequest } from "#proto/gen/messages.ts";
import { serviceDefinition } from "#proto/load.ts";
import type { Lease } from "./lease.ts";
import type { HttpSessions, Outcome } from "./sessions.ts";

const DEFINITION = serviceDefinition("im.uplink.v1.EntryRelay");
/** Connecting to the other entry included. */
const CALL_TIMEOUT_MS = 5000;
/** A poll is passed on in pieces, so that it is noticed soon when the other entry is gone. */
const POLL_PIECE_MS = 5000;
const IDLE_MS = 60_000;
/** Entries that are called at once; beyond, the one used least lately is given up. */
const MAX_CHANNELS = 512;
const MAX_WAIT_MS = 60_000;

/** Numbers of RelayReply.outcome. */
const OUTCOMES = ["ok", "bytes", "busy", "conflict", "gone"] as const;

/** What {@link RelaySessions} needs. */
export interface RelayOptions {
  clock: Clock;
  log: Logger;
  tls(): InternalTls | undefined;
}

const GONE: Outcome = {
  kind: "gone",
  ended: { code: DisconnectCode.SHUTDOWN, reason: "the entry of this connection is gone" },
};

interface Channel {
  readonly client: ChannelClient;
  readonly tls: InternalTls | undefined;
  usedMs: number;
}

/** Sessions that other entries hold: each request is passed on to the address in its lease. */
export class RelaySessions implements HttpSessions {
  readonly #options: RelayOptions;
  /** Least lately used first. */
  readonly #channels = new Map<string, Channel>();

  constructor(options: RelayOptions) {
    this.#options = options;
  }

  post(lease: Lease, frames: Buffer): Promise<Outcome> {
    return this.#call(lease, "Post", { frames }, CALL_TIMEOUT_MS);
  }

  async poll(lease: Lease, cursor: number, waitMs: number, isWanted: () => boolean): Promise<Outcome> {
    for (let leftMs = waitMs; ; leftMs -= POLL_PIECE_MS) {
      const pieceMs = Math.min(leftMs, POLL_PIECE_MS);
      const outcome = await this.#call(lease, "Poll", { cursor, waitMs: pieceMs }, pieceMs + CALL_TIMEOUT_MS);
      const isEmpty = outcome.kind === "bytes" && outcome.bytes.length === 0 && !outcome.ended;
      if (!isEmpty || leftMs <= POLL_PIECE_MS || !isWanted()) return outcome;
    }
  }

  close(lease: Lease): Promise<Outcome> {
    return this.#call(lease, "Close", {}, CALL_TIMEOUT_MS);
  }

  /** Releases every channel. */
  closeChannels(): void {
    for (const { client } of this.#channels.values()) client.close();
    this.#channels.clear();
  }

  async #call(lease: Lease, method: string, rest: Partial<RelayRequest>, timeoutMs: number): Promise<Outcome> {
    // Its channel would try to connect again and again, and each try leave a socket behind.
    if (!isHostPort(lease.address)) return GONE;
    try {
      const request = { conn: lease.conn, nonce: lease.nonce, ...rest };
      return outcomeOf(await this.#channel(lease.address).call<RelayReply>(method, request, timeoutMs));
    } catch (thrown) {
      const err = toImError(thrown);
      this.#options.log.debug({ address: lease.address, method, err }, "the entry of a session did not answer");
      // Whether it was taken is unknown: after a new login the client sends again what was not acknowledged.
      return GONE;
    }
  }

  #channel(address: string): ChannelClient {
    const nowMs = this.#options.clock.nowMs();
    const tls = this.#options.tls();
    const known = this.#channels.get(address);
    this.#channels.delete(address);
    const channel = known?.tls === tls ? known : undefined;
    if (!channel) known?.client.close();
    const client = channel?.client ?? createChannelClient({ address, definition: DEFINITION, role: "entry", tls });
    this.#channels.set(address, { client, tls, usedMs: nowMs });
    this.#closeIdle(nowMs);
    return client;
  }

  #closeIdle(nowMs: number): void {
    for (const [address, { client, usedMs }] of this.#channels) {
      if (this.#channels.size <= MAX_CHANNELS && nowMs - usedMs < IDLE_MS) return;
      client.close();
      this.#channels.delete(address);
    }
  }
}

/** `EntryRelay`, for other entries. */
export function relayService(sessions: HttpSessions): GrpcService {
  const leaseOf = ({ conn, nonce }: RelayRequest): Lease => ({ conn, nonce, deadlineMs: 0, address: "" });
  return unaryService(DEFINITION, {
    Post: async (request: RelayRequest) => replyOf(await sessions.post(leaseOf(request), bufferOf(request.frames))),
    Poll: async (request: RelayRequest) =>
      replyOf(await sessions.poll(leaseOf(request), request.cursor, Math.min(request.waitMs, MAX_WAIT_MS), always)),
    Close: async (request: RelayRequest) => replyOf(await sessions.close(leaseOf(request))),
  });
}

const always = (): boolean => true;

function bufferOf({ buffer, byteOffset, length }: Uint8Array): Buffer {
  return Buffer.from(buffer, byteOffset, length);
}

function replyOf(outcome: Outcome): Partial<RelayReply> {
  const number = OUTCOMES.indexOf(outcome.kind);
  const ended = "ended" in outcome ? outcome.ended : undefined;
  const downlink = outcome.kind === "bytes" ? { bytes: outcome.bytes, cursor: outcome.cursor } : {};
  return { outcome: number, ...downlink, ...(ended ? { closeCode: ended.code, closeReason: ended.reason } : {}) };
}

function outcomeOf(reply: RelayReply): Outcome {
  const kind = OUTCOMES[reply.outcome] ?? "conflict";
  const ended = { code: reply.closeCode, reason: reply.closeReason };
  switch (kind) {
    case "bytes":
      return { kind, bytes: reply.bytes, cursor: reply.cursor, ended: ended.code === 0 ? undefined : ended };
    case "gone":
      return { kind, ended };
    default:
      return { kind };
  }
}
