// SPDX-License-Identifier: Apache-2.0
// Bugs in what some people are not to see, and others not to say. Nobody blocks anybody in the simulation, and it has no rules.
import type { Mutant } from "./mutant.ts";

export const SAFETY_MUTANTS: readonly Mutant[] = [
  {
    name: "what a blocked user writes is delivered",
    edits: [
      {
        file: "logic/store/memory.ts",
        find: "const isHidden = input.hidden === true || (peer !== undefined && this.blocks.has(peer, sender));",
        replace: "const isHidden = input.hidden === true;",
      },
    ],
    seeds: "none",
    tests: ["logic/store/memory.test.ts"],
  },
  {
    name: "who has blocked somebody may write to them",
    edits: [
      {
        file: "logic/store/memory.ts",
        find: '    if (peer !== undefined && this.blocks.has(sender, peer)) return { kind: "blocks-peer" };\n',
        replace: "",
      },
    ],
    seeds: "none",
    tests: ["logic/store/memory.test.ts"],
  },
  {
    name: "a hidden message is in the history of the others",
    edits: [
      {
        file: "logic/store/memory.ts",
        find: "const visible = seenBy(userId, conversation).filter(",
        replace: "const visible = conversation.messages.filter(",
      },
    ],
    seeds: "none",
    tests: ["logic/store/memory.test.ts"],
  },
  {
    name: "the verdict of a rule is ignored on edits",
    edits: [
      {
        file: "logic/changes/change-handler.ts",
        find: '    if (order.kind !== "edit" || !gate) void',
        replace: '    if (order.kind !== "recall" || !gate) void',
      },
    ],
    seeds: "none",
    tests: ["logic/changes/change-handler.test.ts"],
  },
  {
    name: "an edit that is to be hidden is made",
    edits: [
      {
        file: "logic/changes/change-handler.ts",
        find: 'else if (verdict === "block" || verdict === "shadow")',
        replace: 'else if (verdict === "block")',
      },
    ],
    seeds: "none",
    tests: ["logic/changes/change-handler.test.ts"],
  },
];
