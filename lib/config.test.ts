// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import fc from "fast-check";
import * as z from "zod";
import { envBool, envDurationMs, envInt, envList, envPort, envString, envUrl, loadConfig } from "./config.ts";
import { ErrorCode, ImError } from "./errors.ts";

const dir = mkdtempSync(join(tmpdir(), "im-config-"));
after(() => rmSync(dir, { recursive: true }));

const schema = z.object({
  IM_PORT: envPort().default(8443).describe("a free TCP port"),
  IM_WAIT_MS: envDurationMs(10, 60_000).default(5000).describe("a duration up to 60s"),
  IM_FLAG: envBool().default(false),
  IM_TARGETS: envList().describe("host:port, comma separated"),
  IM_SECRET: envString(100).optional(),
  IM_JWKS_FILE: envString().default("/etc/jwks.json"),
  IM_URL: envUrl("postgres:", "postgresql:").optional(),
});

const problemOf = (env: Record<string, string>): string => {
  try {
    loadConfig(schema, env);
  } catch (error) {
    assert.ok(error instanceof ImError);
    assert.equal(error.code, ErrorCode.BAD_REQUEST);
    return error.message;
  }
  return "";
};

describe("loadConfig", () => {
  it("reads, converts, fills in defaults, ignores the rest and freezes", () => {
    const config = loadConfig(schema, { IM_TARGETS: "a:1, b:2,", IM_WAIT_MS: "3s", IM_FLAG: "true", OTHER: "x" });
    assert.deepEqual(config, {
      IM_PORT: 8443,
      IM_WAIT_MS: 3000,
      IM_FLAG: true,
      IM_TARGETS: ["a:1", "b:2"],
      IM_JWKS_FILE: "/etc/jwks.json",
    });
    assert.ok(Object.isFrozen(config));
  });

  it("counts an empty variable as unset", () => {
    assert.equal(loadConfig(schema, { IM_TARGETS: "a:1", IM_PORT: "" }).IM_PORT, 8443);
  });

  it("takes NAME from the file that NAME_FILE names, trimmed, but a name of its own as it is", () => {
    const file = join(dir, "secret");
    writeFileSync(file, "  hush\n");
    const config = loadConfig(schema, { IM_TARGETS: "a:1", IM_SECRET_FILE: file, IM_JWKS_FILE: file });
    assert.equal(config.IM_SECRET, "hush");
    assert.equal(config.IM_JWKS_FILE, file);
    assert.equal(
      loadConfig(schema, { IM_TARGETS: "a:1", IM_SECRET: "direct", IM_SECRET_FILE: file }).IM_SECRET,
      "direct",
    );
  });

  it("lists every bad variable with problem and remedy", () => {
    const message = problemOf({
      IM_PORT: "99999",
      IM_WAIT_MS: "soon",
      IM_FLAG: "yes",
      IM_SECRET_FILE: join(dir, "none"),
    });
    assert.match(message, /IM_PORT: "99999" is not an integer from 0 to 65535; set it to a free TCP port/);
    assert.match(message, /IM_WAIT_MS: "soon" is not a duration from 10 to 60000 ms.*; set it to a duration up to 60s/);
    assert.match(message, /IM_FLAG: "yes" is neither true nor false/);
    assert.match(message, /IM_TARGETS: is required; set it to host:port, comma separated/);
    assert.match(message, /IM_SECRET_FILE: cannot read .*none \(ENOENT\); mount it or set IM_SECRET/);
  });

  it("refuses URLs of another protocol", () => {
    assert.match(
      problemOf({ IM_TARGETS: "a:1", IM_URL: "mysql://x/y" }),
      /IM_URL: is not a URL that starts with postgres:\/\//,
    );
    assert.equal(problemOf({ IM_TARGETS: "a:1", IM_URL: "postgres://u@h/db" }), "");
  });

  it("takes exactly the integers of the range", () => {
    const range = z.object({ N: envInt(5, 500) });
    fc.assert(
      fc.property(fc.oneof(fc.integer({ min: -10, max: 1000 }).map(String), fc.string({ minLength: 1 })), (text) => {
        const isGood = /^\d+$/.test(text) && Number(text) >= 5 && Number(text) <= 500;
        if (isGood) assert.equal(loadConfig(range, { N: text }).N, Number(text));
        else assert.throws(() => loadConfig(range, { N: text }), ImError);
      }),
    );
  });

  it("reads durations with and without unit", () => {
    const wait = z.object({ D: envDurationMs() });
    for (const [text, ms] of [
      ["0", 0],
      ["1500", 1500],
      ["1500ms", 1500],
      ["2s", 2000],
      ["3m", 180_000],
      ["1h", 3_600_000],
    ] as const)
      assert.equal(loadConfig(wait, { D: text }).D, ms);
    for (const text of ["-1", "1.5s", "1d", "s", "1 s", "25h"])
      assert.throws(() => loadConfig(wait, { D: text }), ImError);
  });
});
