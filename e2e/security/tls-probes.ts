// SPDX-License-Identifier: Apache-2.0
// TLS as a client that wants less than the entry allows: older versions, weaker ciphers, a second handshake.
import { once } from "node:events";
import type { ConnectionOptions } from "node:tls";
import { type Check, check } from "./checks.ts";
import { dialTls, faultsOf, type SecurityTarget } from "./target.ts";

export type TlsVersion = "TLSv1.2" | "TLSv1.3";

/** With @SECLEVEL=0 our own side would take anything. */
const ANYTHING = "ALL:COMPLEMENTOFALL:@SECLEVEL=0";

const WEAK: Readonly<Record<string, string>> = {
  "CBC with SHA-1": "ECDHE-ECDSA-AES128-SHA:ECDHE-RSA-AES128-SHA",
  "CBC with SHA-256": "ECDHE-ECDSA-AES128-SHA256:ECDHE-RSA-AES128-SHA256",
  "CBC with SHA-384": "ECDHE-ECDSA-AES256-SHA384:ECDHE-RSA-AES256-SHA384",
  "CBC with Camellia": "ECDHE-ECDSA-CAMELLIA128-SHA256:ECDHE-RSA-CAMELLIA128-SHA256",
  "RSA key exchange": "AES128-GCM-SHA256:AES256-GCM-SHA384:AES128-SHA:AES256-SHA",
  "finite field key exchange": "DHE-RSA-AES128-GCM-SHA256:DHE-RSA-AES128-SHA",
  "no authentication": "ADH-AES128-GCM-SHA256:AECDH-AES128-SHA",
  "no encryption": "ECDHE-ECDSA-NULL-SHA:ECDHE-RSA-NULL-SHA:NULL-SHA256",
  "pre-shared keys": "PSK-AES128-GCM-SHA256",
  "short tags": "ECDHE-ECDSA-AES128-CCM8",
};

/** The version that was agreed with these options; undefined: none. */
async function agreed(target: SecurityTarget, options: ConnectionOptions): Promise<string | undefined> {
  const socket = dialTls(target, options);
  try {
    await once(socket, "secureConnect");
    return `${socket.getProtocol()} ${socket.getCipher().name}`;
  } catch {
    return undefined;
  } finally {
    socket.destroy();
  }
}

async function renegotiated(target: SecurityTarget): Promise<string | undefined> {
  const socket = dialTls(target, { maxVersion: "TLSv1.2" });
  try {
    await once(socket, "secureConnect");
    await new Promise<void>((resolve, reject) => {
      socket.once("error", reject);
      socket.once("close", () => reject(new Error("closed")));
      socket.renegotiate({}, (error) => (error ? reject(error) : resolve()));
    });
    return "the client began a second handshake, and the entry took part";
  } catch {
    return undefined;
  } finally {
    socket.destroy();
  }
}

/** Looks at a port that should speak `minVersion` and newer. */
export async function tlsProbes(area: string, target: SecurityTarget, minVersion: TlsVersion): Promise<Check[]> {
  const old: [string, ConnectionOptions][] = (["TLSv1", "TLSv1.1"] as const).map((version) => [
    version,
    { minVersion: version, maxVersion: version, ciphers: ANYTHING },
  ]);
  if (minVersion === "TLSv1.3") old.push(["TLSv1.2", { maxVersion: "TLSv1.2" }]);
  const weak = Object.entries(WEAK).map(([name, list]): [string, ConnectionOptions] => [
    name,
    { maxVersion: "TLSv1.2", ciphers: `${list}:@SECLEVEL=0` },
  ]);
  const refuse = async (options: ConnectionOptions): Promise<string | undefined> => {
    const seen = await agreed(target, options);
    return seen === undefined ? undefined : `agreed on ${seen}`;
  };
  const newest = await agreed(target, {});
  const oldest = await agreed(target, { maxVersion: minVersion });
  return [
    check(
      `${area}: the newest version is preferred`,
      "medium",
      newest?.startsWith("TLSv1.3") ? undefined : `${newest}`,
    ),
    check(
      `${area}: ${minVersion} is spoken`,
      "medium",
      oldest?.startsWith(minVersion) ? undefined : `${oldest}`,
      oldest ?? "",
    ),
    check(`${area}: older versions are refused`, "high", await faultsOf(old, refuse), `${old.length} refused`),
    check(`${area}: weak ciphers are refused`, "medium", await faultsOf(weak, refuse), `${weak.length} refused`),
    check(`${area}: no renegotiation`, "medium", await renegotiated(target), "refused"),
  ];
}
