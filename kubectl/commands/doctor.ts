// SPDX-License-Identifier: Apache-2.0
import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { importJWK, type JWK, SignJWT } from "jose";
import type { ImCluster } from "../../operator/api/v1alpha1.ts";
import { namesOf } from "../../operator/imcluster/names.ts";
import { SERVICES } from "../../operator/kube/types.ts";
import type { Access } from "../access.ts";
import { type DialPorts, dialTls, type Target } from "../doctor/dial.ts";
import {
  bad,
  certificateFindings,
  conditionFindings,
  dialFindings,
  type Finding,
  findingsText,
  loginFinding,
  warning,
  withheldFinding,
} from "../doctor/findings.ts";
import { endpointsFinding, redirectFinding } from "../doctor/http-checks.ts";
import { CARRIERS, tryLogin } from "../doctor/login.ts";
import { CliFault, EXIT, type ExitCode, usageFault } from "../fault.ts";
import type { CommandContext } from "../run.ts";
import { examineCanary } from "./canary.ts";

const TLS_PORT = 443;
const HTTP_PORT = 80;
const USER = "im-doctor";
const TOKEN_TTL = "2m";

/** What is checked, and with what. */
interface Patient {
  title: string;
  target: Target;
  /** Undefined: not asked for, where nobody knows which port it is. */
  httpPort: number | undefined;
  /** Undefined: a made-up one shows that the way to logic is open. */
  token: string | undefined;
  /** The token may go to anybody. */
  isInsecure: boolean;
  findings: Finding[];
}

/** `doctor [NAME]` */
export async function doctor(context: CommandContext): Promise<ExitCode> {
  const { clock, timeoutMs, signal, flags, paint } = context;
  const server = flags.text("server");
  const patient = server === undefined ? await fromCluster(context) : fromFlags(context, server);
  const ports: DialPorts = { clock, timeoutMs, signal };
  const findings = [...patient.findings, ...(await examine(patient, ports))];
  const isInOrder = findings.every(({ verdict }) => verdict !== "bad");
  if (flags.isSet("cordon-canary") && isInOrder)
    findings.push(...(await examineCanary(context, forToken(patient), patient.token, ports)));
  const data = { server: `${patient.target.host}:${patient.target.port}`, findings };
  context.show(data, () => findingsText(patient.title, findings, paint));
  return findings.some(({ verdict }) => verdict === "bad") ? EXIT.unhealthy : EXIT.ok;
}

async function examine(patient: Patient, ports: DialPorts): Promise<Finding[]> {
  const { target, httpPort, token, isInsecure } = patient;
  if (target.host === "") return [];
  const seen = await dialTls(target, ports);
  const findings = dialFindings(target, seen);
  if (seen.kind === "ok") {
    findings.push(...certificateFindings(seen, target, ports.clock.wallMs()));
    const isWithheld = token !== undefined && seen.distrust !== "" && !isInsecure;
    if (isWithheld) findings.push(withheldFinding(target));
    const isProbe = token === undefined || isWithheld;
    // What was seen is of another connection: the ones that carry a token are verified, each of them.
    const peer = isProbe ? target : forToken(patient);
    for (const carrier of CARRIERS) {
      const outcome = await tryLogin(carrier, peer, isProbe ? `im-doctor.${randomUUID()}.probe` : token, ports);
      findings.push(loginFinding(carrier, outcome, isProbe));
    }
    findings.push(await endpointsFinding(target, ports));
  }
  if (httpPort !== undefined) findings.push(await redirectFinding(target, httpPort, ports));
  return findings;
}

/** The way of a token: only to somebody whose certificate is in order, unless whoever asks wants it otherwise. */
function forToken({ target, isInsecure }: Patient): Target {
  return { ...target, mustTrust: !isInsecure };
}

const HOST_PORT = /^(?:\[([0-9a-fA-F:.]+)\]|([^:[\]]+))(?::(\d{1,5}))?$/;

/** @throws CliFault (usage) when it is no HOST[:PORT] */
export function parseServer(text: string): { host: string; port: number } {
  const [, six, name, port] = HOST_PORT.exec(text) ?? [];
  const host = six ?? name;
  const number = port === undefined ? TLS_PORT : Number(port);
  if (host === undefined || number < 1 || number > 65_535)
    throw usageFault(
      `--server takes HOST or HOST:PORT (an IPv6 address in brackets), not ${JSON.stringify(text)}`,
      "doctor",
    );
  return { host, port: number };
}

