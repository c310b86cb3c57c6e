// SPDX-License-Identifier: Apache-2.0
import { execFile } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);

export interface ClientIdentity {
  user: string;
  groups?: readonly string[];
}

/** A throw-away certificate authority of one test API server, made with the `openssl` program. */
export class ApiServerPki {
  readonly #dir: string;
  #issued = 0;

  constructor(dir: string) {
    this.#dir = dir;
  }

  path(file: string): string {
    return join(this.#dir, file);
  }

  /** CA, serving certificate for loopback, and the key pair that signs service account tokens. */
  async create(): Promise<void> {
    await this.#ecKey("ca.key");
    await this.#openssl([
      "req",
      "-x509",
      "-new",
      "-key",
      "ca.key",
      "-subj",
      "/CN=imcluster-test-ca",
      "-days",
      "2",
      "-out",
      "ca.crt",
    ]);
    await this.#ecKey("service-account.key");
    await this.#openssl(["ec", "-in", "service-account.key", "-pubout", "-out", "service-account.pub"]);
    await this.#certificate("server", "/CN=kube-apiserver", "DNS:localhost,IP:127.0.0.1,IP:10.0.0.1", "serverAuth");
  }

  /** Writes a kubeconfig with a fresh client certificate and returns its path. */
  async kubeconfig(server: string, identity: ClientIdentity): Promise<string> {
    const name = `client-${this.#issued++}`;
    const subject = [...(identity.groups ?? []).map((group) => `/O=${group}`), `/CN=${identity.user}`].join("");
    await this.#certificate(name, subject, "DNS:client", "clientAuth");
    const config = {
      apiVersion: "v1",
      kind: "Config",
      "current-context": "test",
      clusters: [{ name: "test", cluster: { server, "certificate-authority": this.path("ca.crt") } }],
      users: [
        {
          name: identity.user,
          user: { "client-certificate": this.path(`${name}.crt`), "client-key": this.path(`${name}.key`) },
        },
      ],
      contexts: [{ name: "test", context: { cluster: "test", user: identity.user, namespace: "default" } }],
    };
    const path = this.path(`${name}.kubeconfig`);
    await writeFile(path, JSON.stringify(config, null, 2), { mode: 0o600 });
    return path;
  }

  async #certificate(name: string, subject: string, altNames: string, usage: string): Promise<void> {
    await this.#ecKey(`${name}.key`);
    await this.#openssl(["req", "-new", "-key", `${name}.key`, "-subj", subject, "-out", `${name}.csr`]);
    const extensions = `subjectAltName=${altNames}\nextendedKeyUsage=${usage}\nkeyUsage=digitalSignature\n`;
    await writeFile(this.path(`${name}.ext`), extensions);
    const signer = ["-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2"];
    await this.#openssl([
      "x509",
      "-req",
      "-in",
      `${name}.csr`,
      ...signer,
      "-extfile",
      `${name}.ext`,
      "-out",
      `${name}.crt`,
    ]);
  }

  async #ecKey(file: string): Promise<void> {
    await this.#openssl(["ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", file]);
  }

  async #openssl(args: string[]): Promise<void> {
    await run("openssl", args, { cwd: this.#dir, timeout: 30_000 });
  }
}
