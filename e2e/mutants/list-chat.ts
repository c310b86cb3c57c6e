// SPDX-License-Identifier: Apache-2.0
// Bugs in changing messages and in who is in a group.
import type { Mutant } from "./mutant.ts";

const MEMORY_CHANGES = "logic/store/memory-changes.ts";
const MEMORY_GROUPS = "logic/store/memory-groups.ts";

export const CHAT_MUTANTS: readonly Mutant[] = [
  {
    name: "a recall leaves the text in inboxes",
    edits: [
      {
        file: MEMORY_CHANGES,
        find: "for (const list of [this.#maps.conversation(conversationId)?.messages ?? [], ...this.#maps.inboxes()]) {",
        replace: "for (const list of [this.#maps.conversation(conversationId)?.messages ?? []]) {",
      },
    ],
  },
  {
    name: "the last edit wins, whatever its device had seen",
    edits: [
      {
        file: MEMORY_CHANGES,
        find: '  return isRecall || version === order.baseVersion ? undefined : { kind: "version", version };\n',
        replace: "  return undefined;\n",
      },
    ],
  },
  {
    name: "a change that comes again is another one",
    edits: [
      {
        file: MEMORY_CHANGES,
        find: "    if (known) {\n      const { messageId: eventId",
        replace: "    if (known && known.message.convSeq < 0) {\n      const { messageId: eventId",
      },
    ],
  },
  {
    name: "removed from the list of members, not from the conversation",
    edits: [
      {
        file: MEMORY_GROUPS,
        find: "      members.delete(userId);\n      group.roles.delete(userId);\n",
        replace: "      group.roles.delete(userId);\n",
      },
    ],
  },
  {
    name: "a group changes whatever its version",
    edits: [
      {
        file: MEMORY_GROUPS,
        find: "    if ((known?.version ?? 0) !== version || this.#ports.known(sender, clientMessageId)) return undefined;\n",
        replace: "    if (this.#ports.known(sender, clientMessageId)) return undefined;\n",
      },
    ],
  },
  {
    name: "who is removed is not told",
    edits: [
      {
        file: "logic/groups/group-changer.ts",
        find: "    const recipients = recipientsOf(event.sender, state, plan);\n",
        replace:
          "    const recipients = recipientsOf(event.sender, state, plan).filter((id) => !removed.includes(id));\n",
      },
    ],
  },
  {
    name: "every member may invite",
    edits: [
      {
        file: "logic/groups/group-rules.ts",
        find: '      return role === "member"\n        ? denied("only its owner and admins invite to a group")\n        : invite(group, operation.userIds, maxMembers);\n',
        replace: "      return invite(group, operation.userIds, maxMembers);\n",
      },
    ],
  },
];
