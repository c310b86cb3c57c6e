// SPDX-License-Identifier: Apache-2.0
import type { ContactKind } from "../store/push-store.ts";
import type { ProviderChannel } from "./channel.ts";
import type { PushChannelName } from "./policy.ts";
import type { Recipient } from "./recipients.ts";

/** Providers for devices, by the name that devices register with. */
export const DEVICE_PROVIDERS = ["apns", "fcm", "web-push"] as const;

/** The providers that are configured, by their name. */
export type ChannelSet = ReadonlyMap<string, ProviderChannel>;

/** One way to a user. */
export interface Address {
  readonly provider: ProviderChannel;
  /** "" for what is no device. */
  readonly deviceId: string;
  readonly kind: "device" | ContactKind;
  readonly address: string;
}

/** Where a step of the policy leads for this user; `deviceId` "" = everywhere. */
export function addressesOf(
  channels: ChannelSet,
  channel: PushChannelName,
  recipient: Recipient,
  deviceId: string,
): Address[] {
  switch (channel) {
    case "app":
      return deviceAddresses(channels, DEVICE_PROVIDERS, recipient, deviceId);
    case "wechat": {
      // A mini program tells its open id itself; else the business does.
      const ofDevices = deviceAddresses(channels, ["wechat"], recipient, deviceId).slice(0, 1);
      return ofDevices.length > 0 ? ofDevices : contactAddress(channels, "wechat", "wechat", recipient.contact.wechat);
    }
    case "sms":
      return contactAddress(channels, "sms", "phone", recipient.contact.phone);
    case "webhook": {
      const provider = channels.get("webhook") ?? channels.get("log");
      return provider ? [{ provider, deviceId: "", kind: "device", address: "" }] : [];
    }
  }
}

function deviceAddresses(
  channels: ChannelSet,
  names: readonly string[],
  { devices }: Recipient,
  deviceId: string,
): Address[] {
  return devices.flatMap((device) => {
    const provider = names.includes(device.pushProvider) ? channels.get(device.pushProvider) : undefined;
    const isWanted = deviceId === "" || deviceId === device.deviceId;
    if (!provider || !isWanted || device.pushToken === "") return [];
    return [{ provider, deviceId: device.deviceId, kind: "device" as const, address: device.pushToken }];
  });
}

function contactAddress(channels: ChannelSet, name: string, kind: ContactKind, address: string): Address[] {
  const provider = channels.get(name);
  return provider && address !== "" ? [{ provider, deviceId: "", kind, address }] : [];
}
