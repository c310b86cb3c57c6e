// SPDX-License-Identifier: Apache-2.0
import type { Clock } from "#lib/clock.ts";
import { ErrorCode, ImError } from "#lib/errors.ts";
import { idInTenant, tenantOf } from "#lib/tenant.ts";
import type { GroupReply } from "#proto/gen/messages.ts";
import { NO_ORIGIN, type Outgoing } from "../deliver/deliver.ts";
import type { EpochWatch } from "../inbox/epoch-watch.ts";
import { payloadHash } from "../send/conversation.ts";
import { NO_SUCH_CONVERSATION, type Refusal } from "../session/session.ts";
import type { BlockStore } from "../store/blocks.ts";
import type { GroupState, GroupStore, KnownRequest } from "../store/groups.ts";
import type { AppendInput } from "../store/store.ts";
import { internalId } from "../tenant/tenant-ids.ts";
import { decodeGroupEvent, encodeGroupEvent, GROUP_CONTENT_TYPE, type GroupEvent } from "./group-event.ts";
import type { GroupRequest } from "./group-request.ts";
import { decideGroup, decideNewGroup, type GroupPlan, MAX_GROUP_MEMBERS, sizeOf } from "./group-rules.ts";

/** Each time another change of the group came first. */
const MAX_ATTEMPTS = 6;
const PAUSE_MS = 20;
/** Users that a reason names. */
const MAX_NAMED = 5;

/** A request for a change. */
export type GroupChangeRequest = Extract<GroupRequest, { requestId: string }>;

/** What {@link GroupChanger} needs. */
export interface GroupChangerPorts {
  store: Pick<GroupStore, "look" | "change" | "noteUnchanged">;
  /** Who of the others has blocked the actor; left out: nobody has, as for a service. */
  blockersAmong?: BlockStore["blockersAmong"];
  epochs: Pick<EpochWatch, "current" | "markOf">;
  messageId: () => string;
  /** A group has at most. Default: no group is large. */
  maxGroupMembers?: number | undefined;
  /** Hands the committed event to those whom it is for. */
  deliver: (outgoing: Outgoing) => void;
  clock: Clock;
  /** Uniform in [0, 1). */
  random: () => number;
}

const EMPTY_STATE: GroupState = { version: 0, name: "", roles: new Map() };

/**
 * Changes groups: looks, decides by the rules, and has the change made if the group is still the one that was looked at. So the
 * rules hold in the transaction, whoever else changes the group or writes to it at that moment.
 */
export class GroupChanger {
  readonly #ports: GroupChangerPorts;

  constructor(ports: GroupChangerPorts) {
    this.#ports = ports;
  }

