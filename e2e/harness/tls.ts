// SPDX-License-Identifier: Apache-2.0
import { execFile } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";

const exec = promisify(execFile);

/** Where a certificate lies, in the layout of `IM_TLS_DIR` and `IM_INTERNAL_TLS_DIR`: tls.crt, tls.key, ca.crt. */
export interface TlsFolder {
  dir: string;
  /** PEM of the authority, for clients. */
  ca: string;
}

/** Options of {@link createTlsFolder}. */
export interface CertificateOptions {
  dnsNames: readonly string[];
  ips?: readonly string[];
  /** Default 2 days. */
  days?: number;
}

/** A self-signed authority in a folder: ca.crt, ca.key. Needs the `openssl` command. */
export interface TestAuthority {
  dir: string;
  ca: string;
  /** Writes a P-256 server and client certificate of this authority into `dir`. */
  issue(dir: string, options: CertificateOptions): Promise<TlsFolder>;
}

const OPENSSL_TIMEOUT_MS = 20_000;

async function openssl(args: readonly string[]): Promise<void> {
  await exec("openssl", [...args], { timeout: OPENSSL_TIMEOUT_MS });
}

const NEW_P256_KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];

/** Makes an authority whose files live in `dir`. */
export async function createTestAuthority(dir: string, days = 30): Promise<TestAuthority> {
  mkdirSync(dir, { recursive: true });
  const [caKey, caCert] = [join(dir, "ca.key"), join(dir, "ca.crt")];
  const usage = ["-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign,cRLSign"];
  const subject = ["-subj", "/CN=ImCluster test authority"];
  const days_ = ["-days", String(days)];
  await openssl(["req", "-x509", ...NEW_P256_KEY, "-keyout", caKey, "-out", caCert, ...days_, ...subject, ...usage]);
  return authorityAt(dir);
}

/** The authority that {@link createTestAuthority} left in `dir`. */
export function authorityAt(dir: string): TestAuthority {
  const ca = readFileSync(join(dir, "ca.crt"), "utf8");
  return {
    dir,
    ca,
    async issue(target, options) {
      mkdirSync(target, { recursive: true });
      const [key, request, cert, extensions] = ["tls.key", "tls.csr", "tls.crt", "tls.ext"].map((f) => join(target, f));
      const names = [...options.dnsNames.map((n) => `DNS:${n}`), ...(options.ips ?? []).map((ip) => `IP:${ip}`)];
      const lines = [
        `subjectAltName=${names.join(",")}`,
        "extendedKeyUsage=serverAuth,clientAuth",
        "keyUsage=digitalSignature",
      ];
      writeFileSync(extensions ?? "", lines.join("\n"));
      const subject = ["-subj", `/CN=${options.dnsNames[0] ?? "imcluster"}`];
      await openssl(["req", "-new", ...NEW_P256_KEY, "-keyout", key ?? "", "-out", request ?? "", ...subject]);
      const signer = ["-CA", join(dir, "ca.crt"), "-CAkey", join(dir, "ca.key"), "-CAcreateserial"];
      const validity = ["-days", String(options.days ?? 2), "-extfile", extensions ?? ""];
      await openssl(["x509", "-req", "-in", request ?? "", "-out", cert ?? "", ...signer, ...validity]);
      writeFileSync(join(target, "ca.crt"), ca);
      return { dir: target, ca };
    },
  };
}

/** A folder for `IM_INTERNAL_TLS_DIR` per role, all of one authority: mutual TLS between the processes. */
export async function issueRoleFolders<R extends string>(
  authority: TestAuthority,
  dir: string,
  roles: readonly R[],
): Promise<Record<R, string>> {
  const folders = {} as Record<R, string>;
  for (const role of roles) {
    const issued = await authority.issue(join(dir, role), { dnsNames: [`${role}.imcluster.internal`] });
    folders[role] = issued.dir;
  }
  return folders;
}
