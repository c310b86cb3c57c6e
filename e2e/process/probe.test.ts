// SPDX-License-Identifier: Apache-2.0
// The program of the charts' `helm test`, as the image runs it, against a fleet of real processes.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { SERVER_NAME } from "../harness/fleet.ts";
import { createTestAuthority } from "../harness/tls.ts";
import { useFleet } from "./fleet-suite.ts";

const MAIN = join(import.meta.dirname, "../../probe/main.ts");
const BOUND_MS = 120_000;

interface Report {
  ok: boolean;
  error?: string;
  steps?: { step: string; ok: boolean; ms: number; error?: string; remedy?: string; tls?: string }[];
}

function probe(env: Record<string, string>): Promise<{ code: number; report: Report }> {
  return new Promise((resolve, reject) => {
    const child = execFile(process.execPath, [MAIN], { env, timeout: BOUND_MS }, (_, stdout, stderr) => {
      try {
        resolve({ code: child.exitCode ?? -1, report: JSON.parse(stdout) as Report });
      } catch (cause) {
        reject(new Error(`no report: ${stdout}${stderr}`, { cause }));
      }
    });
  });
}

describe("the probe of helm test", () => {
  const fleet = useFleet({ entries: 1, logics: 1, internalTls: true });

  function environment(): Record<string, string> {
    const { ca, tokens, dir } = fleet();
    const [caFile, keyFile] = [join(dir, "probe-ca.crt"), join(dir, "probe-key.json")];
    writeFileSync(caFile, ca);
    tokens.writePrivate(keyFile);
    return {
      IM_PROBE_URL: `tls://127.0.0.1:${fleet().entries[0]?.tlsPort ?? 0}`,
      IM_PROBE_CA_FILE: caFile,
      IM_PROBE_SERVER_NAME: SERVER_NAME,
      IM_PROBE_KEY_FILE: keyFile,
      IM_PROBE_AUDIENCE: tokens.audience,
      IM_PROBE_TIMEOUT: "60s",
    };
  }

  it("connects, logs in, sends, receives and acknowledges, as often as it is asked", async () => {
    for (let run = 0; run < 2; run++) {
      const { code, report } = await probe(environment());
      assert.deepEqual(
        report.steps?.map(({ step, ok }) => [step, ok]),
        ["connect", "login", "send", "deliver", "ack"].map((step) => [step, true]),
        JSON.stringify(report),
      );
      assert.equal(report.steps?.[0]?.tls, "TLSv1.3");
      assert.deepEqual([code, report.ok], [0, true]);
    }
  });

  it("takes tokens of the shop's own users", async () => {
    const { IM_PROBE_KEY_FILE: _, ...env } = environment();
    const { tokens, dir } = fleet();
    for (const role of ["sender", "receiver"]) writeFileSync(join(dir, role), await tokens.mint(`shop-${role}`));
    const { code, report } = await probe({ ...env, IM_PROBE_TOKENS_DIR: dir });
    assert.deepEqual([code, report.ok], [0, true], JSON.stringify(report));
  });

  it("says at which step it ended, why, and what to look at", async () => {
    const foreign = await createTestAuthority(join(fleet().dir, "foreign"), 1);
    const foreignFile = join(fleet().dir, "foreign-ca.crt");
    writeFileSync(foreignFile, foreign.ca);
    const wrong: [Record<string, string>, string, RegExp][] = [
      [{ IM_PROBE_CA_FILE: foreignFile }, "connect", /certificate/],
      [{ IM_PROBE_SERVER_NAME: "other.example" }, "connect", /other[.]example/],
      [{ IM_PROBE_URL: "tls://127.0.0.1:1" }, "connect", /ECONNREFUSED/],
      [{ IM_PROBE_AUDIENCE: "another-cluster" }, "login", /./],
    ];
    for (const [change, step, said] of wrong) {
      const { code, report } = await probe({ ...environment(), ...change, IM_PROBE_TIMEOUT: "20s" });
      const last = report.steps?.at(-1);
      assert.deepEqual([code, report.ok, last?.step, last?.ok], [1, false, step, false], JSON.stringify(report));
      assert.match(last?.error ?? "", said);
      assert.ok((last?.remedy ?? "").length > 20);
    }
  });

  it("names every setting that is missing", async () => {
    const { code, report } = await probe({});
    assert.equal(code, 2);
    assert.match(report.error ?? "", /IM_PROBE_URL: is required; set it to where clients connect/);
  });
});
