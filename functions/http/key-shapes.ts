import type { ListedKey, OwnedKey, ShownKey } from '../../core/keys/application-keys.ts'
import type { SettingsChange } from '../../core/keys/settings.ts'
import { isoDay, isoTime, timeOrNull } from './time-shapes.ts'

/** An application key as its owner sees it. `null` is a setting that limits nothing. */
export const ownedKeyShape = ({
  id,
  name,
  prefix,
  last4,
  createdAtMs,
  settings,
  graceUntilMs,
}: OwnedKey) => ({
  id,
  name,
  prefix,
  last4,
  createdAt: isoTime(createdAtMs),
  enabled: !settings.disabled,
  expiresAt: timeOrNull(settings.expiresAtMs),
  scopes: settings.scopes ?? [],
  budget: settings.budget ?? null,
  rate: settings.rate ?? null,
  ip: settings.ip ?? null,
  metadata: settings.metadata === undefined ? null : (JSON.parse(settings.metadata) as Metadata),
  graceUntil: timeOrNull(graceUntilMs),
})

/** An application key in a list. */
export const listedKey = ({ lastUsedDayMs, ...key }: ListedKey) => ({
  ...ownedKeyShape(key),
  lastUsedDay: lastUsedDayMs === undefined ? null : isoDay(lastUsedDayMs),
})

/** An application key that was just made, with the whole key. */
export const shownKey = (key: ShownKey) => ({
  ...ownedKeyShape(key),
  key: key.key,
  ...(key.replayed && { replayed: true as const }),
})

type Metadata = Record<string, unknown>

/** The settings of a request, in which null removes one. */
type SentSettings = {
  [Name in keyof Omit<SettingsChange, 'expiresAtMs' | 'metadata'>]: SettingsChange[Name] | null
} & { expiresAt?: string | null | undefined; metadata?: Metadata | null | undefined }

/** A change of settings as the domain has it. An empty object is no metadata. */
export function settingsChange({ expiresAt, metadata, ...rest }: SentSettings): SettingsChange {
  const sent = Object.entries(rest).filter(([, value]) => value !== undefined)
  return {
    ...Object.fromEntries(sent.map(([name, value]) => [name, value ?? undefined])),
    ...(expiresAt !== undefined && { expiresAtMs: expiresAt === null ? undefined : Date.parse(expiresAt) }),
    ...(metadata !== undefined && { metadata: metadataText(metadata) }),
  }
}

const metadataText = (metadata: Metadata | null): string | undefined =>
  metadata && Object.keys(metadata).length > 0 ? JSON.stringify(metadata) : undefined

const app = ({ id, name, createdAtMs, updatedAtMs }: OwnedKey, corsUrl = '') => ({
  appid: id,
  appname: name,
  created: isoTime(createdAtMs),
  update: isoTime(updatedAtMs),
  deleted: false as const,
  parent: 'root' as const,
  corsurl: corsUrl,
})

/** A key as Skylink's page has it. @param corsUrl the domain from which browsers use it. */
export const skylinkApp = (key: OwnedKey, corsUrl: string | undefined) => ({
  status: 1 as const,
  content: app(key, corsUrl),
})

/** A key that was just made, with the whole key. */
export const shownApp = (key: ShownKey, corsUrl: string | undefined) => ({
  status: 1 as const,
  content: { ...app(key, corsUrl), key: key.key },
  ...(key.replayed && { replayed: true as const }),
})
