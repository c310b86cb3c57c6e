// SPDX-License-Identifier: Apache-2.0
// Bugs in what people talk about, in topics of broadcasts, and in what is handed out. Nothing in the simulation has any of it.
import type { Edit, Mutant } from "./mutant.ts";

const SUBJECT = "logic/send/subject.ts";
const MEMORY = "logic/store/memory.ts";
const BIND = "logic/store/migrations/0031_item_conversations.sql";
const AUDIENCE = "logic/broadcasts/audience.ts";
const DAILY_CAP = "logic/broadcasts/daily-cap.ts";
const EXPORTS = "logic/server-api/operations/exports.ts";
const MEMORY_EXPORTS = "logic/store/memory-exports.ts";

const STORE_TEST = "logic/store/memory.test.ts";
const RACES_TEST = "logic/store/subject-races.int.test.ts";
const LOGIC_TEST = "logic/logic.test.ts";
const CAP_TEST = "logic/broadcasts/daily-cap.test.ts";
const EXPORTS_TEST = "logic/server-api/export-calls.test.ts";

const seenBy = (test: string, name: string, edit: Edit): Mutant => ({
  ...{ name, edits: [edit], seeds: "none", tests: [test] },
});

const SUBJECT_MUTANTS: readonly Mutant[] = [
  seenBy("logic/send/send-values.test.ts", "all items of a pair share a conversation", {
    file: "logic/send/conversation.ts",
    find: 'id}`, "base64url"',
    replace: 'type}`, "base64url"',
  }),
  seenBy("logic/send/send.test.ts", "a resend is another message once the policy is changed", {
    file: SUBJECT,
    find: "subject, pairId, maxOfPair, hashedAs };",
    replace: "subject, pairId, maxOfPair, hashedAs: pairId + subject.id };",
  }),
  seenBy(STORE_TEST, "what only its sender sees names the subject for both", {
    file: MEMORY,
    find: "  if (isHidden && pairId === undefined) {\n",
    replace: "  if (isHidden && pairId !== undefined) {\n",
  }),
  seenBy(STORE_TEST, "a pair may have one conversation about items too many", {
    file: MEMORY,
    find: "return this.#about(pairId).length >= maxOfPair;",
    replace: "return this.#about(pairId).length > maxOfPair;",
  }),
  seenBy(STORE_TEST, "a full pair may not go on in the conversations that it has", {
    file: MEMORY,
    find: " || maxOfPair === undefined || this.#conversations.has(conversationId)) return false;",
    replace: " || maxOfPair === undefined) return false;",
  }),
  seenBy(RACES_TEST, "a conversation that begins beside a block is open", {
    file: BIND,
    find: "  PERFORM FROM conversation c WHERE c.conversation_id = ANY (in_pairs) ORDER BY c.conversation_id FOR NO KEY UPDATE;\n",
    replace: "",
  }),
  seenBy(RACES_TEST, "two logics count the conversations of a pair beside each other", {
    file: BIND,
    find: "ORDER BY c.conversation_id FOR NO KEY UPDATE;",
    replace: "ORDER BY c.conversation_id FOR SHARE;",
  }),
  seenBy("logic/store/store.int.test.ts", "who is blocked is not where it begins to talk about something else", {
    file: BIND,
    find: "SELECT n.id, 0, n.user_a, n.user_b, c.blockers,",
    replace: "SELECT n.id, 0, n.user_a, n.user_b, NULL,",
  }),
];

const TOPIC_MUTANTS: readonly Mutant[] = [
  seenBy(LOGIC_TEST, "who has muted a topic gets it all the same", {
    file: AUDIENCE,
    find: " && !reader.mutedTopics.includes(part.topic),",
    replace: ",",
  }),
  seenBy(STORE_TEST, "muting a second topic takes the first one back", {
    file: "logic/store/memory-broadcasts.ts",
    find: "reader.mutedTopics = [...new Set(topics)];",
    replace: "reader.mutedTopics = [...new Set(topics)].slice(-1);",
  }),
  seenBy(CAP_TEST, "the bound of a day holds for ever", {
    file: DAILY_CAP,
    find: " && dayOf(one) === dayOf(part) && ",
    replace: " && ",
  }),
  seenBy(CAP_TEST, "the bound of a topic counts every topic", {
    file: DAILY_CAP,
    find: "one.topic === part.topic && ",
    replace: "",
  }),
  seenBy(CAP_TEST, "what was withheld counts as given", {
    file: DAILY_CAP,
    find: "(one.maxPerDay === 0 || given < one.maxPerDay) && ",
    replace: "",
  }),
];

const EXPORT_MUTANTS: readonly Mutant[] = [
  seenBy("logic/server-api/api-roles.test.ts", "a tenant is handed out the conversations of another", {
    file: EXPORTS,
    find: "    if (!page || externalId(tenant, page.ownerId) === undefined)\n",
    replace: "    if (!page)\n",
  }),
  seenBy(STORE_TEST, "what only its sender sees is not handed out", {
    file: MEMORY_EXPORTS,
    find: "found.messages.filter(({ convSeq }) => convSeq > afterSeq)",
    replace: "found.messages.filter(({ convSeq }) => convSeq > afterSeq && !found.onlyFor.has(convSeq))",
  }),
  seenBy(STORE_TEST, "orders of one ms are handed out in part", {
    file: MEMORY_EXPORTS,
    find: "      .filter(({ atMs }) => atMs <= lastMs)\n",
    replace: "      .slice(0, Math.max(1, limit))\n",
  }),
  seenBy(EXPORTS_TEST, "each page of an export begins with the last message of the page before", {
    file: EXPORTS,
    find: "nextCursor: cursorOf(list, last.convSeq) }",
    replace: "nextCursor: cursorOf(list, last.convSeq - 1) }",
  }),
  seenBy(EXPORTS_TEST, "an export is answered before it is written down", {
    file: EXPORTS,
    find: "  isWrittenFirst: true,\n  pathFields: object({ conversationId: CONVERSATION_ID }),\n",
    replace: "  pathFields: object({ conversationId: CONVERSATION_ID }),\n",
  }),
];

export const MARKET_MUTANTS: readonly Mutant[] = [...SUBJECT_MUTANTS, ...TOPIC_MUTANTS, ...EXPORT_MUTANTS];
