// SPDX-License-Identifier: Apache-2.0
import type { Clock } from "#lib/clock.ts";
import { ErrorCode } from "#lib/errors.ts";
import { Command } from "#proto/commands.ts";
import { Reauth, ReauthOk } from "#proto/gen/messages.ts";
import { RecordKind } from "#proto/uplink/record.ts";
import type { Gate } from "../gate.ts";
import type { Store } from "../store/store.ts";
import type { TokenVerdict } from "../token/verify.ts";
import type { SessionGuard } from "./guard.ts";
import { type Refusal, type Session, sendError, sendReply, tagOf, tokenTtlMs } from "./session.ts";

const BUSY_RETRY_MS = 2000;

/** What {@link ReauthHandler} needs. */
export interface ReauthPorts {
  verifyToken: (token: string) => Promise<TokenVerdict>;
  store: Pick<Store, "findRevoked">;
  guard: Pick<SessionGuard, "mark" | "opened">;
  /** Shared with the logins: signatures and SQL cost the same here. */
  gate: Gate;
  clock: Clock;
  onFault: (op: string, error: unknown) => void;
}

/**
 * REAUTH: a fresh token of the same user takes the place of the old one, here and in the tag that moves with the session.
 * A refusal changes nothing: the session goes on until its old token runs out.
 */
export class ReauthHandler {
  readonly #ports: ReauthPorts;

  constructor(ports: ReauthPorts) {
    this.#ports = ports;
  }

  handle(session: Session, rid: number, body: Uint8Array): void {
    let token: string;
    try {
      ({ token } = Reauth.decode(body));
    } catch {
      // The decoder's own message means nothing to the author of a client.
      const reason = "the body is not a Reauth message: encode it as in client.proto";
      sendError(session, rid, { code: ErrorCode.BAD_REQUEST, reason });
      return;
    }
    const shed = { code: ErrorCode.BUSY, reason: "too many logins at once: try again after the delay" };
    this.#ports.gate.enter(
      () => this.#renew(session, rid, token),
      () => sendError(session, rid, { ...shed, retryable: true, retryAfterMs: BUSY_RETRY_MS }),
    );
  }

  async #renew(session: Session, rid: number, token: string): Promise<void> {
    const { guard } = this.#ports;
    const { mark } = guard;
    const refusal = await this.#examine(session, token);
    if (refusal) {
      sendError(session, rid, refusal);
      return;
    }
    guard.opened(session, mark);
    session.entry.send({ kind: RecordKind.SESSION_TAG, conn: session.conn, body: tagOf(session) });
    const body = ReauthOk.encode({ tokenTtlMs: tokenTtlMs(session, this.#ports.clock.wallMs()) });
    sendReply(session, rid, Command.REAUTH, body);
  }

  /** Sets the session's token, or says why not. */
  async #examine(session: Session, token: string): Promise<Refusal | undefined> {
    const verdict = await this.#ports.verifyToken(token);
    if (verdict.kind === "denied") return { code: ErrorCode.UNAUTHENTICATED, reason: verdict.reason };
    const { userId, tokenId, issuedAtMs, expiresAtMs } = verdict;
    if (userId !== session.userId)
      return { code: ErrorCode.PERMISSION_DENIED, reason: "the token is of another user: log in on a new connection" };
    try {
      const revoked = await this.#ports.store.findRevoked([{ userId, tokenId, issuedAtMs }]);
      if (revoked.length > 0)
        return { code: ErrorCode.UNAUTHENTICATED, reason: "the token was revoked: sign in again" };
    } catch (error) {
      this.#ports.onFault("reauth", error);
      const reason = "tokens cannot be checked right now: try again after the delay";
      return { code: ErrorCode.RETRYABLE, reason, retryable: true, retryAfterMs: BUSY_RETRY_MS };
    }
    session.token = { tokenId, issuedAtMs, expiresAtMs };
    return undefined;
  }
}
