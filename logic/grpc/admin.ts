// SPDX-License-Identifier: Apache-2.0
import type { Clock } from "#lib/clock.ts";
import { DisconnectCode } from "#lib/codes.ts";
import { ErrorCode, ImError } from "#lib/errors.ts";
import { type GrpcService, unaryService } from "#lib/grpc.ts";
import type { Logger } from "#lib/logger.ts";
import type {
  KickUserReply,
  KickUserRequest,
  PresenceReply,
  PresenceRequest,
  RevokeTokenRequest,
  RevokeUserRequest,
} from "#proto/gen/messages.ts";
import { serviceDefinition } from "#proto/load.ts";
import { readPresence } from "../presence/presence.ts";
import type { RouterMemory } from "../presence/router-memory.ts";
import type { Router } from "../router/router.ts";
import type { SessionGuard } from "../session/guard.ts";
import type { Kicker } from "../session/kick.ts";
import { disconnectBody } from "../session/session.ts";
import { classOf } from "../store/identity.ts";
import type { Store } from "../store/store.ts";
import { requireInternalId } from "../tenant/peer-id.ts";
import { internalTokenId, TENANT_MARK } from "../tenant/tenant-ids.ts";

const MAX_TOKEN_ID_CHARS = 128;
const MAX_INTERNAL_CHARS = internalTokenId("t".repeat(32), "").length + MAX_TOKEN_ID_CHARS;
const MAX_REASON_CHARS = 200;
/** How long a revoked token is kept whose expiry the caller does not know. */
const UNKNOWN_EXPIRY_MS = 365 * 86_400_000;

/** What the admin service needs. */
export interface AdminPorts {
  store: Pick<Store, "revokeUser" | "revokeToken" | "devicesOf">;
  router: Pick<Router, "lookup">;
  kicks: Kicker;
  guard: Pick<SessionGuard, "poll">;
  memory: Pick<RouterMemory, "requireWhole">;
  onKick: (code: DisconnectCode) => void;
  clock: Clock;
  log: Logger;
}

/**
 * Refuses the user's tokens issued before a time. Committed when it resolves: no login with them succeeds from then on;
 * open sessions are closed by every logic within 2 s.
 * @throws {ImError} BAD_REQUEST, or RETRYABLE when the store is away
 */
export async function revokeUser(ports: AdminPorts, { userId, validAfterMs }: RevokeUserRequest): Promise<void> {
  requireInternalId(userId);
  await refuseTokensOf(ports, userId, requireTime(validAfterMs));
}

/** As {@link revokeUser}, of a user whose id was checked. @param validAfterMs 0 = now */
export async function refuseTokensOf(ports: AdminPorts, userId: string, validAfterMs: number): Promise<void> {
  await ports.store.revokeUser(userId, validAfterMs || undefined);
  ports.log.info({ userId }, "tokens of a user revoked");
  await ports.guard.poll();
}

/** Refuses one token; see {@link revokeUser}. */
export async function revokeToken(ports: AdminPorts, { tokenId, expiresMs }: RevokeTokenRequest): Promise<void> {
  // What is behind the mark of its tenant.
  const claim = tokenId.slice(tokenId.lastIndexOf(TENANT_MARK) + 1);
  const isLong = claim.length > MAX_TOKEN_ID_CHARS || tokenId.length > MAX_INTERNAL_CHARS;
  if (claim === "" || isLong || tokenId.includes("\0"))
    throw new ImError(ErrorCode.BAD_REQUEST, `token_id must have 1 to ${MAX_TOKEN_ID_CHARS} characters: the claim jti`);
  await refuseTokenOf(ports, tokenId, requireTime(expiresMs));
}

/** As {@link revokeToken}, of a token whose id was checked. @param expiresMs 0 = nobody knows */
export async function refuseTokenOf(ports: AdminPorts, tokenId: string, expiresMs: number): Promise<void> {
  await ports.store.revokeToken(tokenId, expiresMs || ports.clock.wallMs() + UNKNOWN_EXPIRY_MS);
  ports.log.info({}, "a token revoked");
  await ports.guard.poll();
}

/**
 * Closes the user's sessions, in one class or slot or in all. Their tokens stay good.
 * @throws {ImError} BAD_REQUEST, or RETRYABLE when the router is away
 */
export async function kickUser(ports: AdminPorts, request: KickUserRequest): Promise<KickUserReply> {
  requireInternalId(request.userId);
  return await closeSessions(ports, request);
}

/** As {@link kickUser}, of a user whose id was checked. */
export async function closeSessions(ports: AdminPorts, request: KickUserRequest): Promise<KickUserReply> {
  const { userId, slot } = request;
  const routes = (await ports.router.lookup([userId])).get(userId) ?? [];
  const targets = routes.filter((route) => slot === "" || route.slot === slot || classOf(route.slot) === slot);
  const reason = request.reason.slice(0, MAX_REASON_CHARS) || "closed by the service: log in again when asked to";
  for (const route of targets) {
    ports.kicks.kick(route, disconnectBody(DisconnectCode.EVICTED, reason));
    ports.onKick(DisconnectCode.EVICTED);
  }
  ports.log.info({ userId, slot, sessions: targets.length }, "sessions of a user closed");
  return { sessions: targets.length };
}

async function presence(ports: AdminPorts, { userIds }: PresenceRequest): Promise<PresenceReply> {
  for (const userId of userIds) requireInternalId(userId);
  return { users: await readPresence(ports, userIds) };
}

/** The LogicAdmin service, for the operator and for administrators. */
export function adminService(ports: AdminPorts): GrpcService {
  return unaryService(serviceDefinition("im.uplink.v1.LogicAdmin"), {
    RevokeUser: (request: RevokeUserRequest) => revokeUser(ports, request).then(nothing),
    RevokeToken: (request: RevokeTokenRequest) => revokeToken(ports, request).then(nothing),
    KickUser: (request: KickUserRequest) => kickUser(ports, request),
    Presence: (request: PresenceRequest) => presence(ports, request),
  });
}

const nothing = (): object => ({});

function requireTime(ms: number): number {
  if (Number.isSafeInteger(ms)) return ms;
  throw new ImError(ErrorCode.BAD_REQUEST, "times are ms since 1970, below 2^53");
}
