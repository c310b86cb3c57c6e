// SPDX-License-Identifier: Apache-2.0
// Bugs in storing, numbering and pulling messages.
import type { Mutant } from "./mutant.ts";

const MEMORY_STORE = "logic/store/memory.ts";

export const MESSAGE_MUTANTS: readonly Mutant[] = [
  {
    name: "ack before commit",
    edits: [
      {
        file: "logic/send/send.ts",
        find: "    if (taken) return;\n    this.#refuseBusy(session, rid, input);\n    storing?.end",
        replace: `    if (taken) {
      const ack = { ...again(input), messageId: input.messageId, conversationId: input.conversationId, sentAtMs: input.sentAtMs };
      const body = sendAckBytes({ ...ack, convSeq: 1, inboxSeq: 0, duplicate: false });
      const reply = { kind: RecordKind.REPLY, cmd: Command.SEND_ACK, flags: Flag.REPLY, conn: session.conn, rid };
      session.entry.send({ ...reply, body });
      return;
    }
    this.#refuseBusy(session, rid, input);
    storing?.end`,
      },
    ],
  },
  {
    name: "no unique key",
    edits: [
      {
        file: MEMORY_STORE,
        find: "    if (known) return repeat(known, input);\n",
        replace: "",
      },
    ],
  },
  {
    name: "dedupe by time window",
    edits: [
      {
        file: MEMORY_STORE,
        find: "    if (known) return repeat(known, input);\n",
        replace: "    if (known && input.sentAtMs - known.message.sentAtMs < 1000) return repeat(known, input);\n",
      },
    ],
  },
  {
    name: "new seq on resend",
    edits: [
      {
        file: MEMORY_STORE,
        find: 'return { ...message, kind: "duplicate", recipients };',
        replace: 'return { ...message, convSeq: message.convSeq + 1, kind: "duplicate", recipients };',
      },
    ],
  },
  {
    name: "timestamp cursor",
    edits: [
      {
        file: MEMORY_STORE,
        find: "behindCursor(this.#inboxes.get(userId) ?? [], cursor)",
        replace:
          "(this.#inboxes.get(userId) ?? []).filter((one, _, all) => one.sentAtMs > (all[cursor - 1]?.sentAtMs ?? 0))",
      },
    ],
  },
  {
    name: "seq outside the transaction",
    edits: [
      {
        file: MEMORY_STORE,
        find: "    const inboxSeq = this.#head(userId) + 1;\n    this.#heads.set(userId, inboxSeq);\n    inbox.push({ ...stored, inboxSeq });\n",
        // The number is taken at once, the row appears when its own transaction is over.
        replace: `    const numbered = inbox as unknown as { last?: number };
    numbered.last = (numbered.last ?? 0) + 1;
    const inboxSeq = numbered.last;
    setTimeout(() => {
      inbox.push({ ...stored, inboxSeq });
      this.#heads.set(userId, Math.max(inboxSeq, this.#head(userId)));
    }, (inboxSeq % 3) * 100);
`,
      },
      {
        file: MEMORY_STORE,
        find: "behindCursor(this.#inboxes.get(userId) ?? [], cursor)",
        replace:
          "(this.#inboxes.get(userId) ?? []).filter((one) => one.inboxSeq > cursor).sort((a, b) => a.inboxSeq - b.inboxSeq)",
      },
    ],
  },
  {
    name: "unknown commit reported as failed",
    edits: [
      {
        file: "logic/send/send.ts",
        find: "const code = isBusy ? ErrorCode.BUSY : ErrorCode.RETRYABLE;",
        replace: "const code = isBusy ? ErrorCode.BUSY : ErrorCode.INTERNAL;",
      },
      {
        file: "logic/send/send.ts",
        find: 'this.#refuse(session, rid, { code, reason, ...again(input), retryAfterMs }, isBusy ? "busy" : "retryable");',
        replace:
          'this.#refuse(session, rid, { code, reason, ...again(input), retryable: isBusy, retryAfterMs } as Refusal, "failed");',
      },
    ],
  },
  {
    name: "retry without key",
    edits: [
      {
        file: "client/src/outbox.ts",
        find: "    const rid = this.#owner.write(entry.body);\n",
        replace: `    // Another last letter of the id (field 3) each time.
    const body = entry.failures > 0 || entry.rid !== 0 ? changeLastOfId(entry.body, entry.id) : entry.body;
    const rid = this.#owner.write(body);
`,
      },
      {
        file: "client/src/outbox.ts",
        find: "function rejected(error: ImClientError): Promise<never> {",
        replace: `function changeLastOfId(body: Uint8Array, id: string): Uint8Array {
  const text = Array.from(body, (byte) => String.fromCharCode(byte)).join("");
  const at = text.indexOf(id) + id.length - 1;
  const changed = body.slice();
  changed[at] = 97 + (((changed[at] ?? 0) + 1) % 26);
  return changed;
}

function rejected(error: ImClientError): Promise<never> {`,
      },
    ],
  },
  {
    name: "silent drop on backpressure",
    edits: [
      {
        file: "client/src/inbox.ts",
        find: "      if (next !== OWN && !this.#owner.hasRoom()) return;\n      this.#apply(this.#cursor + 1, next);",
        replace: `      if (next !== OWN && !this.#owner.hasRoom()) {
        this.#early.delete(this.#cursor + 1);
        this.#cursor++;
        continue;
      }
      this.#apply(this.#cursor + 1, next);`,
      },
    ],
  },
  {
    name: "membership cached for ever",
    edits: [
      {
        file: MEMORY_STORE,
        find: '    if (input.peer === "" && !this.#conversations.get(input.conversationId)?.members.has(input.sender)) {',
        replace: `    const membership = pair(input.conversationId, input.sender);
    if (this.#conversations.get(input.conversationId)?.members.has(input.sender)) this.#knownMembers.add(membership);
    if (input.peer === "" && !this.#knownMembers.has(membership)) {`,
      },
      {
        file: MEMORY_STORE,
        find: "  readonly #conversations = new Map<string, Conversation>();\n",
        replace:
          "  readonly #conversations = new Map<string, Conversation>();\n  readonly #knownMembers = new Set<string>();\n",
      },
    ],
  },
  {
    name: "positions used again after a restore",
    edits: [
      {
        file: "client/src/inbox.ts",
        find: "const isSame = this.#epoch === welcome.inboxEpoch && this.#userId === welcome.userId;",
        replace: "const isSame = this.#userId === welcome.userId;",
      },
    ],
    seeds: "restored",
    tests: ["client/src/inbox.test.ts", "client/src/client-receive.test.ts"],
  },
  {
    name: "positions of another epoch delivered",
    edits: [
      {
        file: "gateway/session/connection.ts",
        find: "    if (!isSameEpoch(session.epochMark, epochMark)) return;\n",
        replace: "",
      },
    ],
    seeds: "restored",
    tests: ["gateway/session/connection.test.ts"],
  },
  {
    name: "positions of another epoch handed out",
    edits: [
      {
        file: MEMORY_STORE,
        find: '    if (epoch !== this.#epoch && batch.length > 0) throw new OtherEpochError("append");\n',
        replace: "",
      },
    ],
    seeds: "restored",
    tests: ["logic/store/memory.test.ts", "logic/two-logics.test.ts"],
  },
];
