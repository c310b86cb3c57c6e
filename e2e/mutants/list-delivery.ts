// SPDX-License-Identifier: Apache-2.0
// Bugs in deliveries, acknowledgements and pushes.
import type { Mutant } from "./mutant.ts";

export const DELIVERY_MUTANTS: readonly Mutant[] = [
  {
    name: "no reconciler",
    seeds: "redis",
    edits: [
      {
        file: "logic/push/reconciler.ts",
        find: "    this.#running ??= this.#loop(caughtUp);\n",
        replace: "    this.#running ??= Promise.resolve();\n",
      },
    ],
  },
  {
    name: "acknowledged to the stream before the provider answered",
    crashPoints: "push",
    edits: [
      {
        file: "logic/push/consumer.ts",
        find: "    const outcomes = await this.#traced(intents);\n",
        replace: "    await this.#streams.finish(entries);\n    const outcomes = await this.#traced(intents);\n",
      },
    ],
  },
  {
    name: "no claim of stalled entries",
    crashPoints: "push",
    seeds: "fast way",
    edits: [{ file: "logic/push/consumer.ts", find: "      await this.#claim();\n", replace: "" }],
  },
  {
    name: "stream trimmed by length",
    seeds: "fast way",
    edits: [
      {
        file: "logic/push/intent.ts",
        find: 'commands.push(["XADD", stream, "*", ...intentFields(intent)]);',
        replace: 'commands.push(["XADD", stream, "MAXLEN", 1, "*", ...intentFields(intent)]);',
      },
    ],
  },
  {
    name: "unreachable ignored",
    edits: [
      {
        file: "logic/deliver/unreachable.ts",
        find: '    if (undelivered.userId === "") this',
        replace: '    if (undelivered.userId !== "") return;\n    if (undelivered.userId === "") this',
      },
    ],
    // The wheel pushes in its place, later.
    seeds: "calm",
    tests: ["logic/logic.test.ts"],
  },
  {
    name: "cursor moved before the client acknowledged",
    edits: [
      {
        file: "logic/inbox/pull.ts",
        find: "acks.note(session, cursor);",
        replace: "acks.note(session, nextCursor);",
      },
      {
        file: "logic/session/login.ts",
        find: "if (resumed) this.#ports.acks.note(session, cursor);",
        replace: "this.#ports.acks.note(session, page.nextCursor);",
      },
    ],
  },
  {
    name: "wall clock timers",
    seeds: "fast way",
    edits: [
      {
        file: "logic/push/consumer.ts",
        find: "    if (clock.nowMs() >= this.#nextClaimMs) {\n      this.#nextClaimMs = clock.nowMs() + this.#idleMs / 2;",
        replace:
          "    if (clock.wallMs() >= this.#nextClaimMs) {\n      this.#nextClaimMs = clock.wallMs() + this.#idleMs / 2;",
      },
    ],
  },
  {
    name: "non-atomic wheel pop",
    crashPoints: "wheel",
    edits: [
      {
        file: "logic/deliver/lua/fire.lua",
        find: "      redis.call('XADD', KEYS[4], '*', 'u', user, 's', last, 'c', 'timeout', 'f', first, 'l', slot)\n",
        replace: "",
      },
      {
        file: "logic/deliver/ack-wheel-redis.ts",
        find: "    return replies.map((reply) => (reply instanceof Error ? UNKNOWN : toState(reply as RawState)));",
        replace: `    const states = replies.map((reply) => (reply instanceof Error ? UNKNOWN : toState(reply as RawState)));
    const queued = states.flatMap(({ fired }, at) =>
      fired.map(({ userId, slot, fromSeq, inboxSeq }): RedisCommand => {
        const fields = ["u", userId, "s", inboxSeq, "c", "timeout", "f", fromSeq, "l", slot];
        return ["XADD", intentStream(shards[at] ?? 0), "*", ...fields];
      }),
    );
    await runPipeline(this.#redis, queued);
    return states;`,
      },
    ],
  },
  {
    name: "two owners of a wheel shard",
    edits: [
      {
        file: "logic/deliver/lua/fire.lua",
        find: "      redis.call('XADD', KEYS[4], '*', 'u', user, 's', last, 'c', 'timeout', 'f', first, 'l', slot)\n",
        replace: `      redis.call('XADD', KEYS[4], '*', 'u', user, 's', last, 'c', 'timeout', 'f', first, 'l', slot)
      redis.call('XADD', KEYS[4], '*', 'u', user, 's', last, 'c', 'timeout', 'f', first, 'l', slot)
`,
      },
    ],
    seeds: "calm",
    tests: ["e2e/sim/redis/ack-wheel.test.ts"],
  },
  {
    name: "acknowledgement of another device",
    seeds: "calm",
    edits: [
      {
        file: "logic/store/highest-acks.ts",
        // biome-ignore lint/suspicious/noTemplateCurlyInString: source text
        find: "const key = `${ack.userId}\\0${ack.deviceId}`;",
        replace: "const key = ack.deviceId;",
      },
      {
        file: "logic/store/highest-acks.ts",
        find: "byDevice.set(key, ack);",
        replace: "byDevice.set(key, { ...(known ?? ack), inboxSeq: ack.inboxSeq });",
      },
    ],
  },
];
