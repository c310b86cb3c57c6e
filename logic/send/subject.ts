// SPDX-License-Identifier: Apache-2.0
import type * as z from "zod";
import { tenantOf } from "#lib/tenant.ts";
import type { AppendInput, Subject } from "../store/store.ts";
import { envByTenant, readByTenant } from "../tenant/by-tenant.ts";
import { directConversationId, subjectConversationId } from "./conversation.ts";

/** A pair of users has one conversation, which shows what was asked about last; or one for each thing that they talk about. */
export const CONVERSATION_POLICIES = ["per_peer", "per_item"] as const;
export type ConversationPolicy = (typeof CONVERSATION_POLICIES)[number];

/** The policy of whoever sends, by its internal id. */
export type PolicyOf = (userId: string) => ConversationPolicy;

/** Conversations about something that a pair may have: a block goes through all of them. */
export const MAX_ITEM_CONVERSATIONS = 1000;
export const MOST_ITEM_CONVERSATIONS = 10_000;

/** What holds for conversations about something. */
export interface SubjectRules {
  /** Has a pair of users one conversation, or one per subject? */
  readonly policyOf: PolicyOf;
  /** With one per subject, a pair may have so many. Default {@link MAX_ITEM_CONVERSATIONS}. */
  readonly maxItemConversations?: number | undefined;
}

/** What kind of thing a subject is. */
export const SUBJECT_TYPE = /^[a-z0-9_.-]{1,32}$/;
/** Which one. */
export const SUBJECT_ID = /^[A-Za-z0-9_.:@-]{1,64}$/;

/** What is wrong with a subject as somebody wrote it; undefined: nothing. Two empty texts are none. */
export function subjectProblem(type: string, id: string): string | undefined {
  if (type === "" && id === "") return undefined;
  if (type === "" || id === "") return "half a subject: set both subject_type and subject_id, or neither";
  if (!SUBJECT_TYPE.test(type)) return "subject_type is none: 1-32 of a-z, 0-9, _, . and -";
  if (!SUBJECT_ID.test(id)) return "subject_id is none: 1-64 of letters, digits and _.:@-";
  return undefined;
}

/** Of a subject, as clients and backends are told of it; nothing when there is none. */
export function subjectFields(subject: Subject | undefined): { subjectType?: string; subjectId?: string } {
  return subject ? { subjectType: subject.type, subjectId: subject.id } : {};
}

/** Where a message to a user goes, and what it is hashed with. */
export interface Address extends Pick<AppendInput, "conversationId" | "subject" | "pairId" | "maxOfPair"> {
  /** Of {@link payloadHash}: the same under both policies, so a resend stays one when the policy is changed. */
  readonly hashedAs: string;
}

/** To whoever would begin one more, with what to do. */
export function pairFullText({ maxOfPair = MAX_ITEM_CONVERSATIONS }: Pick<AppendInput, "maxOfPair">): string {
  const most = `the two of you have ${maxOfPair} conversations about single things, the most there may be`;
  return `${most}: write in one of them, or without a subject`;
}

/** The conversation of two users, or theirs about the subject. */
export function addressTo(
  sender: string,
  peer: string,
  subject: Subject | undefined,
  { policyOf, maxItemConversations: maxOfPair = MAX_ITEM_CONVERSATIONS }: SubjectRules,
): Address {
  const pairId = directConversationId(sender, peer);
  if (!subject) return { conversationId: pairId, hashedAs: pairId };
  const hashedAs = `${pairId}\0${subject.type}\0${subject.id}`;
  if (policyOf(sender) === "per_peer") return { conversationId: pairId, subject, hashedAs };
  return { conversationId: subjectConversationId(pairId, subject), subject, pairId, maxOfPair, hashedAs };
}

/** @param tenants what holds for them instead */
export function policyFor(
  policy: ConversationPolicy,
  tenants: ReadonlyMap<string, ConversationPolicy> = new Map(),
): PolicyOf {
  if (tenants.size === 0) return () => policy;
  return (userId) => tenants.get(tenantOf(userId)) ?? policy;
}

/** An environment variable with the policy by tenant: `{"acme":"per_item"}`. */
export function envTenantPolicies(): z.ZodType<ReadonlyMap<string, ConversationPolicy> | undefined> {
  return envByTenant(readTenantPolicies, 'a JSON object of tenants and their policies, such as {"acme":"per_item"}');
}

/** The policies by tenant, or what is wrong with the text. */
export function readTenantPolicies(text: string): ReadonlyMap<string, ConversationPolicy> | string {
  return readByTenant<ConversationPolicy>(text, (name, tenant) => {
    const policy = CONVERSATION_POLICIES.find((one) => one === name);
    return policy ?? { problem: `the policy of ${tenant} is none of ${CONVERSATION_POLICIES.join(", ")}` };
  });
}