function fromFlags({ flags }: CommandContext, server: string): Patient {
  const { host, port } = parseServer(server);
  const ca = fileOf(flags.text("ca"));
  const target = { host, port, serverName: flags.text("server-name") ?? host, ca };
  const httpPort = port === TLS_PORT ? HTTP_PORT : undefined;
  return {
    title: `Fleet at ${server}`,
    target,
    httpPort,
    token: fileOf(flags.text("token-file"))?.trim(),
    isInsecure: flags.isSet("insecure"),
    findings: [],
  };
}

async function fromCluster(context: CommandContext): Promise<Patient> {
  const { words, flags } = context;
  const access = context.access();
  const cluster = await access.cluster(words[0]);
  const { name, namespace } = cluster.metadata;
  const { host, findings } = await addressOf(access, cluster);
  const ca = fileOf(flags.text("ca")) ?? (await generatedAuthority(access, cluster));
  const signed = fileOf(flags.text("token-file"))?.trim() ?? (await signedToken(access, cluster));
  return {
    title: `ImCluster ${namespace}/${name} at ${host || "no address"}`,
    target: { host, port: TLS_PORT, serverName: flags.text("server-name") ?? host, ca },
    httpPort: HTTP_PORT,
    token: signed,
    isInsecure: flags.isSet("insecure"),
    findings: [...conditionFindings(cluster), ...findings],
  };
}

/** The Service's own address, not what the status says of it. */
async function addressOf(
  access: Access,
  { metadata, status }: ImCluster,
): Promise<{ host: string; findings: Finding[] }> {
  const service = await access.client.get(SERVICES, access.namespace, namesOf(metadata.name).entry, access.call);
  const ingress = service?.status?.loadBalancer?.ingress ?? [];
  const host =
    ingress.map(({ ip, hostname }) => ip ?? hostname).find((one) => one !== undefined) ?? status?.address ?? "";
  if (host !== "") return { host, findings: [] };
  const type = service?.spec.type ?? "missing";
  if (type === "LoadBalancer" || type === "missing") {
    const text = service ? "the Service has no address" : `there is no Service ${namesOf(metadata.name).entry}`;
    return {
      host,
      findings: [bad("address", text, "Install a load balancer in the cluster, or give an address by --server.")],
    };
  }
  const remedy = "Give an address that leads to the entries by --server.";
  return { host, findings: [warning("address", `the Service is of type ${type}: it has none of its own`, remedy)] };
}

/** PEM of the authority that the operator made; undefined when the certificate is somebody else's, or may not be read. */
async function generatedAuthority(access: Access, { metadata, spec }: ImCluster): Promise<string | undefined> {
  if (spec.tls.secretName) return undefined;
  return await secretText(access, namesOf(metadata.name).tls, "ca.crt");
}

/** A token by the generated key; undefined when there is none, or it may not be read. */
async function signedToken(access: Access, { metadata, spec }: ImCluster): Promise<string | undefined> {
  const { issuer, audience = metadata.name, jwksSecretRef, sharedSecretRef } = spec.auth;
  if (jwksSecretRef || sharedSecretRef) return undefined;
  const text = await secretText(access, namesOf(metadata.name).auth, "private.jwk.json");
  if (text === undefined) return undefined;
  const jwk = JSON.parse(text) as JWK;
  const alg = jwk.alg ?? "EdDSA";
  const token = new SignJWT({}).setProtectedHeader({ alg, ...(jwk.kid ? { kid: jwk.kid } : {}) });
  return await token
    .setSubject(USER)
    .setIssuer(issuer)
    .setAudience(audience)
    .setIssuedAt()
    .setExpirationTime(TOKEN_TTL)
    .sign(await importJWK(jwk, alg));
}

async function secretText(access: Access, name: string, key: string): Promise<string | undefined> {
  const secret = await access.secret(name);
  const value = typeof secret === "object" ? secret.data?.[key] : undefined;
  return value === undefined ? undefined : Buffer.from(value, "base64").toString("utf8");
}

/** @throws CliFault when it cannot be read */
function fileOf(path: string | undefined): string | undefined {
  if (path === undefined) return undefined;
  try {
    return readFileSync(path, "utf8");
  } catch (cause) {
    throw new CliFault(`${path} cannot be read: ${(cause as Error).message}`, "Name a file that is there.", { cause });
  }
}
