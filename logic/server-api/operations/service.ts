// SPDX-License-Identifier: Apache-2.0
import { cursorOf, positionOf } from "../cursor.ts";
import { CURSOR, count, limit, NEXT_CURSOR, timeMs } from "../fields.ts";
import { ok, operation } from "../operation.ts";
import { object } from "../schema.ts";

const MAX_LETTERS = 100;
const MAX_AUDIT = 200;
const AUDIT_LIST = "audit";

export const listDeadLetters = operation({
  id: "listDeadLetters",
  method: "GET",
  path: "/v1/dead-letters",
  summary: "Pushes that were given up",
  description: "The newest 10,000 are kept.",
  scope: "dead-letters:read",
  queryFields: object({ limit: limit(MAX_LETTERS) }, ["limit"]),
  reply: {
    status: 200,
    description: "How many there are, and the oldest",
    schema: object(
      {
        letters: count("How many there are"),
        oldest: {
          type: "array",
          maxItems: MAX_LETTERS,
          items: object({
            userId: { type: "string", description: "Who was to be pushed to" },
            inboxSeq: count("Up to where in its inbox"),
            reason: { type: "string", description: "Why it was given up" },
            atMs: timeMs("When"),
          }),
        },
      },
      [],
      "DeadLetters",
    ),
  },
  target: () => "",
  async run({ tenant, query }, { deadLetters }) {
    return ok(await deadLetters.list(tenant, query.limit ?? MAX_LETTERS));
  },
});

export const replayDeadLetters = operation({
  id: "replayDeadLetters",
  method: "POST",
  path: "/v1/dead-letters/replay",
  summary: "Take pushes up again that were given up",
  description: "What is still unread is pushed from the first step on.",
  scope: "dead-letters:replay",
  bodyFields: object({}, [], "ReplayDeadLetters"),
  reply: {
    status: 200,
    description: "They are queued",
    schema: object({ replayed: count("How many") }, [], "ReplayedDeadLetters"),
  },
  target: () => "",
  async run({ tenant }, { deadLetters }) {
    return ok({ replayed: await deadLetters.replay(tenant) });
  },
});

export const readAudit = operation({
  id: "readAudit",
  method: "GET",
  path: "/v1/audit",
  summary: "Who did what",
  description:
    "The audit log of this API, newest first: every call with a good key. Calls that only read may come a moment late, so a reader that follows the log reads the newest page again.",
  scope: "audit:read",
  queryFields: object({ cursor: CURSOR, limit: limit(MAX_AUDIT) }, ["cursor", "limit"]),
  reply: {
    status: 200,
    description: "A page of it",
    schema: object(
      {
        entries: {
          type: "array",
          maxItems: MAX_AUDIT,
          items: object({
            auditId: count("Grows with time; there may be gaps"),
            atMs: timeMs("When"),
            keyId: { type: "string", description: "The public part of the API key" },
            operation: { type: "string", description: "Its operationId" },
            target: { type: "string", description: "Whom or what it was about" },
            status: { type: "integer", minimum: 100, maximum: 599, description: "Of the answer" },
          }),
        },
        nextCursor: NEXT_CURSOR,
      },
      ["nextCursor"],
      "AuditPage",
    ),
  },
  target: () => "",
  async run({ tenant, query }, ports) {
    const before = positionOf(AUDIT_LIST, query.cursor);
    if (typeof before !== "number") return before;
    const size = query.limit ?? MAX_AUDIT;
    const rows = await ports.readAudit(tenant, { before, limit: size });
    const last = rows.length === size ? rows.at(-1) : undefined;
    return ok({
      entries: rows.map(({ auditId, atMs, keyId, operation: name, target, status }) => ({
        ...{ auditId, atMs, keyId, operation: name, target, status },
      })),
      ...(last ? { nextCursor: cursorOf(AUDIT_LIST, last.auditId) } : {}),
    });
  },
});
