// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { ErrorCode } from "#lib/errors.ts";
import type { GroupRole, GroupState } from "../store/groups.ts";
import {
  decideGroup,
  decideNewGroup,
  type GroupDecision,
  type GroupOperation,
  type GroupPlan,
  MAX_GROUP_MEMBERS,
} from "./group-rules.ts";

const ROLES = ["owner", "admin", "member"] as const satisfies readonly GroupRole[];

/** One owner, two admins, two members. */
const GROUP: GroupState = {
  version: 3,
  name: "old",
  roles: new Map<string, GroupRole>([
    ["owner", "owner"],
    ["admin", "admin"],
    ["admin2", "admin"],
    ["member", "member"],
    ["member2", "member"],
  ]),
};

/** yes, no (not allowed), same (nothing to do), absent (no such member). */
type Outcome = "yes" | "no" | "same" | "absent";

function outcomeOf(decision: GroupDecision): Outcome {
  if (decision.kind === "change") return "yes";
  if (decision.kind === "nothing") return "same";
  return decision.code === ErrorCode.NOT_FOUND ? "absent" : "no";
}

const invite = (...userIds: string[]): GroupOperation => ({ kind: "invite", userIds });
const remove = (...userIds: string[]): GroupOperation => ({ kind: "remove", userIds });
const role = (userId: string, to: GroupRole): GroupOperation => ({ kind: "role", userId, role: to });

/** Every operation, towards every kind of target: what owner, admin and member may do. */
const CELLS: [what: string, operation: GroupOperation, owner: Outcome, admin: Outcome, member: Outcome][] = [
  ["invite somebody", invite("new"), "yes", "yes", "no"],
  ["invite who is there", invite("member2"), "same", "same", "no"],
  ["invite both", invite("member2", "new"), "yes", "yes", "no"],
  ["remove the owner", remove("owner"), "no", "no", "no"],
  ["remove an admin", remove("admin2"), "yes", "no", "no"],
  ["remove a member", remove("member2"), "yes", "yes", "no"],
  ["remove an admin and a member", remove("admin2", "member2"), "yes", "no", "no"],
  ["remove who is not there", remove("new"), "same", "same", "no"],
  ["remove a member and who is not there", remove("member2", "new"), "yes", "yes", "no"],
  ["leave", { kind: "leave" }, "no", "yes", "yes"],
  ["make a member an admin", role("member2", "admin"), "yes", "no", "no"],
  ["make an admin a member", role("admin2", "member"), "yes", "no", "no"],
  ["make a member the owner", role("member2", "owner"), "yes", "no", "no"],
  ["make an admin the owner", role("admin2", "owner"), "yes", "no", "no"],
  ["make the owner an admin", role("owner", "admin"), "no", "no", "no"],
  ["make the owner a member", role("owner", "member"), "no", "no", "no"],
  ["make the owner the owner", role("owner", "owner"), "no", "no", "no"],
  ["make an admin an admin", role("admin2", "admin"), "same", "no", "no"],
  ["make a member a member", role("member2", "member"), "same", "no", "no"],
  ["make a stranger an admin", role("new", "admin"), "absent", "no", "no"],
  ["rename", { kind: "rename", name: "new" }, "yes", "yes", "no"],
  ["rename to the same", { kind: "rename", name: "old" }, "same", "same", "no"],
];

