// SPDX-License-Identifier: Apache-2.0
import type { AdminPorts } from "../grpc/admin.ts";
import type { ConversationStore } from "../store/conversation-store.ts";
import type { Erasure, GovernanceStore, HeldThing, LegalHold } from "../store/governance.ts";
import { externalId, internalId } from "../tenant/tenant-ids.ts";
import { type Refusal, refuse } from "./problem.ts";

/** What {@link GovernanceDesk} needs. */
export interface GovernanceDeskPorts {
  store: GovernanceStore;
  conversations: Pick<ConversationStore, "find">;
  admin: Pick<AdminPorts, "guard" | "log">;
}

/** How far the deletion of a user is. */
export interface ShownErasure {
  readonly userId: string;
  /** `none`: it was not deleted, or is back. */
  readonly state: Erasure["state"] | "none";
  readonly erasedMessages: number;
  readonly requestedMs: number;
  readonly finishedMs: number;
}

/** Ids are the tenant's own. */
export type ShownHold = Omit<LegalHold, "tenant" | "holdId">;

/** What becomes of a tenant's data in the end. Ids are the tenant's own. */
export class GovernanceDesk {
  readonly #ports: GovernanceDeskPorts;

  constructor(ports: GovernanceDeskPorts) {
    this.#ports = ports;
  }

  /**
   * Begins to delete a user, whether anybody knows it or not. Committed when it resolves: no login succeeds from then on.
   * @throws {ImError} RETRYABLE when the store is away
   */
  async erase(tenant: string, userId: string, keepMessages: boolean): Promise<ShownErasure> {
    const { store, admin } = this.#ports;
    const internal = internalId(tenant, userId);
    const erasure = await store.requestErasure(internal, keepMessages);
    admin.log.info({ userId: internal }, "a user is to be deleted");
    // Here at once; every other logic closes its sessions within 2 s.
    await admin.guard.poll();
    return shown(userId, erasure);
  }

  /** @throws {ImError} RETRYABLE when the store is away */
  async find(tenant: string, userId: string): Promise<ShownErasure> {
    return shown(userId, await this.#ports.store.findErasure(internalId(tenant, userId)));
  }

  /** Makes the id of an erased user usable again. @throws {ImError} RETRYABLE when the store is away */
  async readmit(tenant: string, userId: string): Promise<ShownErasure | Refusal> {
    const erasure = await this.#ports.store.requestReturn(internalId(tenant, userId));
    if (erasure?.state === "erasing" || erasure?.state === "held")
      return refuse("in_progress", `the deletion of this user is ${erasure.state}: repeat it when it is erased`, {
        retryAfterMs: READMIT_RETRY_MS,
      });
    return shown(userId, erasure);
  }

  /** @throws {ImError} RETRYABLE when the store is away */
  async hold(
    tenant: string,
    { userId, conversationId, reason }: { userId: string; conversationId: string | undefined; reason: string },
  ): Promise<ShownHold | Refusal> {
    const { store, conversations } = this.#ports;
    const internal = internalId(tenant, userId);
    if (conversationId === undefined) return toShown(await store.hold({ kind: "user", id: internal, tenant, reason }));
    const { contacts } = await conversations.find(internal, [conversationId], 0);
    if (contacts.length === 0) return refuse("not_found", "no such conversation, or the user is not in it");
    return toShown(await store.hold({ kind: "conversation", id: conversationId, tenant, reason }));
  }

  /** @throws {ImError} RETRYABLE when the store is away */
  release(tenant: string, thing: HeldThing): Promise<boolean> {
    return this.#ports.store.release(tenant, internalThing(tenant, thing));
  }

  /** The oldest first, after one. @throws {ImError} RETRYABLE when the store is away */
  async list(tenant: string, page: { after: number; limit: number }): Promise<{ holds: ShownHold[]; last: number }> {
    const holds = await this.#ports.store.listHolds(tenant, page);
    return { holds: holds.map(toShown), last: holds.at(-1)?.holdId ?? 0 };
  }
}

const READMIT_RETRY_MS = 10_000;

function shown(userId: string, erasure: Erasure | undefined): ShownErasure {
  if (!erasure) return { userId, state: "none", erasedMessages: 0, requestedMs: 0, finishedMs: 0 };
  const { state, erasedMessages, requestedMs, finishedMs } = erasure;
  return { userId, state, erasedMessages, requestedMs, finishedMs };
}

function internalThing(tenant: string, { kind, id }: HeldThing): HeldThing {
  return { kind, id: kind === "user" ? internalId(tenant, id) : id };
}

function toShown({ kind, id, tenant, reason, createdMs }: LegalHold): ShownHold {
  return { kind, id: kind === "user" ? (externalId(tenant, id) ?? "") : id, reason, createdMs };
}
