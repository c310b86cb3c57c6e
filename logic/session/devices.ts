// SPDX-License-Identifier: Apache-2.0
import { ErrorCode, ImError } from "#lib/errors.ts";
import { Command } from "#proto/commands.ts";
import { AppState, Device } from "#proto/gen/messages.ts";
import type { Gate } from "../gate.ts";
import type { AppState as AppStateName, DeviceProfile } from "../store/identity.ts";
import type { Store } from "../store/store.ts";
import type { ActivityBuffer } from "./activity.ts";
import { type Session, sendError, sendReply } from "./session.ts";

const MAX_TOKEN_BYTES = 4096;
const MAX_PREFS_BYTES = 4096;
const MAX_VERSION_CHARS = 128;
const PROVIDER = /^[a-z0-9-]{1,32}$/;
const LOCALE = /^[A-Za-z0-9]{1,8}([-_][A-Za-z0-9]{1,8})*$/;
const MAX_LOCALE_CHARS = 35;
const RETRY_MS = 1000;

/** Wire value to name. */
const APP_STATES: ReadonlyMap<number, AppStateName> = new Map([
  [1, "foreground"],
  [2, "background"],
]);

/** What {@link DeviceHandler} needs. */
export interface DevicePorts {
  store: Pick<Store, "setDevice">;
  activity: Pick<ActivityBuffer, "note">;
  gate: Gate;
  onFault: (op: string, error: unknown) => void;
}

/** DEVICE and APP_STATE: what a device tells about itself. */
export class DeviceHandler {
  readonly #ports: DevicePorts;

  constructor(ports: DevicePorts) {
    this.#ports = ports;
  }

  /** APP_STATE: no answer but to a bad one. */
  appState(session: Session, rid: number, body: Uint8Array): void {
    const state = decode(AppState, body)?.state;
    const name = APP_STATES.get(state ?? 0);
    if (name) this.#ports.activity.note(session, name);
    else refuse(session, rid, "state must be 1 (foreground) or 2 (background)");
  }

  /** DEVICE: answered when it is stored. */
  device(session: Session, rid: number, body: Uint8Array): void {
    const profile = decode(Device, body);
    const problem = profile ? problemOf(profile) : "the body is not a Device message: encode it as in client.proto";
    if (!profile || problem !== undefined) {
      refuse(session, rid, problem ?? "");
      return;
    }
    this.#ports.gate.enter(
      () => this.#store(session, rid, profile),
      () => sendError(session, rid, { ...LATER, code: ErrorCode.BUSY }),
    );
  }

  async #store(session: Session, rid: number, device: Device): Promise<void> {
    const { userId, deviceId } = session;
    const { pushProvider, pushToken, locale, appVersion, prefs } = device;
    const profile: DeviceProfile = { userId, deviceId, pushProvider, pushToken, locale, appVersion, prefs };
    try {
      if (await this.#ports.store.setDevice(profile)) sendReply(session, rid, Command.DEVICE, NOTHING);
      else refuse(session, rid, "this device is not known: log in again", ErrorCode.NOT_FOUND);
    } catch (error) {
      this.#ports.onFault("device", error);
      const isRetryable = error instanceof ImError && error.retryable;
      sendError(session, rid, isRetryable ? LATER : { code: ErrorCode.INTERNAL, reason: "the device was not stored" });
    }
  }
}

const NOTHING = new Uint8Array(0);
const LATER = {
  code: ErrorCode.RETRYABLE,
  reason: "devices cannot be stored right now: try again after the delay",
  retryable: true,
  retryAfterMs: RETRY_MS,
} as const;

function refuse(session: Session, rid: number, reason: string, code: ErrorCode = ErrorCode.BAD_REQUEST): void {
  sendError(session, rid, { code, reason });
}

function decode<T>(codec: { decode(bytes: Uint8Array): T }, body: Uint8Array): T | undefined {
  try {
    return codec.decode(body);
  } catch {
    // The decoder's own message means nothing to the author of a client.
    return undefined;
  }
}

function problemOf({ pushProvider, pushToken, locale, appVersion, prefs }: Device): string | undefined {
  if ((pushProvider === "") !== (pushToken === "")) return "give both push_provider and push_token, or neither";
  if (pushProvider !== "" && !PROVIDER.test(pushProvider)) return "push_provider must be 1-32 of a-z, 0-9 and -";
  if (Buffer.byteLength(pushToken) > MAX_TOKEN_BYTES) return `push_token is over ${MAX_TOKEN_BYTES} bytes`;
  if (locale.length > MAX_LOCALE_CHARS || (locale !== "" && !LOCALE.test(locale)))
    return "locale must be a language tag such as zh-CN, at most 35 characters";
  if (appVersion.length > MAX_VERSION_CHARS) return `app_version is over ${MAX_VERSION_CHARS} characters`;
  if ([pushToken, appVersion, prefs].some((value) => value.includes("\0"))) return "NUL is no character of any field";
  return prefs === "" ? undefined : prefsProblem(prefs);
}

function prefsProblem(prefs: string): string | undefined {
  if (Buffer.byteLength(prefs) > MAX_PREFS_BYTES) return `prefs is over ${MAX_PREFS_BYTES} bytes`;
  try {
    const parsed: unknown = JSON.parse(prefs);
    if (parsed !== null && typeof parsed === "object" && !Array.isArray(parsed)) return undefined;
  } catch {
    // Said below, in words for the author of a client.
  }
  return "prefs must be a JSON object, or empty";
}
