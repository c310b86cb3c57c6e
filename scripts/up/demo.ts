// SPDX-License-Identifier: Apache-2.0
// The ImCluster that `make up` shows: its manifest, its address, its certificate authority and sample tokens.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { importJWK, SignJWT } from "jose";
import { stringify } from "yaml";
import { makeFolder } from "../cluster/folder.ts";
import type { KubeTools } from "./kube-tools.ts";

export const DEMO_NAMESPACE = "imcluster-demo";
export const DEMO_NAME = "demo";
/** Of what `make up` lays beside the ImCluster, and `make down` removes: it is not the operator's. */
export const DEMO_LABELS = { "app.kubernetes.io/managed-by": "make-up" } as const;
const serverNameOf = (name: string): string => `${name}.imcluster.local`;
/** The name in the certificate; clients that dial the address check this one. */
export const DEMO_SERVER_NAME = serverNameOf(DEMO_NAME);
const TOKEN_TTL = "7d";

/** An ImCluster by its name. */
export interface Place {
  readonly name: string;
  readonly namespace: string;
}

const DEMO: Place = { name: DEMO_NAME, namespace: DEMO_NAMESPACE };

/** What a client needs to talk to the demo. */
export interface DemoAccess {
  /** Address of the LoadBalancer, port 443. */
  address: string;
  serverName: string;
  caPem: string;
  /** Mints a token for a user, signed with the demo's own key: a real application's backend does this. @param tenant default: the default one */
  mintToken(userId: string, tenant?: string): Promise<string>;
}

/** Options of {@link demoManifest}. */
export interface DemoOptions {
  /** Of the entries; default 3. */
  replicas?: number;
  webhook?: object;
  /** What the shop has: the server API, cards, rules. */
  shop?: { readonly logic: object; readonly chat: object };
}

/** The demo's manifest. Pure. */
export function demoManifest(options: DemoOptions = {}): string {
  const { replicas = 3, webhook, shop } = options;
  const spec = {
    entry: { replicas, demo: true },
    logic: { replicas: 2, ...shop?.logic },
    extlogic: { replicas: 1, ...(webhook ? { webhook } : {}) },
    presence: { visibleTo: "peers" },
    ...(shop ? { chat: shop.chat } : {}),
  };
  const metadata = { name: DEMO_NAME, namespace: DEMO_NAMESPACE };
  return stringify({ apiVersion: "imcluster.io/v1alpha1", kind: "ImCluster", metadata, spec });
}

interface Secret {
  data?: Record<string, string>;
}

async function secretValue(tools: KubeTools, namespace: string, name: string, key: string): Promise<string> {
  const secret = await tools.getJson<Secret>(["secret", name, "-n", namespace]);
  const encoded = secret.data?.[key];
  if (encoded === undefined) throw new Error(`Secret ${name} has no key ${key}`);
  return Buffer.from(encoded, "base64").toString("utf8");
}

interface Service {
  status?: { loadBalancer?: { ingress?: { ip?: string; hostname?: string }[] } };
}

/** Address of the entry Service, or undefined while the cluster has not assigned one. */
export async function loadBalancerAddress(tools: KubeTools, place = DEMO): Promise<string | undefined> {
  const service = await tools.getJson<Service>(["service", `${place.name}-entry`, "-n", place.namespace]);
  const ingress = service.status?.loadBalancer?.ingress?.[0];
  return ingress?.ip ?? ingress?.hostname;
}

/** Reads address, CA and signing key from the running demo, or from another ImCluster with a key set that the operator made. */
export async function demoAccess(tools: KubeTools, place = DEMO): Promise<DemoAccess> {
  const { name, namespace } = place;
  const address = await loadBalancerAddress(tools, place);
  if (address === undefined) {
    throw new Error(
      `Service ${name}-entry has no address: this cluster gives Services of type LoadBalancer none. ` +
        "Install a load balancer (MetalLB, cloud controller), or set spec.entry.service.type to NodePort.",
    );
  }
  const [caPem, privateJwk] = await Promise.all([
    secretValue(tools, namespace, `${name}-tls`, "ca.crt"),
    secretValue(tools, namespace, `${name}-auth`, "private.jwk.json"),
  ]);
  const jwk = JSON.parse(privateJwk) as { kid?: string; alg?: string };
  const key = await importJWK(jwk, "EdDSA");
  const mintToken = (userId: string, tenant = ""): Promise<string> =>
    new SignJWT(tenant === "" ? {} : { tenant })
      .setProtectedHeader({ alg: "EdDSA", ...(jwk.kid ? { kid: jwk.kid } : {}) })
      .setSubject(userId)
      .setIssuer("imcluster")
      .setAudience(name)
      .setIssuedAt()
      .setExpirationTime(TOKEN_TTL)
      .sign(key);
  return { address, serverName: serverNameOf(name), caPem, mintToken };
}

/** Name of the file with a user's token. */
export const tokenFileOf = (user: string, tenant = ""): string =>
  tenant === "" ? `${user}.token` : `${tenant}.${user}.token`;

/** Files for people and scripts: ca.crt and a token per sample user. Readable by the owner only. */
export async function writeDemoFiles(
  access: DemoAccess,
  folder: string,
  users: readonly string[],
  tenant = "",
): Promise<Record<string, string>> {
  makeFolder(folder, 0o700);
  writeFileSync(join(folder, "ca.crt"), access.caPem);
  const tokens: Record<string, string> = {};
  for (const user of users) {
    tokens[user] = await access.mintToken(user, tenant);
    writeFileSync(join(folder, tokenFileOf(user, tenant)), tokens[user], { mode: 0o600 });
  }
  return tokens;
}
