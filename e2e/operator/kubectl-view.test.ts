// SPDX-License-Identifier: Apache-2.0
// What kubectl shows and does: columns, explain, scale.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { request } from "node:https";
import { after, before, describe, it } from "node:test";
import { parse } from "yaml";
import { IM_CLUSTER } from "../../operator/api/resource.ts";
import { Bench } from "./support/bench.ts";
import { type ImApiServer, startImApiServer } from "./support/shared-api-server.ts";

let server: ImApiServer;
let bench: Bench;
before(async () => {
  server = await startImApiServer();
  bench = await Bench.open(server);
  await bench.startOperator();
  await bench.create();
  await bench.untilSettled();
});
after(async () => {
  await bench?.close();
  await server?.stop();
});

interface Table {
  columnDefinitions: { name: string; priority: number }[];
  rows: { cells: unknown[] }[];
}

interface KubeConfigFile {
  clusters: { cluster: { server: string; "certificate-authority": string } }[];
  users: { user: { "client-certificate": string; "client-key": string } }[];
}

/** The request that `kubectl get` makes. */
async function getTable(path: string): Promise<Table> {
  const { clusters, users } = parse(readFileSync(server.api.kubeconfigPath, "utf8")) as KubeConfigFile;
  const [cluster, user] = [clusters[0]?.cluster, users[0]?.user];
  assert.ok(cluster && user);
  const options = {
    ca: readFileSync(cluster["certificate-authority"]),
    cert: readFileSync(user["client-certificate"]),
    key: readFileSync(user["client-key"]),
    headers: { accept: "application/json;as=Table;v=v1;g=meta.k8s.io" },
    agent: false as const,
    timeout: 10_000,
  };
  const text = await new Promise<string>((resolve, reject) => {
    const sent = request(new URL(path, cluster.server), options, (response) => {
      let body = "";
      response.setEncoding("utf8");
      response.on("data", (chunk: string) => {
        body += chunk;
      });
      response.on("end", () => resolve(body));
    });
    sent.on("error", reject);
    sent.on("timeout", () => sent.destroy(new Error("timeout")));
    sent.end();
  });
  return JSON.parse(text) as Table;
}

describe("kubectl get imc", () => {
  it("shows phase, version, entries, sessions, ready, age, and more with -o wide", async () => {
    const table = await getTable(`/apis/imcluster.io/v1alpha1/namespaces/${bench.namespace}/imclusters`);
    const names = (priority: number) =>
      table.columnDefinitions.filter((one) => one.priority === priority).map(({ name }) => name);
    assert.deepEqual(names(0), ["Name", "Phase", "Version", "Entries", "Sessions", "Ready", "Age"]);
    assert.deepEqual(names(1), ["Address", "Logic", "Reason"]);
    const cells = table.rows[0]?.cells ?? [];
    assert.deepEqual(cells.slice(0, 4), ["demo", "Ready", "0.1.0", "3/3"]);
    assert.equal(typeof cells[4], "number", "sessions");
    assert.equal(cells[5], "True");
    assert.deepEqual(cells.slice(7, 9), ["192.0.2.10", "2/2"]);
  });
});

interface OpenApiSchema {
  description?: string;
  properties?: Record<string, OpenApiSchema>;
  items?: OpenApiSchema;
  additionalProperties?: OpenApiSchema;
}

/** Dotted names of fields without a description. */
function undescribed(schema: OpenApiSchema, path: string): string[] {
  const own = schema.description ? [] : [path];
  const children = Object.entries(schema.properties ?? {}).map(([name, child]): [string, OpenApiSchema] => [
    `${path}.${name}`,
    child,
  ]);
  const all = [...children, ...(schema.items ? [[`${path}[]`, schema.items] as [string, OpenApiSchema]] : [])];
  return [...own, ...all.flatMap(([name, child]) => undescribed(child, name))];
}

describe("kubectl explain imc", () => {
  it("explains every field of spec and status", async () => {
    const text = await server.client.raw("/openapi/v3/apis/imcluster.io/v1alpha1");
    const { components } = JSON.parse(text) as { components: { schemas: Record<string, OpenApiSchema> } };
    const schema = components.schemas["io.imcluster.v1alpha1.ImCluster"];
    assert.ok(schema?.description, "the kind itself");
    const { spec, status } = schema.properties ?? {};
    assert.ok(spec && status);
    assert.deepEqual([...undescribed(spec, "spec"), ...undescribed(status, "status")], []);
    const replicas = spec.properties?.entry?.properties?.replicas?.description ?? "";
    assert.match(replicas, /1 to 200.*Default 3.*drains/s, "range, default, effect");
  });
});

describe("kubectl scale imc", () => {
  it("changes the entries through the scale subresource, whose status names count and selector", async () => {
    const scaled = await server.client.patchMerge(
      IM_CLUSTER,
      bench.namespace,
      "demo",
      { spec: { replicas: 4 } },
      { subresource: "scale" },
    );
    assert.equal((scaled as unknown as { spec: { replicas: number } }).spec.replicas, 4);
    const cluster = await bench.untilSettled();
    assert.equal(cluster.spec.entry.replicas, 4);
    assert.equal(cluster.status?.entry?.summary, "4/4");
    const path = `/apis/imcluster.io/v1alpha1/namespaces/${bench.namespace}/imclusters/demo/scale`;
    const scale = JSON.parse(await server.client.raw(path)) as { status: { replicas: number; selector: string } };
    assert.deepEqual(scale.status, {
      replicas: 4,
      selector: "imcluster.io/cluster=demo,app.kubernetes.io/component=entry,imcluster.io/lifecycle notin (leaving)",
    });
    const { items } = await server.client.list(
      { apiVersion: "v1", kind: "Pod", plural: "pods", namespaced: true },
      bench.namespace,
      { labelSelector: scale.status.selector },
    );
    assert.equal(items.length, 4, "the selector selects them");
  });

  it("is refused out of range", async () => {
    const tooMany = server.client.patchMerge(
      IM_CLUSTER,
      bench.namespace,
      "demo",
      { spec: { replicas: 999 } },
      { subresource: "scale" },
    );
    await assert.rejects(tooMany, /spec\.entry\.replicas must be between 1 and 200/);
  });
});
