// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { DisconnectCode } from "#lib/codes.ts";
import { Metrics } from "#lib/metrics.ts";
import { createLogicMetrics } from "../metrics.ts";
import type { LoginOutcome } from "./login.ts";
import { LOGIN_RESULTS, loginResult } from "./login-result.ts";

const denied = (code: DisconnectCode): LoginOutcome => ({ kind: "denied", code, reason: "", retryAfterMs: 0 });

describe("login results", () => {
  it("tell refusals apart by who has to do something about them", () => {
    const results = [
      DisconnectCode.TOKEN_EXPIRED,
      DisconnectCode.TOKEN_REVOKED,
      DisconnectCode.FLAPPING,
      DisconnectCode.OVERLOADED,
      DisconnectCode.LOGIC_UNAVAILABLE,
    ].map((code) => loginResult(denied(code)));
    assert.deepEqual(results, ["token_expired", "revoked", "flapping", "overloaded", "store_away"]);
    assert.equal(loginResult({ kind: "fenced" }), "fenced");
    assert.equal(loginResult(denied(DisconnectCode.KICKED)), loginResult(denied(DisconnectCode.SUPERSEDED)));
  });

  it("have a name for every code, and each is counted", async () => {
    const metrics = new Metrics();
    const { logins } = createLogicMetrics(metrics);
    for (const code of Object.values(DisconnectCode)) {
      const result = loginResult(denied(code));
      assert.ok(LOGIN_RESULTS.includes(result));
      logins[result]++;
    }
    const text = await metrics.render();
    for (const result of LOGIN_RESULTS)
      assert.match(text, new RegExp(`^im_logic_logins_total\\{result="${result}"\\} ${logins[result]}$`, "m"));
  });
});