  /** @throws {ImError} as the store does; RETRYABLE when others changed the group again and again */
  async change(actor: string, request: GroupChangeRequest): Promise<Partial<GroupReply> | Refusal> {
    const hash = requestHash(request);
    const groupId = request.kind === "create" ? "" : request.groupId;
    for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
      if (attempt > 0) await this.#pause(attempt);
      const look = { actor, requestId: request.requestId, payloadHash: hash, groupId, userIds: namedIn(request) };
      const { known, group } = await this.#ports.store.look(look);
      if (known) return answerOf(actor, known);
      const answer = await this.#try(actor, request, hash, group);
      if (answer) return answer;
    }
    throw new ImError(ErrorCode.RETRYABLE, "the group was changed by others again and again");
  }

  /** Undefined: somebody else was faster. */
  async #try(
    actor: string,
    request: GroupChangeRequest,
    hash: Uint8Array,
    group: GroupState | undefined,
  ): Promise<Partial<GroupReply> | Refusal | undefined> {
    if (request.kind !== "create" && !group) return { code: ErrorCode.PERMISSION_DENIED, reason: NO_SUCH_CONVERSATION };
    const state = group ?? EMPTY_STATE;
    const decision =
      request.kind === "create"
        ? decideNewGroup(actor, request.userIds, request.name, this.#ports.maxGroupMembers)
        : decideGroup(state, actor, request.operation, this.#ports.maxGroupMembers);
    if (decision.kind === "refused") return { code: decision.code, reason: decision.reason };
    const invited =
      decision.kind === "nothing" ? [] : decision.put.flatMap(({ userId }) => (state.roles.has(userId) ? [] : userId));
    const refusal = await this.#refusalBy(actor, invited);
    if (refusal) return refusal;
    const messageId = this.#ports.messageId();
    const conversationId = request.kind === "create" ? `g_${messageId.replaceAll("-", "")}` : request.groupId;
    const event: AppendInput = {
      ...{ sender: actor, clientMessageId: request.requestId, payloadHash: hash, conversationId, peer: "", messageId },
      ...{ contentType: GROUP_CONTENT_TYPE, content: NO_CONTENT, sentAtMs: this.#ports.clock.wallMs() },
    };
    if (decision.kind === "nothing") {
      const isNoted = await this.#ports.store.noteUnchanged(event);
      return isNoted ? { conversationId } : undefined;
    }
    const told = eventOf(actor, request, state, decision);
    return this.#make({ ...event, content: encodeGroupEvent(told) }, request, state, decision);
  }

  /** Nobody is put into a group by somebody whom it has blocked. */
  async #refusalBy(actor: string, invited: readonly string[]): Promise<Refusal | undefined> {
    const others = invited.filter((userId) => userId !== actor);
    const blockers = others.length > 0 ? ((await this.#ports.blockersAmong?.(actor, others)) ?? []) : [];
    if (blockers.length === 0) return undefined;
    const reason = `not everybody takes invitations from you: leave out ${blockers.slice(0, MAX_NAMED).map(idInTenant).join(", ")}`;
    return { code: ErrorCode.PERMISSION_DENIED, reason };
  }

  async #make(
    event: AppendInput,
    request: GroupChangeRequest,
    state: GroupState,
    plan: GroupPlan,
  ): Promise<Partial<GroupReply> | undefined> {
    const { store, epochs, deliver } = this.#ports;
    const { version, isLarge = false } = state;
    const { userIds, removed, put, name } = plan;
    const epoch = epochs.current;
    const recipients = recipientsOf(event.sender, state, plan);
    const grows = !isLarge && sizeAfter(state, plan) > MAX_GROUP_MEMBERS;
    const fromStart = request.kind === "create" && request.fromStart;
    const stored = await store.change({ event, version, name, grows, fromStart, removed, put, recipients }, epoch);
    if (!stored) return undefined;
    const { sender, clientMessageId, contentType, content } = event;
    const { messageId, conversationId, convSeq, sentAtMs } = stored;
    deliver({
      event: { conversationId, convSeq, messageId, sender, sentAtMs, clientMessageId, contentType, content },
      recipients: stored.recipients,
      epochMark: epochs.markOf(epoch),
      origin: NO_ORIGIN,
      ...(isLarge ? { largeVersion: version + 1 } : {}),
    });
    return { conversationId, version: version + 1, convSeq, userIds: [...userIds] };
  }

  #pause(attempt: number): Promise<void> {
    const { clock, random } = this.#ports;
    const { promise, resolve } = Promise.withResolvers<void>();
    clock.after(PAUSE_MS * attempt * (0.5 + random()), resolve);
    return promise;
  }
}

/** Whom a request names. */
function namedIn(request: GroupChangeRequest): readonly string[] {
  if (request.kind === "create") return [];
  const { operation } = request;
  if (operation.kind === "role") return [operation.userId];
  return operation.kind === "invite" || operation.kind === "remove" ? operation.userIds : [];
}

/** Who gets the event in the inbox: everybody; of a large group whom it is about, and who made the change. */
function recipientsOf(actor: string, { roles, isLarge }: GroupState, { userIds, removed, put }: GroupPlan): string[] {
  const about = put.map(({ userId }) => userId);
  const others = isLarge ? [actor, ...userIds, ...removed] : roles.keys();
  return [...new Set([...others, ...about])];
}

function sizeAfter(state: GroupState, { put, removed }: GroupPlan): number {
  const joined = put.filter(({ userId }) => !state.roles.has(userId)).length;
  return sizeOf(state) + joined - removed.length;
}

const NO_CONTENT: Uint8Array = new Uint8Array(0);

/** What makes two requests the same. No message has it: clients may not send this content type. */
function requestHash(request: GroupChangeRequest): Uint8Array {
  const groupId = request.kind === "create" ? "" : request.groupId;
  const { requestId: _, ...what } = request;
  return payloadHash(groupId, GROUP_CONTENT_TYPE, Buffer.from(JSON.stringify(what)));
}

/** The first answer, from what is stored of it. */
function answerOf(actor: string, known: KnownRequest): Partial<GroupReply> | Refusal {
  if (known.kind === "conflict") {
    const reason = "this request_id belongs to another request or message: use a new one";
    return { code: ErrorCode.CONFLICT, reason, messageId: known.messageId };
  }
  const { groupId: conversationId, convSeq, content } = known;
  // Nothing was to be changed, or it was so long ago that retention took the event.
  if (convSeq === 0) return { conversationId, duplicate: true };
  const { version, users } = decodeGroupEvent(content);
  const tenant = tenantOf(actor);
  const userIds = users.map((userId) => internalId(tenant, idInTenant(userId)));
  return { conversationId, version, convSeq, userIds, duplicate: true };
}

const EVENT_KINDS = { invite: "invited", remove: "removed", leave: "left", role: "role", rename: "renamed" } as const;

function eventOf(actor: string, request: GroupChangeRequest, state: GroupState, plan: GroupPlan): GroupEvent {
  const { userIds, name } = plan;
  const members = sizeAfter(state, plan);
  const isLarge = state.isLarge === true || members > MAX_GROUP_MEMBERS;
  const names = { actor: idInTenant(actor), users: userIds.map(idInTenant) };
  const common = { ...names, version: state.version + 1, members, ...(isLarge ? { large: true } : {}) };
  if (request.kind === "create")
    return { kind: "created", ...common, name: request.name, fromStart: request.fromStart };
  const { operation } = request;
  return {
    kind: EVENT_KINDS[operation.kind],
    ...common,
    ...(name === undefined ? {} : { name }),
    ...(operation.kind === "role" ? { role: operation.role } : {}),
  };
}
