// SPDX-License-Identifier: Apache-2.0
// Bugs in broadcasts.
import type { Mutant } from "./mutant.ts";

const MEMORY_BROADCASTS = "logic/store/memory-broadcasts.ts";

export const BROADCAST_MUTANTS: readonly Mutant[] = [
  {
    name: "watermark moved when the page leaves",
    edits: [
      {
        file: "logic/broadcasts/sys-pull.ts",
        find: "    sendReply(session, rid, Command.SYS_PAGE, SysPage.encode({ inboxEpoch: epoch, ...page }));\n    return undefined;\n",
        replace:
          "    this.#ports.marks.note(userId, page.nextPosition);\n    sendReply(session, rid, Command.SYS_PAGE, SysPage.encode({ inboxEpoch: epoch, ...page }));\n    return undefined;\n",
      },
    ],
  },
  {
    name: "numbered when it is made, not when it comes into force",
    edits: [
      {
        file: MEMORY_BROADCASTS,
        find: "    const parts = [{ users: packNumbers(this.#numbersOf(userIds)), seq: 0 }];\n",
        replace:
          "    const head = this.#heads.get(tenant);\n    if (head) head.head++;\n    const parts = [{ users: packNumbers(this.#numbersOf(userIds)), seq: head?.head ?? 0 }];\n",
      },
      {
        file: MEMORY_BROADCASTS,
        find: "kept.parts.filter(({ seq }) => seq === 0).map((part) => ({ kept, part })),",
        replace: "kept.parts.map((part) => ({ kept, part })),",
      },
      {
        file: MEMORY_BROADCASTS,
        find: "      if (!head || kept.notBeforeMs > nowMs) continue;\n      part.seq = ++head.head;\n      changed.add(kept.tenant);\n",
        replace:
          "      if (!head || kept.notBeforeMs > nowMs || (part as { isTold?: boolean }).isTold) continue;\n      (part as { isTold?: boolean }).isTold = true;\n      if (part.seq === 0) part.seq = ++head.head;\n      changed.add(kept.tenant);\n",
      },
      {
        file: MEMORY_BROADCASTS,
        find: "    const parts = this.#openParts(tenant, ({ seq }) => seq > 0);\n",
        replace:
          "    const parts = this.#openParts(tenant, ({ seq }) => seq > 0).filter((one) => one.notBeforeMs <= this.#facts.wallMs());\n",
      },
    ],
  },
  {
    name: "who is added late joins the part that is in force",
    edits: [
      {
        file: MEMORY_BROADCASTS,
        find: "    if (last?.seq === 0) last.users",
        replace: "    if (last) last.users",
      },
    ],
  },
  {
    name: "an urgent broadcast is shown again in its turn",
    edits: [
      {
        file: "client/src/models/system-messages.ts",
        find: "      if (message.seq > this.#position) this.#ahead.add(message.seq);\n",
        replace: "",
      },
    ],
  },
  {
    name: "an urgent broadcast for everybody of every tenant",
    edits: [
      {
        file: "gateway/session/broadcast-fan.ts",
        find: "if (tenant === undefined || session.tenant === tenant) connection",
        replace: "connection",
      },
    ],
  },
  {
    name: "an urgent broadcast for everybody, whoever it is for",
    edits: [
      {
        file: "logic/broadcasts/urgent.ts",
        find: '      if (part.audience === "all") for',
        replace: "      if (part.urgent) for",
      },
    ],
  },
  {
    name: "the list of a broadcast is not looked at",
    edits: [
      {
        file: "logic/broadcasts/audience.ts",
        find: "reader.number > 0 && hasNumber(list, reader.number)",
        replace: "reader.number > 0 && list.length > 0",
      },
    ],
  },
  {
    name: "a new user begins with the first broadcast",
    edits: [
      {
        file: MEMORY_BROADCASTS,
        find: "{ number, floor: head, watermark: head, registeredMs }",
        replace: "{ number, floor: 0, watermark: 0, registeredMs }",
      },
    ],
  },
  {
    name: "one watermark for all devices, whatever they know",
    edits: [
      {
        file: "logic/broadcasts/sys-pull.ts",
        find: "isOwn ? pull.position : reader.watermark",
        replace: "reader.watermark",
      },
    ],
  },
  {
    name: "what is retracted is told of nevertheless",
    edits: [
      {
        file: MEMORY_BROADCASTS,
        find: "if (kept.tenant !== tenant || kept.retractedMs > 0 || kept",
        replace: "if (kept.tenant !== tenant || kept",
      },
    ],
  },
  {
    name: "a page ends where the newest broadcast is, whatever was left",
    edits: [
      {
        file: "logic/broadcasts/sys-pull.ts",
        find: "if (looked === MAX_LOOKED_AT || messages.length === limit) return { messages, nextPosition, head, more: true };",
        replace: "if (messages.length === 1) return { messages, nextPosition: head, head, more: false };",
      },
    ],
  },
];