describe("who may change a group", () => {
  for (const [what, operation, ...outcomes] of CELLS) {
    it(`${what}: ${ROLES.map((actor, at) => `${actor} ${outcomes[at]}`).join(", ")}`, () => {
      assert.deepEqual(
        ROLES.map((actor) => outcomeOf(decideGroup(GROUP, actor, operation))),
        outcomes,
      );
    });
  }

  it("nobody raises, lowers or removes themselves", () => {
    for (const actor of ["owner", "admin", "member"]) {
      for (const to of ROLES) assert.equal(outcomeOf(decideGroup(GROUP, actor, role(actor, to))), "no");
      assert.equal(outcomeOf(decideGroup(GROUP, actor, remove(actor))), "no");
    }
  });

  it("the last one may leave, as whatever", () => {
    for (const last of ROLES) {
      const alone = { ...GROUP, roles: new Map([["last", last]]) };
      const decision = decideGroup(alone, "last", { kind: "leave" });
      assert.deepEqual(decision, { kind: "change", userIds: ["last"], removed: ["last"], put: [] });
    }
  });

  it("does all of a request or nothing of it, and says whom it is about", () => {
    assert.deepEqual(decideGroup(GROUP, "owner", remove("admin2", "new", "member2")), {
      ...{ kind: "change", userIds: ["admin2", "member2"], removed: ["admin2", "member2"], put: [] },
    });
    assert.deepEqual(decideGroup(GROUP, "admin", invite("b", "member", "a")), {
      ...{ kind: "change", userIds: ["b", "a"], removed: [] },
      put: ["b", "a"].map((userId) => ({ userId, role: "member" })),
    });
    assert.deepEqual(decideGroup(GROUP, "owner", role("member", "owner")), {
      ...{ kind: "change", userIds: ["member"], removed: [] },
      put: [
        { userId: "member", role: "owner" },
        { userId: "owner", role: "admin" },
      ],
    });
  });

  it("is asked of members only", () => {
    assert.throws(() => decideGroup(GROUP, "stranger", { kind: "leave" }), TypeError);
  });

  it(`ends at ${MAX_GROUP_MEMBERS} members`, () => {
    const others = Array.from({ length: MAX_GROUP_MEMBERS - 1 }, (_, at) => `u${at}`);
    assert.equal(outcomeOf(decideNewGroup("maker", others, "")), "yes");
    assert.equal(outcomeOf(decideNewGroup("maker", [...others, "maker"], "")), "yes");
    const tooMany = decideNewGroup("maker", [...others, "one more"], "");
    assert.ok(tooMany.kind === "refused" && tooMany.code === ErrorCode.TOO_LARGE);
    const roles = new Map<string, GroupRole>([
      ["maker", "owner"],
      ...others.map((id): [string, GroupRole] => [id, "member"]),
    ]);
    const full = decideGroup({ ...GROUP, roles }, "maker", invite("u0", "one more"));
    assert.ok(full.kind === "refused" && full.code === ErrorCode.TOO_LARGE);
    assert.equal(outcomeOf(decideGroup({ ...GROUP, roles }, "maker", invite("u0"))), "same");
  });
});

/** The group after a plan. */
function applied({ version, name, roles }: GroupState, plan: GroupPlan): GroupState {
  const after = new Map(roles);
  for (const userId of plan.removed) after.delete(userId);
  for (const { userId, role: to } of plan.put) after.set(userId, to);
  return { version: version + 1, name: plan.name ?? name, roles: after };
}

const USERS = ["a", "b", "c", "d", "e", "f"];
const someone = fc.constantFrom(...USERS);
const some = fc.uniqueArray(someone, { minLength: 1 });
const operation = fc.oneof(
  fc.record({ kind: fc.constant("invite" as const), userIds: some }),
  fc.record({ kind: fc.constant("remove" as const), userIds: some }),
  fc.constant({ kind: "leave" as const }),
  fc.record({ kind: fc.constant("role" as const), userId: someone, role: fc.constantFrom(...ROLES) }),
  fc.record({ kind: fc.constant("rename" as const), name: fc.constantFrom("x", "y") }),
);
const RANKS = { member: 0, admin: 1, owner: 2 };

/** The group after what the actor asked for, if it is a member and may: with the rules looked at from outside. */
function checked(group: GroupState, actor: string, asked: GroupOperation): GroupState {
  const rank = group.roles.get(actor);
  if (rank === undefined) return group;
  const decision = decideGroup(group, actor, asked);
  if (decision.kind !== "change") return group;
  const after = applied(group, decision);
  const owners = [...after.roles.values()].filter((one) => one === "owner").length;
  assert.equal(owners, after.roles.size === 0 ? 0 : 1);
  assert.ok(RANKS[after.roles.get(actor) ?? "member"] <= RANKS[rank], "nobody raises themselves");
  const changed = [...group.roles].filter(([userId, before]) => userId !== actor && after.roles.get(userId) !== before);
  for (const [userId, before] of changed)
    assert.ok(RANKS[before] < RANKS[rank], `${actor} (${rank}) changed ${userId} (${before})`);
  assert.ok(decision.removed.every((userId) => group.roles.has(userId)));
  return after;
}

describe("a group over any changes", () => {
  it("has one owner as long as it has members; nobody gains by what they ask, and nobody of the same rank loses", () => {
    const steps = fc.array(fc.record({ actor: someone, operation }), { maxLength: 60 });
    fc.assert(
      fc.property(fc.uniqueArray(someone), steps, (others, changes) => {
        const made = decideNewGroup("a", others, "x");
        assert.ok(made.kind === "change");
        let group = applied({ version: 0, name: "", roles: new Map() }, made);
        for (const { actor, operation: asked } of changes) group = checked(group, actor, asked);
      }),
      { numRuns: 500 },
    );
  });
});
