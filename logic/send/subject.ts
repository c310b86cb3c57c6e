// SPDX-License-Identifier: Apache-2.0
import { z } from "#lib/config.ts";
import { tenantOf } from "#lib/tenant.ts";
import { TENANT } from "../server-api/tenant-ids.ts";
import type { AppendInput, Subject } from "../store/store.ts";
import { directConversationId, subjectConversationId } from "./conversation.ts";

/** A pair of users has one conversation, which shows what was asked about last; or one for each thing that they talk about. */
export const CONVERSATION_POLICIES = ["per_peer", "per_item"] as const;
export type ConversationPolicy = (typeof CONVERSATION_POLICIES)[number];

/** The policy of whoever sends, by its internal id. */
export type PolicyOf = (userId: string) => ConversationPolicy;

const MAX_TENANTS = 1000;
const TYPE = /^[a-z0-9_.-]{1,32}$/;
const ID = /^[A-Za-z0-9_.:@-]{1,64}$/;

/** What is wrong with a subject as somebody wrote it; undefined: nothing. Two empty texts are none. */
export function subjectProblem(type: string, id: string): string | undefined {
  if (type === "" && id === "") return undefined;
  if (type === "" || id === "") return "half a subject: set both subject_type and subject_id, or neither";
  if (!TYPE.test(type)) return "subject_type is none: 1-32 of a-z, 0-9, _, . and -";
  if (!ID.test(id)) return "subject_id is none: 1-64 of letters, digits and _.:@-";
  return undefined;
}

/** Where a message to a user goes, and what it is hashed with. */
export interface Address extends Pick<AppendInput, "conversationId" | "subject" | "pairId"> {
  /** Of {@link payloadHash}: the same under both policies, so a resend stays one when the policy is changed. */
  readonly hashedAs: string;
}

/** The conversation of two users, or theirs about the subject. */
export function addressTo(sender: string, peer: string, subject: Subject | undefined, policyOf: PolicyOf): Address {
  const pairId = directConversationId(sender, peer);
  if (!subject) return { conversationId: pairId, hashedAs: pairId };
  const hashedAs = `${pairId}\0${subject.type}\0${subject.id}`;
  if (policyOf(sender) === "per_peer") return { conversationId: pairId, subject, hashedAs };
  return { conversationId: subjectConversationId(pairId, subject), subject, pairId, hashedAs };
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
  return z
    .string()
    .transform((text, context): ReadonlyMap<string, ConversationPolicy> => {
      const policies = readTenantPolicies(text);
      if (typeof policies !== "string") return policies;
      context.addIssue({ code: "custom", message: policies });
      return z.NEVER;
    })
    .optional()
    .describe('a JSON object of tenants and their policies, such as {"acme":"per_item"}');
}

/** The policies by tenant, or what is wrong with the text. */
export function readTenantPolicies(text: string): ReadonlyMap<string, ConversationPolicy> | string {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return "is no JSON";
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) return "is no JSON object";
  const entries: [string, unknown][] = Object.entries(value);
  if (entries.length > MAX_TENANTS) return `has more than ${MAX_TENANTS} tenants`;
  const policies = new Map<string, ConversationPolicy>();
  for (const [tenant, name] of entries) {
    if (tenant === "" || !TENANT.test(tenant))
      return `${JSON.stringify(tenant)} is no tenant: 1 to 32 of a-z, 0-9 and -`;
    const policy = CONVERSATION_POLICIES.find((one) => one === name);
    if (!policy) return `the policy of ${tenant} is none of ${CONVERSATION_POLICIES.join(", ")}`;
    policies.set(tenant, policy);
  }
  return policies;
}
