// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { decideGroup } from "../groups/group-rules.ts";
import type { GroupRole } from "../store/groups.ts";
import { heirOf } from "./heir.ts";

const ids = fc.uniqueArray(fc.stringMatching(/^[a-z]{1,4}$/), { minLength: 1, maxLength: 12 });

/** A group whose first id is the owner. */
const groups = fc.tuple(ids, fc.array(fc.boolean(), { minLength: 12, maxLength: 12 })).map(([users, admins]) => {
  const roleAt = (at: number): GroupRole => (at === 0 ? "owner" : admins[at] ? "admin" : "member");
  return new Map(users.map((userId, at) => [userId, roleAt(at)]));
});

describe("the heir of a group", () => {
  it("is one of the others, an admin where there is one, whatever the order they are read in", () => {
    fc.assert(
      fc.property(groups, (roles) => {
        const [owner = ""] = roles.keys();
        const heir = heirOf(roles, owner);
        if (roles.size === 1) return assert.equal(heir, undefined);
        assert.ok(heir !== undefined && heir !== owner && roles.has(heir));
        const hasAdmin = [...roles.values()].includes("admin");
        assert.equal(roles.get(heir), hasAdmin ? "admin" : "member");
        assert.equal(heirOf(new Map([...roles].reverse()), owner), heir);
        // The owner may do it, by the rules that it has.
        const plan = decideGroup({ version: 1, name: "", roles }, owner, { kind: "role", userId: heir, role: "owner" });
        assert.equal(plan.kind, "change");
      }),
    );
  });
});
