// SPDX-License-Identifier: Apache-2.0
// The server API under data that nobody here has thought of, by its own document.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { before, describe, it } from "node:test";
import { SCOPES } from "../../logic/server-api/api-key.ts";
import { createProgress } from "../../scripts/cluster/progress.ts";
import { temporaryFolder } from "../harness/folders.ts";
import { freePort } from "../harness/ports.ts";
import { runSchemathesis, type SchemathesisResult } from "../security/schemathesis.ts";
import { createApiKey } from "./api-caller.ts";
import { useFleet } from "./fleet-suite.ts";

const MAX_EXAMPLES = 10;
/** On a busy machine: on a quiet one it takes half a minute. */
const RUN_TIMEOUT_MS = 15 * 60_000;
const SEED = 20_261_126;

const port = await freePort();

describe("schemathesis against the server API", () => {
  const cardKeys = join(temporaryFolder("im-schemathesis-"), "card-keys");
  writeFileSync(cardKeys, `k1 ${randomBytes(32).toString("base64")}\n`);
  const rate = { IM_API_PORT: String(port), IM_API_RATE_PER_SECOND: "100000" };
  const logicEnv = { ...rate, IM_CARD_KEYS_FILE: cardKeys };
  const fleet = useFleet({ entries: 0, logics: 1, logicEnv });
  let result: SchemathesisResult;
  before(
    async () => {
      const key = await createApiKey(fleet().postgresUrl, SCOPES);
      const url = `http://127.0.0.1:${port}`;
      const options = { url, key, maxExamples: MAX_EXAMPLES, seed: SEED };
      result = await runSchemathesis(options, { progress: createProgress() });
    },
    { timeout: RUN_TIMEOUT_MS },
  );

  it("finds no server error, no undocumented status, no answer that does not fit its schema", () => {
    assert.equal(result.code, 0, result.output);
    const failed = Object.keys(result.statuses).filter((status) => Number(status) >= 500);
    assert.deepEqual(failed, [], JSON.stringify(result.statuses));
  });

  it("got far enough to say so: calls were accepted, and others refused", (t) => {
    t.diagnostic(JSON.stringify(result.statuses));
    const count = (status: number): number => result.statuses[status] ?? 0;
    assert.ok(count(200) + count(201) + count(204) > 25, JSON.stringify(result.statuses));
    assert.ok(count(400) > 100 && count(401) > 0, JSON.stringify(result.statuses));
  });

  it("left a process that serves on and lost no entry of its log", async () => {
    assert.equal(await fleet().logic(0).isReady(), true);
    assert.doesNotMatch(await fleet().logic(0).metrics(), /im_api_audit_lost_total [1-9]/);
  });
});
