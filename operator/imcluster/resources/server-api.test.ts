// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { selectorLabels } from "../names.ts";
import { missingReferences, secretNames } from "../secrets.ts";
import { sampleCluster, sampleContext, sampleSecrets } from "../testing/sample.ts";
import { logicDeployment } from "./logic.ts";
import { apiService } from "./services.ts";

const secrets = sampleSecrets(sampleCluster());

function logicOf(spec: object) {
  const pod = logicDeployment(sampleContext(sampleCluster(spec), secrets)).spec.template;
  const [container] = pod.spec.containers;
  const env = new Map(container?.env?.map(({ name, value }) => [name, value]));
  return { pod, env, ports: container?.ports ?? [], volumes: (pod.spec.volumes ?? []) as { name: string }[] };
}

const namesIn = (list: readonly { name?: string }[]) => list.map(({ name }) => name);

describe("the server API of an ImCluster", () => {
  it("is off by default: no port, no setting, no volume", () => {
    const { env, ports, volumes } = logicOf({});
    assert.ok(![...env.keys()].some((name) => name.startsWith("IM_API")));
    assert.ok(!namesIn(ports).includes("api"));
    assert.ok(!namesIn(volumes).some((name) => name?.startsWith("api-")));
  });

  it("is on with an empty object", () => {
    const { env, ports, volumes } = logicOf({ logic: { serverApi: {} } });
    assert.deepEqual(
      [...env].filter(([name]) => name.startsWith("IM_API")),
      [
        ["IM_API_PORT", "8090"],
        ["IM_API_RATE_PER_SECOND", "100"],
        ["IM_API_AUDIT_DAYS", "400"],
      ],
    );
    assert.ok(ports.some(({ name, containerPort }) => name === "api" && containerPort === 8090));
    assert.ok(!namesIn(volumes).some((name) => name?.startsWith("api-")));
  });

  it("gets keys and certificates as files", () => {
    const serverApi = {
      ...{ keysSecretRef: { name: "shop-keys", key: "k.json" }, tlsSecretName: "api-cert" },
      ...{ ratePerSecond: 7, auditDays: 90 },
    };
    const { env, volumes } = logicOf({ logic: { serverApi } });
    assert.equal(env.get("IM_API_KEYS_FILE"), "/etc/imcluster/api-keys/keys.json");
    assert.equal(env.get("IM_API_TLS_DIR"), "/etc/imcluster/api-tls");
    assert.deepEqual([env.get("IM_API_RATE_PER_SECOND"), env.get("IM_API_AUDIT_DAYS")], ["7", "90"]);
    const secretOf = (volume: string) => volumes.find(({ name }) => name === volume);
    assert.deepEqual(secretOf("api-keys"), {
      name: "api-keys",
      secret: { secretName: "shop-keys", defaultMode: 0o440, items: [{ key: "k.json", path: "keys.json" }] },
    });
    assert.deepEqual(secretOf("api-tls"), { name: "api-tls", secret: { secretName: "api-cert", defaultMode: 0o440 } });
  });

  it("has a Service that leads to the logic pods", () => {
    const context = sampleContext(sampleCluster({ logic: { serverApi: {} } }), secrets);
    const { metadata, spec } = apiService(context);
    assert.equal(metadata.name, "demo-api");
    assert.deepEqual(spec.ports, [{ name: "api", port: 8090, targetPort: "api", protocol: "TCP" }]);
    assert.deepEqual(spec.selector, selectorLabels("demo", "logic"));
  });

  it("is served over gRPC, too, where that is asked for", () => {
    const cluster = { logic: { serverApi: { grpc: true } } };
    const { env, ports } = logicOf(cluster);
    assert.equal(env.get("IM_API_GRPC_PORT"), "8091");
    assert.ok(ports.some(({ name, containerPort }) => name === "api-grpc" && containerPort === 8091));
    const { spec } = apiService(sampleContext(sampleCluster(cluster), secrets));
    assert.deepEqual(
      spec.ports?.map(({ name, port }) => [name, port]),
      [
        ["api", 8090],
        ["api-grpc", 8091],
      ],
    );
  });

  it("names the Secrets that it lacks", () => {
    const serverApi = { keysSecretRef: { name: "shop-keys", key: "k.json" }, tlsSecretName: "api-cert" };
    const cluster = sampleCluster({ logic: { serverApi } });
    assert.ok(["shop-keys", "api-cert"].every((name) => secretNames(cluster).includes(name)));
    assert.deepEqual(missingReferences(cluster, secrets, new Map()), [
      "Secret shop-keys, named by spec.logic.serverApi.keysSecretRef, does not exist: create it with k.json, or name another one",
      "Secret api-cert, named by spec.logic.serverApi.tlsSecretName, does not exist: create it with tls.crt and tls.key, or name another one",
    ]);
  });
});
