// SPDX-License-Identifier: Apache-2.0

import type { Clock } from "#lib/clock.ts";
import { toImError } from "#lib/errors.ts";
import type { Logger } from "#lib/logger.ts";
import type { KubeClient } from "../kube/client.ts";
import { SECRETS, type Secret, VALIDATING_WEBHOOK_CONFIGURATIONS } from "../kube/types.ts";
import { createCa, isIssuedBy, issueLeaf, type KeyPair, readCertificate } from "../pki/x509.ts";

const CA_DAYS = 3650;
const LEAF_DAYS = 365;
const DAY_MS = 86_400_000;
/** Renewed when it is valid for less than this. */
const RENEW_MS = 90 * DAY_MS;
/** How often what others may have changed is looked at. */
const LOOK_MS = 300_000;
const RETRY_MS = 5_000;

export interface WebhookCertificateOptions {
  client: KubeClient;
  /** Of the operator: where the Secret is, and the Service. */
  namespace: string;
  /** Of the Secret, the Service and the ValidatingWebhookConfiguration alike. */
  name: string;
  /** By which the API server calls it. Default: the Service. */
  altNames?: readonly string[];
  clock: Clock;
  log: Logger;
  /** At first, and when it has changed. */
  onPair(pair: KeyPair): Promise<unknown>;
}

/**
 * The certificate of the webhooks, signed by a CA of its own, in one Secret that the replicas share. Each of them keeps the API server
 * told whom to trust, so that a chart that was applied again does no harm for long.
 */
export class WebhookCertificate {
  readonly #options: WebhookCertificateOptions;
  #cancel = (): void => undefined;
  #inUse = "";
  #isClosed = false;

  constructor(options: WebhookCertificateOptions) {
    this.#options = options;
  }

  /** Never rejects: without a certificate nothing is refused and nobody warned, and it is tried again. */
  async start(): Promise<void> {
    const { clock, log } = this.#options;
    let againMs = LOOK_MS;
    try {
      if (!(await this.ensure())) againMs = RETRY_MS;
    } catch (thrown) {
      againMs = RETRY_MS;
      log.warn({ err: toImError(thrown) }, "certificate of the webhooks");
    }
    if (!this.#isClosed) this.#cancel = clock.after(againMs, () => void this.start());
  }

  close(): void {
    this.#isClosed = true;
    this.#cancel();
  }

  /**
   * One look: makes or renews the Secret, serves with it, tells the API server.
   * @returns false when somebody else wrote in between, or the webhooks are not there: look again soon
   * @throws KubeError when the API server does not answer, or refuses
   */
  async ensure(): Promise<boolean> {
    const { client, namespace, name } = this.#options;
    const secret = await client.get(SECRETS, namespace, name);
    const known = secret && this.#read(secret);
    const wanted = known ?? (await this.#write(secret));
    if (!wanted) return false;
    if (wanted.pair.cert !== this.#inUse) {
      await this.#options.onPair(wanted.pair);
      this.#inUse = wanted.pair.cert;
    }
    return this.#tell(Buffer.from(wanted.ca.cert).toString("base64"));
  }

  get #altNames(): readonly string[] {
    const { name, namespace, altNames } = this.#options;
    return altNames ?? [`${name}.${namespace}.svc`];
  }

  /** What the Secret holds, while it is good. */
  #read({ data }: Secret): { ca: KeyPair; pair: KeyPair } | undefined {
    const part = (key: string) => Buffer.from(data?.[key] ?? "", "base64").toString("utf8");
    const ca = { cert: part("ca.crt"), key: part("ca.key") };
    const pair = { cert: part("tls.crt"), key: part("tls.key") };
    const facts = readCertificate(pair.cert);
    if (!facts || pair.key === "" || !this.#isGood(ca) || !isIssuedBy(pair.cert, ca.cert)) return undefined;
    const hasNames = this.#altNames.every((name) => facts.altNames.includes(name));
    return hasNames && this.#isLasting(facts.notAfterMs) ? { ca, pair } : undefined;
  }

  #isGood(ca: KeyPair): boolean {
    return ca.key !== "" && this.#isLasting(readCertificate(ca.cert)?.notAfterMs ?? 0);
  }

  #isLasting(notAfterMs: number): boolean {
    return notAfterMs - this.#options.clock.wallMs() > RENEW_MS;
  }

  /** Makes it, or renews what has to be: the CA stays while it is good. `undefined`: another replica was faster. */
  async #write(old: Secret | undefined): Promise<{ ca: KeyPair; pair: KeyPair } | undefined> {
    const { client, namespace, name, clock, log } = this.#options;
    const nowMs = clock.wallMs();
    const part = (key: string) => Buffer.from(old?.data?.[key] ?? "", "base64").toString("utf8");
    const kept = { cert: part("ca.crt"), key: part("ca.key") };
    const ca = this.#isGood(kept) ? kept : createCa({ commonName: `${name} CA`, nowMs, validDays: CA_DAYS });
    const altNames = this.#altNames;
    const [commonName = name] = altNames;
    const pair = issueLeaf(ca, { commonName, altNames, usage: ["server"], nowMs, validDays: LEAF_DAYS });
    const texts = { "ca.crt": ca.cert, "ca.key": ca.key, "tls.crt": pair.cert, "tls.key": pair.key };
    const data = Object.fromEntries(
      Object.entries(texts).map(([key, text]) => [key, Buffer.from(text).toString("base64")]),
    );
    if (!old) {
      const labels = { "app.kubernetes.io/managed-by": "im-operator" };
      const metadata = { name, namespace, labels };
      const made = await client.create(SECRETS, { apiVersion: "v1", kind: "Secret", metadata, data });
      if (made === "exists") return undefined;
    } else {
      const { uid, resourceVersion } = old.metadata;
      if (!(await client.patchMerge(SECRETS, namespace, name, { metadata: { uid, resourceVersion }, data })))
        return undefined;
    }
    log.info({ secret: name }, "new certificate for the webhooks");
    return { ca, pair };
  }

  async #tell(caBundle: string): Promise<boolean> {
    const { client, name } = this.#options;
    const config = await client.get(VALIDATING_WEBHOOK_CONFIGURATIONS, undefined, name);
    if (!config?.webhooks) return false;
    if (config.webhooks.every(({ clientConfig }) => clientConfig.caBundle === caBundle)) return true;
    const { uid, resourceVersion } = config.metadata;
    const webhooks = config.webhooks.map((one) => ({ ...one, clientConfig: { ...one.clientConfig, caBundle } }));
    const patch = { metadata: { uid, resourceVersion }, webhooks };
    return (await client.patchMerge(VALIDATING_WEBHOOK_CONFIGURATIONS, undefined, name, patch)) !== undefined;
  }
}
