// SPDX-License-Identifier: Apache-2.0
import { randomBytes } from "node:crypto";
import { existsSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { run } from "./command.ts";
import { makeFolder } from "./folder.ts";
import { API_SERVER, API_SERVICE_ADDRESS, CLUSTER_DOMAIN, HOST_ADDRESS, NODES } from "./layout.ts";
import { clusterRoot, kubeconfigPath } from "./paths.ts";
import type { RunContext } from "./progress.ts";

const VALID_DAYS = "3650";

/** Folder of keys and certificates (mode 0700). */
export const pkiFolder = (): string => join(clusterRoot(), "pki");
/** E.g. `pkiFile("ca.crt")`. */
export const pkiFile = (name: string): string => join(pkiFolder(), name);

interface CertificateSpec {
  name: string;
  subject: string;
  /** Subject alternative names in OpenSSL's notation. */
  names: readonly string[];
}

function certificateSpecs(): CertificateSpec[] {
  const service = [
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
    `kubernetes.default.svc.${CLUSTER_DOMAIN}`,
    "localhost",
  ];
  const addresses = ["127.0.0.1", API_SERVICE_ADDRESS, HOST_ADDRESS];
  const client = (name: string, subject: string): CertificateSpec => ({ name, subject, names: [`DNS:${name}`] });
  return [
    {
      name: "apiserver",
      subject: "/CN=kube-apiserver",
      names: [...service.map((name) => `DNS:${name}`), ...addresses.map((address) => `IP:${address}`)],
    },
    client("admin", "/O=system:masters/CN=imcluster-admin"),
    client("kubelet-client", "/O=system:masters/CN=kube-apiserver-kubelet-client"),
    client("controller-manager", "/CN=system:kube-controller-manager"),
    client("scheduler", "/CN=system:kube-scheduler"),
    client("proxy", "/CN=system:kube-proxy"),
    client("front-proxy", "/CN=front-proxy-client"),
    ...NODES().map((node) => ({
      name: node.name,
      subject: `/O=system:nodes/CN=system:node:${node.name}`,
      names: [`DNS:${node.name}`, `IP:${node.address}`],
    })),
  ];
}

/** Certificates that get a kubeconfig of their own. */
const KUBECONFIG_USERS = ["admin", "controller-manager", "scheduler", "proxy", "node1", "node2"];
const NEW_KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];

function kubeconfig(user: string): string {
  return `${JSON.stringify(
    {
      apiVersion: "v1",
      kind: "Config",
      clusters: [{ name: "imcluster", cluster: { server: API_SERVER, "certificate-authority": pkiFile("ca.crt") } }],
      users: [
        { name: user, user: { "client-certificate": pkiFile(`${user}.crt`), "client-key": pkiFile(`${user}.key`) } },
      ],
      contexts: [{ name: "imcluster", context: { cluster: "imcluster", user } }],
      "current-context": "imcluster",
    },
    null,
    2,
  )}\n`;
}

async function makeAuthority(folder: string, signal: AbortSignal | undefined): Promise<void> {
  const out = ["-keyout", join(folder, "ca.key"), "-out", join(folder, "ca.crt")];
  const extensions = ["-addext", "keyUsage=critical,keyCertSign,cRLSign,digitalSignature"];
  await run(
    "openssl",
    ["req", "-x509", ...NEW_KEY, "-subj", "/CN=imcluster-ca", "-days", VALID_DAYS, ...extensions, ...out],
    { signal },
  );
}

async function makeCertificate(folder: string, spec: CertificateSpec, signal: AbortSignal | undefined): Promise<void> {
  const file = (extension: string): string => join(folder, `${spec.name}.${extension}`);
  await run(
    "openssl",
    ["req", "-new", ...NEW_KEY, "-subj", spec.subject, "-keyout", file("key"), "-out", file("csr")],
    { signal },
  );
  const usage = "extendedKeyUsage=serverAuth,clientAuth\nkeyUsage=critical,digitalSignature\nbasicConstraints=CA:FALSE";
  writeFileSync(file("ext"), `subjectAltName=${spec.names.join(",")}\n${usage}\n`);
  const authority = [
    "-CA",
    join(folder, "ca.crt"),
    "-CAkey",
    join(folder, "ca.key"),
    "-set_serial",
    `0x${randomBytes(15).toString("hex")}`,
  ];
  await run(
    "openssl",
    [
      "x509",
      "-req",
      "-in",
      file("csr"),
      ...authority,
      "-days",
      VALID_DAYS,
      "-extfile",
      file("ext"),
      "-out",
      file("crt"),
    ],
    {
      signal,
    },
  );
  rmSync(file("csr"));
  rmSync(file("ext"));
}

async function makeServiceAccountKey(folder: string, signal: AbortSignal | undefined): Promise<void> {
  await run("openssl", ["genrsa", "-out", join(folder, "sa.key"), "2048"], { signal });
  await run("openssl", ["rsa", "-in", join(folder, "sa.key"), "-pubout", "-out", join(folder, "sa.pub")], { signal });
}

/**
 * Makes the cluster's certificate authority, all certificates (ECDSA P-256, ten years) and kubeconfigs, once; a run
 * that was interrupted leaves nothing half-made.
 */
export async function ensurePki(context: RunContext): Promise<void> {
  if (!existsSync(pkiFolder())) {
    const draft = `${pkiFolder()}.draft`;
    rmSync(draft, { recursive: true, force: true });
    makeFolder(draft, 0o700);
    await makeAuthority(draft, context.signal);
    const certificates = certificateSpecs().map((spec) => makeCertificate(draft, spec, context.signal));
    await Promise.all([makeServiceAccountKey(draft, context.signal), ...certificates]);
    for (const user of KUBECONFIG_USERS)
      writeFileSync(join(draft, `${user}.kubeconfig`), kubeconfig(user), { mode: 0o600 });
    renameSync(draft, pkiFolder());
    context.progress.line("certificates made");
  }
  writeFileSync(kubeconfigPath(), kubeconfig("admin"), { mode: 0o600 });
}
