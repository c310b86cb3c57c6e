// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import * as z from "zod";
import { loadConfig } from "#lib/config.ts";
import { tracingSettings, tracingShape } from "#lib/tracing/config.ts";
import type { Secret } from "../../kube/types.ts";
import { contentHashes, missingReferences, secretNames } from "../secrets.ts";
import { sampleCluster, sampleContext, sampleSecrets } from "../testing/sample.ts";
import { entryPod, entryRevision } from "./entry-pod.ts";
import { extlogicDeployment } from "./extlogic.ts";
import { logicDeployment } from "./logic.ts";
import { networkPolicies } from "./network-policies.ts";

const TRACING = {
  endpoint: "http://otel-collector.monitoring.svc:4318",
  ratio: "0.5",
  maxPerSecond: 7,
  headersSecretRef: { name: "otel", key: "h" },
};
const cluster = sampleCluster({ tracing: TRACING });
const secret = (text: string): Secret => ({
  ...{ apiVersion: "v1", kind: "Secret", metadata: { name: "otel" } },
  data: { h: Buffer.from(text).toString("base64") },
});
// Once: certificates are made anew each time.
const others = sampleSecrets(cluster);
const secretsWith = (text: string) => new Map([...others, ["otel", secret(text)] as const]);

function podsOf(of: typeof cluster, secrets = sampleSecrets(of)) {
  const context = sampleContext(of, secrets);
  const specs = {
    entry: entryPod(context, "aaaaa").spec,
    logic: logicDeployment(context).spec.template.spec,
    extlogic: extlogicDeployment(context).spec.template.spec,
  };
  return Object.entries(specs).map(([name, { containers, volumes = [] }]) => {
    const env = Object.fromEntries((containers[0]?.env ?? []).map((one) => [one.name, one.value]));
    const mounts = (containers[0]?.volumeMounts ?? []) as { name: string; mountPath: string; readOnly?: boolean }[];
    return { name, env, mounts, volumes: volumes as { name: string; secret?: { secretName: string } }[] };
  });
}

/** What makes pods roll. */
function hashesOf(of: typeof cluster, secrets: ReturnType<typeof sampleSecrets>): string[] {
  const context = sampleContext(of, secrets);
  const annotations = [logicDeployment(context), extlogicDeployment(context)].map(
    ({ spec }) => spec.template.metadata?.annotations,
  );
  return [entryRevision(context), ...annotations.map((all) => JSON.stringify(all))];
}

describe("the traces of an ImCluster", () => {
  it("are none by default", () => {
    for (const { name, env, volumes } of podsOf(sampleCluster())) {
      assert.deepEqual(
        Object.keys(env).filter((key) => /OTEL|TRACE/.test(key)),
        [],
        name,
      );
      assert.ok(!volumes.some((volume) => volume.name === "tracing"), name);
    }
  });

  it("are what every process takes, with the headers in a file", () => {
    for (const { name, env, mounts, volumes } of podsOf(cluster, secretsWith("authorization=Bearer%20x"))) {
      assert.ok(!("OTEL_EXPORTER_OTLP_HEADERS" in env), name);
      const mount = mounts.find((one) => one.name === "tracing");
      assert.deepEqual([mount?.mountPath, mount?.readOnly], ["/etc/imcluster/tracing", true], name);
      assert.equal(volumes.find((volume) => volume.name === "tracing")?.secret?.secretName, "otel");
      const dir = mkdtempSync(join(tmpdir(), "tracing-env-"));
      try {
        const file = join(dir, "headers");
        writeFileSync(file, "authorization=Bearer%20x\n");
        const vars = { ...env, OTEL_EXPORTER_OTLP_HEADERS_FILE: file };
        assert.equal(env.OTEL_EXPORTER_OTLP_HEADERS_FILE, "/etc/imcluster/tracing/headers");
        assert.deepEqual(tracingSettings(loadConfig(z.object(tracingShape), vars)), {
          ...{ endpoint: TRACING.endpoint, ratio: 0.5, perSecond: 7 },
          headers: { authorization: "Bearer x" },
        });
      } finally {
        rmSync(dir, { recursive: true });
      }
    }
  });

  it("roll pods when the headers change, and change no hash of a cluster without any", () => {
    assert.equal(contentHashes(cluster, secretsWith("a=b")).tracing === "", false);
    const [one, other] = [hashesOf(cluster, secretsWith("a=b")), hashesOf(cluster, secretsWith("a=c"))];
    for (const [at, hash] of one.entries()) assert.notEqual(hash, other[at]);
    const bare = sampleCluster({ tracing: { ...TRACING, headersSecretRef: undefined } });
    assert.deepEqual(hashesOf(bare, secretsWith("a=b")), hashesOf(bare, secretsWith("a=c")));
  });

  it("are let through by NetworkPolicies to the namespace of the collector, and to the Internet when it is there", () => {
    const outOf = (endpoint: string) => {
      const of = sampleCluster({ networkPolicy: {}, tracing: { ...TRACING, endpoint, headersSecretRef: undefined } });
      const made = networkPolicies(sampleContext(of, sampleSecrets(of)));
      const fleet = made.filter(({ metadata }) => /-(entry|logic|extlogic)$/.test(metadata.name ?? ""));
      assert.equal(fleet.length, 3);
      return fleet.map(({ spec }) => JSON.stringify(spec.egress));
    };
    for (const egress of outOf(TRACING.endpoint)) assert.match(egress, /"kubernetes.io\/metadata.name":"monitoring"/);
    for (const egress of outOf("https://otel.example:4318")) assert.match(egress, /0\.0\.0\.0\/0.*"port":4318/);
  });

  it("name the Secret that is missing, and what to do", () => {
    assert.ok(secretNames(cluster).includes("otel"));
    assert.deepEqual(
      missingReferences(cluster, sampleSecrets(cluster), new Map()).filter((line) => line.includes("tracing")),
      ["Secret otel, named by spec.tracing.headersSecretRef, does not exist: create it with h, or name another one"],
    );
    assert.deepEqual(missingReferences(cluster, secretsWith("a=b"), new Map()), []);
  });
});
