// SPDX-License-Identifier: Apache-2.0
// `helm test` of an im-cluster release: one message from one user to another, and a report as one line of JSON.
import { existsSync, readFileSync } from "node:fs";
import { probeConfig } from "./config.ts";
import { deliverySteps } from "./delivery.ts";
import { type ProbeReport, runSteps } from "./steps.ts";
import { tokenSource } from "./tokens.ts";

/** Connections that do not end by themselves are not waited for. */
const LAST_WORDS_MS = 2_000;

async function main(): Promise<ProbeReport & { url: string }> {
  const config = probeConfig();
  const caFile = config.IM_PROBE_CA_FILE;
  const target = {
    url: config.IM_PROBE_URL,
    ca: caFile !== undefined && existsSync(caFile) ? readFileSync(caFile, "utf8") : undefined,
    serverName: config.IM_PROBE_SERVER_NAME,
  };
  const tokenOf = await tokenSource({
    keyFile: config.IM_PROBE_KEY_FILE,
    tokensDir: config.IM_PROBE_TOKENS_DIR,
    issuer: config.IM_PROBE_ISSUER,
    audience: config.IM_PROBE_AUDIENCE,
  });
  const { steps, close } = deliverySteps(target, tokenOf);
  const report = await runSteps(steps, AbortSignal.timeout(config.IM_PROBE_TIMEOUT), () => performance.now());
  await Promise.race([close(), new Promise((resolve) => setTimeout(resolve, LAST_WORDS_MS).unref())]);
  return { url: target.url, ...report };
}

try {
  const report = await main();
  console.log(JSON.stringify(report));
  process.exit(report.ok ? 0 : 1);
} catch (error) {
  console.log(JSON.stringify({ ok: false, error: error instanceof Error ? error.message : String(error) }));
  process.exit(2);
}
